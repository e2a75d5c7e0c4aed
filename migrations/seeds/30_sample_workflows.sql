-- Sample workflow, as the schema document writes it.
do $sample$ begin
if not exists (select from app_public.workflows where id = '660e8400-e29b-41d4-a716-446655440000') then

INSERT INTO workflows (id, name, description, spec, user_id, tenant_id, status)
VALUES (
    '660e8400-e29b-41d4-a716-446655440000',
    'Customer Support Bot',
    'Handles customer inquiries with AI',
    '{
        "nodes": [
            {"id": "input", "type": "input"},
            {"id": "router", "type": "router"},
            {"id": "llm", "type": "llm", "metadata": {"source": "openai"}}
        ],
        "edges": [
            {"from": "input", "to": "router"},
            {"from": "router", "to": "llm"}
        ],
        "queues": [],
        "sources": [
            {"id": "openai", "kind": "llm", "config": {"model_name": "gpt-4"}}
        ],
        "start_node": "input"
    }'::jsonb,
    '550e8400-e29b-41d4-a716-446655440000',
    '123e4567-e89b-12d3-a456-426614174000',
    'published'
);

end if;
end $sample$;
