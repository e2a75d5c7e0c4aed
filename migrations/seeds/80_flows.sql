-- A flow of the three ready-made tasks: a failure of any of them ends it.
insert into app_public.flows (tenant_id, id, name, description, start_task, definition)
values (
  '123e4567-e89b-12d3-a456-426614174000',
  'data_pipeline',
  'Data pipeline',
  'Fetches data, processes it and stores the result',
  'fetch_data',
  '{
    "id": "data_pipeline",
    "name": "Data pipeline",
    "description": "Fetches data, processes it and stores the result",
    "start_task": "fetch_data",
    "tasks": [
      {"name": "fetch_data", "description": "Fetch the data"},
      {"name": "process_data", "description": "Process what was fetched"},
      {"name": "store_data", "description": "Store the result"}
    ],
    "conditions": [
      {"name": "fetched", "source_task": "fetch_data", "outcome": "success", "target_task_success": "process_data", "target_task_failure": "end"},
      {"name": "processed", "source_task": "process_data", "outcome": "success", "target_task_success": "store_data", "target_task_failure": "end"}
    ]
  }'
)
on conflict do nothing;
