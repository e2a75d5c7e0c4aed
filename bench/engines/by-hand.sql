-- The same history as ours, by hand and for speed alone: keys across tables, audit by statement, one notification a batch.
create table tenants (id uuid primary key, name text not null);
create table users (id uuid primary key, tenant_id uuid not null references tenants, unique (tenant_id, id));
create table workflows (id uuid primary key, tenant_id uuid not null references tenants, spec jsonb not null, unique (tenant_id, id));
create table executions (
  id uuid primary key default gen_random_uuid(), tenant_id uuid not null references tenants, user_id uuid not null, workflow_id uuid not null,
  status text not null default 'pending' check (status in ('pending', 'running', 'completed', 'failed')), attempt integer not null default 0, lease_until timestamptz,
  initial_state jsonb not null, final_state jsonb, metrics jsonb, created_at timestamptz not null default now(), started_at timestamptz, completed_at timestamptz,
  foreign key (tenant_id, user_id) references users (tenant_id, id), foreign key (tenant_id, workflow_id) references workflows (tenant_id, id), unique (tenant_id, id)
) with (fillfactor = 70);
create index on executions (tenant_id, created_at desc, id desc);
create index executions_waiting on executions (created_at, id) where status = 'pending';
create table node_executions (
  execution_id uuid not null, node_id text not null, tenant_id uuid not null, sequence_number integer not null, status text not null, output jsonb,
  started_at timestamptz not null, completed_at timestamptz not null,
  primary key (execution_id, node_id), foreign key (tenant_id, execution_id) references executions (tenant_id, id)
);
create table audit_logs (id bigint generated always as identity primary key, tenant_id uuid not null, user_id uuid not null, action text not null, entity_id uuid not null, new_value jsonb not null, created_at timestamptz not null default now());
create function audit() returns trigger language plpgsql as $$ begin
  insert into audit_logs (tenant_id, user_id, action, entity_id, new_value) select tenant_id, user_id, 'execute', id, jsonb_build_object('workflow_id', workflow_id, 'status', status) from new_rows;
  return null;
end $$;
create trigger audit after insert on executions referencing new table as new_rows for each statement execute function audit();
