-- John is the admin; Jane stays what everybody is at first, a viewer. Beside them one user of each other role, and two of the second tenant.
update app_public.users set role = 'admin'
where id = '550e8400-e29b-41d4-a716-446655440000' and role <> 'admin';

insert into app_public.users (id, email, name, password_hash, tenant_id, role)
values
  ('550e8400-e29b-41d4-a716-446655440002', 'architect@example.com', 'Ada Architect', '$2b$12$...', '123e4567-e89b-12d3-a456-426614174000', 'architect'),
  ('550e8400-e29b-41d4-a716-446655440003', 'developer@example.com', 'Dan Developer', '$2b$12$...', '123e4567-e89b-12d3-a456-426614174000', 'developer'),
  ('550e8400-e29b-41d4-a716-446655440004', 'operator@example.com', 'Olga Operator', '$2b$12$...', '123e4567-e89b-12d3-a456-426614174000', 'operator'),
  ('550e8400-e29b-41d4-a716-446655440010', 'admin@globex.example', 'Gina Admin', '$2b$12$...', '223e4567-e89b-12d3-a456-426614174000', 'admin'),
  ('550e8400-e29b-41d4-a716-446655440011', 'viewer@globex.example', 'Guido Viewer', '$2b$12$...', '223e4567-e89b-12d3-a456-426614174000', 'viewer')
on conflict do nothing;
