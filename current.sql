--!include before.sql

/*
 * Tables. The seeds' tables stand as the two documents write them; what is added is marked "added".
 * Keys across tables carry the tenant, so that a reference into another tenant is impossible and not merely invisible.
 */

-- ---------------------------------------------------------------- tenants

create table if not exists app_public.tenants (
  id uuid primary key default gen_random_uuid(),
  slug varchar(63) not null,
  name varchar(255) not null,
  status varchar(50) not null default 'active',
  settings jsonb not null default '{}',
  quotas jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz null,
  created_by uuid null,
  updated_by uuid null,
  deleted_by uuid null,
  constraint idx_tenants_slug unique (slug),
  constraint chk_tenants_slug check (slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
  constraint chk_tenants_status check (status in ('active', 'suspended', 'deleted')),
  constraint chk_tenants_deleted_at check ((status = 'deleted') = (deleted_at is not null)),
  constraint chk_tenants_settings check (jsonb_typeof(settings) = 'object'),
  constraint chk_tenants_quotas check (app_private.is_quotas(quotas))
);

-- ---------------------------------------------------------------- users

create table if not exists app_public.users (
  id uuid primary key default gen_random_uuid(),
  email varchar(255) not null,
  name varchar(255) not null,
  password_hash varchar(255) not null,
  tenant_id uuid not null,
  status varchar(50) not null default 'active',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz null,
  created_by uuid null,
  updated_by uuid null,
  deleted_by uuid null,
  role varchar(50) not null default 'viewer', -- added
  constraint idx_users_email unique (email),
  constraint idx_users_tenant_id_id unique (tenant_id, id),
  constraint fk_users_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint chk_users_status check (status in ('active', 'inactive', 'deleted')),
  constraint chk_users_role check (role in ('admin', 'architect', 'developer', 'operator', 'viewer')),
  constraint chk_users_email check (email = lower(email) and position('@' in email) > 1),
  constraint chk_users_deleted_at check ((status = 'deleted') = (deleted_at is not null)),
  constraint chk_users_name check (btrim(name) <> '')
);

create index if not exists idx_users_tenant_id on app_public.users (tenant_id);
create index if not exists idx_users_status on app_public.users (status);

-- ---------------------------------------------------------------- access_links (added)

-- A one-time link: by an invitation a new person gets an account, by a reset a user gets a new password.
create table if not exists app_public.access_links (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  kind varchar(50) not null,
  user_id uuid null,
  email varchar(255) not null,
  name varchar(255) null,
  role varchar(50) null,
  token_hash varchar(64) not null,
  status varchar(50) not null default 'pending',
  expires_at timestamptz not null,
  ended_at timestamptz null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  created_by uuid null,
  updated_by uuid null,
  constraint idx_access_links_token_hash unique (token_hash),
  constraint idx_access_links_tenant_id_id unique (tenant_id, id),
  constraint fk_access_links_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_access_links_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint chk_access_links_kind check (kind in ('invitation', 'reset')),
  constraint chk_access_links_status check (status in ('pending', 'used', 'withdrawn')),
  constraint chk_access_links_ended_at check ((status = 'pending') = (ended_at is null)),
  constraint chk_access_links_role check (role in ('admin', 'architect', 'developer', 'operator', 'viewer')),
  constraint chk_access_links_invitation check ((kind = 'invitation') = (role is not null)),
  constraint chk_access_links_user_id check ((kind = 'reset' or status = 'used') = (user_id is not null)),
  constraint chk_access_links_email check (email = lower(email) and position('@' in email) > 1)
);

create index if not exists idx_access_links_tenant_id_created_at on app_public.access_links (tenant_id, created_at desc, id desc);
create index if not exists idx_access_links_tenant_id_user_id on app_public.access_links (tenant_id, user_id);

-- ---------------------------------------------------------------- workflows

create table if not exists app_public.workflows (
  id uuid primary key default gen_random_uuid(),
  name varchar(255) not null,
  description text null,
  spec jsonb not null,
  user_id uuid not null,
  tenant_id uuid not null,
  status varchar(50) not null default 'draft',
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz null,
  created_by uuid null,
  updated_by uuid null,
  deleted_by uuid null,
  constraint idx_workflows_tenant_id_id unique (tenant_id, id),
  constraint fk_workflows_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_workflows_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint chk_workflows_status check (status in ('draft', 'published', 'archived', 'deleted')),
  constraint chk_workflows_deleted_at check ((status = 'deleted') = (deleted_at is not null)),
  constraint chk_workflows_name check (btrim(name) <> ''),
  constraint chk_workflows_version check (version >= 1),
  constraint chk_workflows_spec check (app_private.is_json_object(spec, 3145728))
);

create index if not exists idx_workflows_user_id on app_public.workflows (user_id);
create index if not exists idx_workflows_tenant_id on app_public.workflows (tenant_id);
create index if not exists idx_workflows_status on app_public.workflows (status);
create index if not exists idx_workflows_created_at on app_public.workflows (created_at desc);
create index if not exists idx_workflows_spec_gin on app_public.workflows using gin (spec);
-- added: led by the tenant, ended by the key that every order is completed with
create index if not exists idx_workflows_tenant_id_created_at on app_public.workflows (tenant_id, created_at desc, id desc);
create index if not exists idx_workflows_tenant_id_status on app_public.workflows (tenant_id, status, id);
create index if not exists idx_workflows_tenant_id_name on app_public.workflows (tenant_id, name, id);
create index if not exists idx_workflows_tenant_id_user_id on app_public.workflows (tenant_id, user_id, id);

-- ---------------------------------------------------------------- workflow_versions (added)

create table if not exists app_public.workflow_versions (
  id uuid primary key default gen_random_uuid(),
  workflow_id uuid not null,
  tenant_id uuid not null,
  version integer not null,
  spec jsonb not null,
  created_at timestamptz not null default now(),
  created_by uuid null,
  constraint idx_workflow_versions_tenant_id_id unique (tenant_id, id),
  constraint idx_workflow_versions_workflow_id_version unique (tenant_id, workflow_id, version),
  constraint fk_workflow_versions_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_workflow_versions_workflow_id foreign key (tenant_id, workflow_id)
    references app_public.workflows (tenant_id, id) on delete cascade,
  constraint chk_workflow_versions_version check (version >= 1),
  constraint chk_workflow_versions_spec check (app_private.is_json_object(spec, 3145728))
);

-- ---------------------------------------------------------------- executions

create table if not exists app_public.executions (
  id uuid primary key default gen_random_uuid(),
  workflow_id uuid not null,
  user_id uuid not null,
  tenant_id uuid not null,
  status varchar(50) not null default 'pending',
  initial_state jsonb not null,
  final_state jsonb null,
  error_message text null,
  metrics jsonb null,
  tokens_used integer null default 0,
  cost decimal(10, 4) null default 0,
  execution_time decimal(10, 3) null,
  started_at timestamptz not null default now(),
  completed_at timestamptz null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- added
  workflow_version_id uuid not null,
  idempotency_key varchar(255) null,
  parent_execution_id uuid null,
  parent_node_id varchar(100) null,
  retry_of_execution_id uuid null,
  retry_from_node_id varchar(100) null,
  only_node_id varchar(100) null,
  depth integer not null default 0,
  is_test boolean not null default false,
  error_code varchar(50) null,
  error_node_id varchar(100) null,
  deleted_at timestamptz null,
  deleted_by uuid null,
  -- The key by which it was started, kept as a fact even when the key is gone: no reference.
  api_key_id uuid null default app_private.current_api_key_id(),
  constraint fk_executions_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_executions_workflow_id foreign key (tenant_id, workflow_id)
    references app_public.workflows (tenant_id, id) on delete cascade,
  constraint fk_executions_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint fk_executions_workflow_version_id foreign key (tenant_id, workflow_version_id)
    references app_public.workflow_versions (tenant_id, id) on delete cascade,
  constraint chk_executions_status check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
  constraint chk_executions_completed_at
    check ((status in ('completed', 'failed', 'cancelled')) = (completed_at is not null)),
  constraint chk_executions_deleted_at check (deleted_at is null or completed_at is not null),
  constraint chk_executions_error_message check (error_message is null or status in ('failed', 'cancelled')),
  constraint chk_executions_failed check (status <> 'failed' or error_message is not null),
  constraint chk_executions_initial_state check (app_private.is_json_object(initial_state, 1048576)),
  constraint chk_executions_final_state check (final_state is null or jsonb_typeof(final_state) = 'object'),
  constraint chk_executions_metrics check (metrics is null or app_private.is_metrics(metrics)),
  constraint chk_executions_tokens_used check (tokens_used >= 0),
  constraint chk_executions_cost check (cost >= 0),
  constraint chk_executions_execution_time check (execution_time >= 0),
  constraint chk_executions_parent check ((parent_execution_id is null) = (parent_node_id is null)),
  constraint chk_executions_depth check (depth between 0 and 5)
);

-- What executeWorkflows takes, one for each execution.
do $$ begin
  if to_regtype('app_public.workflow_start') is null then
    create type app_public.workflow_start as (workflow_id uuid, initial_state jsonb, idempotency_key text);
  end if;
end $$;

create index if not exists idx_executions_workflow_id on app_public.executions (workflow_id);
create index if not exists idx_executions_user_id on app_public.executions (user_id);
create index if not exists idx_executions_tenant_id on app_public.executions (tenant_id);
create index if not exists idx_executions_status on app_public.executions (status);
create index if not exists idx_executions_started_at on app_public.executions (started_at desc);
create index if not exists idx_executions_completed_at on app_public.executions (completed_at desc nulls last);
-- added
create unique index if not exists idx_executions_idempotency_key on app_public.executions (tenant_id, idempotency_key)
  where idempotency_key is not null;
-- with the column that the policy asks for: counting looks at the index alone
create index if not exists idx_executions_tenant_id_created_at on app_public.executions (tenant_id, created_at desc, id desc) include (deleted_at);
create index if not exists idx_executions_tenant_id_status on app_public.executions (tenant_id, status, created_at desc, id desc) include (deleted_at);
create index if not exists idx_executions_tenant_id_workflow_id on app_public.executions (tenant_id, workflow_id, created_at desc, id desc) include (deleted_at);
-- a node starts one child at most, however often it is tried
create unique index if not exists idx_executions_parent_execution_id_node on app_public.executions (tenant_id, parent_execution_id, parent_node_id)
  where parent_execution_id is not null;
create index if not exists idx_executions_retry_of_execution_id on app_public.executions (tenant_id, retry_of_execution_id)
  where retry_of_execution_id is not null;
-- a workflow belongs to one tenant: without this knowledge the planner takes both conditions for rare, and sorts a workflow's history for its last five
create statistics if not exists app_public.stx_executions_workflow_id (dependencies) on tenant_id, workflow_id from app_public.executions;
create index if not exists idx_executions_workflow_version_id on app_public.executions (tenant_id, workflow_version_id);
-- The key that others refer to comes after every index that begins with the tenant: of two indexes that seem equally good PostgreSQL takes
-- the younger one, all of them seem so while the table is empty, and a session keeps the plan that it made then for its foreign keys.
do $$ begin
  if not exists (select from pg_constraint where conname = 'idx_executions_tenant_id_id' and connamespace = 'app_public'::regnamespace) then
    alter table app_public.executions
      add constraint idx_executions_tenant_id_id unique (tenant_id, id),
      add constraint fk_executions_parent_execution_id foreign key (tenant_id, parent_execution_id)
        references app_public.executions (tenant_id, id) on delete cascade,
      add constraint fk_executions_retry_of_execution_id foreign key (tenant_id, retry_of_execution_id)
        references app_public.executions (tenant_id, id) on delete cascade;
  end if;
end $$;
create index if not exists idx_executions_tenant_id_error_code on app_public.executions (tenant_id, error_code, created_at desc, id desc)
  where error_code is not null;

-- ---------------------------------------------------------------- node_executions (added), by month of the execution

create table if not exists app_public.node_executions (
  execution_id uuid not null,
  node_id varchar(100) not null,
  execution_created_at timestamptz not null,
  tenant_id uuid not null,
  node_type varchar(50) not null,
  sequence_number integer null,
  finish_order integer null,
  attempts integer not null default 0,
  status varchar(50) not null,
  input jsonb null,
  output jsonb null,
  writes jsonb null,
  route_target varchar(100) null,
  error_code varchar(50) null,
  error_message text null,
  tokens_used integer not null default 0,
  cost numeric(20, 10) not null default 0,
  wait_time numeric(12, 3) not null default 0,
  wait_reason varchar(50) null,
  wait_until timestamptz null,
  wait_details jsonb null,
  logs jsonb null,
  started_at timestamptz null,
  completed_at timestamptz null,
  -- what was asked outside, and how the answer grows while it is streamed
  source_name varchar(255) null,
  model varchar(255) null,
  is_cached boolean not null default false,
  partial_output text null,
  constraint node_executions_pkey primary key (execution_id, node_id, execution_created_at),
  constraint fk_node_executions_execution_id foreign key (tenant_id, execution_id)
    references app_public.executions (tenant_id, id) on delete cascade,
  constraint chk_node_executions_status check (status in ('pending', 'running', 'waiting', 'rate_limited',
    'completed', 'failed', 'skipped', 'timed_out', 'cancelled')),
  constraint chk_node_executions_finish_order
    check ((status in ('completed', 'failed', 'skipped', 'timed_out', 'cancelled')) = (finish_order is not null)),
  constraint chk_node_executions_sequence_number check (sequence_number >= 1),
  constraint chk_node_executions_tokens_used check (tokens_used >= 0),
  constraint chk_node_executions_cost check (cost >= 0)
) partition by range (execution_created_at);

-- ---------------------------------------------------------------- sources

create table if not exists app_public.sources (
  id uuid primary key default gen_random_uuid(),
  name varchar(255) not null,
  kind varchar(50) not null,
  config jsonb not null,
  user_id uuid not null,
  tenant_id uuid not null,
  status varchar(50) not null default 'active',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz null,
  created_by uuid null,
  updated_by uuid null,
  deleted_by uuid null,
  constraint idx_sources_tenant_id_id unique (tenant_id, id),
  constraint fk_sources_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_sources_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint chk_sources_kind check (kind in ('llm', 'image', 'db', 'api')),
  constraint chk_sources_status check (status in ('active', 'inactive', 'deleted')),
  constraint chk_sources_deleted_at check ((status = 'deleted') = (deleted_at is not null)),
  constraint chk_sources_name check (btrim(name) <> ''),
  constraint chk_sources_config check (app_private.is_json_object(config, 65536)),
  constraint chk_sources_config_secrets check (not app_private.has_inline_secret(config)),
  constraint chk_sources_config_secret_texts check (not app_private.has_secret_text(config))
);

create index if not exists idx_sources_user_id on app_public.sources (user_id);
create index if not exists idx_sources_tenant_id on app_public.sources (tenant_id);
create index if not exists idx_sources_kind on app_public.sources (kind);
create index if not exists idx_sources_status on app_public.sources (status);
create index if not exists idx_sources_config_gin on app_public.sources using gin (config);
-- added: a document refers to a source by its name, so living names are unique within a tenant
create unique index if not exists idx_sources_tenant_id_name on app_public.sources (tenant_id, name) where deleted_at is null;
create index if not exists idx_sources_tenant_id_created_at on app_public.sources (tenant_id, created_at desc, id desc);
create index if not exists idx_sources_tenant_id_kind on app_public.sources (tenant_id, kind, id);
create index if not exists idx_sources_tenant_id_user_id on app_public.sources (tenant_id, user_id, id);

-- ---------------------------------------------------------------- api_keys

create table if not exists app_public.api_keys (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  tenant_id uuid not null,
  name varchar(255) not null,
  key_hash varchar(255) not null,
  permissions jsonb null,
  status varchar(50) not null default 'active',
  last_used_at timestamptz null,
  expires_at timestamptz null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz null,
  created_by uuid null,
  deleted_by uuid null,
  updated_by uuid null, -- added
  -- added: what people recognise a key by, why it was revoked, and the key that took its place
  key_prefix varchar(20) null,
  revoked_reason varchar(255) null,
  replaced_by_id uuid null,
  constraint idx_api_keys_key_hash unique (key_hash),
  constraint idx_api_keys_tenant_id_id unique (tenant_id, id),
  constraint fk_api_keys_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_api_keys_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint chk_api_keys_status check (status in ('active', 'revoked', 'expired')),
  constraint chk_api_keys_deleted_at check (deleted_at is null or status = 'revoked'),
  constraint fk_api_keys_replaced_by_id foreign key (tenant_id, replaced_by_id)
    references app_public.api_keys (tenant_id, id) on delete cascade,
  constraint chk_api_keys_permissions check (permissions is null or app_private.is_permissions(permissions)),
  constraint chk_api_keys_name check (btrim(name) <> ''),
  constraint chk_api_keys_revoked_reason check (revoked_reason is null or status = 'revoked')
);

create index if not exists idx_api_keys_user_id on app_public.api_keys (user_id);
create index if not exists idx_api_keys_tenant_id on app_public.api_keys (tenant_id);
create index if not exists idx_api_keys_status on app_public.api_keys (status);
create index if not exists idx_api_keys_expires_at on app_public.api_keys (expires_at);
-- added
create index if not exists idx_api_keys_tenant_id_user_id on app_public.api_keys (tenant_id, user_id, id);
create index if not exists idx_api_keys_replaced_by_id on app_public.api_keys (tenant_id, replaced_by_id)
  where replaced_by_id is not null;

-- ---------------------------------------------------------------- audit_logs, by month

-- Counts the rows of the audit log, so that none can be sealed twice or passed over.
create sequence if not exists app_private.audit_sequence;

create table if not exists app_public.audit_logs (
  id uuid not null default gen_random_uuid(),
  user_id uuid null,
  tenant_id uuid not null,
  action varchar(100) not null,
  entity_type varchar(100) not null,
  entity_id uuid null,
  old_value jsonb null,
  new_value jsonb null,
  ip_address inet null,
  user_agent text null,
  created_at timestamptz not null default now(),
  -- added
  api_key_id uuid null,
  request_id varchar(100) null,
  entity_key varchar(255) null,
  log_number bigint not null default nextval('app_private.audit_sequence'),
  constraint audit_logs_pkey primary key (id, created_at),
  constraint fk_audit_logs_user_id foreign key (user_id) references app_public.users (id) on delete set null
) partition by range (created_at);

create index if not exists idx_audit_logs_user_id on app_public.audit_logs (user_id);
create index if not exists idx_audit_logs_tenant_id on app_public.audit_logs (tenant_id);
create index if not exists idx_audit_logs_action on app_public.audit_logs (action);
create index if not exists idx_audit_logs_entity_type on app_public.audit_logs (entity_type);
create index if not exists idx_audit_logs_entity_id on app_public.audit_logs (entity_id);
create index if not exists idx_audit_logs_created_at on app_public.audit_logs (created_at desc);
-- added
create index if not exists idx_audit_logs_tenant_id_created_at on app_public.audit_logs (tenant_id, created_at desc, id desc);

-- ---------------------------------------------------------------- flows

do $$ begin
  if to_regtype('app_public.flow_execution_status') is null then
    create type app_public.flow_execution_status as enum ('PENDING', 'RUNNING', 'SUCCESS', 'FAILURE', 'COMPLETED');
  end if;
  if to_regtype('app_public.task_execution_status') is null then
    create type app_public.task_execution_status as enum ('PENDING', 'RUNNING', 'SUCCESS', 'FAILURE');
  end if;
end $$;

create table if not exists app_public.flows (
  id varchar(100) not null,
  name varchar(255) not null,
  description text null,
  start_task varchar(100) not null,
  definition jsonb not null,
  is_active integer not null default 1,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- added
  tenant_id uuid not null,
  deleted_at timestamptz null,
  created_by uuid null,
  updated_by uuid null,
  deleted_by uuid null,
  constraint flows_pkey primary key (tenant_id, id),
  constraint fk_flows_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint chk_flows_is_active check (is_active in (0, 1)),
  constraint chk_flows_version check (version >= 1),
  constraint chk_flows_definition check (app_private.is_json_object(definition, 1048576))
);

create index if not exists idx_flows_name on app_public.flows (name);
create index if not exists idx_flows_tenant_id_name on app_public.flows (tenant_id, name, id);
create index if not exists idx_flows_tenant_id_created_at on app_public.flows (tenant_id, created_at desc, id desc);

create table if not exists app_public.flow_versions ( -- added
  id uuid primary key default gen_random_uuid(),
  flow_id varchar(100) not null,
  tenant_id uuid not null,
  version integer not null,
  definition jsonb not null,
  created_at timestamptz not null default now(),
  created_by uuid null,
  constraint idx_flow_versions_tenant_id_id unique (tenant_id, id),
  constraint idx_flow_versions_flow_id_version unique (tenant_id, flow_id, version),
  constraint fk_flow_versions_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_flow_versions_flow_id foreign key (tenant_id, flow_id)
    references app_public.flows (tenant_id, id) on delete cascade,
  constraint chk_flow_versions_version check (version >= 1),
  constraint chk_flow_versions_definition check (app_private.is_json_object(definition, 1048576))
);

create table if not exists app_public.flow_executions (
  id bigint generated by default as identity primary key,
  flow_id varchar(100) not null,
  status app_public.flow_execution_status not null default 'PENDING',
  input_context jsonb null,
  output_data jsonb null,
  error_message text null,
  error_task varchar(100) null,
  total_tasks_executed integer not null default 0,
  started_at timestamptz not null default now(),
  completed_at timestamptz null,
  -- added
  tenant_id uuid not null,
  user_id uuid null,
  flow_version integer not null default 1,
  definition jsonb not null,
  idempotency_key varchar(255) null,
  retry_of_flow_execution_id bigint null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  error_code varchar(50) null,
  api_key_id uuid null default app_private.current_api_key_id(),
  constraint fk_flow_executions_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_flow_executions_flow_id foreign key (tenant_id, flow_id)
    references app_public.flows (tenant_id, id) on delete cascade,
  constraint fk_flow_executions_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade,
  constraint chk_flow_executions_completed_at
    check ((status in ('SUCCESS', 'FAILURE', 'COMPLETED')) = (completed_at is not null)),
  constraint chk_flow_executions_input_context
    check (input_context is null or app_private.is_json_object(input_context, 1048576)),
  constraint chk_flow_executions_output_data check (output_data is null or status in ('SUCCESS', 'COMPLETED')),
  constraint chk_flow_executions_error_message check ((status = 'FAILURE') = (error_message is not null)),
  constraint chk_flow_executions_total_tasks_executed check (total_tasks_executed >= 0)
);

create index if not exists idx_flow_executions_flow_id on app_public.flow_executions (flow_id);
create index if not exists idx_flow_executions_status on app_public.flow_executions (status);
create index if not exists idx_flow_executions_started_at on app_public.flow_executions (started_at);
-- added
create unique index if not exists idx_flow_executions_idempotency_key on app_public.flow_executions (tenant_id, idempotency_key)
  where idempotency_key is not null;
create index if not exists idx_flow_executions_tenant_id_started_at on app_public.flow_executions (tenant_id, started_at desc, id desc);
create index if not exists idx_flow_executions_tenant_id_flow_id on app_public.flow_executions (tenant_id, flow_id, started_at desc, id desc);
create index if not exists idx_flow_executions_tenant_id_user_id on app_public.flow_executions (tenant_id, user_id);
create index if not exists idx_flow_executions_retry_of on app_public.flow_executions (tenant_id, retry_of_flow_execution_id)
  where retry_of_flow_execution_id is not null;
-- As of executions.
do $$ begin
  if not exists (select from pg_constraint where conname = 'idx_flow_executions_tenant_id_id' and connamespace = 'app_public'::regnamespace) then
    alter table app_public.flow_executions
      add constraint idx_flow_executions_tenant_id_id unique (tenant_id, id),
      add constraint fk_flow_executions_retry_of_flow_execution_id foreign key (tenant_id, retry_of_flow_execution_id)
        references app_public.flow_executions (tenant_id, id) on delete cascade;
  end if;
end $$;
create index if not exists idx_flow_executions_tenant_id_error_code on app_public.flow_executions (tenant_id, error_code, started_at desc, id desc)
  where error_code is not null;

create table if not exists app_public.task_executions (
  id bigint generated by default as identity primary key,
  flow_execution_id bigint not null,
  task_name varchar(100) not null,
  task_description varchar(500) null,
  sequence_number integer not null,
  status app_public.task_execution_status not null default 'PENDING',
  input_data jsonb null,
  output_data jsonb null,
  error_message text null,
  error_traceback text null,
  started_at timestamptz not null default now(),
  completed_at timestamptz null,
  -- added
  tenant_id uuid not null,
  attempts integer not null default 1,
  error_code varchar(50) null,
  wait_reason varchar(50) null,
  wait_until timestamptz null,
  wait_details jsonb null,
  logs jsonb null,
  constraint idx_task_executions_flow_execution_id_sequence_number unique (tenant_id, flow_execution_id, sequence_number),
  constraint fk_task_executions_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_task_executions_flow_execution_id foreign key (tenant_id, flow_execution_id)
    references app_public.flow_executions (tenant_id, id) on delete cascade,
  constraint chk_task_executions_sequence_number check (sequence_number >= 1),
  constraint chk_task_executions_completed_at check ((status in ('SUCCESS', 'FAILURE')) = (completed_at is not null))
);

create index if not exists idx_task_executions_flow_execution_id on app_public.task_executions (flow_execution_id);
create index if not exists idx_task_executions_task_name on app_public.task_executions (task_name);
create index if not exists idx_task_executions_status on app_public.task_executions (status);

-- ---------------------------------------------------------------- app_private: what the API never shows

-- `generation` counts refreshes: a refresh token names the one it is for, and an older one has been used before.
create table if not exists app_private.sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  tenant_id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz null,
  generation integer not null default 0,
  refreshed_at timestamptz null,
  constraint fk_sessions_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade
);

