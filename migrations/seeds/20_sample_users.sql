-- Sample users, as the schema document writes them.
do $sample$ begin
if not exists (select from app_public.users where id = '550e8400-e29b-41d4-a716-446655440000') then

INSERT INTO users (id, email, name, password_hash, tenant_id, status)
VALUES 
    ('550e8400-e29b-41d4-a716-446655440000', 'john@example.com', 'John Doe', '$2b$12$...', '123e4567-e89b-12d3-a456-426614174000', 'active'),
    ('550e8400-e29b-41d4-a716-446655440001', 'jane@example.com', 'Jane Smith', '$2b$12$...', '123e4567-e89b-12d3-a456-426614174000', 'active');

end if;
end $sample$;
