-- Sample sources, as the schema document writes them.
do $sample$ begin
if not exists (select from app_public.sources where id = '770e8400-e29b-41d4-a716-446655440000') then

INSERT INTO sources (id, name, kind, config, user_id, tenant_id, status)
VALUES 
    (
        '770e8400-e29b-41d4-a716-446655440000',
        'OpenAI GPT-4',
        'llm',
        '{"model_name": "gpt-4", "api_key_env": "OPENAI_API_KEY", "temperature": 0.7}'::jsonb,
        '550e8400-e29b-41d4-a716-446655440000',
        '123e4567-e89b-12d3-a456-426614174000',
        'active'
    ),
    (
        '770e8400-e29b-41d4-a716-446655440001',
        'DALL-E 3',
        'image',
        '{"model_name": "dall-e-3", "api_key_env": "OPENAI_API_KEY", "size": "1024x1024"}'::jsonb,
        '550e8400-e29b-41d4-a716-446655440000',
        '123e4567-e89b-12d3-a456-426614174000',
        'active'
    );

end if;
end $sample$;