create index if not exists idx_sessions_tenant_id_user_id on app_private.sessions (tenant_id, user_id);
create index if not exists idx_sessions_expires_at on app_private.sessions (expires_at);

-- By which name an identity provider knows a user.
create table if not exists app_private.provider_identities (
  issuer varchar(255) not null,
  subject varchar(255) not null,
  tenant_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  constraint provider_identities_pkey primary key (issuer, subject),
  constraint idx_provider_identities_user_id unique (tenant_id, user_id, issuer),
  constraint fk_provider_identities_user_id foreign key (tenant_id, user_id)
    references app_public.users (tenant_id, id) on delete cascade
);

-- Tries at passwords since `started_at`, by account (an address that somebody wrote, known or not) and by the address they came from;
-- and refusals, so that the audit log is told once.
-- Unlogged: a crash forgets them, and nothing waits for the disk.
create unlogged table if not exists app_private.sign_in_tries (
  kind varchar(50) not null,
  name varchar(255) not null,
  tries integer not null default 1,
  started_at timestamptz not null default now(),
  constraint sign_in_tries_pkey primary key (kind, name),
  constraint chk_sign_in_tries_kind check (kind in ('account', 'origin', 'refusal'))
);

create index if not exists idx_sign_in_tries_started_at on app_private.sign_in_tries (started_at);

