-- Sample execution, as the schema document writes it.
do $sample$ begin
if not exists (select from app_public.executions where id = '880e8400-e29b-41d4-a716-446655440000') then

INSERT INTO executions (id, workflow_id, user_id, tenant_id, status, initial_state, final_state, metrics, tokens_used, cost, execution_time, started_at, completed_at)
VALUES (
    '880e8400-e29b-41d4-a716-446655440000',
    '660e8400-e29b-41d4-a716-446655440000',
    '550e8400-e29b-41d4-a716-446655440000',
    '123e4567-e89b-12d3-a456-426614174000',
    'completed',
    '{"user_input": "What is your return policy?"}'::jsonb,
    '{"user_input": "What is your return policy?", "text_result": "Our return policy allows..."}'::jsonb,
    '{"execution_time": 2.5, "tokens_used": 150}'::jsonb,
    150,
    0.0075,
    2.5,
    NOW() - INTERVAL '1 hour',
    NOW() - INTERVAL '1 hour' + INTERVAL '2.5 seconds'
);

end if;
end $sample$;
