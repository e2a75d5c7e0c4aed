-- Sample API key, as the schema document writes it.
do $sample$ begin
if not exists (select from app_public.api_keys where id = '990e8400-e29b-41d4-a716-446655440000') then

INSERT INTO api_keys (id, user_id, tenant_id, name, key_hash, permissions, status, expires_at)
VALUES (
    '990e8400-e29b-41d4-a716-446655440000',
    '550e8400-e29b-41d4-a716-446655440000',
    '123e4567-e89b-12d3-a456-426614174000',
    'Production API Key',
    '$2b$12$...',  -- Hashed version of sk_live_abc123...
    '{"workflows": ["read", "write", "execute"], "sources": ["read", "write"]}'::jsonb,
    'active',
    NOW() + INTERVAL '1 year'
);

end if;
end $sample$;