-- How many requests a tenant, or an address, may still send. Servers take leases from it (app_private.take_requests) and refill it on the way.
-- Unlogged: a crash fills all buckets.
create unlogged table if not exists app_private.request_buckets (
  kind varchar(50) not null,
  name varchar(255) not null,
  level double precision not null,
  refilled_at timestamptz not null default now(),
  constraint request_buckets_pkey primary key (kind, name),
  constraint chk_request_buckets_kind check (kind in ('tenant', 'address'))
);

create index if not exists idx_request_buckets_refilled_at on app_private.request_buckets (refilled_at);

-- One row a living worker process. `lock_key` is held as a session-level advisory lock: a free lock means a dead process.
create table if not exists app_private.workers (
  id uuid primary key,
  lock_key bigint not null,
  job_worker_ids text[] not null default '{}',
  host text not null,
  process_id integer not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  constraint idx_workers_lock_key unique (lock_key)
);

-- Who drives an execution, or a flow execution (by app_private.flow_run_id of it), now. `attempt` is the fencing token: writes that name an older one are refused.
-- `losses`: workers that died since the last progress; `driven`: how long it was driven under earlier claims (waits do not count).
-- `waits`: nothing but an event (a decision, the end of a child) wakes it, and there is no job.
create table if not exists app_private.execution_leases (
  execution_id uuid primary key,
  tenant_id uuid not null,
  worker_id uuid null,
  attempt integer not null default 1,
  claimed_at timestamptz not null default now(),
  losses integer not null default 0,
  driven interval not null default '0',
  waits boolean not null default false
);

