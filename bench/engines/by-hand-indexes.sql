-- The indexes that the founding documents ask for on these tables, beside the ones above.
create index on executions (workflow_id);
create index on executions (user_id);
create index on executions (tenant_id);
create index on executions (status);
create index on executions (started_at desc);
create index on executions (completed_at desc nulls last);
create index on audit_logs (user_id);
create index on audit_logs (tenant_id);
create index on audit_logs (action);
create index on audit_logs (entity_id);
create index on audit_logs (created_at desc);
