-- What the second tenant has: nothing of it may ever be seen by the first.
insert into app_public.sources (id, name, kind, config, user_id, tenant_id)
values (
  '770e8400-e29b-41d4-a716-446655440010',
  'Globex model',
  'llm',
  '{"model_name": "gpt-4", "api_key_env": "OPENAI_API_KEY", "temperature": 0.2}',
  '550e8400-e29b-41d4-a716-446655440010',
  '223e4567-e89b-12d3-a456-426614174000'
)
on conflict do nothing;

insert into app_public.workflows (id, name, description, spec, user_id, tenant_id, status)
values (
  '660e8400-e29b-41d4-a716-446655440010',
  'Internal Helpdesk',
  'Answers questions of employees',
  '{
    "nodes": [
      {"id": "input", "type": "input"},
      {"id": "answer", "type": "llm", "metadata": {"source": "Globex model", "prompt": "Answer briefly: {user_input}"}}
    ],
    "edges": [
      {"from": "input", "to": "answer"}
    ],
    "queues": [],
    "sources": [],
    "start_node": "input"
  }',
  '550e8400-e29b-41d4-a716-446655440010',
  '223e4567-e89b-12d3-a456-426614174000',
  'published'
)
on conflict do nothing;

insert into app_public.executions (id, workflow_id, user_id, tenant_id, status, initial_state, final_state, metrics,
  tokens_used, cost, execution_time, started_at, completed_at)
values (
  '880e8400-e29b-41d4-a716-446655440010',
  '660e8400-e29b-41d4-a716-446655440010',
  '550e8400-e29b-41d4-a716-446655440010',
  '223e4567-e89b-12d3-a456-426614174000',
  'completed',
  '{"user_input": "Where is the canteen?"}',
  '{"user_input": "Where is the canteen?", "text_result": "On the ground floor."}',
  '{"execution_time": 1.2, "tokens_used": 40}',
  40,
  0.0012,
  1.2,
  now() - interval '2 hours',
  now() - interval '2 hours' + interval '1.2 seconds'
)
on conflict do nothing;