create index if not exists idx_execution_leases_worker_id on app_private.execution_leases (worker_id);
create index if not exists idx_execution_leases_tenant_id on app_private.execution_leases (tenant_id, execution_id);

-- The token bucket of one queue of one workflow, shared by all workers. Levels may be negative: what was promised or used beforehand.
-- Null: not used yet, so full. `line_until`: the moment of the last one who was told to come back; `tokens_each`: what a call
-- took lately; `is_full`: it was, since somebody last had to wait; `updated_at` and `tokens_at`: when the levels were worked out.
create table if not exists app_private.rate_buckets (
  tenant_id uuid not null,
  workflow_id uuid not null,
  queue_id varchar(255) not null,
  messages double precision null,
  requests double precision null,
  tokens double precision null,
  tokens_each double precision not null default 0,
  line_until timestamptz not null default now(),
  is_full boolean not null default true,
  updated_at timestamptz not null default now(),
  tokens_at timestamptz not null default now(),
  constraint rate_buckets_pkey primary key (tenant_id, workflow_id, queue_id),
  constraint fk_rate_buckets_workflow_id foreign key (tenant_id, workflow_id)
    references app_public.workflows (tenant_id, id) on delete cascade
);

-- Bytes that a node made (pictures), kept beside their execution.
create table if not exists app_private.artifacts (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  execution_id uuid not null,
  node_id varchar(100) not null,
  media_type varchar(100) not null,
  bytes bytea not null,
  created_at timestamptz not null default now(),
  constraint idx_artifacts_tenant_id_id unique (tenant_id, id),
  constraint fk_artifacts_execution_id foreign key (tenant_id, execution_id)
    references app_public.executions (tenant_id, id) on delete cascade,
  constraint chk_artifacts_bytes check (octet_length(bytes) between 1 and 16777216)
);

create index if not exists idx_artifacts_tenant_id_execution_id on app_private.artifacts (tenant_id, execution_id);

-- Secrets that tenants store for their sources; sealed by the server, so that the database never holds a value.
create table if not exists app_private.secrets (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  name varchar(100) not null,
  sealed text not null,
  hosts text[] null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  created_by uuid null,
  updated_by uuid null,
  constraint idx_secrets_tenant_id_name unique (tenant_id, name),
  constraint fk_secrets_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint chk_secrets_sealed check (sealed ~ '^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$' and octet_length(sealed) <= 65536)
);

do $$ begin
  if to_regtype('app_public.secret') is null then
    create type app_public.secret as (name text, hosts text[], created_at timestamptz, updated_at timestamptz);
  end if;
end $$;

do $$ begin
  if to_regtype('app_public.usage_by') is null then
    create type app_public.usage_by as enum ('DAY', 'WORKFLOW', 'NODE_TYPE', 'MODEL', 'SOURCE');
  end if;
  if to_regtype('app_public.usage_line') is null then
    create type app_public.usage_line as (day date, workflow_id uuid, node_type text, executions bigint, tokens bigint, cost numeric,
      model text, source_name text, cache_hits bigint);
  end if;
  if to_regtype('app_public.budget_state') is null then
    create type app_public.budget_state as enum ('OK', 'WARNED', 'STOPPED');
    create type app_public.circuit_state as enum ('CLOSED', 'OPEN', 'HALF_OPEN');
  end if;
  if to_regtype('app_public.budget') is null then
    create type app_public.budget as (id uuid, api_key_id uuid, monthly_limit numeric, warn_at numeric, spent numeric, tokens bigint,
      state app_public.budget_state, warned_at timestamptz, stopped_at timestamptz, created_at timestamptz, updated_at timestamptz);
  end if;
end $$;

-- What a tenant lets itself, or one of its API keys, spend on models in a month (UTC). `api_key_id` null: the whole tenant.
create table if not exists app_private.budgets (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  api_key_id uuid null,
  monthly_limit numeric(14, 4) not null,
  warn_at numeric(3, 2) not null default 0.8,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  created_by uuid null,
  updated_by uuid null,
  constraint idx_budgets_tenant_id_api_key_id unique (tenant_id, api_key_id),
  constraint fk_budgets_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint fk_budgets_api_key_id foreign key (tenant_id, api_key_id)
    references app_public.api_keys (tenant_id, id) on delete cascade,
  constraint chk_budgets_monthly_limit check (monthly_limit >= 0),
  constraint chk_budgets_warn_at check (warn_at between 0 and 1)
);

create unique index if not exists idx_budgets_tenant_id on app_private.budgets (tenant_id) where api_key_id is null;

-- What calls of models have cost in a month (UTC): one row for the tenant (`spender_id` is its own id) and one for each API key that
-- started executions. Written when a call ends, whatever becomes of its execution.
create table if not exists app_private.monthly_expenses (
  tenant_id uuid not null,
  month date not null,
  spender_id uuid not null,
  calls bigint not null default 0,
  tokens bigint not null default 0,
  cost numeric(20, 10) not null default 0,
  warned_at timestamptz null,
  stopped_at timestamptz null,
  constraint monthly_expenses_pkey primary key (tenant_id, month, spender_id),
  constraint fk_monthly_expenses_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade
);

-- Sources that have failed lately, seen by all workers alike. No row: it works. `retry_at`: open until then; `probe_until`: somebody
-- is trying it out. Unlogged: a crash forgets it, and nothing waits for the disk.
create unlogged table if not exists app_private.source_circuits (
  tenant_id uuid not null,
  source_key varchar(255) not null,
  failures integer not null default 0,
  openings integer not null default 0,
  opened_at timestamptz null,
  retry_at timestamptz null,
  probe_until timestamptz null,
  error_code varchar(50) null,
  updated_at timestamptz not null default now(),
  constraint source_circuits_pkey primary key (tenant_id, source_key),
  constraint fk_source_circuits_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade
);

-- Answers of sources that ask for it, by a digest of tenant, source, configuration and request. Unlogged: it can be asked for again.
create unlogged table if not exists app_private.kept_answers (
  tenant_id uuid not null,
  cache_key varchar(64) not null,
  source_name varchar(255) null,
  answer jsonb not null,
  bytes bytea null,
  hits integer not null default 0,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint kept_answers_pkey primary key (tenant_id, cache_key),
  constraint fk_kept_answers_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint chk_kept_answers_bytes check (octet_length(bytes) <= 16777216)
);

create index if not exists idx_kept_answers_tenant_id_expires_at on app_private.kept_answers (tenant_id, expires_at);

-- The tasks of flows that each worker has. `is_pattern`: test tasks answer for every name that matches.
create table if not exists app_private.flow_tasks (
  worker_id uuid not null,
  name varchar(255) not null,
  is_pattern boolean not null default false,
  constraint flow_tasks_pkey primary key (worker_id, name, is_pattern)
);

create index if not exists idx_flow_tasks_name on app_private.flow_tasks (name);

-- What test tasks answer in one flow execution. Shown nowhere.
create table if not exists app_private.flow_scripts (
  flow_execution_id bigint primary key,
  tenant_id uuid not null,
  script jsonb not null,
  constraint fk_flow_scripts_flow_execution_id foreign key (tenant_id, flow_execution_id)
    references app_public.flow_executions (tenant_id, id) on delete cascade
);

create index if not exists idx_flow_scripts_tenant_id on app_private.flow_scripts (tenant_id, flow_execution_id);

-- The executions of workflows that tasks of flows have started, one a task.
create table if not exists app_private.flow_children (
  execution_id uuid primary key,
  tenant_id uuid not null,
  flow_execution_id bigint not null,
  task_name varchar(100) not null,
  constraint idx_flow_children_task unique (tenant_id, flow_execution_id, task_name),
  constraint fk_flow_children_execution_id foreign key (tenant_id, execution_id)
    references app_public.executions (tenant_id, id) on delete cascade,
  constraint fk_flow_children_flow_execution_id foreign key (tenant_id, flow_execution_id)
    references app_public.flow_executions (tenant_id, id) on delete cascade
);

create index if not exists idx_flow_children_tenant_id_execution_id on app_private.flow_children (tenant_id, execution_id);

-- What is counted for the quotas of a tenant. `day`: the one that `executions` counts. `storage_due`: when the bytes are measured anew.
create table if not exists app_private.tenant_usages (
  tenant_id uuid not null,
  day date null,
  executions bigint not null default 0,
  storage_bytes bigint null,
  storage_due timestamptz null,
  constraint tenant_usages_pkey primary key (tenant_id),
  constraint fk_tenant_usages_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade
);

-- What is left of erased tenants: certificates.
create table if not exists app_private.tenant_erasures (
  id uuid primary key default gen_random_uuid(),
  erased_tenant_id uuid not null,
  slug varchar(63) not null,
  reason text not null,
  erased_by text not null,
  erased_at timestamptz not null default now(),
  row_counts jsonb not null,
  last_audit_hash text null,
  constraint chk_tenant_erasures_reason check (btrim(reason) <> '')
);

-- The people of the platform in a tenant: who, why, until when. Without a row that is alive, they see nothing of it.
create table if not exists app_private.operator_grants (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  operator varchar(63) not null,
  reason text not null,
  may_act boolean not null default false,
  granted_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz null,
  constraint fk_operator_grants_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade,
  constraint chk_operator_grants_reason check (btrim(reason) <> ''),
  constraint chk_operator_grants_expires_at check (expires_at > created_at and expires_at <= created_at + interval '30 days')
);

create index if not exists idx_operator_grants_tenant_id_created_at on app_private.operator_grants (tenant_id, created_at desc, id desc);
create index if not exists idx_operator_grants_operator on app_private.operator_grants (operator, expires_at);

-- The chain over a tenant's audit rows: each seal holds the hashes of some rows of one month, and the hash of the seal before it is in its own.
-- Null rows: retention has dropped that month; the digest still says what they were.
create table if not exists app_private.audit_seals (
  tenant_id uuid not null,
  number bigint not null,
  month date not null,
  row_count integer not null,
  row_ids uuid[] null,
  row_hashes bytea[] null,
  digest bytea not null,
  hash bytea not null,
  sealed_at timestamptz not null default now(),
  constraint audit_seals_pkey primary key (tenant_id, number),
  constraint chk_audit_seals_number check (number >= 1),
  constraint chk_audit_seals_rows check ((row_ids is null) = (row_hashes is null) and cardinality(row_ids) = row_count and cardinality(row_hashes) = row_count)
);

create index if not exists idx_audit_seals_month on app_private.audit_seals (month) where row_ids is not null;

-- How far the audit log is sealed. Rows up to `next_to` are sealed once the transactions that it waits for are over.
create table if not exists app_private.audit_sealings (
  only_one boolean primary key default true,
  sealed_to bigint not null default 0,
  next_to bigint null,
  waits_for text[] not null default '{}',
  kept_from date not null default '-infinity',
  constraint chk_audit_sealings_only_one check (only_one)
);

insert into app_private.audit_sealings default values on conflict do nothing;

-- US dollars per million tokens (or per image), by model, from a day on.
create table if not exists app_private.model_prices (
  model varchar(255) not null,
  valid_from date not null,
  input_per_million numeric(14, 6) not null default 0,
  output_per_million numeric(14, 6) not null default 0,
  per_image numeric(14, 6) not null default 0,
  changed_at timestamptz not null default now(),
  changed_by varchar(255) null,
  constraint model_prices_pkey primary key (model, valid_from),
  constraint chk_model_prices_values check (input_per_million >= 0 and output_per_million >= 0 and per_image >= 0)
);

-- Node types that servers and workers of this installation bring beyond those that every one has (app_private.node_types()).
create table if not exists app_private.added_node_types (
  type varchar(50) not null,
  source_kind varchar(50) null,
  source_required boolean not null default false,
  registered_at timestamptz not null default now(),
  constraint added_node_types_pkey primary key (type),
  constraint chk_added_node_types_type check (type ~ '^[a-z][a-z0-9_]*$'),
  constraint chk_added_node_types_source_kind check (source_kind in ('llm', 'image', 'db', 'api')),
  constraint chk_added_node_types_source_required check (source_kind is not null or not source_required)
);

-- ---------------------------------------------------------------- Tables that an earlier form of this file made

alter table app_public.sources drop constraint if exists chk_sources_config_secret_texts;
alter table app_public.sources add constraint chk_sources_config_secret_texts check (not app_private.has_secret_text(config));
do $$ begin
  if exists (select from pg_attribute where attrelid = 'app_public.audit_logs'::regclass and attname = 'sequence_number' and not attisdropped) then
    alter table app_public.audit_logs rename column sequence_number to log_number;
    alter index app_public.idx_audit_logs_sequence_number rename to idx_audit_logs_log_number;
  end if;
end $$;
-- squawk-ignore adding-field-with-default
alter table app_public.audit_logs add column if not exists log_number bigint not null default nextval('app_private.audit_sequence');
alter table app_public.tenants drop constraint if exists chk_tenants_quotas;
alter table app_public.tenants add constraint chk_tenants_quotas check (app_private.is_quotas(quotas));
alter table app_private.sign_in_tries drop constraint if exists chk_sign_in_tries_kind;
alter table app_private.sign_in_tries add constraint chk_sign_in_tries_kind check (kind in ('account', 'origin', 'refusal'));
create index if not exists idx_audit_logs_log_number on app_public.audit_logs
  using brin (log_number) with (pages_per_range = 32, autosummarize = on);

alter table app_private.rate_buckets add column if not exists is_full boolean not null default true;
alter table app_public.executions add column if not exists api_key_id uuid null;
alter table app_public.executions alter column api_key_id set default app_private.current_api_key_id();
alter table app_public.flow_executions add column if not exists api_key_id uuid null;
alter table app_public.flow_executions alter column api_key_id set default app_private.current_api_key_id();
alter table app_public.node_executions
  add column if not exists source_name varchar(255) null,
  add column if not exists model varchar(255) null,
  add column if not exists is_cached boolean not null default false,
  add column if not exists partial_output text null;
alter table app_private.model_prices
  add column if not exists changed_at timestamptz not null default now(),
  add column if not exists changed_by varchar(255) null;
alter type app_public.usage_by add value if not exists 'MODEL' after 'NODE_TYPE';
alter type app_public.usage_by add value if not exists 'SOURCE' after 'MODEL';
do $$ begin
  if not exists (select from pg_catalog.pg_attribute where attrelid = to_regclass('app_public.usage_line') and attname = 'cache_hits') then
    alter type app_public.usage_line add attribute model text, add attribute source_name text, add attribute cache_hits bigint;
  end if;
end $$;

do $$ begin
  if exists (select from pg_catalog.pg_index where indexrelid = to_regclass('app_public.idx_executions_tenant_id_status') and indnatts = indnkeyatts) then
    drop index app_public.idx_executions_tenant_id_created_at, app_public.idx_executions_tenant_id_status, app_public.idx_executions_tenant_id_workflow_id;
    create index idx_executions_tenant_id_created_at on app_public.executions (tenant_id, created_at desc, id desc) include (deleted_at);
    create index idx_executions_tenant_id_status on app_public.executions (tenant_id, status, created_at desc, id desc) include (deleted_at);
    create index idx_executions_tenant_id_workflow_id on app_public.executions (tenant_id, workflow_id, created_at desc, id desc) include (deleted_at);
  end if;
end $$;

--!include after.sql
