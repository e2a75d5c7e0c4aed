--! Previous: -
--! Hash: sha1:a1abcfcd18be40cc9a972297572a59d083d66488
--! Message: initial

--! Included before.sql
--! Included app_private/schemas.sql
-- What the API shows, and what it never shows. Nothing is executable by everyone: each function names who may call it.
create schema if not exists app_public;
create schema if not exists app_private;

alter default privileges revoke execute on functions from public;

grant usage on schema app_public to agentflow_visitor, agentflow_user, agentflow_operator;
-- USAGE alone: functions that policies, CHECKs, sign-in and the worker call are reached through it, tables are not.
grant usage on schema app_private to agentflow_authenticator, agentflow_user, agentflow_worker;
--! EndIncluded app_private/schemas.sql
--! Included app_private/functions/is_json_object.sql
create or replace function app_private.is_json_object(value jsonb, max_bytes integer) returns boolean
  language sql immutable parallel safe
  return pg_catalog.jsonb_typeof(value) = 'object' and pg_catalog.octet_length(value::pg_catalog.text) <= max_bytes;

comment on function app_private.is_json_object(jsonb, integer) is
  'Is the value a JSON object whose text is at most max_bytes long? For CHECKs.';
grant execute on function app_private.is_json_object(jsonb, integer) to agentflow_user;
--! EndIncluded app_private/functions/is_json_object.sql
--! Included app_private/functions/is_metrics.sql
create or replace function app_private.is_metrics(value jsonb) returns boolean
  language sql immutable parallel safe
  return pg_catalog.jsonb_typeof(value) = 'object'
    and coalesce(pg_catalog.jsonb_typeof(value -> 'execution_time') in ('number', 'null'), true)
    and coalesce(pg_catalog.jsonb_typeof(value -> 'tokens_used') in ('number', 'null'), true)
    and coalesce(pg_catalog.jsonb_typeof(value -> 'cost') in ('number', 'null'), true)
    and coalesce(pg_catalog.jsonb_typeof(value -> 'node_execution_times') in ('object', 'null'), true)
    and coalesce(not pg_catalog.jsonb_path_exists(value, 'lax $.node_execution_times.* ? (@.type() != "number")'), true);

comment on function app_private.is_metrics(jsonb) is
  'Has the value the shape of execution metrics: seconds, tokens, US dollars, and seconds by node? Other keys may be there. For CHECKs.';
grant execute on function app_private.is_metrics(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/is_metrics.sql
--! Included app_private/functions/is_permissions.sql
create or replace function app_private.is_permissions(value jsonb) returns boolean
  language sql immutable parallel safe
  return pg_catalog.jsonb_typeof(value) = 'object'
    and not pg_catalog.jsonb_path_exists(value, 'strict $.keyvalue() ? (
      !(@.key == "workflows" || @.key == "flows" || @.key == "executions" || @.key == "sources")
      || @.value.type() != "array"
      || exists (@.value[*] ? (@.type() != "string" || !(@ == "read" || @ == "write" || @ == "execute"))))', silent => true);

comment on function app_private.is_permissions(jsonb) is
  'Has the value the shape of an API key''s permissions: areas (workflows, flows, executions, sources), each with a list of read, write, execute? For CHECKs.';
grant execute on function app_private.is_permissions(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/is_permissions.sql
--! Included app_private/functions/is_quotas.sql
create or replace function app_private.is_quotas(value jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select jsonb_typeof(value) = 'object' and not exists (
    select from jsonb_each(case when jsonb_typeof(value) = 'object' then value else '{}' end) as quota
    where quota.key not in ('executions_per_day', 'concurrent_executions', 'storage_bytes', 'tokens_per_month', 'cost_per_month',
        'max_parallel_nodes', 'max_nodes', 'max_tokens', 'max_cost', 'max_seconds', 'max_state_bytes', 'max_output_bytes')
      or jsonb_typeof(quota.value) <> 'number' or quota.value < '0' or quota.value > '9007199254740991')
$$;

comment on function app_private.is_quotas(jsonb) is
  'Quotas of a tenant: executions_per_day, concurrent_executions, storage_bytes, tokens_per_month, cost_per_month, and limits of each execution (max_...); numbers from 0 on.';
grant execute on function app_private.is_quotas(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/is_quotas.sql
--! Included app_private/functions/has_inline_secret.sql
-- The list of names is the one of the validators: app_private.workflow_problems and src/engine/validate.
-- {"secret": "name"}, anywhere but at the top, refers to a stored secret and holds none.
-- A value whose text has no such name before a text cannot hold one, and that is found out twenty times faster.
create or replace function app_private.has_inline_secret(value jsonb) returns boolean
  language sql immutable parallel safe
  return value::pg_catalog.text ~* '(key|secret|password|passwd|token|authorization|credentials|string|dsn|cookie)": "'
  and (pg_catalog.jsonb_path_exists(value, 'strict $ ? (@.type() == "object").keyvalue() ? (
    @.key like_regex "^(x[-_])?api[-_]key$|^apikey$|^secret([-_]key)?$|^client[-_]secret$|^password$|^passwd$|^(access[-_]|auth[-_]|bearer[-_]|refresh[-_])?token$|^(proxy[-_])?authorization$|^private[-_]key$|^credentials$|^connection[-_]string$|^dsn$|^cookie$" flag "i"
    && @.value.type() == "string" && @.value != "")', silent => true)
  or pg_catalog.jsonb_path_exists(value, 'strict $.**{1 to last} ? (@.type() == "object") ? (exists(@.keyvalue() ? (@.key != "secret"))).keyvalue() ? (
    @.key like_regex "^(x[-_])?api[-_]key$|^apikey$|^secret([-_]key)?$|^client[-_]secret$|^password$|^passwd$|^(access[-_]|auth[-_]|bearer[-_]|refresh[-_])?token$|^(proxy[-_])?authorization$|^private[-_]key$|^credentials$|^connection[-_]string$|^dsn$|^cookie$" flag "i"
    && @.value.type() == "string" && @.value != "")', silent => true));

comment on function app_private.has_inline_secret(jsonb) is
  'Does the value hold, at any depth, a non-empty text under a name that secrets go by (api_key, password, token ...)? For CHECKs and the audit log.';
grant execute on function app_private.has_inline_secret(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/has_inline_secret.sql
--! Included app_private/functions/is_secret_text.sql
/*
 * Texts of a source's configuration that are secrets themselves, whatever their key is called: a URL with a password in it, the key of a well-known
 * service, and what stands under a key that ends in _env and can be no variable's name (people put the key itself there).
 * The same as isSecretText in src/engine/secrets.ts.
 */
create or replace function app_private.is_secret_text(key text, value text)
returns boolean
language sql immutable parallel safe
return value operator(pg_catalog.~) '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]*:[^/?#@]+@'
  or value operator(pg_catalog.~) '^(Bearer +[^ ]{8,}|(sk|pk|rk|gsk|glpat|xox[abprs]|gh[a-z])[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|AKIA[0-9A-Z]{16})$'
  or pg_catalog.right(key, 4) operator(pg_catalog.=) '_env' and value operator(pg_catalog.<>) '' and value operator(pg_catalog.!~) '^[A-Za-z_][A-Za-z0-9_]*$';

comment on function app_private.is_secret_text(text, text) is
  'Is this text of a configuration a secret by its form: a URL with a password, the key of a well-known service, no name of a variable under ..._env?';
grant execute on function app_private.is_secret_text(text, text) to agentflow_user;
--! EndIncluded app_private/functions/is_secret_text.sql
--! Included app_private/functions/has_secret_text.sql
create or replace function app_private.has_secret_text(value jsonb)
returns boolean
language sql immutable parallel safe
return exists (
    select from pg_catalog.jsonb_path_query(value, 'strict $.** ? (@.type() == "string")', '{}', true) as text (value)
    where app_private.is_secret_text('', text.value operator(pg_catalog.#>>) '{}'))
  or exists (
    select from pg_catalog.jsonb_path_query(value, 'strict $.** ? (@.type() == "object").keyvalue() ? (@.value.type() == "string")', '{}', true) as entry (value)
    where app_private.is_secret_text(entry.value operator(pg_catalog.->>) 'key', entry.value operator(pg_catalog.->>) 'value'));

comment on function app_private.has_secret_text(jsonb) is 'Does the value hold, at any depth, a text that is a secret by its form? For CHECKs.';
grant execute on function app_private.has_secret_text(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/has_secret_text.sql
--! Included app_private/functions/current_api_key_id.sql
create or replace function app_private.current_api_key_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.current_setting('jwt.claims.api_key_id', true)
      ~ '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
    then pg_catalog.current_setting('jwt.claims.api_key_id', true)::pg_catalog.uuid
  end;

comment on function app_private.current_api_key_id() is 'The API key that this transaction acts by, or null.';
grant execute on function app_private.current_api_key_id() to agentflow_user;
--! EndIncluded app_private/functions/current_api_key_id.sql
--! EndIncluded before.sql

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

--! Included after.sql
-- The order is: functions, triggers, policies, grants, comments. Each file once.
--! Included app_public/functions/current_tenant_id.sql
create or replace function app_public.current_tenant_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.current_setting('jwt.claims.tenant_id', true)
      ~ '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
    then pg_catalog.current_setting('jwt.claims.tenant_id', true)::pg_catalog.uuid
  end;

comment on function app_public.current_tenant_id() is
  E'@behavior -*\nThe tenant of this transaction, or null. A malformed setting is null, never an error.';
grant execute on function app_public.current_tenant_id() to agentflow_user;
--! EndIncluded app_public/functions/current_tenant_id.sql
--! Included app_public/functions/current_user_id.sql
create or replace function app_public.current_user_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.current_setting('jwt.claims.user_id', true)
      ~ '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
    then pg_catalog.current_setting('jwt.claims.user_id', true)::pg_catalog.uuid
  end;

comment on function app_public.current_user_id() is
  E'@behavior -*\nThe user of this transaction (for an API key: its owner), or null.';
grant execute on function app_public.current_user_id() to agentflow_user;
--! EndIncluded app_public/functions/current_user_id.sql
--! Included app_public/functions/current_user_role.sql
create or replace function app_public.current_user_role() returns text
  language sql stable parallel safe
  return nullif(pg_catalog.current_setting('jwt.claims.role', true), '');

comment on function app_public.current_user_role() is
  E'@behavior -*\nThe role within the tenant (viewer, operator, developer, architect, admin) of this transaction, or null.';
grant execute on function app_public.current_user_role() to agentflow_user;
--! EndIncluded app_public/functions/current_user_role.sql
--! Included app_private/functions/acts_by_key.sql
-- A malformed key id still means a key: rights are narrowed, not widened.
create or replace function app_private.acts_by_key() returns boolean
  language sql stable parallel safe
  return coalesce(pg_catalog.current_setting('jwt.claims.api_key_id', true), '') <> '';

comment on function app_private.acts_by_key() is 'Does this transaction act by an API key?';
grant execute on function app_private.acts_by_key() to agentflow_user;
--! EndIncluded app_private/functions/acts_by_key.sql
--! Included app_private/functions/current_permissions.sql
create or replace function app_private.current_permissions() returns jsonb
  language sql stable parallel safe
  return case
    when pg_catalog.current_setting('jwt.claims.permissions', true)
      ~ '^\s*\{(\s*|\s*"[a-z_]+"\s*:\s*\[(\s*|\s*"[a-z_]+"\s*(,\s*"[a-z_]+"\s*)*)\]\s*(,\s*"[a-z_]+"\s*:\s*\[(\s*|\s*"[a-z_]+"\s*(,\s*"[a-z_]+"\s*)*)\]\s*)*)\}\s*$'
    then pg_catalog.current_setting('jwt.claims.permissions', true)::pg_catalog.jsonb
    else '{}'::pg_catalog.jsonb
  end;

comment on function app_private.current_permissions() is
  'The permissions of the API key that this transaction acts by. Missing or malformed ones allow nothing.';
grant execute on function app_private.current_permissions() to agentflow_user;
--! EndIncluded app_private/functions/current_permissions.sql
--! Included app_private/functions/role_rank.sql
create or replace function app_private.role_rank(role text) returns integer
  language sql immutable parallel safe
  return case role
    when 'viewer' then 1
    when 'operator' then 2
    when 'developer' then 3
    when 'architect' then 4
    when 'admin' then 5
  end;

comment on function app_private.role_rank(text) is 'Each role may do what those of a lower rank may. Null for an unknown role.';
grant execute on function app_private.role_rank(text) to agentflow_user;
--! EndIncluded app_private/functions/role_rank.sql
--! Included app_private/functions/least_role.sql
create or replace function app_private.least_role(wanted text) returns text
  language sql immutable parallel safe
  return case wanted
    when 'workflows:read' then 'viewer'
    when 'flows:read' then 'viewer'
    when 'executions:read' then 'viewer'
    when 'sources:read' then 'viewer'
    when 'workflows:execute' then 'operator'
    when 'flows:execute' then 'operator'
    when 'executions:execute' then 'operator'
    when 'workflows:write' then 'developer'
    when 'workflows:test' then 'developer'
    when 'flows:write' then 'developer'
    when 'flows:test' then 'developer'
    when 'workflows:publish' then 'architect'
    when 'flows:publish' then 'architect'
    when 'executions:restore' then 'architect'
    when 'sources:write' then 'architect'
    when 'admin' then 'admin'
  end;

comment on function app_private.least_role(text) is 'The least role that has this right. Null for an unknown right.';
grant execute on function app_private.least_role(text) to agentflow_user;
--! EndIncluded app_private/functions/least_role.sql
--! Included app_private/functions/key_permission.sql
create or replace function app_private.key_permission(wanted text) returns text[]
  language sql immutable parallel safe
  return case pg_catalog.split_part(wanted, ':', 2)
    when 'read' then array['read']
    when 'execute' then array['execute']
    when 'write' then array['write']
    when 'publish' then array['write']
    when 'restore' then array['write']
    when 'test' then array['write', 'execute']
  end;

comment on function app_private.key_permission(text) is
  'What an API key must be permitted in the area of this right. Null when no key can have the right.';
grant execute on function app_private.key_permission(text) to agentflow_user;
--! EndIncluded app_private/functions/key_permission.sql
--! Included app_private/functions/may.sql
create or replace function app_private.may(wanted text) returns boolean
  language sql stable parallel safe
  return coalesce(
    app_private.role_rank(app_public.current_user_role()) >= app_private.role_rank(app_private.least_role(wanted))
      and (not app_private.acts_by_key()
        or app_private.current_permissions() -> pg_catalog.split_part(wanted, ':', 1) ?& app_private.key_permission(wanted)),
    false);

comment on function app_private.may(text) is
  'Has who acts in this transaction the right (workflows:read, sources:write ..., admin)? The role must grant it, and an API key must permit it too.';
grant execute on function app_private.may(text) to agentflow_user;
--! EndIncluded app_private/functions/may.sql
--! Included app_private/functions/registered_errors.sql
-- The part of the registry (src/errors.ts) that SQL raises. A test holds the two equal.
create or replace function app_private.registered_errors()
  returns table (code text, sqlstate text, summary text, remedy text)
  language sql immutable parallel safe
  begin atomic
    values
      ('UNAUTHENTICATED', 'AF401', 'No valid identity came with the request.', 'Call authenticate, or send a valid X-API-Key.'),
      ('INVALID_CREDENTIALS', 'AF402', 'E-mail or password is wrong.', 'Check both; an admin can issue a reset link.'),
      ('PERMISSION_DENIED', 'AF403', 'This role or key may not do that.', 'Ask an admin of the tenant for the right named in the message.'),
      ('NOT_FOUND', 'AF404', 'There is no such object, or it is not yours to see.', 'Check the id.'),
      ('VERSION_CONFLICT', 'AF409', 'Somebody changed the object meanwhile.', 'Read it again and repeat the change on the new version.'),
      ('IDEMPOTENCY_CONFLICT', 'AF410', 'This idempotency key was used with another input.', 'Use a new key, or send the same input.'),
      ('ILLEGAL_TRANSITION', 'AF411', 'The object is in a state that does not allow this.', 'Look at its status.'),
      ('SOURCE_IN_USE', 'AF412', 'A published workflow uses this source.', 'Archive those workflows, or repeat with force: true.'),
      ('LAST_ADMIN', 'AF414', 'A tenant keeps at least one active admin.', 'Make somebody else an admin first.'),
      ('LINK_INVALID', 'AF415', 'This one-time link cannot be used: it was used, has expired, was withdrawn, or is not needed.', 'Ask an admin for a new one.'),
      ('INVALID_VALUE', 'AF400', 'A value is not acceptable.', 'See the message.'),
      ('TOO_LARGE', 'AF413', 'The value is larger than allowed.', 'Send less.'),
      ('INVALID_WORKFLOW', 'AF422', 'The workflow is not valid.', 'validateWorkflow lists every problem.'),
      ('WORKFLOW_NOT_RUNNABLE', 'AF423', 'This workflow cannot be executed in its present status.', 'Publish it, or run a draft as a developer.'),
      ('INVALID_FLOW', 'AF424', 'The flow is not valid.', 'validateFlow lists every problem.'),
      ('FLOW_NOT_RUNNABLE', 'AF425', 'This flow cannot be executed in its present status.', 'Activate it.'),
      ('QUOTA_EXCEEDED', 'AF429', 'The tenant has used up one of its quotas.', 'The message names the quota. Wait until there is room again, or ask who runs the platform for more.'),
      ('WORKER_UNKNOWN', 'AF510', 'The worker process was taken for dead.', 'It registers anew by itself.');
  end;

comment on function app_private.registered_errors() is 'Codes that app_private.fail raises, with SQLSTATE, default message and remedy.';
--! EndIncluded app_private/functions/registered_errors.sql
--! Included app_private/functions/fail.sql
create or replace function app_private.fail(
  code text,
  message text default null,
  field text default null,
  remedy text default null,
  detail jsonb default null
) returns void
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
declare
  registered record;
begin
  select * into registered from app_private.registered_errors() as error where error.code = fail.code;
  if not found then
    raise exception 'Error code % is not registered', fail.code using errcode = 'XX000';
  end if;
  raise exception using
    errcode = registered.sqlstate,
    message = coalesce(fail.message, registered.summary),
    column = coalesce(fail.field, ''),
    hint = coalesce(fail.remedy, registered.remedy),
    detail = coalesce(fail.detail::text, '');
end $$;

comment on function app_private.fail(text, text, text, text, jsonb) is
  'Raises a registered error: SQLSTATE of the code, message, column = the field at fault, hint = the remedy, detail = JSON with more.';
grant execute on function app_private.fail(text, text, text, text, jsonb) to agentflow_user;
grant execute on function app_private.registered_errors() to agentflow_user;
--! EndIncluded app_private/functions/fail.sql
--! Included app_private/functions/demand.sql
create or replace function app_private.demand(wanted text) returns void
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
declare
  least_role text := app_private.least_role(wanted);
begin
  if least_role is null then
    raise exception 'Right % is not known', wanted using errcode = 'XX000';
  end if;
  if app_public.current_tenant_id() is null or app_public.current_user_id() is null then
    perform app_private.fail('UNAUTHENTICATED');
  end if;
  if not app_private.may(wanted) then
    perform app_private.fail('PERMISSION_DENIED', pg_catalog.format('This needs the right %s: role %s or higher%s.', wanted, least_role,
      case
        when not app_private.acts_by_key() then ''
        when app_private.key_permission(wanted) is null then ', and cannot be done by an API key'
        else pg_catalog.format(', and an API key with %s: %s', pg_catalog.split_part(wanted, ':', 1),
          pg_catalog.array_to_string(app_private.key_permission(wanted), ', '))
      end));
  end if;
end $$;

comment on function app_private.demand(text) is
  'Fails with UNAUTHENTICATED or PERMISSION_DENIED unless who acts in this transaction has the right.';
grant execute on function app_private.demand(text) to agentflow_user;
--! EndIncluded app_private/functions/demand.sql
--! Included app_private/functions/audit/redact.sql
create or replace function app_private.redact(value jsonb) returns jsonb
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not app_private.has_inline_secret(value) then
    return value;
  end if;
  return case jsonb_typeof(value)
    when 'object' then (
      select jsonb_object_agg(entry.key, case
        when jsonb_typeof(entry.value) = 'string' and app_private.has_inline_secret(jsonb_build_object(entry.key, entry.value))
          then '"[redacted]"'
        else app_private.redact(entry.value)
      end)
      from jsonb_each(value) as entry)
    when 'array' then (
      select jsonb_agg(app_private.redact(element.value) order by element.ordinality)
      from jsonb_array_elements(value) with ordinality as element)
    else value
  end;
end $$;

comment on function app_private.redact(jsonb) is 'The value with every text under a name that secrets go by replaced by [redacted].';
--! EndIncluded app_private/functions/audit/redact.sql
--! Included app_private/functions/audit/redact_row.sql
create or replace function app_private.redact_row(value jsonb) returns jsonb
  language sql immutable parallel safe
  return case when value ?| array['password_hash', 'key_hash', 'token_hash']
    then app_private.redact((
      select pg_catalog.jsonb_object_agg(entry.key, case when entry.key in ('password_hash', 'key_hash', 'token_hash') then '"[redacted]"'::pg_catalog.jsonb else entry.value end)
      from pg_catalog.jsonb_each(value) as entry))
    else app_private.redact(value)
  end;

comment on function app_private.redact_row(jsonb) is 'A row for the audit log: no hashes, and no secrets inside JSON columns.';
--! EndIncluded app_private/functions/audit/redact_row.sql
--! Included app_private/functions/audit/current_request_ip.sql
create or replace function app_private.current_request_ip() returns inet
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(nullif(current_setting('request.ip', true), '')::inet, inet_client_addr());
exception when invalid_text_representation then
  return null;
end $$;

comment on function app_private.current_request_ip() is 'The address that the request came from, else that of the database client; null when the setting is malformed.';
--! EndIncluded app_private/functions/audit/current_request_ip.sql
--! Included app_private/functions/audit/audit_context.sql
-- The user may be erased in this very transaction: then the log names nobody, as its foreign key wants.
create or replace function app_private.audit_context(
  out user_id uuid,
  out api_key_id uuid,
  out ip_address inet,
  out user_agent text,
  out request_id varchar
)
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  user_id := app_public.current_user_id();
  if user_id is not null and not exists (select from app_public.users where users.id = user_id) then
    user_id := null;
  end if;
  api_key_id := app_private.current_api_key_id();
  ip_address := app_private.current_request_ip();
  user_agent := coalesce(nullif(current_setting('request.user_agent', true), ''), 'database role ' || session_user);
  request_id := left(nullif(current_setting('request.id', true), ''), 100);
end $$;

comment on function app_private.audit_context() is 'Who acts and from where, for the audit log.';
--! EndIncluded app_private/functions/audit/audit_context.sql
--! Included app_private/functions/audit/audit_action.sql
create or replace function app_private.audit_action(old_row jsonb, new_row jsonb) returns text
  language sql immutable parallel safe
  return case
    when old_row ->> 'deleted_at' is null and new_row ->> 'deleted_at' is not null then 'delete'
    when old_row ->> 'deleted_at' is not null and new_row ->> 'deleted_at' is null then 'restore'
    when old_row ->> 'status' is distinct from new_row ->> 'status' then
      case new_row ->> 'status'
        when 'published' then 'publish'
        when 'archived' then 'archive'
        when 'draft' then 'unpublish'
        when 'active' then 'activate'
        when 'inactive' then 'deactivate'
        when 'suspended' then 'suspend'
        when 'revoked' then 'revoke'
        when 'expired' then 'expire'
        when 'cancelled' then 'cancel'
        else 'update'
      end
    when old_row ->> 'is_active' is distinct from new_row ->> 'is_active' then
      case new_row ->> 'is_active' when '1' then 'activate' else 'deactivate' end
    else 'update'
  end;

comment on function app_private.audit_action(jsonb, jsonb) is 'The name in the audit log for a change of a row.';
--! EndIncluded app_private/functions/audit/audit_action.sql
--! Included app_private/functions/audit/audited_tenant.sql
create or replace function app_private.audited_tenant(row_value jsonb) returns uuid
  language sql immutable parallel safe
  return coalesce(row_value ->> 'tenant_id', row_value ->> 'id')::pg_catalog.uuid;

comment on function app_private.audited_tenant(jsonb) is 'The tenant of an audited row; a tenant is its own.';
--! EndIncluded app_private/functions/audit/audited_tenant.sql
--! Included app_private/functions/audit/audited_id.sql
create or replace function app_private.audited_id(row_value jsonb) returns uuid
  language sql immutable parallel safe
  return case
    when row_value ->> 'id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    then (row_value ->> 'id')::pg_catalog.uuid
  end;

comment on function app_private.audited_id(jsonb) is 'The id of an audited row where it is a UUID.';
--! EndIncluded app_private/functions/audit/audited_id.sql
--! Included app_private/functions/audit/audited_key.sql
create or replace function app_private.audited_key(row_value jsonb) returns text
  language sql immutable parallel safe
  return case when app_private.audited_id(row_value) is null then row_value ->> 'id' end;

comment on function app_private.audited_key(jsonb) is 'The id of an audited row where it is no UUID: the slug of a flow.';
--! EndIncluded app_private/functions/audit/audited_key.sql
--! Included app_private/functions/audit/record_audit.sql
create or replace function app_private.record_audit(
  tenant_id uuid,
  user_id uuid,
  action text,
  entity_type text,
  entity_id uuid default null,
  old_value jsonb default null,
  new_value jsonb default null,
  entity_key text default null
) returns void
  language sql security definer
  set search_path = pg_catalog, pg_temp
as $$
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value, new_value,
    api_key_id, ip_address, user_agent, request_id)
  select record_audit.tenant_id, users.id, record_audit.action, record_audit.entity_type, record_audit.entity_id, record_audit.entity_key,
    app_private.redact_row(record_audit.old_value), app_private.redact_row(record_audit.new_value),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from app_private.audit_context() as context
  left join app_public.users on users.id = record_audit.user_id
$$;

comment on function app_private.record_audit(uuid, uuid, text, text, uuid, jsonb, jsonb, text) is
  'Writes one audit row for what is no change of a row: a sign-in, a denied attempt. For other functions of the owner only.';
--! EndIncluded app_private/functions/audit/record_audit.sql
--! Included app_private/functions/audit/audit_rows.sql
-- Statement-level: a thousand rows cost one INSERT. The argument is the entity's type. `offset 0`: each row is made into JSON once, not once for
-- each place that looks at it.
create or replace function app_private.audit_rows() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, new_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.new_row), context.user_id, 'create', tg_argv[0],
      app_private.audited_id(changed.new_row), app_private.audited_key(changed.new_row), app_private.redact_row(changed.new_row),
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (select to_jsonb(new_rows) as new_row from new_rows offset 0) as changed, app_private.audit_context() as context;
  elsif tg_op = 'UPDATE' then
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value, new_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(pair.new_row), context.user_id, app_private.audit_action(pair.old_row, pair.new_row), tg_argv[0],
      app_private.audited_id(pair.new_row), app_private.audited_key(pair.new_row),
      app_private.redact_row(difference.old_value), app_private.redact_row(difference.new_value),
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(old_rows) as old_row, to_jsonb(new_rows) as new_row
      from old_rows join new_rows on new_rows.id = old_rows.id
      offset 0
    ) as pair
    cross join lateral (
      select jsonb_object_agg(entry.key, pair.old_row -> entry.key) as old_value, jsonb_object_agg(entry.key, entry.value) as new_value
      from jsonb_each(pair.new_row) as entry
      where entry.value is distinct from pair.old_row -> entry.key
        and entry.key not in ('updated_at', 'updated_by', 'last_used_at')
    ) as difference
    cross join app_private.audit_context() as context
    where app_private.audited_tenant(pair.old_row) = app_private.audited_tenant(pair.new_row)
      and difference.new_value is not null;
  else
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.old_row), context.user_id, 'erase', tg_argv[0],
      app_private.audited_id(changed.old_row), app_private.audited_key(changed.old_row), app_private.redact_row(changed.old_row),
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (select to_jsonb(old_rows) as old_row from old_rows offset 0) as changed, app_private.audit_context() as context;
  end if;
  return null;
end $$;

comment on function app_private.audit_rows() is
  'Writes an audit row for each row that a statement inserted, changed or erased: old and new values (of a change, the changed columns only), without secrets.';
--! EndIncluded app_private/functions/audit/audit_rows.sql
--! Included app_private/functions/audit/audit_executions.sql
-- Starting an execution is a person's action. What the engine starts itself (child executions) and its checkpoints are history of their own.
create or replace function app_private.audit_executions() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, new_value,
    api_key_id, ip_address, user_agent, request_id)
  select new_rows.tenant_id, context.user_id, 'execute', 'execution', new_rows.id,
    jsonb_strip_nulls(jsonb_build_object('workflow_id', new_rows.workflow_id, 'workflow_version_id', new_rows.workflow_version_id,
      'user_id', new_rows.user_id, 'status', new_rows.status, 'is_test', new_rows.is_test,
      'idempotency_key', new_rows.idempotency_key, 'retry_of_execution_id', new_rows.retry_of_execution_id)),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from new_rows, app_private.audit_context() as context
  where new_rows.parent_execution_id is null;
  return null;
end $$;

comment on function app_private.audit_executions() is 'Writes an audit row for each execution that somebody starts, without its state.';
--! EndIncluded app_private/functions/audit/audit_executions.sql
--! Included app_private/functions/audit/audit_execution_change.sql
-- Row-level, behind a WHEN: the engine updates executions all the time and must not pay for transition tables.
create or replace function app_private.audit_execution_change() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.record_audit(new.tenant_id, app_public.current_user_id(),
    app_private.audit_action(
      jsonb_build_object('status', old.status, 'deleted_at', old.deleted_at),
      jsonb_build_object('status', new.status, 'deleted_at', new.deleted_at)),
    'execution', new.id,
    jsonb_build_object('status', old.status, 'deleted_at', old.deleted_at),
    jsonb_build_object('status', new.status, 'deleted_at', new.deleted_at));
  return null;
end $$;

comment on function app_private.audit_execution_change() is 'Writes an audit row when somebody cancels, deletes or restores an execution.';
--! EndIncluded app_private/functions/audit/audit_execution_change.sql
--! Included app_private/functions/audit/audit_erased_executions.sql
create or replace function app_private.audit_erased_executions() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, old_value,
    api_key_id, ip_address, user_agent, request_id)
  select old_rows.tenant_id, context.user_id, 'erase', 'execution', old_rows.id,
    jsonb_build_object('workflow_id', old_rows.workflow_id, 'status', old_rows.status),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from old_rows, app_private.audit_context() as context;
  return null;
end $$;

comment on function app_private.audit_erased_executions() is 'Writes an audit row for each execution that is erased.';
--! EndIncluded app_private/functions/audit/audit_erased_executions.sql
--! Included app_private/functions/audit/audit_flow_executions.sql
create or replace function app_private.audit_flow_executions() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_key, new_value,
    api_key_id, ip_address, user_agent, request_id)
  select new_rows.tenant_id, context.user_id, 'execute', 'flow_execution', new_rows.id::text,
    jsonb_strip_nulls(jsonb_build_object('flow_id', new_rows.flow_id, 'flow_version', new_rows.flow_version,
      'user_id', new_rows.user_id, 'status', new_rows.status,
      'idempotency_key', new_rows.idempotency_key, 'retry_of_flow_execution_id', new_rows.retry_of_flow_execution_id)),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from new_rows, app_private.audit_context() as context;
  return null;
end $$;

comment on function app_private.audit_flow_executions() is 'Writes an audit row for each flow execution that somebody starts, without its context.';
--! EndIncluded app_private/functions/audit/audit_flow_executions.sql
--! Included app_private/functions/audit/audit_flow_execution_change.sql
-- Row-level, behind a WHEN, as for executions.
create or replace function app_private.audit_flow_execution_change() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.record_audit(new.tenant_id, app_public.current_user_id(), 'cancel', 'flow_execution', null,
    jsonb_build_object('status', old.status), jsonb_build_object('status', new.status), new.id::text);
  return null;
end $$;

comment on function app_private.audit_flow_execution_change() is 'Writes an audit row when somebody cancels a flow execution.';
--! EndIncluded app_private/functions/audit/audit_flow_execution_change.sql
--! Included app_private/functions/audit/audit_hash.sql
/*
 * Every column by name and in a form that no setting of a session changes: a dump, a restore and another version of PostgreSQL give the same hash.
 * `user_id` comes beside the row: erasing a user empties the column, and the hash is still that of the row as it was written.
 */
create or replace function app_private.audit_hash(audit app_public.audit_logs, user_id uuid) returns bytea
  language sql stable parallel safe
  return pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    (audit).id, (audit).log_number, (audit).tenant_id, user_id, (audit).action, (audit).entity_type, (audit).entity_id, (audit).entity_key,
    (audit).old_value, (audit).new_value, pg_catalog.host((audit).ip_address), pg_catalog.masklen((audit).ip_address), (audit).user_agent,
    extract(epoch from (audit).created_at), (audit).api_key_id, (audit).request_id)::pg_catalog.text, 'UTF8'));

comment on function app_private.audit_hash(app_public.audit_logs, uuid) is 'What a seal keeps of a row of the audit log.';
--! EndIncluded app_private/functions/audit/audit_hash.sql
--! Included app_private/functions/audit/audit_digest.sql
create or replace function app_private.audit_digest(row_ids uuid[], row_hashes bytea[]) returns bytea
  language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select sha256(coalesce(string_agg(uuid_send(entry.id) || entry.hash, ''::bytea order by entry.place), ''::bytea))
  from unnest(row_ids, row_hashes) with ordinality as entry (id, hash, place)
$$;

comment on function app_private.audit_digest(uuid[], bytea[]) is 'One hash for the rows of a seal.';
--! EndIncluded app_private/functions/audit/audit_digest.sql
--! Included app_private/functions/audit/audit_seal_hash.sql
create or replace function app_private.audit_seal_hash(previous bytea, tenant_id uuid, number bigint, month date, row_count integer, digest bytea) returns bytea
  language sql immutable parallel safe
  return pg_catalog.sha256(coalesce(previous, ''::pg_catalog.bytea) || pg_catalog.uuid_send(tenant_id) || pg_catalog.int8send(number)
    || pg_catalog.int4send(month - '2000-01-01'::pg_catalog.date) || pg_catalog.int4send(row_count) || digest);

comment on function app_private.audit_seal_hash(bytea, uuid, bigint, date, integer, bytea) is 'The hash of a seal, with that of the seal before it inside.';
--! EndIncluded app_private/functions/audit/audit_seal_hash.sql
--! Included app_private/functions/audit/has_unsealed_audit.sql
create or replace function app_private.has_unsealed_audit() returns boolean
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  select sequence.is_called and sequence.last_value > sealing.sealed_to
  from app_private.audit_sequence as sequence, app_private.audit_sealings as sealing
$$;

comment on function app_private.has_unsealed_audit() is 'Are there rows in the audit log that no seal holds?';
grant execute on function app_private.has_unsealed_audit() to agentflow_worker;
--! EndIncluded app_private/functions/audit/has_unsealed_audit.sql
--! Included app_private/functions/audit/add_seals.sql
-- A seal holds up to a thousand rows of one tenant and one month.
create or replace function app_private.add_seals(after_number bigint, to_number bigint) returns integer
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  part record;
  former record;
  sealed integer := 0;
begin
  for part in
    select hashed.tenant_id, hashed.month, count(*)::integer as row_count,
      array_agg(hashed.id order by hashed.log_number) as row_ids, array_agg(hashed.hash order by hashed.log_number) as row_hashes
    from (
      select audit.tenant_id, audit.id, audit.log_number, app_private.audit_hash(audit, audit.user_id) as hash, made.month,
        (row_number() over (partition by audit.tenant_id, made.month order by audit.log_number) - 1) / 1000 as place
      from app_public.audit_logs as audit
      cross join lateral (select date_trunc('month', audit.created_at at time zone 'UTC')::date) as made (month)
      where audit.log_number > after_number and audit.log_number <= to_number
    ) as hashed
    group by hashed.tenant_id, hashed.month, hashed.place
    order by hashed.tenant_id, min(hashed.log_number)
  loop
    select seals.number, seals.hash into former
    from app_private.audit_seals as seals where seals.tenant_id = part.tenant_id order by seals.number desc limit 1;
    insert into app_private.audit_seals (tenant_id, number, month, row_count, row_ids, row_hashes, digest, hash)
    select part.tenant_id, given.number, part.month, part.row_count, part.row_ids, part.row_hashes, given.digest,
      app_private.audit_seal_hash(former.hash, part.tenant_id, given.number, part.month, part.row_count, given.digest)
    from (select coalesce(former.number, 0) + 1, app_private.audit_digest(part.row_ids, part.row_hashes)) as given (number, digest);
    sealed := sealed + part.row_count;
  end loop;
  return sealed;
end $$;

comment on function app_private.add_seals(bigint, bigint) is 'Chains the rows of the audit log between two numbers, by tenant; answers how many there were.';
--! EndIncluded app_private/functions/audit/add_seals.sql
--! Included app_private/functions/audit/audit_writers.sql
create or replace function app_private.audit_writers() returns text[]
  language sql volatile
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(distinct held.virtualtransaction), '{}')
  from pg_locks as held
  where held.locktype = 'relation' and held.relation = 'app_private.audit_sequence'::regclass and held.mode = 'RowExclusiveLock'
    and held.database = (select oid from pg_database where datname = current_database())
$$;

comment on function app_private.audit_writers() is 'The transactions that have drawn a number for a row of the audit log and are not over.';
--! EndIncluded app_private/functions/audit/audit_writers.sql
--! Included app_private/functions/audit/seal_audit.sql
/*
 * A transaction that draws a number holds a lock on the sequence until it is over. So when the last number has been read, and nobody holds such a
 * lock, all rows up to it are there; otherwise the number is kept, and the rows are sealed by a later call, when those who held it then are gone.
 */
create or replace function app_private.seal_audit(most integer default 50000) returns integer
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  state app_private.audit_sealings;
  last_number bigint;
  writers text[];
  sealed integer := 0;
begin
  select * into state from app_private.audit_sealings for update skip locked;
  if not found then
    return 0;
  end if;
  select case when is_called then last_value else 0 end into last_number from app_private.audit_sequence;
  writers := app_private.audit_writers();
  if state.next_to is null or not state.waits_for && writers then
    last_number := least(last_number, state.sealed_to + greatest(most, 1));
    if state.next_to is not null then
      sealed := app_private.add_seals(state.sealed_to, state.next_to);
      state.sealed_to := state.next_to;
    end if;
    if writers = '{}' then
      sealed := sealed + app_private.add_seals(state.sealed_to, last_number);
      state.sealed_to := greatest(state.sealed_to, last_number);
    end if;
    state.next_to := nullif(greatest(last_number, state.sealed_to), state.sealed_to);
    update app_private.audit_sealings
    set sealed_to = state.sealed_to, next_to = state.next_to, waits_for = case when state.next_to is null then '{}' else writers end;
  end if;
  return sealed;
end $$;

comment on function app_private.seal_audit(integer) is
  'Seals rows of the audit log whose transactions are over; answers how many. One at a time: who comes second does nothing.';
grant execute on function app_private.seal_audit(integer) to agentflow_worker;
--! EndIncluded app_private/functions/audit/seal_audit.sql
--! Included app_private/functions/audit/audit_faults.sql
/*
 * What does not fit: a seal that does not follow from the one before it, a row that is not what its seal says, is missing, or came later than its place.
 * A row whose user was erased (the log itself says so) is judged as it was with that user.
 */
create or replace function app_private.audit_faults()
  returns table (tenant_id uuid, audit_log_id uuid, created_at timestamptz, problem text)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  with sealing as (
    select sealing.sealed_to, sealing.kept_from from app_private.audit_sealings as sealing
  ), seals as (
    select seal.*, lag(seal.hash) over chain as previous, lag(seal.number, 1, 0::bigint) over chain as former
    from app_private.audit_seals as seal
    window chain as (partition by seal.tenant_id order by seal.number)
  ), entries as (
    select seal.tenant_id, seal.number, entry.id, entry.hash
    from app_private.audit_seals as seal, unnest(seal.row_ids, seal.row_hashes) as entry (id, hash)
  ), rows as (
    select audit.tenant_id, audit.id, audit.created_at, audit.user_id, app_private.audit_hash(audit, audit.user_id) as hash
    from app_public.audit_logs as audit, sealing
    where audit.log_number <= sealing.sealed_to
  ), compared as materialized (
    select coalesce(entries.tenant_id, rows.tenant_id) as tenant_id, coalesce(entries.id, rows.id) as id, rows.created_at, rows.user_id,
      entries.number, entries.hash as sealed_hash, rows.hash as found_hash
    from entries full join rows on rows.id = entries.id
    where rows.hash is distinct from entries.hash
  )
  select seal.tenant_id, null::uuid, seal.sealed_at, format('seal %s does not follow from the one before it', seal.number)
  from seals as seal
  where seal.number <> seal.former + 1
    or seal.hash <> app_private.audit_seal_hash(seal.previous, seal.tenant_id, seal.number, seal.month, seal.row_count, seal.digest)
  union all
  select seal.tenant_id, null, seal.sealed_at, format('seal %s does not hold what its digest says', seal.number)
  from app_private.audit_seals as seal
  where seal.row_ids is not null and seal.digest <> app_private.audit_digest(seal.row_ids, seal.row_hashes)
  union all
  select seal.tenant_id, null, seal.sealed_at, format('seal %s has lost its rows, and retention has not dropped its month', seal.number)
  from app_private.audit_seals as seal, sealing
  where seal.row_ids is null and seal.month >= sealing.kept_from
  union all
  select compared.tenant_id, compared.id, compared.created_at, case
      when compared.found_hash is null then format('the row is missing (seal %s)', compared.number)
      when compared.sealed_hash is null then 'the row was added after its place was sealed'
      else format('the row was changed (seal %s)', compared.number)
    end
  from compared, sealing
  where not (compared.sealed_hash is null and date_trunc('month', compared.created_at at time zone 'UTC')::date < sealing.kept_from)
    and not (compared.user_id is null and compared.found_hash is not null and compared.sealed_hash is not null and exists (
      select from app_public.audit_logs as audit
      join app_public.audit_logs as erasing on erasing.tenant_id = audit.tenant_id and erasing.entity_type = 'user' and erasing.action = 'erase'
      where audit.id = compared.id and audit.tenant_id = compared.tenant_id
        and app_private.audit_hash(audit, erasing.entity_id) = compared.sealed_hash))
$$;

comment on function app_private.audit_faults() is 'What in the audit log is not as it was sealed; no row when everything is.';
--! EndIncluded app_private/functions/audit/audit_faults.sql
--! Included app_private/functions/audit/audit_heads.sql
create or replace function app_private.audit_heads()
  returns table (tenant_id uuid, seals bigint, sealed_rows bigint, hash text)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select distinct on (seals.tenant_id) seals.tenant_id, seals.number, sum(seals.row_count) over (partition by seals.tenant_id), encode(seals.hash, 'hex')
  from app_private.audit_seals as seals
  order by seals.tenant_id, seals.number desc
$$;

comment on function app_private.audit_heads() is
  'The last seal of each tenant. Noted somewhere else, it shows later that the log up to it was not written anew.';
--! EndIncluded app_private/functions/audit/audit_heads.sql
--! Included app_private/functions/audit/forget_sealed_rows.sql
-- The seals stay, with their digests: the chain goes on holding from its first one. The log itself says that rows went.
create or replace function app_private.forget_sealed_rows(kept_from date) returns void
  language sql
  set search_path = pg_catalog, pg_temp
as $$
  with forgotten as (
    update app_private.audit_seals set row_ids = null, row_hashes = null
    where audit_seals.month < forget_sealed_rows.kept_from and audit_seals.row_ids is not null
    returning audit_seals.tenant_id, audit_seals.row_count
  )
  select app_private.record_audit(forgotten.tenant_id, null, 'erase', 'audit_log', null,
    jsonb_build_object('rows', sum(forgotten.row_count)), jsonb_build_object('kept_from', forget_sealed_rows.kept_from))
  from forgotten group by forgotten.tenant_id;
  update app_private.audit_sealings set kept_from = greatest(audit_sealings.kept_from, forget_sealed_rows.kept_from);
$$;

comment on function app_private.forget_sealed_rows(date) is 'Retention has dropped the audit rows of the months before this one: their seals keep the digests alone.';
--! EndIncluded app_private/functions/audit/forget_sealed_rows.sql
--! Included app_private/functions/triggers/fill_owner.sql
create or replace function app_private.fill_owner() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.tenant_id := coalesce(new.tenant_id, app_public.current_tenant_id());
  new.user_id := coalesce(new.user_id, app_public.current_user_id());
  return new;
end $$;

comment on function app_private.fill_owner() is 'Gives a new row the tenant and the user of the transaction where it names none.';
--! EndIncluded app_private/functions/triggers/fill_owner.sql
--! Included app_private/functions/triggers/fill_tenant.sql
create or replace function app_private.fill_tenant() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.tenant_id := coalesce(new.tenant_id, app_public.current_tenant_id());
  return new;
end $$;

comment on function app_private.fill_tenant() is 'Gives a new row the tenant of the transaction where it names none.';
--! EndIncluded app_private/functions/triggers/fill_tenant.sql
--! Included app_private/functions/triggers/normalise_email.sql
-- Addresses are unique over all tenants, so a deleted user gives his up: it keeps the old one as '<address>#deleted-<id>' for a restoration.
create or replace function app_private.normalise_email() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  suffix text := '#deleted-' || new.id;
begin
  new.email := lower(btrim(new.email));
  if new.email like '%' || suffix then
    new.email := left(new.email, -length(suffix));
  end if;
  if position('#deleted-' in new.email) > 0 then
    perform app_private.fail('INVALID_VALUE', 'An e-mail address cannot contain "#deleted-".', 'email');
  end if;
  if new.status = 'deleted' then
    -- One that is too long to keep is forgotten: who is restored then needs a new one.
    new.email := case when length(new.email || suffix) <= 255 then new.email else 'forgotten@' end || suffix;
  end if;
  return new;
end $$;

comment on function app_private.normalise_email() is 'Stores e-mail addresses in lower case, and frees those of deleted users.';
--! EndIncluded app_private/functions/triggers/normalise_email.sql
--! Included app_private/functions/triggers/keep_identity.sql
create or replace function app_private.keep_identity() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  changed text;
begin
  select entry.key into changed
  from jsonb_each(to_jsonb(new)) as entry
  where entry.value is distinct from to_jsonb(old) -> entry.key and entry.key = any (tg_argv)
  order by entry.key
  limit 1;
  if found then
    perform app_private.fail('INVALID_VALUE', format('%s of %s never changes.', changed, tg_table_name), changed);
  end if;
  return new;
end $$;

comment on function app_private.keep_identity() is 'Refuses a change of the columns named by the trigger: what a row is, whose it is and what it refers to.';
--! EndIncluded app_private/functions/triggers/keep_identity.sql
--! Included app_private/functions/triggers/check_transition.sql
create or replace function app_private.check_transition() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not (old.status || '>' || new.status) = any (tg_argv) then
    perform app_private.fail('ILLEGAL_TRANSITION',
      format('%s cannot go from %s to %s.', tg_table_name, old.status, new.status), 'status');
  end if;
  -- What goes with a deletion is done by a function of its own, as the owner. A caller's update would be refused by a policy, which gives no reason.
  if new.status::text = 'deleted' and current_user = 'agentflow_user' then
    perform app_private.fail('ILLEGAL_TRANSITION',
      format('A row of %s is deleted by delete%s, not by an update.', tg_table_name, initcap(rtrim(tg_table_name, 's'))), 'status',
      format('Call delete%s.', initcap(rtrim(tg_table_name, 's'))));
  end if;
  return new;
end $$;

comment on function app_private.check_transition() is 'Refuses a change of status that the trigger does not list as from>to, and a caller''s own update to deleted.';
--! EndIncluded app_private/functions/triggers/check_transition.sql
--! Included app_private/functions/triggers/keep_finished.sql
create or replace function app_private.keep_finished() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if to_jsonb(old) - tg_argv is distinct from to_jsonb(new) - tg_argv then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A finished row of %s does not change.', tg_table_name));
  end if;
  return new;
end $$;

comment on function app_private.keep_finished() is 'Refuses changes of a finished row, except of the columns named by the trigger.';
--! EndIncluded app_private/functions/triggers/keep_finished.sql
--! Included app_private/functions/triggers/refuse_change.sql
create or replace function app_private.refuse_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.fail('ILLEGAL_TRANSITION', format('Rows of %s are never changed.', tg_argv[0]));
  return null;
end $$;

comment on function app_private.refuse_change() is 'Refuses every change of a table that only grows.';
--! EndIncluded app_private/functions/triggers/refuse_change.sql
--! Included app_private/functions/triggers/keep_audit.sql
-- The foreign key empties user_id when a user is erased: by then that user is gone. The rows of an erased tenant go after it. Nothing else ever changes.
create or replace function app_private.keep_audit() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE'
    and new.user_id is null
    and to_jsonb(old) - 'user_id' = to_jsonb(new) - 'user_id'
    and not exists (select from app_public.users where users.id = old.user_id)
  then
    return new;
  end if;
  if tg_op = 'DELETE' and not exists (select from app_public.tenants where id = old.tenant_id) then
    return old;
  end if;
  perform app_private.fail('ILLEGAL_TRANSITION', 'The audit log is never changed.');
  return null;
end $$;

comment on function app_private.keep_audit() is 'Refuses every change of the audit log but those that erasing a user or a tenant makes.';
--! EndIncluded app_private/functions/triggers/keep_audit.sql
--! Included app_private/functions/triggers/touch.sql
create or replace function app_private.touch() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end $$;

comment on function app_private.touch() is 'Keeps updated_at.';
--! EndIncluded app_private/functions/triggers/touch.sql
--! Included app_private/functions/triggers/stamp_actors.sql
-- Who acts is what the settings say; a DBA who works without settings may name an actor himself.
create or replace function app_private.stamp_actors() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  actor uuid := app_public.current_user_id();
begin
  if tg_op = 'INSERT' then
    new.created_by := coalesce(actor, new.created_by);
    new.updated_by := coalesce(actor, new.updated_by);
  else
    new.created_at := old.created_at;
    new.created_by := old.created_by;
    new.updated_at := now();
    new.updated_by := coalesce(actor, new.updated_by);
  end if;
  return new;
end $$;

comment on function app_private.stamp_actors() is 'Keeps created_at, created_by, updated_at and updated_by.';
--! EndIncluded app_private/functions/triggers/stamp_actors.sql
--! Included app_private/functions/triggers/stamp_deletion.sql
create or replace function app_private.stamp_deletion() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status = 'deleted' then
    new.deleted_at := coalesce(new.deleted_at, now());
    new.deleted_by := coalesce(app_public.current_user_id(), new.deleted_by);
  else
    new.deleted_at := null;
    new.deleted_by := null;
  end if;
  return new;
end $$;

comment on function app_private.stamp_deletion() is 'Keeps deleted_at and deleted_by when the status becomes deleted, or is so no longer.';
--! EndIncluded app_private/functions/triggers/stamp_deletion.sql
--! Included app_private/functions/triggers/stamp_deleted_by.sql
create or replace function app_private.stamp_deleted_by() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.deleted_by := case when new.deleted_at is not null then coalesce(app_public.current_user_id(), new.deleted_by) end;
  return new;
end $$;

comment on function app_private.stamp_deleted_by() is 'Keeps deleted_by where deleted_at alone says that a row is deleted.';
--! EndIncluded app_private/functions/triggers/stamp_deleted_by.sql
--! Included app_private/functions/triggers/deactivate_deleted_flow.sql
create or replace function app_private.deactivate_deleted_flow() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.deleted_at is not null and new.is_active = 1 then
    perform app_private.fail('ILLEGAL_TRANSITION', 'A deleted flow cannot be active; a restored one is activated afterwards.', 'is_active');
  end if;
  if new.deleted_at is not null then
    new.is_active := 0;
  end if;
  return new;
end $$;

comment on function app_private.deactivate_deleted_flow() is 'A deleted flow is not active, and stays inactive when it is restored.';
--! EndIncluded app_private/functions/triggers/deactivate_deleted_flow.sql
--! Included app_private/functions/triggers/revoke_deleted_key.sql
create or replace function app_private.revoke_deleted_key() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.status := 'revoked';
  return new;
end $$;

comment on function app_private.revoke_deleted_key() is 'A deleted API key is a revoked one.';
--! EndIncluded app_private/functions/triggers/revoke_deleted_key.sql
--! Included app_private/functions/triggers/end_access.sql
-- One-time links that the user made are withdrawn too: somebody who was sent away could have kept one.
create or replace function app_private.end_access() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update app_public.api_keys set status = 'revoked', revoked_reason = 'the user is ' || new.status
  where api_keys.tenant_id = new.tenant_id and api_keys.user_id = new.id and api_keys.status = 'active';
  perform app_private.end_sessions(new.tenant_id, new.id);
  update app_public.access_links set status = 'withdrawn'
  where access_links.tenant_id = new.tenant_id and access_links.status = 'pending' and (access_links.user_id = new.id or access_links.created_by = new.id);
  return null;
end $$;

comment on function app_private.end_access() is 'Revokes the API keys, sessions and one-time links of a user who is disabled or deleted.';
--! EndIncluded app_private/functions/triggers/end_access.sql
--! Included app_private/functions/triggers/end_sessions_of_old_password.sql
create or replace function app_private.end_sessions_of_old_password() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.end_sessions(new.tenant_id, new.id);
  perform app_private.withdraw_resets(new.tenant_id, new.id);
  return null;
end $$;

comment on function app_private.end_sessions_of_old_password() is 'Ends the sessions of a user whose password changed, and withdraws open resets.';
--! EndIncluded app_private/functions/triggers/end_sessions_of_old_password.sql
--! Included app_private/functions/triggers/keep_an_admin.sql
/*
 * Nobody takes the last active admin from an active tenant, himself included. The tenant's row is locked, so that two admins who demote each
 * other at the same time come one after the other.
 */
create or replace function app_private.keep_an_admin() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from app_public.tenants where tenants.id = old.tenant_id and tenants.status = 'active' for no key update;
  if found and not exists (
    select from app_public.users
    where users.tenant_id = old.tenant_id and users.id <> old.id and users.role = 'admin' and users.status = 'active'
  ) then
    perform app_private.fail('LAST_ADMIN', null, case when new.role <> old.role then 'role' else 'status' end);
  end if;
  return new;
end $$;

comment on function app_private.keep_an_admin() is 'Refuses that the last active admin of a tenant loses the role, or is disabled or deleted.';
--! EndIncluded app_private/functions/triggers/keep_an_admin.sql
--! Included app_private/functions/triggers/stamp_end.sql
create or replace function app_private.stamp_end() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.ended_at := case when new.status <> 'pending' then now() end;
  return new;
end $$;

comment on function app_private.stamp_end() is 'Keeps ended_at when the status is pending no longer.';
--! EndIncluded app_private/functions/triggers/stamp_end.sql
--! Included app_private/functions/protect_partition.sql
-- RLS and rights are not inherited by partitions: they are set here, and the partitions live where nobody may look.
create or replace function app_private.protect_partition(name text) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table app_private.%I enable row level security', name);
  execute format('alter table app_private.%I force row level security', name);
  execute format('drop policy if exists owner_all on app_private.%I', name);
  execute format('create policy owner_all on app_private.%I to agentflow_owner using (true) with check (true)', name);
  if name like 'audit\_logs%' then
    execute format('create or replace trigger _200_refuse_truncate before truncate on app_private.%I
      for each statement execute function app_private.refuse_change(''audit_logs'')', name);
  end if;
end $$;

comment on function app_private.protect_partition(text) is 'Gives a partition forced row-level security, and no rights to anybody.';
--! EndIncluded app_private/functions/protect_partition.sql
--! Included app_private/functions/ensure_partition.sql
-- Rows that came while their month had no partition wait in the default one, and are moved.
create or replace function app_private.ensure_partition(parent text, month date) returns boolean
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  name text := parent || to_char(month, '_YYYY_MM');
  from_time text := to_char(month, 'YYYY-MM-DD 00:00:00+00');
  to_time text := to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00');
  default_name text := parent || '_default';
  has_rows boolean := false;
begin
  if to_regclass(format('app_private.%I', name)) is not null then
    return false;
  end if;
  if to_regclass(format('app_private.%I', default_name)) is not null then
    execute format('select exists (select from app_private.%I)', default_name) into has_rows;
  end if;
  if has_rows then
    execute format('alter table app_public.%I detach partition app_private.%I', parent, default_name);
    execute format('alter table app_private.%I rename to %I', default_name, default_name || '_old');
  end if;
  execute format('create table app_private.%I partition of app_public.%I for values from (%L) to (%L)', name, parent, from_time, to_time);
  perform app_private.protect_partition(name);
  if has_rows then
    execute format('create table app_private.%I partition of app_public.%I default', default_name, parent);
    perform app_private.protect_partition(default_name);
    execute format('insert into app_public.%I select * from app_private.%I', parent, default_name || '_old');
    execute format('drop table app_private.%I', default_name || '_old');
  end if;
  return true;
end $$;

comment on function app_private.ensure_partition(text, date) is 'Makes the partition of a table for one month (UTC) if it is not there. True when it was made.';
--! EndIncluded app_private/functions/ensure_partition.sql
--! Included app_private/functions/ensure_partitions.sql
create or replace function app_private.ensure_partitions(months_ahead integer default 12) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  parent text;
  step integer;
  made integer := 0;
  this_month date := date_trunc('month', now() at time zone 'UTC');
begin
  perform pg_advisory_xact_lock(hashtext('app_private.ensure_partitions'));
  foreach parent in array array['audit_logs', 'node_executions'] loop
    if to_regclass(format('app_private.%I', parent || '_default')) is null then
      execute format('create table app_private.%I partition of app_public.%I default', parent || '_default', parent);
      perform app_private.protect_partition(parent || '_default');
    end if;
    for step in -1 .. months_ahead loop
      if app_private.ensure_partition(parent, (this_month + make_interval(months => step))::date) then
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end $$;

comment on function app_private.ensure_partitions(integer) is
  'Makes the monthly partitions of audit_logs and node_executions, from the last month to so many months ahead. May run at any time; answers how many it made.';
grant execute on function app_private.ensure_partitions(integer) to agentflow_worker;
--! EndIncluded app_private/functions/ensure_partitions.sql
--! Included app_private/functions/drop_partitions.sql
create or replace function app_private.drop_partitions(parent text, keep_months integer) returns text[]
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  oldest_kept text := parent || to_char((now() at time zone 'UTC') - make_interval(months => keep_months), '_YYYY_MM');
  name text;
  dropped text[] := '{}';
begin
  if parent not in ('audit_logs', 'node_executions') then
    perform app_private.fail('INVALID_VALUE', format('%s has no monthly partitions.', parent), 'parent');
  end if;
  if keep_months < 1 then
    perform app_private.fail('INVALID_VALUE', 'Retention keeps one month at least.', 'keep_months');
  end if;
  for name in
    select child.relname
    from pg_inherits
    join pg_class as child on child.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = format('app_public.%I', parent)::regclass
      and child.relname ~ '_[0-9]{4}_[0-9]{2}$'
      and child.relname < oldest_kept
    order by child.relname
  loop
    execute format('drop table app_private.%I', name);
    dropped := dropped || name;
  end loop;
  if parent = 'audit_logs' and dropped <> '{}' then
    perform app_private.forget_sealed_rows(to_date(right(oldest_kept, 7), 'YYYY_MM'));
  end if;
  return dropped;
end $$;

comment on function app_private.drop_partitions(text, integer) is
  'Retention: drops the partitions of audit_logs or node_executions older than so many months before this one; answers their names.';
grant execute on function app_private.drop_partitions(text, integer) to agentflow_worker;
--! EndIncluded app_private/functions/drop_partitions.sql
--! Included app_private/functions/server/schema_state.sql
-- Asked for readiness by the server's login before any role is set, so it tells names of migrations and nothing else.
create or replace function app_private.schema_state(out last_migration text, out worker_schema boolean)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regclass('graphile_migrate.migrations') is not null then
    execute 'select max(filename) from graphile_migrate.migrations' into last_migration;
  end if;
  worker_schema := to_regclass('graphile_worker._private_jobs') is not null;
end $$;

comment on function app_private.schema_state() is
  'The last committed migration of this database, and whether the schema of the jobs is there.';
revoke execute on function app_private.schema_state() from public;
grant execute on function app_private.schema_state() to agentflow_authenticator;
--! EndIncluded app_private/functions/server/schema_state.sql

-- engine: what the worker calls
--! Included app_private/functions/flow_engine/flow_run_id.sql
-- The engine knows a flow execution by a UUID made of its number, so that leases, jobs and notifications are the same for both kinds of execution.
-- It is of version 8: no random one (version 4) is ever equal to it.
create or replace function app_private.flow_run_id(id bigint)
returns uuid
language sql immutable strict parallel safe
return ('00000000-' || substr(lpad(to_hex(id), 16, '0'), 1, 4) || '-8000-8000-' || substr(lpad(to_hex(id), 16, '0'), 5))::uuid;

comment on function app_private.flow_run_id(bigint) is 'The UUID by which the engine knows a flow execution.';
--! EndIncluded app_private/functions/flow_engine/flow_run_id.sql
--! Included app_private/functions/flow_engine/flow_id_of_run.sql
create or replace function app_private.flow_id_of_run(run_id uuid)
returns bigint
language sql immutable strict parallel safe
return case when run_id::text ~ '^00000000-[0-9a-f]{4}-8000-8000-[0-9a-f]{12}$'
    then ('x' || substr(run_id::text, 10, 4) || substr(run_id::text, 25))::bit(64)::bigint end;

comment on function app_private.flow_id_of_run(uuid) is 'The flow execution that the engine knows by this UUID; null when it is none of a flow.';
--! EndIncluded app_private/functions/flow_engine/flow_id_of_run.sql
--! Included app_private/functions/triggers/drop_leases.sql
-- Leases are kept by execution and by flow execution alike, so no foreign key takes them along when what they are of is erased.
create or replace function app_private.drop_leases() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'executions' then
    delete from app_private.execution_leases as leases using old_rows where leases.execution_id = old_rows.id;
  else
    delete from app_private.execution_leases as leases using old_rows where leases.execution_id = app_private.flow_run_id(old_rows.id);
  end if;
  return null;
end $$;

comment on function app_private.drop_leases() is 'Erases the leases of erased executions and flow executions.';
--! EndIncluded app_private/functions/triggers/drop_leases.sql
--! Included app_private/functions/engine/notify_executions.sql
/*
 * Tells listeners that these executions changed: ids and tenants only, never content, because channels know no policies.
 * One pair takes 80 bytes; over 8,000 bytes NOTIFY fails the whole transaction, so 95 pairs a payload.
 */
create or replace function app_private.notify_executions(tenant_ids uuid[], ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('agentflow', '{"executions":[' || string_agg(format('["%s","%s"]', pair.tenant_id, pair.id), ',') || ']}')
    from (
      select given.tenant_id, given.id, (row_number() over () - 1) / 95 as payload
        from unnest(tenant_ids, ids) as given (tenant_id, id)
    ) as pair
   group by pair.payload;
end
$$;

comment on function app_private.notify_executions(uuid[], uuid[]) is
  'Tells listeners of channel "agentflow" which executions changed: {"executions": [[tenant_id, id], ...]}.';
--! EndIncluded app_private/functions/engine/notify_executions.sql
--! Included app_private/functions/engine/enqueue_executions.sql
/*
 * Adds one job an execution, or moves the job that is already there. The job's key is the execution's id, so there is never
 * a second one; a job that is running now keeps running and a new one is added behind it.
 * `run_at`: null inside means that only an event wakes the execution; then there is no job, and the event adds it.
 * `priority`: what goes on comes before what begins, however much of that there is; a lower number comes first.
 */
drop function if exists app_private.enqueue_executions(uuid[], timestamptz[]);

create or replace function app_private.enqueue_executions(ids uuid[], run_at timestamptz[] default null, priority integer default -1)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(ids) = 0 then
    return;
  end if;
  perform graphile_worker.add_jobs(array(
    select row(
      'run_execution',
      json_build_object('id', given.id),
      null,
      case when enqueue_executions.run_at is null then now() else given.at end,
      null,
      given.id::text,
      enqueue_executions.priority,
      null
    )::graphile_worker.job_spec
      from unnest(ids, enqueue_executions.run_at) as given (id, at)
     where given.id is not null and (enqueue_executions.run_at is null or given.at is not null)
  ));
end
$$;

comment on function app_private.enqueue_executions(uuid[], timestamptz[], integer) is
  'Adds or moves the job of each execution, in the caller''s transaction.';
--! EndIncluded app_private/functions/engine/enqueue_executions.sql
--! Included app_private/functions/engine/free_leases.sql
/*
 * Takes leases from their worker and adds jobs, so that another goes on. The next claim raises the attempt, which fences
 * whatever the former holder still writes. `lost`: the holder died, which counts against an execution that kills its workers.
 */
create or replace function app_private.free_leases(execution_ids uuid[], lost boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  freed uuid[];
begin
  with changed as (
    update app_private.execution_leases as lease
       set worker_id = null,
           losses = lease.losses + lost::integer,
           driven = lease.driven + (now() - lease.claimed_at)
     where lease.execution_id = any (execution_ids)
       and lease.worker_id is not null
    returning lease.execution_id
  )
  select coalesce(array_agg(changed.execution_id), '{}') into freed from changed;
  perform app_private.enqueue_executions(freed);
end
$$;

comment on function app_private.free_leases(uuid[], boolean) is 'Takes leases from their worker and adds jobs for them.';
--! EndIncluded app_private/functions/engine/free_leases.sql
--! Included app_private/functions/engine/lost_leases.sql
create or replace function app_private.lost_leases(worker uuid, execution_ids uuid[], attempts integer[])
returns uuid[]
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(given.id), '{}')
    from unnest(execution_ids, attempts) as given (id, attempt)
   where not exists (
     select from app_private.execution_leases as lease
      where lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
   )
$$;

comment on function app_private.lost_leases(uuid, uuid[], integer[]) is
  'Those of the given executions that this worker no longer holds under this attempt.';

grant execute on function app_private.lost_leases(uuid, uuid[], integer[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/lost_leases.sql
--! Included app_private/functions/engine/register_worker.sql
/*
 * Registers a worker process. The session that calls it keeps an advisory lock until it ends: a free lock means a dead process.
 * A sweeper holds the lock for the length of its transaction while it looks, so this waits for it.
 */
create or replace function app_private.register_worker(worker uuid, host text, process_id integer, job_worker_ids text[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  key bigint := hashtextextended('agentflow worker ' || worker, 0);
begin
  perform pg_advisory_lock(key);
  insert into app_private.workers as known (id, lock_key, host, process_id, job_worker_ids)
  values (worker, key, register_worker.host, register_worker.process_id, register_worker.job_worker_ids)
  on conflict (id) do update
    -- former pools stay named until a heartbeat has unlocked what they hold
    set heartbeat_at = clock_timestamp(), job_worker_ids = known.job_worker_ids || excluded.job_worker_ids;
end
$$;

comment on function app_private.register_worker(uuid, text, integer, text[]) is
  'Registers a worker process and takes its advisory lock for the length of the session.';

grant execute on function app_private.register_worker(uuid, text, integer, text[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/register_worker.sql
--! Included app_private/functions/engine/unregister_worker.sql
/* A clean stop: what the worker still held goes to others at once. */
create or replace function app_private.unregister_worker(worker uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from app_private.workers as known where known.id = worker;
  perform app_private.free_leases(array(
    select lease.execution_id from app_private.execution_leases as lease where lease.worker_id = worker
  ), false);
end
$$;

comment on function app_private.unregister_worker(uuid) is 'Takes a worker off the list and gives its executions back.';

grant execute on function app_private.unregister_worker(uuid) to agentflow_worker;
--! EndIncluded app_private/functions/engine/unregister_worker.sql
--! Included app_private/functions/tenants/parked.sql
create or replace function app_private.parked() returns uuid
  language sql immutable parallel safe
  return '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid;

comment on function app_private.parked() is 'Who holds the lease of an execution whose tenant is suspended: a worker that never is.';
--! EndIncluded app_private/functions/tenants/parked.sql
--! Included app_private/functions/tenants/park_tenants.sql
/*
 * What is not over in these tenants gets a lease that no worker can take. Whoever drives one of them has lost it, and is told; what its nodes
 * had finished is stored, and the rest is done when the tenant is let in again.
 */
create or replace function app_private.park_tenants(tenants uuid[]) returns integer
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  parked uuid[];
  of_tenants uuid[];
begin
  with running as (
    select execution.id, execution.tenant_id from app_public.executions as execution
    where execution.tenant_id = any (tenants) and execution.status in ('pending', 'running')
    union all
    select app_private.flow_run_id(execution.id), execution.tenant_id from app_public.flow_executions as execution
    where execution.tenant_id = any (tenants) and execution.status in ('PENDING', 'RUNNING')
  ), changed as (
    insert into app_private.execution_leases as lease (execution_id, tenant_id, worker_id)
    select running.id, running.tenant_id, app_private.parked() from running
    order by running.id
    on conflict (execution_id) do update
      set worker_id = excluded.worker_id, attempt = lease.attempt + 1,
        driven = lease.driven + case when lease.worker_id is null then interval '0' else now() - lease.claimed_at end
      where lease.worker_id is distinct from app_private.parked()
    returning lease.execution_id, lease.tenant_id
  )
  select coalesce(array_agg(changed.execution_id), '{}'), coalesce(array_agg(changed.tenant_id), '{}') into parked, of_tenants from changed;
  perform app_private.notify_executions(of_tenants, parked);
  return cardinality(parked);
end $$;

comment on function app_private.park_tenants(uuid[]) is 'Takes what runs in suspended tenants from the workers, until resume_tenant; answers how many executions.';
--! EndIncluded app_private/functions/tenants/park_tenants.sql
--! Included app_private/functions/tenants/park_suspended.sql
-- A claim that was under way while the tenant was suspended is caught here.
create or replace function app_private.park_suspended() returns integer
  language sql volatile
  set search_path = pg_catalog, pg_temp
as $$
  select app_private.park_tenants(suspended.ids)
  from (select array_agg(tenants.id) as ids from app_public.tenants where tenants.status <> 'active') as suspended
  where suspended.ids is not null
$$;

comment on function app_private.park_suspended() is 'Parks what runs in tenants that are not active; null when all are.';
--! EndIncluded app_private/functions/tenants/park_suspended.sql
--! Included app_private/functions/tenants/resume_tenant.sql
-- What waits for an event is woken too: the event may have come meanwhile. Who wakes for nothing goes on waiting.
create or replace function app_private.resume_tenant(tenant uuid) returns integer
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  resumed uuid[];
begin
  with changed as (
    update app_private.execution_leases as lease set worker_id = null, claimed_at = now()
    where lease.tenant_id = tenant and lease.worker_id = app_private.parked()
    returning lease.execution_id
  )
  select coalesce(array_agg(changed.execution_id), '{}') into resumed from changed;
  perform app_private.enqueue_executions(resumed);
  return cardinality(resumed);
end $$;

comment on function app_private.resume_tenant(uuid) is 'Gives what was parked in a tenant back to the workers; answers how many executions.';
--! EndIncluded app_private/functions/tenants/resume_tenant.sql
--! Included app_private/functions/engine/sweep_workers.sql
/*
 * Finds dead workers (their lock is free, or no heartbeat for 15 s), unlocks their jobs and frees their executions.
 * One sweeper at a time; the others return at once. A lease of a worker that nobody knows is free as well.
 */
create or replace function app_private.sweep_workers(sweeper uuid)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  dead_ids uuid[];
  dead_pools text[];
  orphans uuid[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('agentflow sweeper', 0)) then
    return 0;
  end if;
  with dead as (
    delete from app_private.workers as known
     where known.id <> sweeper
       and (known.heartbeat_at < clock_timestamp() - interval '15 seconds' or pg_try_advisory_xact_lock(known.lock_key))
    returning known.id, known.job_worker_ids
  )
  select array_agg(distinct dead.id), array_agg(distinct pool.id) filter (where pool.id is not null)
    into dead_ids, dead_pools
    from dead left join lateral unnest(dead.job_worker_ids) as pool (id) on true;

  if dead_pools is not null then
    perform graphile_worker.force_unlock_workers(dead_pools);
  end if;
  select array_agg(lease.execution_id) into orphans
    from app_private.execution_leases as lease
   where lease.worker_id is not null
     and lease.worker_id <> app_private.parked()
     and not exists (select from app_private.workers as known where known.id = lease.worker_id);
  if orphans is not null then
    perform app_private.free_leases(orphans, true);
  elsif dead_pools is not null then
    -- unlocked jobs make no noise of their own: one notification lets a living worker fetch them now
    perform pg_notify('jobs:insert', '{"count":1}');
  end if;
  perform app_private.park_suspended();
  return coalesce(cardinality(dead_ids), 0);
end
$$;

comment on function app_private.sweep_workers(uuid) is
  'Frees what dead workers held; returns how many dead workers were found.';

grant execute on function app_private.sweep_workers(uuid) to agentflow_worker;
--! EndIncluded app_private/functions/engine/sweep_workers.sql
--! Included app_private/functions/engine/heartbeat.sql
/*
 * One statement every few seconds: says that the worker lives, and learns which of the executions it drives are no longer its own
 * (cancelled, finished or taken over). Leases that the worker holds without knowing (the answer to a claim was lost) are freed.
 * Jobs that a former pool of this very process left locked are unlocked.
 * `registered` false: the worker was taken for dead; it must stop what it drives and register anew.
 */
create or replace function app_private.heartbeat(
  worker uuid, job_worker_ids text[], execution_ids uuid[], attempts integer[],
  out registered boolean, out lost uuid[]
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  former text[];
begin
  select known.job_worker_ids into former from app_private.workers as known where known.id = worker for no key update;
  registered := found;
  update app_private.workers as known
     set heartbeat_at = clock_timestamp(), job_worker_ids = heartbeat.job_worker_ids
   where known.id = worker;

  former := array(select unnest(former) except select unnest(heartbeat.job_worker_ids));
  if former <> '{}' then
    perform graphile_worker.force_unlock_workers(former);
    perform pg_notify('jobs:insert', '{"count":1}');
  end if;

  lost := app_private.lost_leases(worker, execution_ids, attempts);

  if registered then
    perform app_private.free_leases(array(
      select lease.execution_id from app_private.execution_leases as lease
       where lease.worker_id = worker
         and lease.claimed_at < now() - interval '15 seconds'
         and lease.execution_id <> all (execution_ids)
    ), false);
  end if;
end
$$;

comment on function app_private.heartbeat(uuid, text[], uuid[], integer[]) is
  'Says that a worker lives; returns whether it is registered, and which of the given executions it has lost.';

grant execute on function app_private.heartbeat(uuid, text[], uuid[], integer[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/heartbeat.sql
--! Included app_private/functions/engine/stored_nodes.sql
/* What is known of an execution's nodes, in the order in which they finished: from it a run is rebuilt after a crash or a wait. */
drop function if exists app_private.stored_nodes(uuid, timestamptz);

create or replace function app_private.stored_nodes(execution_id uuid, execution_created_at timestamptz, with_input boolean default false)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
           'node_id', node.node_id,
           'status', node.status,
           'sequence_number', node.sequence_number,
           'finish_order', node.finish_order,
           'attempts', node.attempts,
           'output', node.output,
           'writes', node.writes,
           'route_target', node.route_target,
           'error_code', node.error_code,
           'error_message', node.error_message,
           'tokens_used', node.tokens_used,
           'cost', node.cost::text,
           'wait_reason', node.wait_reason,
           'wait_until', node.wait_until,
           'wait_details', node.wait_details,
           'wait_time', case when node.finish_order is null then node.wait_time end,
           'logs', case when node.finish_order is null then node.logs end,
           'input', case when with_input then node.input end,
           'started_ms', extract(epoch from node.started_at) * 1000,
           'completed_ms', extract(epoch from node.completed_at) * 1000
         ) order by node.finish_order nulls last, node.sequence_number), '[]')
    from app_public.node_executions as node
   where node.execution_id = stored_nodes.execution_id
     and node.execution_created_at = stored_nodes.execution_created_at
$$;

comment on function app_private.stored_nodes(uuid, timestamptz, boolean) is
  'The stored nodes of an execution as JSON, finished ones first, in the order in which they finished.';
--! EndIncluded app_private/functions/engine/stored_nodes.sql
--! Included app_private/functions/engine/execution_to_repeat.sql
/*
 * What an execution takes over from the one that it tries again: where to begin anew (null: where it failed), and all that is known of the
 * old one's nodes. Which of them are taken over is decided by whoever knows the graph.
 */
create or replace function app_private.execution_to_repeat(tenant uuid, repeated_id uuid, from_node text)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('execution_id', old.id, 'from_node', from_node, 'nodes', app_private.stored_nodes(old.id, old.created_at, true))
    from app_public.executions as old
   where old.tenant_id = tenant and old.id = repeated_id
$$;

comment on function app_private.execution_to_repeat(uuid, uuid, text) is
  'The nodes of an execution that is tried again, as JSON, and where to begin anew.';
--! EndIncluded app_private/functions/engine/execution_to_repeat.sql
--! Included app_private/functions/engine/execution_caps.sql
/* What a tenant's executions may use at most, under whatever their documents say: the platform's quotas and the tenant's own `settings.limits`. */
create or replace function app_private.execution_caps(quotas jsonb, settings jsonb)
returns jsonb
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(cap.key, cap.least)
    from (
      select given.key, min((given.value #>> '{}')::numeric) as least
        from (
          select * from jsonb_each(quotas)
          union all
          select * from jsonb_each(case when jsonb_typeof(settings -> 'limits') = 'object' then settings -> 'limits' else '{}' end)
        ) as given (key, value)
       where given.key in ('max_parallel_nodes', 'max_nodes', 'max_tokens', 'max_cost', 'max_seconds', 'max_state_bytes', 'max_output_bytes')
         and jsonb_typeof(given.value) = 'number'
       group by given.key
    ) as cap
$$;

comment on function app_private.execution_caps(jsonb, jsonb) is
  'The least of a tenant''s quotas and settings.limits for each limit of executions; null when there are none.';
--! EndIncluded app_private/functions/engine/execution_caps.sql
--! Included app_private/functions/engine/claim_executions.sql
/*
 * Takes the lease of each execution that is not over and not another living worker's, and raises the attempt. Ids that are unknown, over
 * or held are left out of the answer; their job has nothing to do. The row itself is not touched: it is marked as running by the first
 * checkpoint that says so, and most executions are over before that.
 * Lock order everywhere in the engine: executions by id, then leases.
 * A worker that was taken for dead gets WORKER_UNKNOWN and must register anew.
 */
drop function if exists app_private.claim_executions(uuid, uuid[]);

create or replace function app_private.claim_executions(worker uuid, execution_ids uuid[])
returns table (
  id uuid, attempt integer, losses integer, tenant_id uuid, user_id uuid, workflow_id uuid, workflow_version_id uuid,
  created_at text, now_ms double precision, driven_seconds double precision, initial_state jsonb, nodes jsonb,
  parent_execution_id uuid, only_node_id text, repeats jsonb, caps jsonb, is_begun boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if not exists (select from app_private.workers as known where known.id = worker) then
    perform app_private.fail('WORKER_UNKNOWN');
  end if;
  return query
  with locked as materialized (
    select execution.* from app_public.executions as execution
     where execution.id = any (execution_ids)
     order by execution.id
       for no key update
  ), candidate as materialized (
    select * from locked where locked.status in ('pending', 'running')
  ), leased as (
    insert into app_private.execution_leases as lease (execution_id, tenant_id, worker_id)
    select candidate.id, candidate.tenant_id, worker from candidate
    on conflict (execution_id) do update
      set worker_id = excluded.worker_id, attempt = lease.attempt + 1, claimed_at = now(), waits = false
      where lease.worker_id is null or lease.worker_id = excluded.worker_id
    returning lease.execution_id, lease.attempt, lease.losses, lease.driven
  ), tenant as materialized (
    select known.id,
           case when known.quotas <> '{}' or known.settings ? 'limits' then app_private.execution_caps(known.quotas, known.settings) end as caps
      from app_public.tenants as known
     where known.id = any (array(select distinct candidate.tenant_id from candidate))
  )
  select candidate.id, leased.attempt, leased.losses, candidate.tenant_id, candidate.user_id, candidate.workflow_id,
         candidate.workflow_version_id, candidate.created_at::text, extract(epoch from now())::double precision * 1000,
         extract(epoch from leased.driven)::double precision, candidate.initial_state,
         case when leased.attempt > 1 then app_private.stored_nodes(candidate.id, candidate.created_at) end,
         candidate.parent_execution_id, candidate.only_node_id::text,
         case when candidate.retry_of_execution_id is not null
           then app_private.execution_to_repeat(candidate.tenant_id, candidate.retry_of_execution_id, candidate.retry_from_node_id) end,
         tenant.caps, candidate.status = 'running'
    from leased
    join candidate on candidate.id = leased.execution_id
    join tenant on tenant.id = candidate.tenant_id;
end
$$;

comment on function app_private.claim_executions(uuid, uuid[]) is
  'Takes the leases of executions for a worker and returns what is needed to drive them.';

grant execute on function app_private.claim_executions(uuid, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/claim_executions.sql
--! Included app_private/functions/engine/refuse_child.sql
/* A child that cannot be started is a result like any other: the node that asked for it fails with this reason. */
create or replace function app_private.refuse_child(tenant uuid, parent_id uuid, parent_node varchar, code text, message text)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  update app_public.node_executions as node
     set wait_details = node.wait_details
           || jsonb_build_object('result', jsonb_build_object('status', 'refused', 'error_code', code, 'error_message', message))
   where node.tenant_id = tenant and node.execution_id = parent_id and node.node_id = parent_node
$$;

comment on function app_private.refuse_child(uuid, uuid, varchar, text, text) is
  'Hands a node that asked for a child execution the reason why it gets none.';
--! EndIncluded app_private/functions/engine/refuse_child.sql
--! Included app_private/functions/engine/child_workflow.sql
/* The workflow that a node names: by id, or the newest of that name. Published ones; a test run may run drafts as well. */
create or replace function app_private.child_workflow(tenant uuid, named jsonb, in_test boolean)
returns app_public.workflows
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select workflow.*
    from app_public.workflows as workflow
   where workflow.tenant_id = tenant
     and case when named ->> 'workflow_id' is not null then workflow.id::text = lower(named ->> 'workflow_id')
           else workflow.name = named ->> 'workflow' end
     and (workflow.status = 'published' or in_test and workflow.status = 'draft')
   order by workflow.status = 'published' desc, workflow.created_at desc, workflow.id desc
   limit 1
$$;

comment on function app_private.child_workflow(uuid, jsonb, boolean) is
  'The runnable workflow of a tenant that {workflow_id} or {workflow: name} means; null when there is none.';
--! EndIncluded app_private/functions/engine/child_workflow.sql
--! Included app_private/functions/engine/start_child.sql
/*
 * Starts the child execution that a waiting node asks for, in the transaction that writes its wait: {workflow_id, workflow, version, input}.
 * It belongs to the user of the parent. What stands against it fails the node, never the statement.
 */
create or replace function app_private.start_child(tenant uuid, parent_id uuid, parent_node varchar, wanted jsonb)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  named constant text := coalesce(wanted ->> 'workflow_id', wanted ->> 'workflow', '');
  parent app_public.executions;
  workflow app_public.workflows;
  version_id uuid;
  child_id uuid;
begin
  select * into parent from app_public.executions as execution where execution.tenant_id = tenant and execution.id = parent_id;
  if parent.depth >= 5 then
    perform app_private.refuse_child(tenant, parent_id, parent_node, 'LIMIT_DEPTH', 'workflows may call each other 5 levels deep, no deeper');
    return;
  elsif jsonb_typeof(wanted -> 'input') is distinct from 'object' or octet_length((wanted -> 'input')::text) > 1048576 then
    perform app_private.refuse_child(tenant, parent_id, parent_node, 'TOO_LARGE', 'the input of a child is an object of at most 1 MiB');
    return;
  end if;
  workflow := app_private.child_workflow(tenant, wanted, parent.is_test);
  if workflow.id is null then
    perform app_private.refuse_child(tenant, parent_id, parent_node, 'NOT_FOUND', format('there is no published workflow %L', named));
    return;
  end if;
  select version.id into version_id
    from app_public.workflow_versions as version
   where version.tenant_id = tenant and version.workflow_id = workflow.id
     and version.version = coalesce((wanted ->> 'version')::integer, workflow.version);
  if version_id is null then
    perform app_private.refuse_child(tenant, parent_id, parent_node, 'NOT_FOUND',
      format('workflow %L has no version %s', named, wanted ->> 'version'));
    return;
  end if;

  insert into app_public.executions (tenant_id, user_id, workflow_id, workflow_version_id, initial_state,
    parent_execution_id, parent_node_id, depth, is_test, api_key_id)
  values (tenant, parent.user_id, workflow.id, version_id, wanted -> 'input', parent_id, parent_node, parent.depth + 1,
    workflow.status = 'draft', parent.api_key_id)
  on conflict (tenant_id, parent_execution_id, parent_node_id) where parent_execution_id is not null do nothing
  returning id into child_id;
  update app_public.node_executions as node
     set wait_details = node.wait_details || jsonb_build_object('execution_id', child_id)
   where node.tenant_id = tenant and node.execution_id = parent_id and node.node_id = parent_node and child_id is not null;
end
$$;

comment on function app_private.start_child(uuid, uuid, varchar, jsonb) is
  'Starts the child execution that a waiting node asks for.';
--! EndIncluded app_private/functions/engine/start_child.sql
--! Included app_private/functions/engine/end_executions.sql
/*
 * Cancels executions: their rows are final at once. Deleting the leases fences the workers that drive them: what they still write is
 * refused, and they are told to stop. Those that are over stay as they are.
 * Lock order as everywhere in the engine: executions by id, then leases.
 */
create or replace function app_private.end_executions(tenant uuid, execution_ids uuid[], reason text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  ended app_public.executions[];
begin
  ended := array(
    select execution from app_public.executions as execution
     where execution.tenant_id = tenant and execution.id = any (execution_ids) and execution.completed_at is null
     order by execution.id
       for no key update
  );
  delete from app_private.execution_leases as lease using unnest(ended) as execution where lease.execution_id = execution.id;
  perform app_private.cancel_nodes(tenant, execution.id, execution.created_at) from unnest(ended) as execution;
  update app_public.executions as execution
     set status = 'cancelled', completed_at = now(), error_message = reason,
         metrics = spent.metrics, tokens_used = spent.tokens_used, cost = spent.cost, execution_time = spent.execution_time
    from unnest(ended) as old
   cross join lateral app_private.spent_so_far(old) as spent
   where execution.tenant_id = tenant and execution.id = old.id;
  perform graphile_worker.remove_job(execution.id::text) from unnest(ended) as execution;
  perform app_private.wake_flows(array(select execution.id from unnest(ended) as execution));
  perform app_private.notify_executions(array_agg(execution.tenant_id), array_agg(execution.id)) from unnest(ended) as execution;
end
$$;

comment on function app_private.end_executions(uuid, uuid[], text) is
  'Cancels those of the executions that are not over, and stops whoever drives them.';
--! EndIncluded app_private/functions/engine/end_executions.sql
--! Included app_private/functions/engine/end_children.sql
/*
 * Children of executions that have ended, and of single nodes that have, are cancelled with everything below them.
 * Looked for until none is left: one may be started while the others are being ended.
 */
create or replace function app_private.end_children(tenant uuid, parent_ids uuid[], only_node varchar default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  living uuid[];
begin
  loop
    with recursive tree as (
      select child.id, child.completed_at from app_public.executions as child
       where child.tenant_id = tenant and child.parent_execution_id = any (parent_ids)
         and (only_node is null or child.parent_node_id = only_node)
      union all
      select child.id, child.completed_at from tree
        join app_public.executions as child on child.tenant_id = tenant and child.parent_execution_id = tree.id
    )
    select array_agg(tree.id) into living from tree where tree.completed_at is null;
    exit when living is null;
    perform app_private.end_executions(tenant, living, 'cancelled with the execution that started it');
  end loop;
end
$$;

comment on function app_private.end_children(uuid, uuid[], varchar) is
  'Cancels all living executions below the given ones.';
--! EndIncluded app_private/functions/engine/end_children.sql
--! Included app_private/functions/engine/write_nodes.sql
/*
 * Writes node rows of executions whose leases the caller's transaction has locked. A row that is final is never overwritten:
 * a node that finished is never run again. `execution_ids`: those whose leases are held; `nodes`: a JSON list; `execution_id`, `attempt` and
 * `worker` decide what is written.
 * A node that begins to wait for a child gets it here, and one that gives up ends its child.
 */
drop function if exists app_private.write_nodes(uuid, json);

create or replace function app_private.write_nodes(worker uuid, execution_ids uuid[], nodes json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  written record;
begin
  if nodes::text = '[]' then
    return;
  end if;
  for written in
    with stored_now as (
      insert into app_public.node_executions as stored (
        execution_id, node_id, execution_created_at, tenant_id, node_type, sequence_number, finish_order, attempts, status,
        input, output, writes, route_target, error_code, error_message, tokens_used, cost,
        wait_time, wait_reason, wait_until, wait_details, logs, started_at, completed_at, source_name, model, is_cached, partial_output
      )
      select given.execution_id, given.node_id, given.execution_created_at, lease.tenant_id, given.node_type,
             given.sequence_number, given.finish_order, coalesce(given.attempts, 1), given.status,
             given.input, given.output, given.writes, given.route_target, given.error_code, given.error_message,
             coalesce(given.tokens_used, 0), coalesce(given.cost, 0), coalesce(given.wait_time, 0), given.wait_reason, given.wait_until, given.wait_details, given.logs,
             to_timestamp(given.started_ms / 1000), to_timestamp(given.completed_ms / 1000),
             given.source_name, given.model, coalesce(given.is_cached, false), given.partial_output
        from json_to_recordset(nodes) as given (
          execution_id uuid, attempt integer, execution_created_at timestamptz, node_id varchar, node_type varchar,
          sequence_number integer, finish_order integer, attempts integer, status varchar,
          input jsonb, output jsonb, writes jsonb, route_target varchar, error_code varchar, error_message text,
          tokens_used integer, cost numeric, wait_time numeric, wait_reason varchar, wait_until timestamptz, wait_details jsonb,
          logs jsonb, started_ms double precision, completed_ms double precision,
          source_name varchar, model varchar, is_cached boolean, partial_output text
        )
        join app_private.execution_leases as lease
          on lease.execution_id = given.execution_id and lease.attempt = given.attempt and lease.worker_id = worker
       where lease.execution_id = any (execution_ids)
      on conflict (execution_id, node_id, execution_created_at) do update
        set sequence_number = excluded.sequence_number, finish_order = excluded.finish_order, attempts = excluded.attempts,
            status = excluded.status, input = excluded.input, output = excluded.output, writes = excluded.writes,
            route_target = excluded.route_target, error_code = excluded.error_code, error_message = excluded.error_message,
            tokens_used = excluded.tokens_used, cost = excluded.cost, wait_time = excluded.wait_time,
            wait_reason = excluded.wait_reason, wait_until = excluded.wait_until,
            wait_details = excluded.wait_details, logs = excluded.logs,
            started_at = excluded.started_at, completed_at = excluded.completed_at,
            source_name = excluded.source_name, model = excluded.model, is_cached = excluded.is_cached, partial_output = excluded.partial_output
        where stored.finish_order is null
      returning stored.tenant_id, stored.execution_id, stored.node_id, stored.node_type, stored.status, stored.finish_order, stored.wait_details
    )
    select * from stored_now where stored_now.node_type = 'workflow'
  loop
    if written.status = 'waiting' and not written.wait_details ?| array['execution_id', 'result'] then
      perform app_private.start_child(written.tenant_id, written.execution_id, written.node_id, written.wait_details);
    elsif written.finish_order is not null and written.status <> 'completed' then
      perform app_private.end_children(written.tenant_id, array[written.execution_id], written.node_id);
    end if;
  end loop;
end
$$;

comment on function app_private.write_nodes(uuid, uuid[], json) is
  'Writes node rows of executions whose leases are locked by the caller; final rows stay as they are.';
--! EndIncluded app_private/functions/engine/write_nodes.sql
--! Included app_private/functions/engine/checkpoint_executions.sql
/*
 * Writes node rows of many executions in one statement, and marks those of `begun` as running. Rows of a lost lease are not written;
 * those executions are returned, and their driver must stop. Progress clears the count of lost workers.
 */
drop function if exists app_private.checkpoint_executions(uuid, uuid[], integer[], json);

create or replace function app_private.checkpoint_executions(worker uuid, execution_ids uuid[], attempts integer[], nodes json, begun uuid[] default '{}')
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  held_ids uuid[];
  held_tenants uuid[];
  troubled boolean;
begin
  if begun <> '{}' then
    perform from app_public.executions as execution where execution.id = any (begun) order by execution.id for no key update;
  end if;
  select array_agg(held.execution_id), array_agg(held.tenant_id), coalesce(bool_or(held.losses > 0), false)
    into held_ids, held_tenants, troubled
    from (select * from unnest(execution_ids, attempts) as one (id, attempt) order by one.id) as given
   cross join lateral (
      select * from app_private.execution_leases as lease
       where lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
         for no key update
   ) as held;
  if held_ids is null then
    return execution_ids;
  end if;

  if begun <> '{}' then
    update app_public.executions as execution
       set status = 'running', started_at = lease.claimed_at, updated_at = now()
      from app_private.execution_leases as lease
     where execution.id = any (begun) and lease.execution_id = any (held_ids) and lease.execution_id = execution.id
       and execution.status = 'pending';
  end if;
  perform app_private.write_nodes(worker, held_ids, nodes);
  if troubled then
    update app_private.execution_leases as lease set losses = 0
     where lease.execution_id = any (held_ids) and lease.losses > 0;
  end if;
  perform app_private.notify_executions(held_tenants, held_ids);
  return array(select given.id from unnest(execution_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) is
  'Writes node rows under the leases of a worker; returns the executions whose lease is lost.';

grant execute on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/checkpoint_executions.sql
--! Included app_private/functions/flow_engine/wake_flows.sql
/*
 * Executions have ended: the flows whose tasks wait for them go on. The lock of the lease is the one that whoever gives the flow execution
 * back holds at this moment: one of the two sees what the other did.
 */
create or replace function app_private.wake_flows(execution_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  run_ids uuid[];
begin
  select array_agg(app_private.flow_run_id(child.flow_execution_id)) into run_ids
    from app_private.flow_children as child where child.execution_id = any (execution_ids);
  if run_ids is null then
    return;
  end if;
  perform from app_private.execution_leases as lease
    where lease.execution_id = any (run_ids) order by lease.execution_id for no key update;
  perform app_private.enqueue_executions(array(
    select app_private.flow_run_id(task.flow_execution_id)
      from app_private.flow_children as child
      join app_public.task_executions as task
        on task.tenant_id = child.tenant_id and task.flow_execution_id = child.flow_execution_id and task.task_name = child.task_name
     where child.execution_id = any (execution_ids) and task.completed_at is null and task.wait_reason = 'child'));
end
$$;

comment on function app_private.wake_flows(uuid[]) is 'Adds jobs for the flow executions whose tasks wait for these executions.';
--! EndIncluded app_private/functions/flow_engine/wake_flows.sql
--! Included app_private/functions/engine/finish_executions.sql
/*
 * Ends executions: the last node rows, the row itself, the lease. Those whose lease is lost are left alone and returned.
 * `finishes`: {execution_id, status, final_state, metrics, tokens_used, cost, error_code, error_message, error_node_id}.
 * One that was not marked as running yet began when it was claimed. `execution_time` is told by the database's clock.
 * Whoever waits for one of them is woken in the same statement.
 */
drop function if exists app_private.finish_executions(uuid, json, json);

create or replace function app_private.finish_executions(worker uuid, execution_ids uuid[], attempts integer[], finishes json, nodes json)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  held_ids uuid[];
  held_tenants uuid[];
  children uuid[];
begin
  perform from app_public.executions as execution
    where execution.id = any (execution_ids) order by execution.id for no key update;
  select array_agg(held.execution_id), array_agg(held.tenant_id) into held_ids, held_tenants
    from (select * from unnest(execution_ids, attempts) as one (id, attempt) order by one.id) as given
   cross join lateral (
      select * from app_private.execution_leases as lease
       where lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
         for no key update
   ) as held;
  if held_ids is null then
    return execution_ids;
  end if;

  perform app_private.write_nodes(worker, held_ids, nodes);
  with ended as (
    update app_public.executions as execution
       set status = given.status,
           final_state = given.final_state,
           metrics = given.metrics || jsonb_build_object('execution_time', app_private.seconds_since(
             case when execution.status = 'pending' then lease.claimed_at else execution.started_at end)),
           execution_time = app_private.seconds_since(
             case when execution.status = 'pending' then lease.claimed_at else execution.started_at end),
           tokens_used = given.tokens_used,
           cost = given.cost,
           error_code = given.error_code,
           error_message = given.error_message,
           error_node_id = given.error_node_id,
           started_at = case when execution.status = 'pending' then lease.claimed_at else execution.started_at end,
           completed_at = now(),
           updated_at = now()
      from json_to_recordset(finishes) as given (
        execution_id uuid, status varchar, final_state jsonb, metrics jsonb, tokens_used integer, cost numeric,
        error_code varchar, error_message text, error_node_id varchar
      )
      join app_private.execution_leases as lease on lease.execution_id = given.execution_id and lease.execution_id = any (held_ids)
     where execution.id = given.execution_id and execution.id = any (held_ids) and execution.status in ('pending', 'running')
    returning execution.id, execution.parent_execution_id
  )
  select array_agg(ended.id) into children from ended where ended.parent_execution_id is not null;
  if finishes::text like '%"error_code":"INTERNAL"%' then
    -- a fault of ours: what its nodes have done since the last checkpoint is not known, and nothing of it goes on
    perform app_private.cancel_nodes(execution.tenant_id, execution.id, execution.created_at),
            app_private.end_children(execution.tenant_id, array[execution.id])
      from app_public.executions as execution
     where execution.id = any (held_ids) and execution.error_code = 'INTERNAL';
  end if;
  delete from app_private.execution_leases as lease where lease.execution_id = any (held_ids);
  perform app_private.wake_flows(held_ids);
  perform app_private.notify_executions(held_tenants, held_ids);
  if children is not null then
    perform app_private.wake_parents(children);
  end if;
  return array(select given.id from unnest(execution_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.finish_executions(uuid, uuid[], integer[], json, json) is
  'Ends executions under the leases of a worker; returns those whose lease is lost.';

grant execute on function app_private.finish_executions(uuid, uuid[], integer[], json, json) to agentflow_worker;
--! EndIncluded app_private/functions/engine/finish_executions.sql
--! Included app_private/functions/engine/has_result.sql
/* Has what one of its nodes waits for come already, while the execution was being driven? */
create or replace function app_private.has_result(execution uuid)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from app_public.node_executions as node
     where node.execution_id = execution and node.status = 'waiting' and node.wait_details ? 'result'
  )
$$;

comment on function app_private.has_result(uuid) is 'Does a waiting node of the execution hold what it waits for?';
--! EndIncluded app_private/functions/engine/has_result.sql
--! Included app_private/functions/engine/release_executions.sql
/*
 * Gives executions back: the last node rows, the lease without a holder, and a job at `run_at`. Null: only an event wakes it, and it
 * costs no job until then. `begun`: as in checkpoint_executions. For waits, and when a worker stops. Those whose lease is lost are left alone and returned.
 */
drop function if exists app_private.release_executions(uuid, uuid[], integer[], timestamptz[], json);

create or replace function app_private.release_executions(
  worker uuid, execution_ids uuid[], attempts integer[], run_at timestamptz[], nodes json, begun uuid[] default '{}'
)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  lost uuid[];
  freed uuid[];
  freed_at timestamptz[];
begin
  lost := app_private.checkpoint_executions(worker, execution_ids, attempts, nodes, begun);
  with given as (
    select given.id, given.attempt, case when app_private.has_result(given.id) then now() else given.at end as at
      from unnest(execution_ids, attempts, release_executions.run_at) as given (id, attempt, at)
  ), changed as (
    update app_private.execution_leases as lease
       set worker_id = null, driven = lease.driven + (now() - lease.claimed_at), waits = given.at is null
      from given
     where lease.execution_id = any (execution_ids) and lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
    returning lease.execution_id, given.at
  )
  select coalesce(array_agg(changed.execution_id), '{}'), array_agg(changed.at)
    into freed, freed_at from changed;
  perform app_private.enqueue_executions(freed, freed_at);
  return lost;
end
$$;

comment on function app_private.release_executions(uuid, uuid[], integer[], timestamptz[], json, uuid[]) is
  'Gives executions back with a job at the given times; returns those whose lease is lost.';

grant execute on function app_private.release_executions(uuid, uuid[], integer[], timestamptz[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/release_executions.sql
--! Included app_private/functions/engine/resume_node.sql
/*
 * Ends the wait of one node: keeps what it waited for (a decision, a child's end) in its row and wakes the execution, whether it
 * sleeps (the job) or is driven at this moment for its other nodes (the notification).
 * Returns false when the node does not wait (any more).
 */
create or replace function app_private.resume_node(tenant uuid, execution uuid, node varchar, result jsonb)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- the same lock as whoever gives the execution back at this moment: one of the two sees what the other did
  perform from app_private.execution_leases as lease where lease.execution_id = execution for no key update;
  update app_public.node_executions as waiting
     set wait_details = coalesce(waiting.wait_details, '{}') || jsonb_build_object('result', result)
   where waiting.tenant_id = tenant
     and waiting.execution_id = execution
     and waiting.node_id = node
     and waiting.status = 'waiting'
     and not coalesce(waiting.wait_details, '{}') ? 'result';
  if not found then
    return false;
  end if;
  update app_private.execution_leases as lease set waits = false
   where lease.execution_id = execution and lease.waits;
  perform app_private.enqueue_executions(array[execution]);
  perform app_private.notify_executions(array[tenant], array[execution]);
  return true;
end
$$;

comment on function app_private.resume_node(uuid, uuid, varchar, jsonb) is
  'Hands a waiting node the result that it waited for and wakes its execution.';
--! EndIncluded app_private/functions/engine/resume_node.sql
--! Included app_private/functions/engine/wake_parents.sql
/* Hands the ends of children to the nodes that wait for them. */
create or replace function app_private.wake_parents(child_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.resume_node(child.tenant_id, child.parent_execution_id, child.parent_node_id, jsonb_build_object(
            'execution_id', child.id, 'status', child.status, 'final_state', child.final_state,
            'error_code', child.error_code, 'error_message', child.error_message))
    from (
      select * from app_public.executions as execution
       where execution.id = any (child_ids) and execution.parent_execution_id is not null
       order by execution.parent_execution_id, execution.parent_node_id
    ) as child;
end
$$;

comment on function app_private.wake_parents(uuid[]) is
  'Hands the ends of these executions to the nodes that wait for them.';
--! EndIncluded app_private/functions/engine/wake_parents.sql
--! Included app_private/functions/engine/look_at_leases.sql
/*
 * For executions that a worker drives while somebody else has changed them: which of them are no longer its own, and what has come
 * meanwhile for nodes of theirs that wait.
 */
create or replace function app_private.look_at_leases(
  worker uuid, execution_ids uuid[], attempts integer[],
  out lost uuid[], out results jsonb
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select app_private.lost_leases(worker, execution_ids, attempts),
         (select jsonb_agg(jsonb_build_object('execution_id', node.execution_id, 'node_id', node.node_id, 'result', node.wait_details -> 'result'))
            from unnest(execution_ids, attempts) as given (id, attempt)
            join app_private.execution_leases as lease
              on lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
            join app_public.node_executions as node
              on node.execution_id = given.id and node.status = 'waiting' and node.wait_details ? 'result')
$$;

comment on function app_private.look_at_leases(uuid, uuid[], integer[]) is
  'Which of these executions the worker has lost, and the results that have come for their waiting nodes: [{execution_id, node_id, result}].';

grant execute on function app_private.look_at_leases(uuid, uuid[], integer[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/look_at_leases.sql
--! Included app_private/functions/engine/refill.sql
/* Level of a token bucket now: what it was, and what has come in since at `rate` a second, up to its capacity. Null was full. */
create or replace function app_private.refill(level double precision, rate double precision, capacity double precision, since interval)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select least(capacity, coalesce(level + greatest(extract(epoch from since)::double precision, 0) * rate, capacity))
$$;

comment on function app_private.refill(double precision, double precision, double precision, interval) is
  'Level of a token bucket after some time.';
--! EndIncluded app_private/functions/engine/refill.sql
--! Included app_private/functions/engine/acquire_permits.sql
/*
 * Lets nodes through their queues. `asks`: [{place, tenant_id, workflow_id, queue_id, per_second, per_minute, tokens_per_minute, burst, returns, lateness}].
 * Each is granted, to begin after `seconds`, or told to come back after them. A grant takes its share at once, so whoever comes next gets
 * a later moment: a bucket is negative by one second's worth at most. Beyond that one waits in line: those who come back find their
 * moments one behind the other, and newcomers do not pass them. Tokens are charged afterwards; a bucket that owes some lets nobody through.
 * `lateness`: seconds by which a caller may begin after its moment. When a full bucket runs dry the moments after that begin later by as much:
 * those who are late then do not add to a burst, and no window holds more than the limit and the burst.
 * Everything goes by the clock of the database, read after the bucket is locked; `at_ms` is the moment that `seconds` lead to.
 */
drop function if exists app_private.acquire_permits(json);

create or replace function app_private.acquire_permits(asks json)
returns table (place integer, is_granted boolean, seconds double precision, at_ms double precision)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  longest_in_place constant double precision := 1;
  comes_ahead constant double precision := 0.8;
  ask record;
  bucket app_private.rate_buckets;
  moment timestamptz;
  wait double precision;
  spacing double precision;
  sent_back integer;
begin
  insert into app_private.rate_buckets as known (tenant_id, workflow_id, queue_id)
  select distinct asked.tenant_id, asked.workflow_id, asked.queue_id
    from json_to_recordset(asks) as asked (tenant_id uuid, workflow_id uuid, queue_id varchar)
   order by 1, 2, 3
  on conflict do nothing;

  for ask in
    select asked.*,
           row_number() over bucket_of = 1 as is_first,
           lead(true) over bucket_of is null as is_last,
           coalesce(asked.burst, greatest(1, asked.per_second)) as messages_capacity,
           coalesce(asked.burst, greatest(1, asked.per_minute / 60)) as requests_capacity,
           coalesce(asked.burst, greatest(1, asked.tokens_per_minute / 60)) as tokens_capacity
      from json_to_recordset(asks) as asked (
        place integer, tenant_id uuid, workflow_id uuid, queue_id varchar, per_second double precision, per_minute double precision,
        tokens_per_minute double precision, burst double precision, returns boolean, lateness double precision)
    window bucket_of as (partition by asked.tenant_id, asked.workflow_id, asked.queue_id order by not asked.returns, asked.place)
     order by asked.tenant_id, asked.workflow_id, asked.queue_id, not asked.returns, asked.place
  loop
    if ask.is_first then
      select * into bucket from app_private.rate_buckets as known
       where known.tenant_id = ask.tenant_id and known.workflow_id = ask.workflow_id and known.queue_id = ask.queue_id
         for no key update;
      moment := clock_timestamp();
      sent_back := 0;
      bucket.messages := app_private.refill(bucket.messages, ask.per_second, ask.messages_capacity, moment - bucket.updated_at);
      bucket.requests := app_private.refill(bucket.requests, ask.per_minute / 60, ask.requests_capacity, moment - bucket.updated_at);
      bucket.is_full := bucket.is_full or ask.per_second is not null and bucket.messages >= ask.messages_capacity
        or ask.per_minute is not null and bucket.requests >= ask.requests_capacity;
      bucket.tokens := app_private.refill(bucket.tokens, ask.tokens_per_minute / 60, ask.tokens_capacity, moment - bucket.tokens_at);
    end if;

    if bucket.is_full and (bucket.messages < 1 or bucket.requests < 1) then
      bucket.is_full := false;
      bucket.messages := bucket.messages - coalesce(ask.lateness, 0) * ask.per_second;
      bucket.requests := bucket.requests - coalesce(ask.lateness, 0) * ask.per_minute / 60;
    end if;
    wait := greatest(0, (1 - bucket.messages) / ask.per_second, (1 - bucket.requests) * 60 / ask.per_minute,
      case when bucket.tokens <= 0 then (0.001 - bucket.tokens) * 60 / ask.tokens_per_minute end);
    place := ask.place;
    is_granted := wait = 0 or wait <= longest_in_place and (ask.returns or bucket.line_until <= moment);
    if is_granted then
      seconds := wait;
      bucket.messages := bucket.messages - 1;
      bucket.requests := bucket.requests - 1;
    else
      spacing := greatest(0, 1 / ask.per_second, 60 / ask.per_minute, bucket.tokens_each * 60 / ask.tokens_per_minute);
      -- who was in line already goes by what the bucket says, a newcomer behind the last in line
      seconds := case when ask.returns then wait + sent_back * spacing
        when bucket.line_until > moment then greatest(wait, extract(epoch from bucket.line_until - moment) + spacing)
        else wait end;
      sent_back := sent_back + 1;
      bucket.line_until := greatest(bucket.line_until, moment + make_interval(secs => seconds));
      seconds := greatest(0.05, seconds - comes_ahead);
    end if;
    at_ms := (extract(epoch from moment)::double precision + seconds) * 1000;
    return next;

    if ask.is_last then
      update app_private.rate_buckets as known
         set messages = bucket.messages, requests = bucket.requests, line_until = bucket.line_until, is_full = bucket.is_full, updated_at = moment
       where known.tenant_id = ask.tenant_id and known.workflow_id = ask.workflow_id and known.queue_id = ask.queue_id;
    end if;
  end loop;
end
$$;

comment on function app_private.acquire_permits(json) is
  'Lets nodes through their queues: granted after some seconds, or to be asked for again after them.';

grant execute on function app_private.acquire_permits(json) to agentflow_worker;
--! EndIncluded app_private/functions/engine/acquire_permits.sql
--! Included app_private/functions/engine/charge_permits.sql
/* Takes what calls have used from the token buckets of their queues, into debt if need be. `charges`: [{tenant_id, workflow_id, queue_id, tokens_per_minute, burst, tokens}]. */
create or replace function app_private.charge_permits(charges json)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  with charge as (
    select given.tenant_id, given.workflow_id, given.queue_id, max(given.tokens_per_minute) / 60 as rate, max(given.burst) as burst,
           sum(given.tokens) as tokens, avg(given.tokens) as each
      from json_to_recordset(charges) as given (
        tenant_id uuid, workflow_id uuid, queue_id varchar, tokens_per_minute double precision, burst double precision, tokens double precision)
     group by given.tenant_id, given.workflow_id, given.queue_id
  ), locked as materialized (
    select bucket.tenant_id, bucket.workflow_id, bucket.queue_id
      from app_private.rate_buckets as bucket join charge using (tenant_id, workflow_id, queue_id)
     order by bucket.tenant_id, bucket.workflow_id, bucket.queue_id
       for no key update of bucket
  )
  update app_private.rate_buckets as bucket
     set tokens = app_private.refill(bucket.tokens, charge.rate, coalesce(charge.burst, greatest(1, charge.rate)), clock_timestamp() - bucket.tokens_at)
                    - charge.tokens,
         tokens_each = case when bucket.tokens_each = 0 then charge.each else bucket.tokens_each * 0.8 + charge.each * 0.2 end,
         tokens_at = clock_timestamp()
    from charge join locked using (tenant_id, workflow_id, queue_id)
   where (bucket.tenant_id, bucket.workflow_id, bucket.queue_id) = (charge.tenant_id, charge.workflow_id, charge.queue_id)
$$;

comment on function app_private.charge_permits(json) is 'Takes the tokens that calls have used from the buckets of their queues.';

grant execute on function app_private.charge_permits(json) to agentflow_worker;
--! EndIncluded app_private/functions/engine/charge_permits.sql
--! Included app_private/functions/engine/save_artifact.sql
/* Keeps bytes beside an execution whose lease the worker holds. Null: the lease is lost, and nothing is kept. */
create or replace function app_private.save_artifact(worker uuid, execution uuid, attempt integer, node varchar, media_type varchar, bytes bytea)
returns uuid
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into app_private.artifacts (tenant_id, execution_id, node_id, media_type, bytes)
  select lease.tenant_id, lease.execution_id, node, save_artifact.media_type, save_artifact.bytes
    from app_private.execution_leases as lease
   where lease.execution_id = execution and lease.attempt = save_artifact.attempt and lease.worker_id = worker
  returning id
$$;

comment on function app_private.save_artifact(uuid, uuid, integer, varchar, varchar, bytea) is
  'Keeps bytes that a node made; returns their id.';

grant execute on function app_private.save_artifact(uuid, uuid, integer, varchar, varchar, bytea) to agentflow_worker;
--! EndIncluded app_private/functions/engine/save_artifact.sql
--! Included app_private/functions/engine/load_workflow_versions.sql
create or replace function app_private.load_workflow_versions(version_ids uuid[])
returns table (id uuid, tenant_id uuid, tenant_slug text, spec jsonb)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select version.id, version.tenant_id, tenant.slug, version.spec
    from app_public.workflow_versions as version
    join app_public.tenants as tenant on tenant.id = version.tenant_id
   where version.id = any (version_ids)
$$;

comment on function app_private.load_workflow_versions(uuid[]) is 'Documents by version id, with the tenant''s short name.';

grant execute on function app_private.load_workflow_versions(uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/load_workflow_versions.sql
--! Included app_private/functions/engine/new_execution_id.sql
-- A UUID of version 7: the time in front, so that the keys of executions, of their nodes, leases and jobs grow at one end of their indexes.
-- PostgreSQL has it from 18 on.
create or replace function app_private.new_execution_id()
returns uuid
language sql volatile parallel safe
return (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
  || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;

comment on function app_private.new_execution_id() is 'A new id that sorts after those made before it (a UUID of version 7).';
--! EndIncluded app_private/functions/engine/new_execution_id.sql
--! Included app_private/functions/engine/seconds_since.sql
create or replace function app_private.seconds_since(moment timestamptz)
returns numeric
language sql stable parallel safe
return round(extract(epoch from now() - moment)::numeric, 3);

comment on function app_private.seconds_since(timestamptz) is 'Seconds since then, by the clock of the transaction, to the millisecond.';
--! EndIncluded app_private/functions/engine/seconds_since.sql
--! Included app_private/functions/engine/find_sources.sql
/* Active rows only: a source that is switched off fails the nodes that use it from the next call on. */
create or replace function app_private.find_sources(tenant_ids uuid[], names text[])
returns table (tenant_id uuid, name text, kind text, config jsonb)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select source.tenant_id, source.name, source.kind, source.config
    from unnest(tenant_ids, names) as wanted (tenant_id, name)
    join app_public.sources as source
      on source.tenant_id = wanted.tenant_id and source.name = wanted.name and source.status = 'active'
$$;

comment on function app_private.find_sources(uuid[], text[]) is 'Active sources by tenant and name.';

grant execute on function app_private.find_sources(uuid[], text[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/find_sources.sql
--! Included app_private/functions/engine/current_model_prices.sql
create or replace function app_private.current_model_prices()
returns table (model text, input_per_million numeric, output_per_million numeric, per_image numeric)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select distinct on (price.model) price.model, price.input_per_million, price.output_per_million, price.per_image
    from app_private.model_prices as price
   where price.valid_from <= current_date
   order by price.model, price.valid_from desc
$$;

comment on function app_private.current_model_prices() is 'What each model costs today, in US dollars.';

grant execute on function app_private.current_model_prices() to agentflow_worker;
--! EndIncluded app_private/functions/engine/current_model_prices.sql
--! Included app_private/functions/engine/give_up_execution.sql
/*
 * Ends an execution, of a workflow or a flow, that no worker can drive: as failed, with EXECUTION_POISONED. It needs nothing of what the
 * execution holds, so that whatever keeps it from running cannot keep it from ending. Retrying it makes a new one.
 * Lock order as everywhere in the engine: the execution, then its lease. False: it is over, or unknown.
 */
create or replace function app_private.give_up_execution(run_id uuid)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  flow constant bigint := app_private.flow_id_of_run(run_id);
  told constant text := 'No worker could run this execution; the server log says why.';
  execution app_public.executions;
  flow_tenant uuid;
begin
  if flow is null then
    select known.* into execution from app_public.executions as known
      where known.id = run_id and known.completed_at is null for no key update;
    if not found then
      return false;
    end if;
    delete from app_private.execution_leases as lease where lease.execution_id = run_id;
    perform app_private.cancel_nodes(execution.tenant_id, execution.id, execution.created_at);
    update app_public.executions as known
       set status = 'failed', completed_at = now(), error_code = 'EXECUTION_POISONED', error_message = told,
           metrics = spent.metrics, tokens_used = spent.tokens_used, cost = spent.cost, execution_time = spent.execution_time
      from app_private.spent_so_far(execution) as spent
     where known.id = run_id;
    perform app_private.end_children(execution.tenant_id, array[run_id]);
    perform app_private.wake_flows(array[run_id]);
    perform app_private.wake_parents(array[run_id]);
  else
    select known.tenant_id into flow_tenant from app_public.flow_executions as known
      where known.id = flow and known.completed_at is null for no key update;
    if not found then
      return false;
    end if;
    delete from app_private.execution_leases as lease where lease.execution_id = run_id;
    update app_public.task_executions as task
       set status = 'FAILURE', error_code = 'EXECUTION_POISONED', error_message = told, completed_at = now(), wait_until = null
     where task.tenant_id = flow_tenant and task.flow_execution_id = flow and task.completed_at is null;
    update app_public.flow_executions as known
       set status = 'FAILURE', completed_at = now(), error_code = 'EXECUTION_POISONED', error_message = told, error_task = last.task_name,
           total_tasks_executed = coalesce(last.sequence_number, 0)
      from (select) as nothing
      left join lateral (
        select task.task_name, task.sequence_number from app_public.task_executions as task
         where task.tenant_id = flow_tenant and task.flow_execution_id = flow
         order by task.sequence_number desc limit 1) as last on true
     where known.id = flow;
    perform app_private.end_flow_children(array[flow_tenant], array[run_id]);
  end if;
  perform app_private.notify_executions(array[coalesce(execution.tenant_id, flow_tenant)], array[run_id]);
  return true;
end
$$;

comment on function app_private.give_up_execution(uuid) is
  'Ends an execution that no worker can drive, as failed with EXECUTION_POISONED; false when there is nothing to end.';
--! EndIncluded app_private/functions/engine/give_up_execution.sql
--! Included app_private/functions/engine/record_fault.sql
/*
 * Something outside of the nodes' code went wrong while a worker drove an execution, of a workflow or a flow. It is given back and tried again
 * later, a few times, with growing pauses; then it is given up, so that nothing is tried for ever. Progress clears the count.
 * Returns what became of it: again, given_up, or over (also when somebody else holds it).
 */
create or replace function app_private.record_fault(worker uuid, run_id uuid)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  most_faults constant integer := 8;
  longest_pause constant double precision := 10;
  tenant uuid;
  faults integer;
begin
  select execution.tenant_id into tenant from app_public.executions as execution
    where execution.id = run_id and execution.completed_at is null for no key update;
  if not found then
    select execution.tenant_id into tenant from app_public.flow_executions as execution
      where execution.id = app_private.flow_id_of_run(run_id) and execution.completed_at is null for no key update;
  end if;
  if tenant is null then
    return 'over';
  end if;
  insert into app_private.execution_leases as lease (execution_id, tenant_id, worker_id, losses)
  values (run_id, tenant, null, 1)
  on conflict (execution_id) do update
    set losses = lease.losses + 1, worker_id = null, waits = false,
        driven = lease.driven + case when lease.worker_id is null then interval '0' else now() - lease.claimed_at end
    where lease.worker_id is null or lease.worker_id = worker
  returning lease.losses into faults;
  if faults is null then
    return 'over';
  elsif faults >= most_faults then
    perform app_private.give_up_execution(run_id);
    return 'given_up';
  end if;
  perform app_private.enqueue_executions(array[run_id], array[now() + make_interval(secs => least(longest_pause, 0.25 * power(2, faults)))]);
  return 'again';
end
$$;

comment on function app_private.record_fault(uuid, uuid) is
  'Gives an execution back after a fault of the worker, or gives it up after too many; says which.';

grant execute on function app_private.record_fault(uuid, uuid) to agentflow_worker;
--! EndIncluded app_private/functions/engine/record_fault.sql
--! Included app_private/functions/engine/requeue_orphans.sql
/*
 * The last net: executions, of workflows and flows, that are not over, that nobody holds and that no job will wake get a job. Nothing should ever be found;
 * a job removed by hand is. One whose job has used up its attempts failed every time that a worker took it: it is given up.
 * What waits for an event has no job and is no orphan. Returns how many were found.
 */
create or replace function app_private.requeue_orphans()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  requeued uuid[];
  orphan record;
  found_count integer := 0;
begin
  for orphan in
    select unfinished.id
      from (
        select execution.id from app_public.executions as execution where execution.status in ('pending', 'running')
         union all
        select app_private.flow_run_id(execution.id) from app_public.flow_executions as execution where execution.status in ('PENDING', 'RUNNING')
      ) as unfinished
      join graphile_worker.jobs as job on job.key = unfinished.id::text and job.attempts >= job.max_attempts and job.locked_at is null
     order by unfinished.id
     limit 1000
  loop
    perform app_private.give_up_execution(orphan.id);
    perform graphile_worker.remove_job(orphan.id::text);
    found_count := found_count + 1;
  end loop;

  select coalesce(array_agg(unfinished.id), '{}') into requeued
    from (
      select execution.id
        from app_public.executions as execution
       where execution.status in ('pending', 'running')
         and execution.created_at < now() - interval '1 minute'
         and not exists (
           select from app_private.execution_leases as lease
            where lease.execution_id = execution.id and (lease.worker_id is not null or lease.waits))
         and not exists (select from graphile_worker.jobs as job where job.key = execution.id::text)
       union all
      select app_private.flow_run_id(execution.id)
        from app_public.flow_executions as execution
       where execution.status in ('PENDING', 'RUNNING')
         and execution.created_at < now() - interval '1 minute'
         and not exists (
           select from app_private.execution_leases as lease
            where lease.execution_id = app_private.flow_run_id(execution.id) and (lease.worker_id is not null or lease.waits))
         and not exists (select from graphile_worker.jobs as job where job.key = app_private.flow_run_id(execution.id)::text)
       limit 1000
    ) as unfinished;
  perform app_private.enqueue_executions(requeued);
  return found_count + cardinality(requeued);
end
$$;

comment on function app_private.requeue_orphans() is
  'Adds jobs for executions that nobody holds and that no job would wake, and gives up those whose job failed every time; returns how many.';

grant execute on function app_private.requeue_orphans() to agentflow_worker;
--! EndIncluded app_private/functions/engine/requeue_orphans.sql
--! Included app_private/functions/engine/tg_enqueue_executions.sql
/* A row and the job that acts on it commit together, whichever client inserts. */
create or replace function app_private.tg_enqueue_executions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.enqueue_executions(array(select inserted.id from inserted where inserted.status = 'pending'), priority => 0);
  return null;
end
$$;

comment on function app_private.tg_enqueue_executions() is 'Adds a job for each execution that waits for a worker, in the transaction that inserts it.';

drop trigger if exists _500_enqueue on app_public.executions;
create trigger _500_enqueue
  after insert on app_public.executions
  referencing new table as inserted
  for each statement
  execute function app_private.tg_enqueue_executions();

comment on function app_private.tg_enqueue_executions() is 'Adds the job of each pending execution, in the transaction that accepts it.';
--! EndIncluded app_private/functions/engine/tg_enqueue_executions.sql

-- engine: flows
--! Included app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
/* As of executions: the row and the job that acts on it commit together, whichever client inserts. */
create or replace function app_private.tg_enqueue_flow_executions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.enqueue_executions(array(
    select app_private.flow_run_id(inserted.id) from inserted where inserted.status = 'PENDING'), priority => 0);
  return null;
end
$$;

comment on function app_private.tg_enqueue_flow_executions() is 'Adds the job of each pending flow execution, in the transaction that accepts it.';

drop trigger if exists _500_enqueue on app_public.flow_executions;
create trigger _500_enqueue
  after insert on app_public.flow_executions
  referencing new table as inserted
  for each statement
  execute function app_private.tg_enqueue_flow_executions();
--! EndIncluded app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--! Included app_private/functions/flow_engine/register_flow_tasks.sql
/*
 * What tasks a worker has. Names of workers that are gone are forgotten when another registers, not before: while all workers are down,
 * what they could do is still known, and executions are accepted. `test_pattern`: names that test tasks answer for, or null.
 */
create or replace function app_private.register_flow_tasks(worker uuid, names text[], test_pattern text)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from app_private.flow_tasks as registered
   where registered.worker_id = register_flow_tasks.worker
      or not exists (select from app_private.workers as known where known.id = registered.worker_id);
  insert into app_private.flow_tasks (worker_id, name, is_pattern)
  select register_flow_tasks.worker, given.name, false from unnest(register_flow_tasks.names) as given (name)
  union all
  select register_flow_tasks.worker, register_flow_tasks.test_pattern, true where register_flow_tasks.test_pattern is not null
  on conflict do nothing
$$;

comment on function app_private.register_flow_tasks(uuid, text[], text) is 'Says which tasks of flows a worker has.';

grant execute on function app_private.register_flow_tasks(uuid, text[], text) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/register_flow_tasks.sql
--! Included app_private/functions/flow_engine/stored_tasks.sql
/* What is known of the tasks of a flow execution, in order: from it a run is rebuilt after a crash or a wait. */
create or replace function app_private.stored_tasks(tenant_id uuid, flow_execution_id bigint)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
           'task_name', task.task_name,
           'sequence_number', task.sequence_number,
           'status', task.status,
           'attempts', task.attempts,
           'output_data', task.output_data,
           'error_code', task.error_code,
           'error_message', task.error_message,
           'wait_reason', task.wait_reason,
           'wait_until', task.wait_until,
           'wait_details', task.wait_details,
           'logs', case when task.completed_at is null then task.logs end,
           'started_ms', extract(epoch from task.started_at) * 1000
         ) order by task.sequence_number), '[]')
    from app_public.task_executions as task
   where task.tenant_id = stored_tasks.tenant_id
     and task.flow_execution_id = stored_tasks.flow_execution_id
$$;

comment on function app_private.stored_tasks(uuid, bigint) is 'The stored tasks of a flow execution as JSON, in order.';
--! EndIncluded app_private/functions/flow_engine/stored_tasks.sql
--! Included app_private/functions/flow_engine/claim_flow_executions.sql
/*
 * As claim_executions, for flow executions. One that takes over tasks of the execution that it repeats has stored tasks from the start.
 * `age_seconds`: since it was first taken up, waits included; the time limit of a flow counts them.
 */
create or replace function app_private.claim_flow_executions(worker uuid, run_ids uuid[])
returns table (
  id uuid, flow_execution_id bigint, attempt integer, losses integer, tenant_id uuid, tenant_slug text, user_id uuid,
  now_ms double precision, age_seconds double precision, definition text, input_context jsonb, script jsonb, tasks jsonb
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if not exists (select from app_private.workers as known where known.id = worker) then
    perform app_private.fail('WORKER_UNKNOWN');
  end if;
  return query
  with candidate as materialized (
    select execution.*, app_private.flow_run_id(execution.id) as run_id
      from app_public.flow_executions as execution
     where execution.id = any (array(select app_private.flow_id_of_run(given.id) from unnest(run_ids) as given (id)))
       and execution.status in ('PENDING', 'RUNNING')
     order by execution.id
       for no key update
  ), leased as (
    insert into app_private.execution_leases as lease (execution_id, tenant_id, worker_id)
    select candidate.run_id, candidate.tenant_id, worker from candidate
    on conflict (execution_id) do update
      set worker_id = excluded.worker_id, attempt = lease.attempt + 1, claimed_at = now(), waits = false
      where lease.worker_id is null or lease.worker_id = excluded.worker_id
    returning lease.execution_id, lease.attempt, lease.losses
  ), started as (
    update app_public.flow_executions as execution
       set status = 'RUNNING', started_at = now(), updated_at = now()
      from candidate join leased on leased.execution_id = candidate.run_id
     where execution.id = candidate.id and candidate.status = 'PENDING'
    returning execution.tenant_id, leased.execution_id
  ), told as materialized (
    select app_private.notify_executions(array_agg(started.tenant_id), array_agg(started.execution_id)) from started
  )
  select candidate.run_id, candidate.id, leased.attempt, leased.losses, candidate.tenant_id, tenant.slug::text, candidate.user_id,
         extract(epoch from now())::double precision * 1000,
         case when candidate.status = 'PENDING' then 0 else extract(epoch from now() - candidate.started_at)::double precision end,
         candidate.definition::text, candidate.input_context, script.script,
         case when leased.attempt > 1 or candidate.retry_of_flow_execution_id is not null
           then app_private.stored_tasks(candidate.tenant_id, candidate.id) end
    from leased
    join candidate on candidate.run_id = leased.execution_id
    join app_public.tenants as tenant on tenant.id = candidate.tenant_id
    left join app_private.flow_scripts as script on script.flow_execution_id = candidate.id
   cross join told;
end
$$;

comment on function app_private.claim_flow_executions(uuid, uuid[]) is
  'Takes the leases of flow executions for a worker and returns what is needed to drive them.';

grant execute on function app_private.claim_flow_executions(uuid, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/claim_flow_executions.sql
--! Included app_private/functions/flow_engine/write_tasks.sql
/*
 * Writes task rows of flow executions whose leases the caller's transaction has locked. A row that is final is never overwritten.
 * `tasks`: a JSON list; `execution_id`, `attempt` and `worker` decide what is written.
 */
create or replace function app_private.write_tasks(worker uuid, tasks json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.task_executions as stored (
    flow_execution_id, tenant_id, task_name, task_description, sequence_number, status, attempts, input_data, output_data,
    error_code, error_message, error_traceback, wait_reason, wait_until, wait_details, logs, started_at, completed_at
  )
  select app_private.flow_id_of_run(given.execution_id), lease.tenant_id, given.task_name, given.task_description, given.sequence_number,
         given.status, given.attempts, given.input_data, given.output_data, given.error_code, given.error_message, given.error_traceback,
         given.wait_reason, given.wait_until, given.wait_details, given.logs,
         to_timestamp(given.started_ms / 1000), to_timestamp(given.completed_ms / 1000)
    from json_to_recordset(tasks) as given (
      execution_id uuid, attempt integer, task_name varchar, task_description varchar, sequence_number integer,
      status app_public.task_execution_status, attempts integer, input_data jsonb, output_data jsonb,
      error_code varchar, error_message text, error_traceback text, wait_reason varchar, wait_until timestamptz, wait_details jsonb, logs jsonb,
      started_ms double precision, completed_ms double precision
    )
    join app_private.execution_leases as lease
      on lease.execution_id = given.execution_id and lease.attempt = given.attempt and lease.worker_id = worker
   order by given.execution_id, given.sequence_number
  on conflict (tenant_id, flow_execution_id, sequence_number) do update
    set status = excluded.status, attempts = excluded.attempts, output_data = excluded.output_data,
        error_code = excluded.error_code, error_message = excluded.error_message, error_traceback = excluded.error_traceback,
        wait_reason = excluded.wait_reason, wait_until = excluded.wait_until, wait_details = excluded.wait_details,
        logs = excluded.logs, completed_at = excluded.completed_at
    where stored.completed_at is null;
end
$$;

comment on function app_private.write_tasks(uuid, json) is
  'Writes task rows of flow executions whose leases are locked by the caller; final rows stay as they are.';
--! EndIncluded app_private/functions/flow_engine/write_tasks.sql
--! Included app_private/functions/flow_engine/checkpoint_flow_executions.sql
/* As checkpoint_executions, which looks after the leases; the rows are of tasks. */
create or replace function app_private.checkpoint_flow_executions(worker uuid, run_ids uuid[], attempts integer[], tasks json)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  lost uuid[];
begin
  lost := app_private.checkpoint_executions(worker, run_ids, attempts, '[]');
  perform app_private.write_tasks(worker, tasks);
  return lost;
end
$$;

comment on function app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json) is
  'Writes task rows under the leases of a worker; returns the flow executions whose lease is lost.';

grant execute on function app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/checkpoint_flow_executions.sql
--! Included app_private/functions/flow_engine/has_flow_result.sql
/* Is the execution over that a task of this flow execution waits for? */
create or replace function app_private.has_flow_result(run_id uuid)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from app_public.flow_executions as flow_execution
      join app_private.flow_children as child
        on child.tenant_id = flow_execution.tenant_id and child.flow_execution_id = flow_execution.id
      join app_public.executions as execution on execution.tenant_id = child.tenant_id and execution.id = child.execution_id
      join app_public.task_executions as task
        on task.tenant_id = child.tenant_id and task.flow_execution_id = child.flow_execution_id and task.task_name = child.task_name
     where flow_execution.id = app_private.flow_id_of_run(has_flow_result.run_id)
       and execution.completed_at is not null and task.completed_at is null and task.wait_reason = 'child'
  )
$$;

comment on function app_private.has_flow_result(uuid) is 'Does a task of the flow execution wait for an execution that is over?';
--! EndIncluded app_private/functions/flow_engine/has_flow_result.sql
--! Included app_private/functions/flow_engine/release_flow_executions.sql
/* As release_executions. A flow whose task waits for an execution that is over by now is woken at once. */
create or replace function app_private.release_flow_executions(
  worker uuid, run_ids uuid[], attempts integer[], run_at timestamptz[], tasks json
)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.checkpoint_flow_executions(worker, run_ids, attempts, tasks);
  return app_private.release_executions(worker, run_ids, attempts, array(
    select case when app_private.has_flow_result(given.id) then now() else given.at end
      from unnest(run_ids, release_flow_executions.run_at) with ordinality as given (id, at, place)
     order by given.place), '[]');
end
$$;

comment on function app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json) is
  'Gives flow executions back with a job at the given times; returns those whose lease is lost.';

grant execute on function app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/release_flow_executions.sql
--! Included app_private/functions/flow_engine/end_flow_children.sql
/* Executions that tasks of these flow executions have started and that are still running end with them: a time limit may have come first. */
create or replace function app_private.end_flow_children(tenant_ids uuid[], run_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  living record;
begin
  for living in
    select child.tenant_id, array_agg(child.execution_id order by child.execution_id) as execution_ids
      from unnest(tenant_ids, run_ids) as run (tenant_id, id)
      join app_private.flow_children as child
        on child.tenant_id = run.tenant_id and child.flow_execution_id = app_private.flow_id_of_run(run.id)
      join app_public.executions as execution on execution.tenant_id = child.tenant_id and execution.id = child.execution_id
     where execution.completed_at is null
     group by child.tenant_id
  loop
    perform app_private.end_executions(living.tenant_id, living.execution_ids, 'cancelled with the flow execution that started it');
    perform app_private.end_children(living.tenant_id, living.execution_ids);
  end loop;
end
$$;

comment on function app_private.end_flow_children(uuid[], uuid[]) is
  'Cancels the living executions that tasks of the given flow executions have started.';
--! EndIncluded app_private/functions/flow_engine/end_flow_children.sql
--! Included app_private/functions/flow_engine/finish_flow_executions.sql
/*
 * As finish_executions, for flow executions.
 * `finishes`: {execution_id, attempt, status, output_data, total_tasks_executed, error_code, error_message, error_task}.
 */
create or replace function app_private.finish_flow_executions(worker uuid, finishes json, tasks json)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  given_ids uuid[];
  held_ids uuid[];
  held_tenants uuid[];
begin
  select array_agg(given.execution_id) into given_ids
    from json_to_recordset(finishes) as given (execution_id uuid);

  perform from app_public.flow_executions as execution
    where execution.id = any (array(select app_private.flow_id_of_run(given.id) from unnest(given_ids) as given (id)))
    order by execution.id for no key update;
  select array_agg(held.execution_id), array_agg(held.tenant_id) into held_ids, held_tenants
    from (select * from json_to_recordset(finishes) as one (execution_id uuid, attempt integer) order by one.execution_id) as given
   cross join lateral (
      select * from app_private.execution_leases as lease
       where lease.execution_id = given.execution_id and lease.attempt = given.attempt and lease.worker_id = worker
         for no key update
   ) as held;
  if held_ids is null then
    return given_ids;
  end if;

  perform app_private.write_tasks(worker, tasks);
  update app_public.flow_executions as execution
     set status = given.status,
         output_data = given.output_data,
         total_tasks_executed = given.total_tasks_executed,
         error_code = given.error_code,
         error_message = given.error_message,
         error_task = given.error_task,
         completed_at = now(),
         updated_at = now()
    from json_to_recordset(finishes) as given (
      execution_id uuid, status app_public.flow_execution_status, output_data jsonb, total_tasks_executed integer,
      error_code varchar, error_message text, error_task varchar
    )
   where execution.id = app_private.flow_id_of_run(given.execution_id) and given.execution_id = any (held_ids)
     and execution.status = 'RUNNING';
  if finishes::text like '%"error_code":"INTERNAL"%' then
    update app_public.task_executions as task
       set status = 'FAILURE', error_code = execution.error_code, error_message = execution.error_message, completed_at = now(), wait_until = null
      from unnest(held_ids) as given (id)
      join app_public.flow_executions as execution on execution.id = app_private.flow_id_of_run(given.id) and execution.error_code = 'INTERNAL'
     where task.tenant_id = execution.tenant_id and task.flow_execution_id = execution.id and task.completed_at is null;
  end if;
  delete from app_private.execution_leases as lease where lease.execution_id = any (held_ids);
  perform app_private.end_flow_children(held_tenants, held_ids);
  perform app_private.notify_executions(held_tenants, held_ids);
  return array(select given.id from unnest(given_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.finish_flow_executions(uuid, json, json) is
  'Ends flow executions under the leases of a worker; returns those whose lease is lost.';

grant execute on function app_private.finish_flow_executions(uuid, json, json) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/finish_flow_executions.sql
--! Included app_private/functions/flow_engine/run_flow_workflow.sql
/*
 * The workflow that a task of a flow runs: started when it is not yet, and how it fares. By id, or else by name among the published ones.
 * Null as `execution_id`: there is no such published workflow, or the lease is lost.
 */
create or replace function app_private.run_flow_workflow(
  worker uuid, run_id uuid, attempt integer, task text, workflow text, initial_state jsonb
)
returns table (execution_id uuid, status text, final_state jsonb, error_message text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow constant bigint := app_private.flow_id_of_run(run_id);
  parent app_public.flow_executions;
  child uuid;
begin
  select execution.* into parent
    from app_private.execution_leases as lease
    join app_public.flow_executions as execution on execution.id = flow
   where lease.execution_id = run_id and lease.attempt = run_flow_workflow.attempt and lease.worker_id = worker
     for no key update of lease;
  select known.execution_id into child
    from app_private.flow_children as known
   where known.tenant_id = parent.tenant_id and known.flow_execution_id = flow and known.task_name = task;
  if child is null then
    insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state, api_key_id)
    select parent.tenant_id, parent.user_id, found.id, run_flow_workflow.initial_state, parent.api_key_id
      from app_public.workflows as found
     where found.tenant_id = parent.tenant_id and found.status = 'published'
       and (found.id::text = lower(workflow) or found.name = workflow)
     order by (found.id::text = lower(workflow)) desc, found.created_at
     limit 1
    returning id into child;
    insert into app_private.flow_children (execution_id, tenant_id, flow_execution_id, task_name)
    select child, parent.tenant_id, flow, task where child is not null;
  end if;
  return query
    select execution.id, execution.status::text, execution.final_state, execution.error_message
      from app_public.executions as execution
     where execution.tenant_id = parent.tenant_id and execution.id = child;
end
$$;

comment on function app_private.run_flow_workflow(uuid, uuid, integer, text, text, jsonb) is
  'Starts the workflow that a task of a flow runs, once, and says how it fares.';

grant execute on function app_private.run_flow_workflow(uuid, uuid, integer, text, text, jsonb) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/run_flow_workflow.sql

-- validation: the rules of workflow documents
--! Included app_private/functions/validation/json_text.sql
-- The text of a JSON string; null for every other JSON value.
create or replace function app_private.json_text(value jsonb)
returns text
language sql immutable parallel safe
return case when jsonb_typeof(value) = 'string' then value #>> '{}' end;

comment on function app_private.json_text(jsonb) is 'Text of a JSON string, null for any other JSON value.';
--! EndIncluded app_private/functions/validation/json_text.sql
--! Included app_private/functions/validation/json_number.sql
-- The number of a JSON number; null for every other JSON value. The cast stands in a CASE so that it is never tried on others.
create or replace function app_private.json_number(value jsonb)
returns numeric
language sql immutable parallel safe
return case when jsonb_typeof(value) = 'number' then value::numeric end;

comment on function app_private.json_number(jsonb) is 'Number of a JSON number, null for any other JSON value.';
--! EndIncluded app_private/functions/validation/json_number.sql
--! Included app_private/functions/validation/json_object.sql
-- The value itself when it is a JSON object, else an empty one.
create or replace function app_private.json_object(value jsonb)
returns jsonb
language sql immutable parallel safe
return case when jsonb_typeof(value) = 'object' then value else '{}'::jsonb end;

comment on function app_private.json_object(jsonb) is 'The value when it is a JSON object, else an empty object.';
--! EndIncluded app_private/functions/validation/json_object.sql
--! Included app_private/functions/validation/json_entries.sql
-- The entries of a JSON list with their positions from 0; no rows when it is not a list.
create or replace function app_private.json_entries(list jsonb)
returns table ("position" integer, entry jsonb)
language sql immutable parallel safe
begin atomic
  select (element.ordinality - 1)::integer, element.value
  from jsonb_array_elements(case when jsonb_typeof(list) = 'array' then list else '[]' end)
    with ordinality as element (value, ordinality);
end;

comment on function app_private.json_entries(jsonb) is 'Entries of a JSON list with positions from 0; none when it is not a list.';
--! EndIncluded app_private/functions/validation/json_entries.sql
--! Included app_private/functions/validation/json_is_absent.sql
-- A key that is missing and a key that is null mean the same in a workflow document.
create or replace function app_private.json_is_absent(value jsonb)
returns boolean
language sql immutable parallel safe
return value is null or jsonb_typeof(value) = 'null';

comment on function app_private.json_is_absent(jsonb) is 'True for SQL null and JSON null: both mean that a part was not sent.';
--! EndIncluded app_private/functions/validation/json_is_absent.sql
--! Included app_private/functions/validation/json_ids.sql
-- The string ids of a list of objects as a JSON object {id: position of its first use}: one sorted index for every look-up.
create or replace function app_private.json_ids(list jsonb)
returns jsonb
language sql immutable parallel safe
begin atomic
  select coalesce(jsonb_object_agg(used.id, used.first_position), '{}'::jsonb)
  from (
    select app_private.json_text(entries.entry -> 'id') as id, min(entries."position") as first_position
    from app_private.json_entries(list) as entries
    where jsonb_typeof(entries.entry) = 'object'
    group by 1
  ) as used
  where used.id is not null;
end;

comment on function app_private.json_ids(jsonb) is 'String ids of a list of objects: {id: position of its first use}.';
--! EndIncluded app_private/functions/validation/json_ids.sql
--! Included app_private/functions/validation/json_name.sql
-- The text of a JSON string of 1 to 255 characters, as ids of queues and sources are; null for everything else.
create or replace function app_private.json_name(value jsonb)
returns text
language sql immutable parallel safe
return case when char_length(app_private.json_text(value)) between 1 and 255 then app_private.json_text(value) end;

comment on function app_private.json_name(jsonb) is 'Text of a JSON string of 1 to 255 characters, null for everything else.';
--! EndIncluded app_private/functions/validation/json_name.sql
--! Included app_private/functions/validation/json_names.sql
-- As json_ids, for queues and sources: only ids that these may have.
create or replace function app_private.json_names(list jsonb)
returns jsonb
language sql immutable parallel safe
begin atomic
  select coalesce(jsonb_object_agg(used.id, used.first_position), '{}'::jsonb)
  from (
    select app_private.json_name(entries.entry -> 'id') as id, min(entries."position") as first_position
    from app_private.json_entries(list) as entries
    where jsonb_typeof(entries.entry) = 'object'
    group by 1
  ) as used
  where used.id is not null;
end;

comment on function app_private.json_names(jsonb) is 'Ids of a list of queues or sources: {id: position of its first use}.';
--! EndIncluded app_private/functions/validation/json_names.sql
--! Included app_private/functions/validation/shown.sql
-- How a value from a document is quoted in a message: bounded, so that no document can make messages larger than itself.
create or replace function app_private.shown(value text)
returns text
language sql immutable parallel safe
return case
    when value is null then 'without id'
    when char_length(value) > 120 then '''' || left(value, 117) || '...'''
    else '''' || value || ''''
  end;

comment on function app_private.shown(text) is 'Quotes a value of a document in a message, cut to 120 characters.';
--! EndIncluded app_private/functions/validation/shown.sql
--! Included app_private/functions/validation/is_blank.sql
-- True for a text of nothing but white space, by the same characters that JavaScript's trim() removes.
create or replace function app_private.is_blank(value text)
returns boolean
language sql immutable parallel safe
return btrim(value, U&'\0009\000A\000B\000C\000D\0020\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\2028\2029\202F\205F\3000\FEFF') = '';

comment on function app_private.is_blank(text) is 'True for a text of white space alone; null for null.';
--! EndIncluded app_private/functions/validation/is_blank.sql
--! Included app_private/functions/validation/is_secret_key.sql
-- Keys whose text value is taken for a secret. Lower-cased by hand (with the Kelvin sign, which is a k in lower case), so that the answer
-- is the same on every server, whatever its locale.
create or replace function app_private.is_secret_key(key text)
returns boolean
language sql immutable parallel safe
return translate(key, U&'ABCDEFGHIJKLMNOPQRSTUVWXYZ-\212A', 'abcdefghijklmnopqrstuvwxyz_k') = any (array[
    'api_key', 'apikey', 'x_api_key', 'secret', 'secret_key', 'client_secret', 'password', 'passwd', 'token',
    'access_token', 'auth_token', 'bearer_token', 'refresh_token', 'authorization', 'proxy_authorization',
    'private_key', 'credentials', 'connection_string', 'dsn', 'cookie']);

comment on function app_private.is_secret_key(text) is 'True when a text under this key is taken for a secret (- and _ are the same, case does not matter).';
--! EndIncluded app_private/functions/validation/is_secret_key.sql
--! Included app_private/functions/validation/is_node_id.sql
-- An id that a node may have: safe as a key of objects in every language, and not the word for the end of a path.
create or replace function app_private.is_node_id(id text)
returns boolean
language sql immutable parallel safe
return id ~ '^[A-Za-z0-9_-]{1,100}$' and id not in ('end', '__end__', '__proto__', 'prototype', 'constructor');

comment on function app_private.is_node_id(text) is 'True for an id that a node may have.';
--! EndIncluded app_private/functions/validation/is_node_id.sql
--! Included app_private/functions/validation/node_types.sql
-- The node types and source kinds that a published workflow may use. Those of the first migration are written here; whatever else the servers and
-- workers of this installation bring is registered by them when they start (app_private.added_node_types).
create or replace function app_private.node_types()
returns text[]
language sql immutable parallel safe
return array['input', 'router', 'llm', 'image', 'db', 'api', 'aggregator', 'transform', 'delay', 'approval', 'workflow'];

comment on function app_private.node_types() is 'The node types that every installation has.';

create or replace function app_private.source_kinds()
returns text[]
language sql immutable parallel safe
return array['llm', 'image', 'db', 'api'];

comment on function app_private.source_kinds() is 'Every kind of source that a workflow document may use.';

-- Handed to the checks, which read no table: {type: {source_kind, source_required}}.
create or replace function app_private.added_types()
returns jsonb
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(types.type, jsonb_build_object('source_kind', types.source_kind, 'source_required', types.source_required)), '{}')
  from app_private.added_node_types as types
$$;

comment on function app_private.added_types() is 'What this installation brings beyond app_private.node_types(): {type: {source_kind, source_required}}.';
--! EndIncluded app_private/functions/validation/node_types.sql
--! Included app_private/functions/validation/known_keys.sql
-- The keys that mean something in each part of a document; everything else is kept and answered with W002.
create or replace function app_private.known_keys(part text)
returns text[]
language sql immutable parallel safe
return case part
    when 'document' then array['$schema', 'nodes', 'edges', 'queues', 'sources', 'start_node', 'name', 'description', 'version',
      'metadata', 'initial_state', 'limits']
    when 'nodes' then array['id', 'type', 'description', 'metadata']
    when 'edges' then array['from', 'to', 'condition', 'default', 'queue']
    when 'queues' then array['id', 'from', 'to', 'bandwidth']
    when 'sources' then array['id', 'kind', 'config', 'ref', 'fallback']
    when 'bandwidth' then array['max_messages_per_second', 'max_requests_per_minute', 'max_tokens_per_minute', 'burst_size']
    when 'limits' then array['max_parallel_nodes', 'max_nodes', 'max_tokens', 'max_cost', 'max_seconds', 'max_state_bytes',
      'max_output_bytes']
  end;

comment on function app_private.known_keys(text) is 'Known keys of document, nodes, edges, queues, sources, bandwidth or limits.';
--! EndIncluded app_private/functions/validation/known_keys.sql
--! Included app_private/functions/validation/spec_nodes.sql
-- The objects of a node list, taken apart. `id` and `type` are null unless they are texts; `metadata` is always an object.
-- `offset 0` keeps PostgreSQL from working out these columns again wherever they are used.
create or replace function app_private.spec_nodes(nodes jsonb)
returns table ("position" integer, entry jsonb, id text, type text, metadata jsonb)
language sql immutable parallel safe
begin atomic
  select entries."position", entries.entry,
    app_private.json_text(entries.entry -> 'id'),
    app_private.json_text(entries.entry -> 'type'),
    app_private.json_object(entries.entry -> 'metadata')
  from app_private.json_entries(nodes) as entries
  where jsonb_typeof(entries.entry) = 'object'
  offset 0;
end;

comment on function app_private.spec_nodes(jsonb) is 'Nodes of a document: position, entry, id and type when they are texts, metadata when it is an object, else {}.';
--! EndIncluded app_private/functions/validation/spec_nodes.sql
--! Included app_private/functions/validation/spec_edges.sql
-- The objects of an edge list, taken apart. `offset 0` keeps PostgreSQL from working out these columns again wherever they are used.
create or replace function app_private.spec_edges(edges jsonb)
returns table ("position" integer, source jsonb, target jsonb, condition jsonb, is_default jsonb, queue jsonb)
language sql immutable parallel safe
begin atomic
  select entries."position", entries.entry -> 'from', entries.entry -> 'to', entries.entry -> 'condition', entries.entry -> 'default',
    entries.entry -> 'queue'
  from app_private.json_entries(edges) as entries
  where jsonb_typeof(entries.entry) = 'object'
  offset 0;
end;

comment on function app_private.spec_edges(jsonb) is 'Edges of a document: position and the JSON of from, to, condition, default and queue.';
--! EndIncluded app_private/functions/validation/spec_edges.sql
--! Included app_private/functions/validation/spec_targets.sql
-- Every text target of every edge: `to` is one id or a list of ids. `field` is the place of the target in the document.
create or replace function app_private.spec_targets(edges jsonb)
returns table ("position" integer, source text, target text, field text)
language sql immutable parallel safe
begin atomic
  select places."position", app_private.json_text(places.source), targets.target,
    'edges.' || places."position" || '.to' || coalesce('.' || targets."position", '')
  from app_private.spec_edges(edges) as places
  cross join lateral (
    select app_private.json_text(places.target) as target, null::integer as "position"
    where jsonb_typeof(places.target) = 'string'
    union all
    select app_private.json_text(listed.entry), listed."position"
    from app_private.json_entries(places.target) as listed
    where jsonb_typeof(listed.entry) = 'string'
  ) as targets
  offset 0;
end;

comment on function app_private.spec_targets(jsonb) is 'Targets of edges, one row each: position of the edge, its from, the target, the place of the target.';
--! EndIncluded app_private/functions/validation/spec_targets.sql
--! Included app_private/functions/validation/parameter_fault.sql
-- What is wrong with one parameter that nodes of every type share; null when nothing is, or when this function does not know the key.
create or replace function app_private.parameter_fault(key text, value jsonb)
returns text
language sql immutable parallel safe
return case when app_private.json_is_absent(value) then null else case key
    when 'temperature' then
      case when (app_private.json_number(value) between 0 and 2) is not true then 'must be a number from 0 to 2' end
    when 'top_p' then
      case when (app_private.json_number(value) between 0 and 1) is not true then 'must be a number from 0 to 1' end
    when 'max_tokens' then
      case when (app_private.json_number(value) >= 1 and app_private.json_number(value) % 1 = 0) is not true
        then 'must be a whole number from 1' end
    when 'timeout' then
      case when (app_private.json_number(value) > 0) is not true then 'must be a number of seconds above 0' end
    when 'on_error' then
      case when (app_private.json_text(value) in ('fail', 'continue')) is not true then 'must be fail or continue' end
    when 'output_key' then
      case when (char_length(app_private.json_text(value)) between 1 and 255 and app_private.json_text(value) not in
          ('__proto__', 'prototype', 'constructor', 'execution_path', 'tokens_used', 'cost', 'errors')) is not true
        then 'must be a text of 1 to 255 characters that the engine does not use itself (execution_path, tokens_used, cost, errors)' end
    when 'retry' then
      case when jsonb_typeof(value) <> 'object' then 'must be an object' end
    when 'retry.max_attempts' then
      case when (app_private.json_number(value) between 1 and 20 and app_private.json_number(value) % 1 = 0) is not true
        then 'must be a whole number from 1 to 20' end
    when 'retry.initial_seconds' then
      case when (app_private.json_number(value) >= 0) is not true then 'must be a number of seconds from 0' end
    when 'retry.max_seconds' then
      case when (app_private.json_number(value) >= 0) is not true then 'must be a number of seconds from 0' end
  end end;

comment on function app_private.parameter_fault(text, jsonb) is 'What is wrong with a parameter that all node types share, as "must be ..."; null when nothing is.';
--! EndIncluded app_private/functions/validation/parameter_fault.sql
--! Included app_private/functions/validation/source_config_faults.sql
-- What is wrong with the configuration of one source of this kind. `path` begins with a dot, or is empty for the whole.
create or replace function app_private.source_config_faults(kind text, config jsonb)
returns table (code text, message text, path text)
language sql immutable parallel safe
begin atomic
  select 'E002', 'a db source needs connection_string_env, the name of the variable that holds its connection', '.connection_string_env'
  where kind = 'db' and not exists (
    select from unnest(array['connection_string_env', 'dsn_env', 'connection_string', 'dsn']) as known (key)
    where not app_private.json_is_absent(app_private.json_object(config) -> known.key))
  union all
  select 'E003', parameters.key || ' ' || app_private.parameter_fault(parameters.key, app_private.json_object(config) -> parameters.key),
    '.' || parameters.key
  from unnest(array['temperature', 'top_p', 'max_tokens']) as parameters (key)
  where kind in ('llm', 'image')
    and app_private.parameter_fault(parameters.key, app_private.json_object(config) -> parameters.key) is not null
  union all
  select 'W003', 'no model is named (model)', ''
  where kind = 'llm' and app_private.json_is_absent(app_private.json_object(config) -> 'model')
    and app_private.json_is_absent(app_private.json_object(config) -> 'model_name');
end;

comment on function app_private.source_config_faults(text, jsonb) is 'E002, E003, W003 of the configuration of one source.';
--! EndIncluded app_private/functions/validation/source_config_faults.sql
--! Included app_private/functions/validation/node_source_uses.sql
-- Which source each node names, under which of the two keys, and what it needs. `name` is null when what was sent is no text.
create or replace function app_private.node_source_uses(nodes jsonb, added_types jsonb)
returns table ("position" integer, id text, type text, key text, is_sent boolean, name text, wanted_kind text, is_required boolean)
language sql immutable parallel safe
begin atomic
  select places."position", places.id, places.type, used.key,
    not app_private.json_is_absent(places.metadata -> used.key),
    app_private.json_text(places.metadata -> used.key),
    wanted.kind,
    (places.type in ('llm', 'image', 'db', 'api') or places.type = 'router' and places.metadata ->> 'strategy' = 'llm'
        or coalesce((added_types -> places.type ->> 'source_required')::boolean, false))
      and not (wanted.kind in ('llm', 'image') and exists (
        select from unnest(array['provider', 'model', 'model_name', 'api_key_env']) as inline (key)
        where not app_private.json_is_absent(places.metadata -> inline.key)))
  from app_private.spec_nodes(nodes) as places
  cross join lateral (
    select case when app_private.json_is_absent(places.metadata -> 'source')
      and not app_private.json_is_absent(places.metadata -> 'source_id') then 'source_id' else 'source' end as key
  ) as used
  cross join lateral (
    select case when places.type in ('llm', 'image', 'db', 'api') then places.type
      when places.type in ('router', 'aggregator') then 'llm'
      else added_types -> places.type ->> 'source_kind' end as kind
  ) as wanted
  offset 0;
end;

comment on function app_private.node_source_uses(jsonb, jsonb) is 'The source that each node names, the kind it wants, and whether it must have one.';
--! EndIncluded app_private/functions/validation/node_source_uses.sql
--! Included app_private/functions/validation/spec_links.sql
-- The graph of a document as pairs of node positions, each once, in document order. Ends of paths and unknown ids are left out.
create or replace function app_private.spec_links(edges jsonb, node_ids jsonb)
returns table (source integer, target integer)
language sql immutable parallel safe
begin atomic
  select distinct (node_ids ->> targets.source)::integer, (node_ids ->> targets.target)::integer
  from app_private.spec_targets(edges) as targets
  where node_ids ? targets.source and node_ids ? targets.target and targets.target not in ('end', '__end__')
  order by 1, 2;
end;

comment on function app_private.spec_links(jsonb, jsonb) is 'Distinct edges as pairs of node positions, ordered. node_ids: {id: position}.';
--! EndIncluded app_private/functions/validation/spec_links.sql
--! Included app_private/functions/validation/graph_rows.sql
-- A graph of `size` nodes as bit rows: row n (from 1) has the bits of the nodes that the links lead to from node n - 1.
-- Exchange sources and targets for the rows of predecessors.
create or replace function app_private.graph_rows(size integer, sources integer[], targets integer[])
returns bit varying[]
language sql immutable parallel safe
begin atomic
  select coalesce(array_agg(coalesce(linked.bits, repeat('0', size)::bit varying) order by nodes."position"), '{}')
  from generate_series(0, size - 1) as nodes ("position")
  left join (
    select links.source, bit_or(set_bit(repeat('0', size)::bit varying, links.target, 1))::bit varying as bits
    from unnest(sources, targets) as links (source, target)
    group by links.source
  ) as linked on linked.source = nodes."position";
end;

comment on function app_private.graph_rows(integer, integer[], integer[]) is 'Adjacency of a graph: one bit string of successors per node. Positions from 0.';
--! EndIncluded app_private/functions/validation/graph_rows.sql
--! Included app_private/functions/validation/bound_problems.sql
-- Size and shape limits of a document. They are looked at first, so that nothing after them meets a hostile document.
create or replace function app_private.bound_problems(spec jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
declare
  bytes constant integer := octet_length(spec::text);
begin
  if jsonb_path_exists(spec, 'strict $.**{32} ? (@.type() == "object" || @.type() == "array")') then
    return query select 'E001', 'The document is nested more than 32 levels deep', null, null;
    return;
  end if;
  if bytes > 1048576 then
    return query select 'E001', format('The document has %s bytes; at most 1048576 are allowed', bytes), null, null;
  end if;
  return query
    select 'E001', format('%s has %s entries; at most %s are allowed', bounds.part, bounds.length, bounds.maximum), bounds.part, null
    from (
      select parts.part, parts.maximum,
        case when jsonb_typeof(spec -> parts.part) = 'array' then jsonb_array_length(spec -> parts.part) else 0 end as length
      from (values ('nodes', 200), ('edges', 1000)) as parts (part, maximum)
    ) as bounds
    where bounds.length > bounds.maximum;
end
$$;

comment on function app_private.bound_problems(jsonb) is 'E001: the document is larger, deeper or longer than allowed.';
--! EndIncluded app_private/functions/validation/bound_problems.sql
--! Included app_private/functions/validation/document_problems.sql
-- The top of a document: parts that are missing or of the wrong type, and the start node.
create or replace function app_private.document_problems(spec jsonb, node_ids jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
declare
  start_node constant jsonb := spec -> 'start_node';
begin
  return query
    select 'E001', parts.part || ' must be a list', parts.part, null
    from unnest(array['nodes', 'edges', 'queues', 'sources']) as parts (part)
    where not app_private.json_is_absent(spec -> parts.part) and jsonb_typeof(spec -> parts.part) <> 'array'
    limit 1000;

  return query
    select 'E001', format('%s.%s must be an object', parts.part, entries."position"), parts.part || '.' || entries."position", null
    from unnest(array['nodes', 'edges', 'queues', 'sources']) as parts (part)
    cross join lateral app_private.json_entries(spec -> parts.part) as entries
    where jsonb_typeof(entries.entry) <> 'object'
    limit 1000;

  if app_private.json_is_absent(spec -> 'nodes') or spec -> 'nodes' = '[]' then
    return query select 'E002', 'nodes is missing: a workflow has at least one node', 'nodes', null;
  end if;

  return query
    select 'E003', texts.key || ' must be a text', texts.key, null
    from unnest(array['name', 'description']) as texts (key)
    where jsonb_typeof(spec -> texts.key) not in ('string', 'null')
    limit 1000;

  return query
    select 'E003', objects.key || ' must be an object', objects.key, null
    from unnest(array['metadata', 'initial_state', 'limits']) as objects (key)
    where jsonb_typeof(spec -> objects.key) not in ('object', 'null')
    limit 1000;

  return query
    select 'E003', format('limits.%s must be a number above 0', limits.key), 'limits.' || limits.key, null
    from jsonb_each(app_private.json_object(spec -> 'limits')) as limits (key, value)
    where limits.key = any (app_private.known_keys('limits'))
      and jsonb_typeof(limits.value) <> 'null' and (app_private.json_number(limits.value) > 0) is not true
    limit 1000;

  if app_private.json_is_absent(start_node) then
    return query select 'E002', 'start_node is missing', 'start_node', null;
  elsif jsonb_typeof(start_node) <> 'string' then
    return query select 'E003', 'start_node must be a text', 'start_node', null;
  elsif not node_ids ? (start_node #>> '{}') then
    return query select 'E005', format('Start node %s does not exist', app_private.shown(start_node #>> '{}')), 'start_node', null;
  end if;
end
$$;

comment on function app_private.document_problems(jsonb, jsonb) is 'E001, E002, E003, E005 of the top of a document. node_ids: {id: position}.';
--! EndIncluded app_private/functions/validation/document_problems.sql
--! Included app_private/functions/validation/unknown_key_problems.sql
-- W002: keys that mean nothing to us. They are kept as they are; a slip of the pen should still be seen.
create or replace function app_private.unknown_key_problems(spec jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'W002', format('%s is not a known key', left(places.prefix || keys.key, 200)), places.prefix || keys.key, places.node_id
    from (
      select 'document' as part, '' as prefix, spec as entry, null::text as node_id
      union all
      select 'limits', 'limits.', spec -> 'limits', null
      union all
      select parts.part, parts.part || '.' || entries."position" || '.', entries.entry,
        case when parts.part = 'nodes' then app_private.json_text(entries.entry -> 'id') end
      from unnest(array['nodes', 'edges', 'queues', 'sources']) as parts (part)
      cross join lateral app_private.json_entries(spec -> parts.part) as entries
      union all
      select 'bandwidth', 'queues.' || entries."position" || '.bandwidth.', entries.entry -> 'bandwidth', null
      from app_private.json_entries(spec -> 'queues') as entries
    ) as places
    cross join lateral jsonb_object_keys(app_private.json_object(places.entry)) as keys (key)
    where keys.key <> all (app_private.known_keys(places.part))
    limit 1000;
end
$$;

comment on function app_private.unknown_key_problems(jsonb) is 'W002: keys of the document and of its parts that are not known.';
--! EndIncluded app_private/functions/validation/unknown_key_problems.sql
--! Included app_private/functions/validation/node_problems.sql
-- Nodes: their ids, types and the shape of what they carry.
create or replace function app_private.node_problems(nodes jsonb, added_types jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
declare
  known_types constant text[] := app_private.node_types() || array(select jsonb_object_keys(added_types) order by 1);
begin
  return query
    select 'E002', format('nodes.%s has no %s', places."position", required.key),
      'nodes.' || places."position" || '.' || required.key, places.id
    from app_private.spec_nodes(nodes) as places
    cross join unnest(array['id', 'type']) as required (key)
    where app_private.json_is_absent(places.entry -> required.key)
    limit 1000;

  return query
    select 'E003', format('The id of nodes.%s must be 1 to 100 letters, digits, _ or -, and none of end, __end__, __proto__, prototype, constructor',
      places."position"), 'nodes.' || places."position" || '.id', places.id
    from app_private.spec_nodes(nodes) as places
    where not app_private.json_is_absent(places.entry -> 'id')
      and app_private.is_node_id(places.id) is not true
    limit 1000;

  return query
    select 'E009', format('Node id %s is used twice', app_private.shown(uses.id)), 'nodes.' || uses."position" || '.id', uses.id
    from (
      select places.id, places."position", row_number() over (partition by places.id order by places."position") as use
      from app_private.spec_nodes(nodes) as places
      where places.id is not null
    ) as uses
    where uses.use > 1
    limit 1000;

  return query
    select 'E003', format('The type of node %s must be a text', app_private.shown(places.id)),
      'nodes.' || places."position" || '.type', places.id
    from app_private.spec_nodes(nodes) as places
    where not app_private.json_is_absent(places.entry -> 'type') and places.type is null
    limit 1000;

  return query
    select 'E004', format('Node %s has the unknown type %s; known are %s', app_private.shown(places.id),
        app_private.shown(places.type), array_to_string(known_types, ', ')),
      'nodes.' || places."position" || '.type', places.id
    from app_private.spec_nodes(nodes) as places
    where places.type <> all (known_types)
    limit 1000;

  return query
    select 'E003', format('The %s of node %s must be %s', shapes.key, app_private.shown(places.id), shapes.wanted),
      'nodes.' || places."position" || '.' || shapes.key, places.id
    from app_private.spec_nodes(nodes) as places
    cross join (values ('description', 'string', 'a text'), ('metadata', 'object', 'an object')) as shapes (key, type, wanted)
    where jsonb_typeof(places.entry -> shapes.key) not in (shapes.type, 'null')
    limit 1000;
end
$$;

comment on function app_private.node_problems(jsonb, jsonb) is 'E002, E003, E004, E009 of nodes: id, type, description, metadata.';
--! EndIncluded app_private/functions/validation/node_problems.sql
--! Included app_private/functions/validation/parameter_problems.sql
-- E003: parameters that nodes of every type share, in a node's metadata and its retry object.
-- Parameters of one node type alone are described by its JSON Schema and checked by the API.
create or replace function app_private.parameter_problems(nodes jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E003', format('%s of node %s %s', faults.path, app_private.shown(faults.id), faults.fault),
      'nodes.' || faults."position" || '.metadata.' || faults.path, faults.id
    from (
      select places."position", places.id, parameters.path, app_private.parameter_fault(parameters.path, parameters.value) as fault
      from app_private.spec_nodes(nodes) as places
      cross join lateral (
        select own.key as path, own.value from jsonb_each(places.metadata) as own (key, value)
        where own.key not like 'retry.%'
        union all
        select 'retry.' || retries.key, retries.value
        from jsonb_each(app_private.json_object(places.metadata -> 'retry')) as retries (key, value)
      ) as parameters
    ) as faults
    where faults.fault is not null
    limit 1000;

  return query
    select 'E002', format('Node %s has no query', app_private.shown(places.id)),
      'nodes.' || places."position" || '.metadata.query', places.id
    from app_private.spec_nodes(nodes) as places
    where places.type = 'db' and app_private.json_is_absent(places.metadata -> 'query')
      and app_private.json_is_absent(places.metadata -> 'query_template')
    limit 1000;
end
$$;

comment on function app_private.parameter_problems(jsonb) is 'E003 of parameters that all node types share, E002 of a db node without query.';
--! EndIncluded app_private/functions/validation/parameter_problems.sql
--! Included app_private/functions/validation/edge_problems.sql
-- Edges: their ends, their condition and the queue they name.
create or replace function app_private.edge_problems(edges jsonb, node_ids jsonb, queue_ids jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select faults.code, format('edges.%s: %s', places."position", faults.message), 'edges.' || places."position" || '.' || faults.key, null
    from app_private.spec_edges(edges) as places
    cross join lateral (
      select 'from' as key, 'E002' as code, 'from is missing' as message where app_private.json_is_absent(places.source)
      union all
      select 'to', 'E002', 'to is missing' where app_private.json_is_absent(places.target)
      union all
      select 'from', 'E003', 'from must be a text' where jsonb_typeof(places.source) not in ('string', 'null')
      union all
      select 'to', 'E003', 'to must be a node id or a list of node ids that is not empty'
      where jsonb_typeof(places.target) not in ('string', 'array', 'null') or places.target = '[]'
      union all
      select 'condition', 'E003', 'condition must be a text that is not blank'
      where jsonb_typeof(places.condition) not in ('string', 'null') or app_private.is_blank(app_private.json_text(places.condition))
      union all
      select 'default', 'E003', 'default must be true or false' where jsonb_typeof(places.is_default) not in ('boolean', 'null')
      union all
      select 'queue', 'E003', 'queue must be a text' where jsonb_typeof(places.queue) not in ('string', 'null')
    ) as faults
    limit 1000;

  return query
    select 'E003', format('edges.%s: entry %s of to must be a text', places."position", listed."position"),
      'edges.' || places."position" || '.to.' || listed."position", null
    from app_private.spec_edges(edges) as places
    cross join lateral app_private.json_entries(places.target) as listed
    where jsonb_typeof(places.target) = 'array' and jsonb_typeof(listed.entry) <> 'string'
    limit 1000;

  return query
    select 'E006', format('edges.%s has the non-existent source node %s', places."position", app_private.shown(places.source #>> '{}')),
      'edges.' || places."position" || '.from', null
    from app_private.spec_edges(edges) as places
    where jsonb_typeof(places.source) = 'string' and not node_ids ? (places.source #>> '{}')
    limit 1000;

  return query
    select 'E006', format('edges.%s has the non-existent destination node %s', targets."position", app_private.shown(targets.target)),
      targets.field, null
    from app_private.spec_targets(edges) as targets
    where targets.target not in ('end', '__end__') and not node_ids ? targets.target
    limit 1000;

  return query
    select 'E007', format('edges.%s from node %s names the unknown queue %s', places."position",
        app_private.shown(app_private.json_text(places.source)), app_private.shown(places.queue #>> '{}')),
      'edges.' || places."position" || '.queue', null
    from app_private.spec_edges(edges) as places
    where jsonb_typeof(places.queue) = 'string' and not queue_ids ? (places.queue #>> '{}')
    limit 1000;
end
$$;

comment on function app_private.edge_problems(jsonb, jsonb, jsonb) is 'E002, E003, E006, E007 of edges. node_ids, queue_ids: {id: position}.';
--! EndIncluded app_private/functions/validation/edge_problems.sql
--! Included app_private/functions/validation/queue_problems.sql
-- Queues: their ids, ends and bandwidth, and whether an edge runs where they stand.
create or replace function app_private.queue_problems(queues jsonb, edges jsonb, node_ids jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E002', format('queues.%s has no %s', entries."position", required.key),
      'queues.' || entries."position" || '.' || required.key, null
    from app_private.json_entries(queues) as entries
    cross join unnest(array['id', 'from', 'to']) as required (key)
    where jsonb_typeof(entries.entry) = 'object' and app_private.json_is_absent(entries.entry -> required.key)
    limit 1000;

  return query
    select 'E003', format('queues.%s: %s must be %s', entries."position", shapes.key, shapes.wanted),
      'queues.' || entries."position" || '.' || shapes.key, null
    from app_private.json_entries(queues) as entries
    cross join (values
      ('id', 'string', 'a text of 1 to 255 characters'), ('from', 'string', 'a text'), ('to', 'string', 'a text'),
      ('bandwidth', 'object', 'an object')
    ) as shapes (key, type, wanted)
    where jsonb_typeof(entries.entry) = 'object'
      and (jsonb_typeof(entries.entry -> shapes.key) not in (shapes.type, 'null')
        or shapes.key = 'id' and char_length(app_private.json_text(entries.entry -> 'id')) not between 1 and 255)
    limit 1000;

  return query
    select 'E003', format('queues.%s: bandwidth.%s must be a number from 1', entries."position", bandwidth.key),
      'queues.' || entries."position" || '.bandwidth.' || bandwidth.key, null
    from app_private.json_entries(queues) as entries
    cross join lateral jsonb_each(app_private.json_object(entries.entry -> 'bandwidth')) as bandwidth (key, value)
    where jsonb_typeof(entries.entry) = 'object' and bandwidth.key = any (app_private.known_keys('bandwidth'))
      and jsonb_typeof(bandwidth.value) <> 'null' and (app_private.json_number(bandwidth.value) >= 1) is not true
    limit 1000;

  return query
    select 'E007', format('Queue %s stands at the unknown node %s', app_private.shown(app_private.json_text(entries.entry -> 'id')),
        app_private.shown(entries.entry ->> ends.key)),
      'queues.' || entries."position" || '.' || ends.key, null
    from app_private.json_entries(queues) as entries
    cross join unnest(array['from', 'to']) as ends (key)
    where jsonb_typeof(entries.entry) = 'object' and jsonb_typeof(entries.entry -> ends.key) = 'string'
      and not node_ids ? (entries.entry ->> ends.key)
      and not (ends.key = 'to' and entries.entry ->> 'to' in ('end', '__end__'))
    limit 1000;

  return query
    select 'E011', format('Queue id %s is used twice', app_private.shown(uses.id)), 'queues.' || uses."position" || '.id', null
    from (
      select app_private.json_name(entries.entry -> 'id') as id, entries."position",
        row_number() over (partition by entries.entry -> 'id' order by entries."position") as use
      from app_private.json_entries(queues) as entries
      where jsonb_typeof(entries.entry) = 'object' and app_private.json_name(entries.entry -> 'id') is not null
    ) as uses
    where uses.use > 1
    limit 1000;

  return query
    select 'W004', format('Queue %s stands where no edge runs', app_private.shown(app_private.json_text(placed.entry -> 'id'))),
      'queues.' || placed."position", null
    from app_private.json_entries(queues) as placed
    where jsonb_typeof(placed.entry) = 'object'
      and node_ids ? app_private.json_text(placed.entry -> 'from')
      and (node_ids ? app_private.json_text(placed.entry -> 'to')
        or app_private.json_text(placed.entry -> 'to') in ('end', '__end__'))
      and not exists (
        select from app_private.spec_targets(edges) as targets
        where targets.source = placed.entry ->> 'from' and targets.target = placed.entry ->> 'to')
      and not exists (
        select from app_private.json_entries(edges) as entries
        where app_private.json_text(entries.entry -> 'queue') = app_private.json_name(placed.entry -> 'id'))
    limit 1000;
end
$$;

comment on function app_private.queue_problems(jsonb, jsonb, jsonb) is 'E002, E003, E007, E011, W004 of queues. node_ids: {id: position}.';
--! EndIncluded app_private/functions/validation/queue_problems.sql
--! Included app_private/functions/validation/source_problems.sql
-- Sources of a document: their ids, kinds and configuration.
create or replace function app_private.source_problems(sources jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E002', format('sources.%s has no %s', entries."position", required.key),
      'sources.' || entries."position" || '.' || required.key, null
    from app_private.json_entries(sources) as entries
    cross join unnest(array['id', 'kind']) as required (key)
    where jsonb_typeof(entries.entry) = 'object' and app_private.json_is_absent(entries.entry -> required.key)
    limit 1000;

  return query
    select 'E003', format('sources.%s: %s must be %s', entries."position", shapes.key, shapes.wanted),
      'sources.' || entries."position" || '.' || shapes.key, null
    from app_private.json_entries(sources) as entries
    cross join (values
      ('id', 'string', 'a text of 1 to 255 characters'), ('kind', 'string', 'a text'), ('ref', 'string', 'a text'),
      ('config', 'object', 'an object')
    ) as shapes (key, type, wanted)
    where jsonb_typeof(entries.entry) = 'object'
      and (jsonb_typeof(entries.entry -> shapes.key) not in (shapes.type, 'null')
        or shapes.key = 'id' and char_length(app_private.json_text(entries.entry -> 'id')) not between 1 and 255)
    limit 1000;

  return query
    select 'E004', format('Source %s has the unknown kind %s; known are %s', app_private.shown(app_private.json_text(entries.entry -> 'id')),
        app_private.shown(entries.entry ->> 'kind'), array_to_string(app_private.source_kinds(), ', ')),
      'sources.' || entries."position" || '.kind', null
    from app_private.json_entries(sources) as entries
    where jsonb_typeof(entries.entry) = 'object' and app_private.json_text(entries.entry -> 'kind') <> all (app_private.source_kinds())
    limit 1000;

  return query
    select 'E010', format('Source id %s is used twice', app_private.shown(uses.id)), 'sources.' || uses."position" || '.id', null
    from (
      select app_private.json_name(entries.entry -> 'id') as id, entries."position",
        row_number() over (partition by entries.entry -> 'id' order by entries."position") as use
      from app_private.json_entries(sources) as entries
      where jsonb_typeof(entries.entry) = 'object' and app_private.json_name(entries.entry -> 'id') is not null
    ) as uses
    where uses.use > 1
    limit 1000;

  return query
    select faults.code, format('Source %s: %s', app_private.shown(app_private.json_text(entries.entry -> 'id')), faults.message),
      'sources.' || entries."position" || '.config' || faults.path, null
    from app_private.json_entries(sources) as entries
    cross join lateral app_private.source_config_faults(app_private.json_text(entries.entry -> 'kind'), entries.entry -> 'config') as faults
    where jsonb_typeof(entries.entry) = 'object'
      and (faults.code = 'E003' or app_private.json_is_absent(entries.entry -> 'ref')
        and (app_private.json_is_absent(entries.entry -> 'config') or jsonb_typeof(entries.entry -> 'config') = 'object'))
    limit 1000;
end
$$;

comment on function app_private.source_problems(jsonb) is 'E002, E003, E004, E010, W003 of the sources of a document.';
--! EndIncluded app_private/functions/validation/source_problems.sql
--! Included app_private/functions/validation/secret_problems.sql
-- E003: secrets written into a document. They belong into the environment; a document names the variable.
create or replace function app_private.secret_problems(nodes jsonb, sources jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E003', format('%s of node %s holds a secret; name the variable that holds it instead', left(found.path, 200),
        app_private.shown(places.id)),
      'nodes.' || places."position" || '.metadata.' || found.path, places.id
    from app_private.spec_nodes(nodes) as places
    cross join lateral (
      select own.key as path, own.key, own.value from jsonb_each(places.metadata) as own (key, value)
      union all
      select 'headers.' || headers.key, headers.key, headers.value
      from jsonb_each(app_private.json_object(places.metadata -> 'headers')) as headers (key, value)
      where position('{' in app_private.json_text(headers.value)) = 0
    ) as found
    where jsonb_typeof(found.value) = 'string' and found.value <> '""'
      and (app_private.is_secret_key(found.key)
        or found.path in ('api_key_env', 'base_url') and app_private.is_secret_text(found.key, found.value #>> '{}'))
    limit 1000;

  return query
    with recursive places (path, key, value) as (
      select 'sources.' || entries."position" || '.config', null::text, entries.entry -> 'config'
      from app_private.json_entries(sources) as entries
      where jsonb_typeof(entries.entry -> 'config') = 'object'
      union all
      select places.path || '.' || inner_places.key, inner_places.key, inner_places.value
      from places
      cross join lateral (
        select own.key, own.value from jsonb_each(app_private.json_object(places.value)) as own (key, value)
        union all
        select listed."position"::text, listed.entry from app_private.json_entries(places.value) as listed
      ) as inner_places
      where jsonb_typeof(places.value) in ('object', 'array')
        -- {"secret": "name"} refers to a stored secret and holds none
        and (places.key is null or not places.value @> '{}' or app_private.json_object(places.value) - 'secret' <> '{}'
          or jsonb_typeof(places.value -> 'secret') is distinct from 'string')
    )
    select 'E003', format('%s holds a secret; name the variable that holds it instead', left(places.path, 200)), places.path, null
    from places
    where jsonb_typeof(places.value) = 'string' and places.value <> '""'
      and (app_private.is_secret_key(places.key) or app_private.is_secret_text(places.key, places.value #>> '{}'))
    limit 1000;
end
$$;

comment on function app_private.secret_problems(jsonb, jsonb) is 'E003: secrets written into the metadata of nodes or the config of sources.';
--! EndIncluded app_private/functions/validation/secret_problems.sql
--! Included app_private/functions/validation/node_source_problems.sql
-- Does every node that needs a source have one, and of a kind that fits?
-- source_rows holds what the tenant's active rows offer under the names used: {name: [kinds]}.
create or replace function app_private.node_source_problems(nodes jsonb, sources jsonb, source_rows jsonb, added_types jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
declare
  source_ids constant jsonb := app_private.json_names(sources);
begin
  return query
    select answers.code, answers.message, 'nodes.' || uses."position" || '.metadata.' || uses.key, uses.id
    from app_private.node_source_uses(nodes, added_types) as uses
    cross join lateral (select sources -> (source_ids ->> uses.name)::integer as entry) as documented
    cross join lateral (
      select case
        when documented.entry is null then source_rows -> uses.name
        when app_private.json_is_absent(documented.entry -> 'ref') or jsonb_typeof(documented.entry -> 'ref') <> 'string'
          then jsonb_build_array(app_private.json_text(documented.entry -> 'kind'))
        when source_rows -> (documented.entry ->> 'ref') ? app_private.json_text(documented.entry -> 'kind')
          then jsonb_build_array(documented.entry -> 'kind')
      end as kinds
    ) as offered
    cross join lateral (
      select 'E003' as code, format('%s of node %s must be a text that is not empty', uses.key, app_private.shown(uses.id)) as message
      where uses.is_sent and coalesce(uses.name, '') = ''
      union all
      select 'E014', format('Node %s of type %s has no source', app_private.shown(uses.id), uses.type)
      where not uses.is_sent and uses.is_required
      union all
      select 'E008', format('Node %s names the source %s, which is neither in the document nor among the active sources of the tenant',
        app_private.shown(uses.id), app_private.shown(uses.name))
      where uses.name is not null and offered.kinds is null
      union all
      select 'W001', format('Node %s of type %s names the source %s of another kind', app_private.shown(uses.id), uses.type,
        app_private.shown(uses.name))
      where uses.wanted_kind is not null and offered.kinds is not null and offered.kinds <> '[null]' and not offered.kinds ? uses.wanted_kind
    ) as answers
    limit 1000;
end
$$;

comment on function app_private.node_source_problems(jsonb, jsonb, jsonb, jsonb) is 'E003, E008, E014, W001: the source that each node names. source_rows: {name: [kinds]}.';
--! EndIncluded app_private/functions/validation/node_source_problems.sql
--! Included app_private/functions/validation/trim_graph.sql
-- Drops nodes without a predecessor or without a successor among those left, until there are none to drop: what is left holds rings.
create or replace function app_private.trim_graph(nodes_left bit varying, successors bit varying[], predecessors bit varying[])
returns bit varying
language plpgsql immutable parallel safe as $$
declare
  to_look_at bit varying := nodes_left;
  node integer;
begin
  loop
    node := position(B'1' in to_look_at);
    exit when node = 0;
    to_look_at := set_bit(to_look_at, node - 1, 0);
    if position(B'1' in (successors[node] & nodes_left)) = 0 or position(B'1' in (predecessors[node] & nodes_left)) = 0 then
      nodes_left := set_bit(nodes_left, node - 1, 0);
      to_look_at := (to_look_at | successors[node] | predecessors[node]) & nodes_left;
    end if;
  end loop;
  return nodes_left;
end
$$;

comment on function app_private.trim_graph(bit varying, bit varying[], bit varying[]) is 'The nodes that stay when those without predecessor or successor are dropped again and again.';
--! EndIncluded app_private/functions/validation/trim_graph.sql
--! Included app_private/functions/validation/cycle_problems.sql
/*
 * E012. Which rings are told is fixed, so that every checker tells the same ones:
 * repeat { drop nodes without predecessor or successor among the rest, until there are none to drop;
 *          walk from the first node left, always to its first successor left, until a node comes twice: that ring is told,
 *          beginning at its first node; drop the nodes of the ring } until no node is left.
 * "First" is the order in the document. Nodes are positions from 1; node_names holds their ids.
 */
create or replace function app_private.cycle_problems(node_names text[], successors bit varying[], predecessors bit varying[])
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
declare
  nodes_left bit varying := repeat('1', cardinality(node_names))::bit varying;
  node integer;
  walk integer[];
  ring integer[];
  first_at integer;
begin
  loop
    nodes_left := app_private.trim_graph(nodes_left, successors, predecessors);
    node := position(B'1' in nodes_left);
    exit when node = 0;

    walk := '{}';
    while node <> all (walk) loop
      walk := walk || node;
      node := position(B'1' in (successors[node] & nodes_left));
    end loop;

    ring := walk[array_position(walk, node) :];
    first_at := array_position(ring, (select min(places) from unnest(ring) as places));
    ring := ring[first_at :] || ring[: first_at - 1];
    foreach node in array ring loop
      nodes_left := set_bit(nodes_left, node - 1, 0);
    end loop;

    return query
      select 'E012', 'The edges form a cycle: ' || string_agg(node_names[places.node], ' -> ' order by places.ordinality),
        'edges', node_names[ring[1]]
      from unnest(ring || ring[1]) with ordinality as places (node, ordinality);
  end loop;
end
$$;

comment on function app_private.cycle_problems(text[], bit varying[], bit varying[]) is 'E012: rings of nodes, told in a fixed order. Rows of successors and predecessors as of graph_rows.';
--! EndIncluded app_private/functions/validation/cycle_problems.sql
--! Included app_private/functions/validation/unreachable_problems.sql
-- E013: nodes that no path from the start node reaches; ids that no node may have are told elsewhere. `start_at` is the position of the start node, from 1.
create or replace function app_private.unreachable_problems(node_names text[], successors bit varying[], start_at integer)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
declare
  reached bit varying := set_bit(repeat('0', cardinality(node_names))::bit varying, start_at - 1, 1);
  to_look_at bit varying := reached;
  node integer;
begin
  loop
    node := position(B'1' in to_look_at);
    exit when node = 0;
    to_look_at := set_bit(to_look_at | (successors[node] & ~reached), node - 1, 0);
    reached := reached | successors[node];
  end loop;

  return query
    select 'E013', format('Node %s cannot be reached from the start node', app_private.shown(names.name)),
      'nodes.' || (names.ordinality - 1), names.name
    from unnest(node_names) with ordinality as names (name, ordinality)
    where app_private.is_node_id(names.name) and get_bit(reached, names.ordinality::integer - 1) = 0;
end
$$;

comment on function app_private.unreachable_problems(text[], bit varying[], integer) is 'E013: nodes that cannot be reached from the start node.';
--! EndIncluded app_private/functions/validation/unreachable_problems.sql
--! Included app_private/functions/validation/graph_problems.sql
-- E012 and E013: what is wrong with the graph that nodes and edges make. Unknown ids and ends of paths are no part of it.
create or replace function app_private.graph_problems(edges jsonb, node_ids jsonb, start_node text)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
declare
  node_names text[];
  sources integer[];
  targets integer[];
  successors bit varying[];
begin
  if node_ids = '{}' then
    return;
  end if;
  select array_agg(ids.key order by places."position") into node_names
  from generate_series(0, (select max(ids.value::integer) from jsonb_each_text(node_ids) as ids)) as places ("position")
  left join jsonb_each_text(node_ids) as ids on ids.value::integer = places."position";

  select array_agg(links.source), array_agg(links.target) into sources, targets from app_private.spec_links(edges, node_ids) as links;
  successors := app_private.graph_rows(cardinality(node_names), sources, targets);

  return query select * from app_private.cycle_problems(node_names, successors,
    app_private.graph_rows(cardinality(node_names), targets, sources));
  if node_ids ? start_node then
    return query select * from app_private.unreachable_problems(node_names, successors, (node_ids ->> start_node)::integer + 1);
  end if;
end
$$;

comment on function app_private.graph_problems(jsonb, jsonb, text) is 'E012, E013: rings, and nodes that cannot be reached. node_ids: {id: position}.';
--! EndIncluded app_private/functions/validation/graph_problems.sql
--! Included app_private/functions/validation/fallback_names.sql
-- The sources that sources of a document name in their place: `fallback` beside or within `config`, one id or a list. `name` is null where it is no text.
create or replace function app_private.fallback_names(sources jsonb)
returns table ("position" integer, source_id text, field text, is_list boolean, name text)
language sql immutable parallel safe
begin atomic
  select places."position", app_private.json_text(places.entry -> 'id'), 'sources.' || places."position" || places.path
      || case when jsonb_typeof(places.value) = 'array' then '.' || (named.ordinality - 1) else '' end,
    jsonb_typeof(places.value) = 'array', nullif(app_private.json_text(named.value), '')
  from (
    select entries."position", entries.entry, '.fallback' as path, entries.entry -> 'fallback' as value
    from app_private.json_entries(sources) as entries where jsonb_typeof(entries.entry) = 'object'
    union all
    select entries."position", entries.entry, '.config.fallback', app_private.json_object(entries.entry -> 'config') -> 'fallback'
    from app_private.json_entries(sources) as entries where jsonb_typeof(entries.entry) = 'object'
  ) as places
  cross join lateral jsonb_array_elements(case when jsonb_typeof(places.value) = 'array' then places.value else jsonb_build_array(places.value) end)
    with ordinality as named (value, ordinality)
  where not app_private.json_is_absent(places.value);
end;

comment on function app_private.fallback_names(jsonb) is 'The sources that sources of a document name as fallbacks, with the fields where they stand.';
--! EndIncluded app_private/functions/validation/fallback_names.sql
--! Included app_private/functions/validation/fallback_problems.sql
-- Are the fallbacks of sources there? source_rows: {name: [kinds]} of the tenant's active rows.
create or replace function app_private.fallback_problems(sources jsonb, source_rows jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
declare
  source_ids constant jsonb := app_private.json_names(sources);
begin
  return query
    select 'E003', fallbacks.field || ' must be the id of a source', fallbacks.field, null
    from app_private.fallback_names(sources) as fallbacks
    where fallbacks.name is null
    limit 1000;

  return query
    select 'E008', format('Source %s names the fallback %s, which is neither in the document nor among the active sources of the tenant',
        app_private.shown(fallbacks.source_id), app_private.shown(fallbacks.name)), fallbacks.field, null
    from app_private.fallback_names(sources) as fallbacks
    cross join lateral (select sources -> (source_ids ->> fallbacks.name)::integer as entry) as documented
    where fallbacks.name is not null and case
      when documented.entry is null then source_rows -> fallbacks.name is null
      when app_private.json_is_absent(documented.entry -> 'ref') or jsonb_typeof(documented.entry -> 'ref') <> 'string' then false
      else not coalesce(source_rows -> (documented.entry ->> 'ref') ? app_private.json_text(documented.entry -> 'kind'), false) end
    limit 1000;
end
$$;

comment on function app_private.fallback_problems(jsonb, jsonb) is 'E003 and E008 of the fallbacks of sources. source_rows: {name: [kinds]}.';
--! EndIncluded app_private/functions/validation/fallback_problems.sql
--! Included app_private/functions/validation/spec_source_names.sql
-- The names under which a document may look for rows of `sources`: what its nodes name, and what its sources refer to.
create or replace function app_private.spec_source_names(spec jsonb)
returns text[]
language sql immutable parallel safe
return array(
    select uses.name from app_private.node_source_uses(spec -> 'nodes', '{}') as uses where uses.name is not null
    union
    select fallbacks.name from app_private.fallback_names(spec -> 'sources') as fallbacks where fallbacks.name is not null
    union
    select app_private.json_text(entries.entry -> 'ref') from app_private.json_entries(spec -> 'sources') as entries
    where jsonb_typeof(entries.entry -> 'ref') = 'string');

comment on function app_private.spec_source_names(jsonb) is 'Names under which a document may use rows of sources.';
--! EndIncluded app_private/functions/validation/spec_source_names.sql
--! Included app_private/functions/validation/tenant_source_kinds.sql
-- What a tenant's active source rows offer under these names: {name: [kinds]}. Names without a row are left out.
create or replace function app_private.tenant_source_kinds(tenant_id uuid, names text[])
returns jsonb
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(found.name, found.kinds), '{}'::jsonb)
  from (
    select sources.name, jsonb_agg(sources.kind) as kinds
    from app_public.sources
    where sources.tenant_id = tenant_source_kinds.tenant_id and sources.name = any (tenant_source_kinds.names)
      and sources.deleted_at is null and sources.status = 'active'
    group by sources.name
  ) as found
$$;

comment on function app_private.tenant_source_kinds(uuid, text[]) is 'Kinds of the active sources of a tenant by name: {name: [kinds]}.';
--! EndIncluded app_private/functions/validation/tenant_source_kinds.sql
--! Included app_private/functions/validation/spec_problems.sql
/*
 * The rules of workflow documents, applied to one document: every problem at once, never an error, whatever the JSON is.
 * Errors are named E..., warnings W...; of each rule the first 1,000 are told, so that a hostile document gets an answer in bounded time.
 * source_rows: what the tenant's sources offer under the names used, {name: [kinds]}. added_types: as app_private.added_types() says.
 * Each family of rules has a function; the parts are handed to them separately, so that a large document is unpacked once.
 */
create or replace function app_private.spec_problems(spec jsonb, source_rows jsonb, added_types jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
as $$
#variable_conflict use_column
declare
  nodes jsonb;
  edges jsonb;
  queues jsonb;
  sources jsonb;
  node_ids jsonb;
begin
  if spec is null or jsonb_typeof(spec) <> 'object' then
    return query select 'E001', 'A workflow is a JSON object', null, null;
    return;
  end if;
  return query select * from app_private.bound_problems(spec);
  if found then
    return;
  end if;

  nodes := spec -> 'nodes';
  edges := spec -> 'edges';
  queues := spec -> 'queues';
  sources := spec -> 'sources';
  node_ids := app_private.json_ids(nodes);
  return query select * from app_private.document_problems(spec, node_ids);
  return query select * from app_private.node_problems(nodes, added_types);
  return query select * from app_private.parameter_problems(nodes);
  return query select * from app_private.node_source_problems(nodes, sources, source_rows, added_types);
  return query select * from app_private.secret_problems(nodes, sources);
  return query select * from app_private.edge_problems(edges, node_ids, app_private.json_names(queues));
  return query select * from app_private.queue_problems(queues, edges, node_ids);
  return query select * from app_private.source_problems(sources);
  return query select * from app_private.fallback_problems(sources, source_rows);
  return query select * from app_private.graph_problems(edges, node_ids, app_private.json_text(spec -> 'start_node'));
  return query select * from app_private.unknown_key_problems(spec);
end
$$;

comment on function app_private.spec_problems(jsonb, jsonb, jsonb) is 'Every problem of a workflow document. source_rows: {name: [kinds]} of the tenant; added_types: {type: {source_kind, source_required}}.';
--! EndIncluded app_private/functions/validation/spec_problems.sql
--! Included app_private/functions/validation/workflow_problems.sql
-- What the API and the publish gate ask: {"errors": [{code, message, field, node_id}], "warnings": [...]} of a document in a tenant.
create or replace function app_private.workflow_problems(spec jsonb, tenant_id uuid)
returns jsonb
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  is_bounded constant boolean := jsonb_typeof(spec) = 'object' and not exists (select from app_private.bound_problems(spec));
  source_rows constant jsonb := case when is_bounded
    then app_private.tenant_source_kinds(tenant_id, app_private.spec_source_names(spec)) else '{}' end;
begin
  return (
    select jsonb_build_object(
      'errors', coalesce(jsonb_agg(to_jsonb(problems)) filter (where problems.code like 'E%'), '[]'),
      'warnings', coalesce(jsonb_agg(to_jsonb(problems)) filter (where problems.code like 'W%'), '[]'))
    from app_private.spec_problems(spec, source_rows, app_private.added_types()) as problems
  );
end
$$;

comment on function app_private.workflow_problems(jsonb, uuid) is 'Problems of a workflow document in a tenant: {"errors": [...], "warnings": [...]}, each {code, message, field, node_id}.';
--! EndIncluded app_private/functions/validation/workflow_problems.sql
--! Included app_private/functions/validation/spec_uses_source.sql
-- True when a node of the document gets its source from the row of this name: by name, or by a source of the document that refers to it; or when
-- a source of the document falls back on it.
create or replace function app_private.spec_uses_source(spec jsonb, name text, kind text)
returns boolean
language sql immutable parallel safe
return exists (
    select
    from (
      select uses.name from app_private.node_source_uses(spec -> 'nodes', '{}') as uses
      union
      select fallbacks.name from app_private.fallback_names(spec -> 'sources') as fallbacks
    ) as uses
    cross join (select app_private.json_names(spec -> 'sources') as ids) as documented
    cross join lateral (select spec -> 'sources' -> (documented.ids ->> uses.name)::integer as entry) as source
    where case when source.entry is null then uses.name = spec_uses_source.name
      else app_private.json_text(source.entry -> 'ref') = spec_uses_source.name
        and app_private.json_text(source.entry -> 'kind') = spec_uses_source.kind end);

comment on function app_private.spec_uses_source(jsonb, text, text) is 'True when a node of the document uses the source row of this name and kind.';
--! EndIncluded app_private/functions/validation/spec_uses_source.sql
--! Included app_private/functions/validation/workflows_using_source.sql
-- The published workflows of a tenant that look for this source row. All conditions but the last reach the index on spec;
-- the last one knows that a source of the document goes before a row of the same name.
create or replace function app_private.workflows_using_source(tenant_id uuid, name text, kind text)
returns table (id uuid, name text)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select workflows.id, workflows.name
  from app_public.workflows
  where workflows.tenant_id = workflows_using_source.tenant_id and workflows.status = 'published'
    and (workflows.spec @> jsonb_build_object('nodes', jsonb_build_array(
        jsonb_build_object('metadata', jsonb_build_object('source', workflows_using_source.name))))
      or workflows.spec @> jsonb_build_object('nodes', jsonb_build_array(
        jsonb_build_object('metadata', jsonb_build_object('source_id', workflows_using_source.name))))
      or workflows.spec @> jsonb_build_object('sources', jsonb_build_array(
        jsonb_build_object('ref', workflows_using_source.name)))
      or workflows.spec @> jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('fallback', workflows_using_source.name)))
      or workflows.spec @> jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('fallback', jsonb_build_array(workflows_using_source.name))))
      or workflows.spec @> jsonb_build_object('sources', jsonb_build_array(
        jsonb_build_object('config', jsonb_build_object('fallback', workflows_using_source.name))))
      or workflows.spec @> jsonb_build_object('sources', jsonb_build_array(
        jsonb_build_object('config', jsonb_build_object('fallback', jsonb_build_array(workflows_using_source.name))))))
    and app_private.spec_uses_source(workflows.spec, workflows_using_source.name, workflows_using_source.kind)
$$;

comment on function app_private.workflows_using_source(uuid, text, text) is 'Published workflows of a tenant that use the source row of this name and kind.';
--! EndIncluded app_private/functions/validation/workflows_using_source.sql
--! Included app_public/functions/check_workflow.sql
-- What validateWorkflow of the API asks; it adds what SQL cannot parse (expressions, SQL texts, parameters of one node type).
create or replace function app_public.check_workflow(spec jsonb)
returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('workflows:read');
  return app_private.workflow_problems(check_workflow.spec, app_public.current_tenant_id());
end $$;

comment on function app_public.check_workflow(jsonb) is E'@behavior -*\nProblems of a workflow document: {"errors": [...], "warnings": [...]}, each {code, message, field, node_id}.';
grant execute on function app_public.check_workflow(jsonb) to agentflow_user;
--! EndIncluded app_public/functions/check_workflow.sql

-- identity: what the server asks before it takes a role
--! Included app_private/functions/identity/count_try.sql
-- Windows that are over are forgotten on the way, a few at a time, so that made-up names do not pile up.
create or replace function app_private.count_try(kind text, name text)
returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from app_private.sign_in_tries
  where (sign_in_tries.kind, sign_in_tries.name) in (
    select old.kind, old.name from app_private.sign_in_tries as old
    where old.started_at < now() - interval '15 minutes' and (old.kind, old.name) <> (count_try.kind, count_try.name)
    order by old.started_at limit 10 for update skip locked);
  insert into app_private.sign_in_tries as known (kind, name) values (count_try.kind, left(count_try.name, 255))
  on conflict on constraint sign_in_tries_pkey do update set
    tries = case when known.started_at < now() - interval '15 minutes' then 1 else least(known.tries, 1000000) + 1 end,
    started_at = case when known.started_at < now() - interval '15 minutes' then now() else known.started_at end
  returning known.tries
$$;

comment on function app_private.count_try(text, text) is 'Counts a try at a password within a quarter of an hour; answers the how-manieth it is.';
--! EndIncluded app_private/functions/identity/count_try.sql
--! Included app_private/functions/identity/begin_sign_in.sql
/*
 * Called by the server before it compares a password, off the database's CPU. The try is counted first, so that tries at the same time, and at
 * several servers, count as well; a success takes it back (open_session). Known and unknown accounts are treated alike.
 */
create or replace function app_private.begin_sign_in(email text, origin text)
returns table (is_allowed boolean, user_id uuid, password_hash text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  account constant text := coalesce(lower(btrim(begin_sign_in.email)), '');
  tries constant integer := app_private.count_try('account', account);
  is_allowed constant boolean := app_private.count_try('origin', coalesce(origin, 'unknown')) <= 100 and tries <= 10;
  known record;
begin
  select users.id, users.tenant_id, users.password_hash::text as password_hash into known
  from app_public.users
  join app_public.tenants on tenants.id = users.tenant_id
  where users.email = account and users.status = 'active' and tenants.status = 'active';
  if tries = 11 and known.id is not null then
    perform app_private.record_audit(known.tenant_id, known.id, 'lock_out', 'user', known.id);
  end if;
  return query select is_allowed, case when is_allowed then known.id end, case when is_allowed then known.password_hash end;
end $$;

comment on function app_private.begin_sign_in(text, text) is
  'Counts a try to sign in and answers whether it is allowed (10 an account, 100 an origin in a quarter of an hour), and of an active user of an active tenant the hash to compare the password with.';
grant execute on function app_private.begin_sign_in(text, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/begin_sign_in.sql
--! Included app_private/functions/identity/begin_password_change.sql
create or replace function app_private.begin_password_change(person uuid, origin text)
returns table (is_allowed boolean, user_id uuid, password_hash text, email text, name text)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  select begun.is_allowed, begun.user_id, begun.password_hash, users.email::text, users.name::text
  from app_public.users
  cross join lateral app_private.begin_sign_in(users.email, begin_password_change.origin) as begun
  where users.id = begin_password_change.person
$$;

comment on function app_private.begin_password_change(uuid, text) is 'As begin_sign_in, for somebody who is signed in and gives the present password once more.';
grant execute on function app_private.begin_password_change(uuid, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/begin_password_change.sql
--! Included app_private/functions/identity/refuse_sign_in.sql
create or replace function app_private.refuse_sign_in(email text)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  account app_public.users;
begin
  select * into account from app_public.users where users.email = lower(btrim(refuse_sign_in.email));
  if found then
    perform app_private.record_audit(account.tenant_id, account.id, 'sign_in_refused', 'user', account.id);
  end if;
end $$;

comment on function app_private.refuse_sign_in(text) is 'Notes in the audit log of its tenant that a wrong password was given for an account; nothing for an unknown one.';
grant execute on function app_private.refuse_sign_in(text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/refuse_sign_in.sql
--! Included app_private/functions/identity/demand_password_hash.sql
create or replace function app_private.demand_password_hash(password_hash text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if password_hash is null or password_hash !~ '^\$2b\$1[2-9]\$[./A-Za-z0-9]{53}$' then
    perform app_private.fail('INVALID_VALUE', 'A password is stored as a bcrypt hash of cost 12 or more.', 'password_hash');
  end if;
end $$;

comment on function app_private.demand_password_hash(text) is 'Fails unless the text is a bcrypt hash of cost 12 or more: never a password as it is.';
--! EndIncluded app_private/functions/identity/demand_password_hash.sql
--! Included app_private/functions/identity/end_sessions.sql
create or replace function app_private.end_sessions(tenant_id uuid, user_id uuid)
returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
  with ended as (
    update app_private.sessions set revoked_at = now()
    where sessions.tenant_id = end_sessions.tenant_id and sessions.user_id = end_sessions.user_id
      and sessions.revoked_at is null and sessions.expires_at > now()
    returning 1
  )
  select count(*)::integer from ended
$$;

comment on function app_private.end_sessions(uuid, uuid) is 'Ends all sessions of a user; answers how many there were.';
--! EndIncluded app_private/functions/identity/end_sessions.sql
--! Included app_private/functions/identity/withdraw_resets.sql
create or replace function app_private.withdraw_resets(tenant_id uuid, user_id uuid)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update app_public.access_links set status = 'withdrawn'
  where access_links.tenant_id = withdraw_resets.tenant_id and access_links.user_id = withdraw_resets.user_id and access_links.status = 'pending'
$$;

comment on function app_private.withdraw_resets(uuid, uuid) is 'Withdraws the open resets of a user''s password.';
--! EndIncluded app_private/functions/identity/withdraw_resets.sql
--! Included app_private/functions/identity/open_session.sql
/*
 * Opens a session for a user whose password the server has compared; tries that were counted before are forgotten.
 * No row when the user or the tenant is not active any more. Sessions that ended a month ago are forgotten on the way.
 */
create or replace function app_private.open_session(user_id uuid, lifetime interval)
returns table (session_id uuid, tenant_id uuid, role text, expires_at timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  account record;
  opened app_private.sessions;
begin
  if lifetime is null or lifetime <= interval '0' or lifetime > interval '31 days' then
    perform app_private.fail('INVALID_VALUE', 'A session lasts more than nothing and at most 31 days.', 'lifetime');
  end if;
  select users.id, users.tenant_id, users.role::text as role, users.email into account
  from app_public.users
  join app_public.tenants on tenants.id = users.tenant_id
  where users.id = open_session.user_id and users.status = 'active' and tenants.status = 'active';
  if not found then
    return;
  end if;

  delete from app_private.sign_in_tries where sign_in_tries.kind = 'account' and sign_in_tries.name = account.email;
  update app_private.sign_in_tries set tries = greatest(sign_in_tries.tries - 1, 0)
  where sign_in_tries.kind = 'origin' and sign_in_tries.name = current_setting('request.ip', true);
  delete from app_private.sessions
  where sessions.tenant_id = account.tenant_id and sessions.user_id = account.id
    and least(sessions.expires_at, sessions.revoked_at) < now() - interval '30 days';
  insert into app_private.sessions (tenant_id, user_id, expires_at)
  values (account.tenant_id, account.id, now() + lifetime)
  returning * into opened;
  perform app_private.record_audit(account.tenant_id, account.id, 'sign_in', 'session', opened.id);

  return query select opened.id, account.tenant_id, account.role, opened.expires_at;
end $$;

comment on function app_private.open_session(uuid, interval) is 'Opens an audited session of an active user for at most 31 days.';
grant execute on function app_private.open_session(uuid, interval) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/open_session.sql
--! Included app_private/functions/identity/identify_session.sql
create or replace function app_private.identify_session(session_id uuid)
returns table (user_id uuid, tenant_id uuid, role text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select users.id, users.tenant_id, users.role::text
  from app_private.sessions
  join app_public.users on users.tenant_id = sessions.tenant_id and users.id = sessions.user_id
  join app_public.tenants on tenants.id = users.tenant_id
  where sessions.id = identify_session.session_id and sessions.revoked_at is null and sessions.expires_at > now()
    and users.status = 'active' and tenants.status = 'active'
$$;

comment on function app_private.identify_session(uuid) is 'Who holds this session. No row when it ended, or when the user or the tenant is not active any more.';
grant execute on function app_private.identify_session(uuid) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/identify_session.sql
--! Included app_private/functions/identity/demand_session.sql
/*
 * For a server that remembers whom a session belongs to: raises unless all of it still holds. It runs in the transaction whose claims it vouches for.
 */
create or replace function app_private.demand_session(session_id uuid, user_id uuid, tenant_id uuid, role text)
returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from app_private.identify_session(demand_session.session_id) as holder
  where holder.user_id = demand_session.user_id and holder.tenant_id = demand_session.tenant_id and holder.role = demand_session.role;
  if not found then
    perform app_private.fail('TOKEN_INVALID');
  end if;
  return true;
end $$;

comment on function app_private.demand_session(uuid, uuid, uuid, text) is
  'True when this user, of this tenant and in this role, holds the session; otherwise TOKEN_INVALID, also when the session, the user or the tenant is not active any more.';
grant execute on function app_private.demand_session(uuid, uuid, uuid, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/demand_session.sql
--! Included app_private/functions/identity/close_session.sql
create or replace function app_private.close_session(session_id uuid)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  closed app_private.sessions;
begin
  update app_private.sessions set revoked_at = now()
  where sessions.id = close_session.session_id and sessions.revoked_at is null and sessions.expires_at > now()
  returning * into closed;
  if found then
    perform app_private.record_audit(closed.tenant_id, closed.user_id, 'sign_out', 'session', closed.id);
  end if;
end $$;

comment on function app_private.close_session(uuid) is 'Ends a session; nothing happens when it has ended already.';
grant execute on function app_private.close_session(uuid) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/close_session.sql
--! Included app_private/functions/identity/close_sessions.sql
create or replace function app_private.close_sessions(session_id uuid)
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  session app_private.sessions;
  ended integer;
begin
  select * into session from app_private.sessions where sessions.id = close_sessions.session_id;
  if not found then
    return 0;
  end if;
  ended := app_private.end_sessions(session.tenant_id, session.user_id);
  perform app_private.record_audit(session.tenant_id, session.user_id, 'sign_out_everywhere', 'user', session.user_id,
    null, jsonb_build_object('sessions', ended));
  return ended;
end $$;

comment on function app_private.close_sessions(uuid) is 'Ends all sessions of the user who holds this one; answers how many there were.';
grant execute on function app_private.close_sessions(uuid) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/close_sessions.sql
--! Included app_private/functions/identity/refresh_session.sql
/*
 * A refresh token is good once. One that was used before is in two hands, and nobody can tell which is the right one: the session ends.
 * `is_reused` is answered instead of raised, so that the end is committed.
 */
create or replace function app_private.refresh_session(session_id uuid, used_generation integer)
returns table (is_reused boolean, user_id uuid, tenant_id uuid, role text, generation integer, expires_at timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  session app_private.sessions;
  account record;
begin
  select * into session from app_private.sessions
  where sessions.id = refresh_session.session_id and sessions.revoked_at is null and sessions.expires_at > now()
  for no key update;
  if not found then
    return;
  end if;
  if session.generation > refresh_session.used_generation then
    update app_private.sessions set revoked_at = now() where sessions.id = session.id;
    perform app_private.record_audit(session.tenant_id, session.user_id, 'refresh_reused', 'session', session.id);
    return query select true, null::uuid, null::uuid, null::text, null::integer, null::timestamptz;
    return;
  end if;
  select users.id, users.role::text as role into account
  from app_public.users
  join app_public.tenants on tenants.id = users.tenant_id
  where users.id = session.user_id and users.status = 'active' and tenants.status = 'active';
  if not found or session.generation <> refresh_session.used_generation then
    return;
  end if;
  update app_private.sessions set generation = session.generation + 1, refreshed_at = now() where sessions.id = session.id
  returning * into session;
  return query select false, account.id, session.tenant_id, account.role, session.generation, session.expires_at;
end $$;

comment on function app_private.refresh_session(uuid, integer) is
  'Goes on with a session by its refresh token. No row when the session, its user or its tenant is not active; is_reused when the token was used before, which ends the session.';
grant execute on function app_private.refresh_session(uuid, integer) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/refresh_session.sql
--! Included app_private/functions/identity/change_password.sql
-- A trigger ends the sessions of the user. The actor is set here: the server has no settings for who is just changing how to sign in.
create or replace function app_private.change_password(user_id uuid, password_hash text)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand_password_hash(change_password.password_hash);
  perform set_config('jwt.claims.user_id', change_password.user_id::text, true);
  update app_public.users set password_hash = change_password.password_hash
  where users.id = change_password.user_id and users.status = 'active';
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no active user with this id.', 'user_id');
  end if;
end $$;

comment on function app_private.change_password(uuid, text) is 'Gives an active user a new password, by its bcrypt hash. All sessions end.';
grant execute on function app_private.change_password(uuid, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/change_password.sql
--! Included app_private/functions/identity/make_access_link.sql
-- For functions of the owner that have settled who may. The token is made by the caller, and only its hash is kept.
create or replace function app_private.make_access_link(tenant_id uuid, kind text, email text, name text, role text, user_id uuid, token_hash text)
returns app_public.access_links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  link app_public.access_links;
begin
  if make_access_link.token_hash is null or make_access_link.token_hash !~ '^[0-9a-f]{64}$' then
    perform app_private.fail('INVALID_VALUE', 'The hash of a token is a SHA-256 in hex.', 'token_hash');
  end if;
  insert into app_public.access_links (tenant_id, kind, email, name, role, user_id, token_hash, expires_at)
  values (make_access_link.tenant_id, make_access_link.kind, lower(btrim(make_access_link.email)), nullif(btrim(make_access_link.name), ''),
    make_access_link.role, make_access_link.user_id, make_access_link.token_hash,
    now() + case make_access_link.kind when 'reset' then interval '1 day' else interval '7 days' end)
  returning * into link;
  return link;
end $$;

comment on function app_private.make_access_link(uuid, text, text, text, text, uuid, text) is 'Makes a one-time link: an invitation for 7 days, a reset for one.';
--! EndIncluded app_private/functions/identity/make_access_link.sql
--! Included app_private/functions/identity/living_link.sql
-- Whatever keeps a link from being used is answered alike: a link tells nothing about accounts.
create or replace function app_private.living_link(token_hash text)
returns app_public.access_links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  link app_public.access_links;
begin
  select access_links.* into link
  from app_public.access_links
  join app_public.tenants on tenants.id = access_links.tenant_id
  where access_links.token_hash = living_link.token_hash and access_links.status = 'pending' and access_links.expires_at > now()
    and tenants.status = 'active'
  for no key update of access_links;
  if found and (
    link.kind = 'invitation' and not exists (select from app_public.users where users.email = link.email)
    or link.kind = 'reset' and exists (select from app_public.users where users.id = link.user_id and users.status = 'active')
  ) then
    return link;
  end if;
  perform app_private.fail('LINK_INVALID');
  return null;
end $$;

comment on function app_private.living_link(text) is 'The one-time link with this hash, locked; LINK_INVALID when it cannot be used for whatever reason.';
--! EndIncluded app_private/functions/identity/living_link.sql
--! Included app_private/functions/identity/find_access_link.sql
create or replace function app_private.find_access_link(token_hash text)
returns table (kind text, email text, name text)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  select link.kind::text, link.email::text, coalesce(link.name, users.name)::text
  from app_private.living_link(find_access_link.token_hash) as link
  left join app_public.users on users.id = link.user_id
$$;

comment on function app_private.find_access_link(text) is 'Whom a one-time link is for; LINK_INVALID when it cannot be used any more.';
grant execute on function app_private.find_access_link(text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/find_access_link.sql
--! Included app_private/functions/identity/use_access_link.sql
create or replace function app_private.use_access_link(token_hash text, name text, password_hash text)
returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  link app_public.access_links;
  person uuid;
begin
  perform app_private.demand_password_hash(use_access_link.password_hash);
  link := app_private.living_link(use_access_link.token_hash);
  if link.kind = 'reset' then
    person := link.user_id;
  else
    begin
      insert into app_public.users (tenant_id, email, name, role, password_hash, created_by)
      values (link.tenant_id, link.email, coalesce(nullif(btrim(use_access_link.name), ''), link.name, split_part(link.email, '@', 1)), link.role,
        use_access_link.password_hash, link.created_by)
      returning users.id into person;
    exception when unique_violation then -- somebody else was given the address meanwhile
      perform app_private.fail('LINK_INVALID');
    end;
  end if;
  -- Before the password: its change withdraws the resets that are still open.
  update app_public.access_links set status = 'used', user_id = person where access_links.id = link.id;
  if link.kind = 'reset' then
    perform app_private.change_password(person, use_access_link.password_hash);
  end if;
  return person;
end $$;

comment on function app_private.use_access_link(text, text, text) is
  'Uses up a one-time link: an invitation makes the user, a reset gives a new password. Answers the user; LINK_INVALID when it cannot be used any more.';
grant execute on function app_private.use_access_link(text, text, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/use_access_link.sql
--! Included app_private/functions/tenants/create_tenant.sql
-- For the owner alone: the first admin comes by an invitation, whose token the caller has made.
create or replace function app_private.create_tenant(slug text, name text, admin_email text, token_hash text)
returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant uuid;
begin
  if exists (select from app_public.tenants where tenants.slug = create_tenant.slug) then
    perform app_private.fail('INVALID_VALUE', format('There is a tenant %s already.', create_tenant.slug), 'slug', 'Choose another slug.');
  end if;
  insert into app_public.tenants (slug, name) values (create_tenant.slug, coalesce(nullif(btrim(create_tenant.name), ''), create_tenant.slug))
  returning tenants.id into tenant;
  perform app_private.make_access_link(tenant, 'invitation', create_tenant.admin_email, null, 'admin', null, create_tenant.token_hash);
  return tenant;
end $$;

comment on function app_private.create_tenant(text, text, text, text) is 'Makes a tenant and the invitation of its first admin; answers the tenant. For the owner alone.';
--! EndIncluded app_private/functions/tenants/create_tenant.sql
--! Included app_private/functions/tenants/tenant_tables.sql
create or replace function app_private.tenant_tables() returns table (name text, is_referring boolean)
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select format('%I.%I', namespace.nspname, class.relname), exists (
    select from pg_constraint as reference
    where reference.conrelid = class.oid and reference.contype = 'f' and reference.confrelid = 'app_public.tenants'::regclass)
  from pg_class as class
  join pg_namespace as namespace on namespace.oid = class.relnamespace
  join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attname = 'tenant_id' and not attribute.attisdropped
  where class.relkind in ('r', 'p') and not class.relispartition and attribute.atttypid = 'uuid'::regtype
    and namespace.nspname in ('app_public', 'app_private')
  order by namespace.nspname desc, class.relname
$$;

comment on function app_private.tenant_tables() is 'Every table whose rows belong to tenants, from the catalog: a new one is there by itself.';
--! EndIncluded app_private/functions/tenants/tenant_tables.sql
--! Included app_private/functions/tenants/erase_tenant.sql
/*
 * For the owner alone. Everything goes: the rows of every table that has a tenant, the audit log and its seals, jobs, counted tries to sign in.
 * What is left says how many rows of which table there were, and the last hash of the audit chain. Erasing takes the whole tenant or nothing.
 */
create or replace function app_private.erase_tenant(slug text, reason text) returns jsonb
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant app_public.tenants;
  target record;
  counted bigint;
  counts jsonb := '{}';
  head text;
  addresses text[];
  certificate app_private.tenant_erasures;
begin
  if btrim(coalesce(reason, '')) = '' then
    perform app_private.fail('INVALID_VALUE', 'Erasing a tenant needs a reason, which the certificate keeps.', 'reason');
  end if;
  select * into tenant from app_public.tenants where tenants.slug = erase_tenant.slug for update;
  if not found then
    perform app_private.fail('NOT_FOUND', format('There is no tenant %s.', erase_tenant.slug), 'slug');
  elsif tenant.status = 'active' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('The tenant %s is active.', erase_tenant.slug), 'slug', 'Suspend it first.');
  end if;
  for target in select * from app_private.tenant_tables() loop
    execute format('select count(*) from %s where tenant_id = $1', target.name) into counted using tenant.id;
    counts := counts || jsonb_build_object(target.name, counted);
  end loop;
  select heads.hash into head from app_private.audit_heads() as heads where heads.tenant_id = tenant.id;
  addresses := array(select users.email from app_public.users where users.tenant_id = tenant.id);
  perform graphile_worker.remove_job(execution.id::text) from app_public.executions as execution
  where execution.tenant_id = tenant.id and execution.completed_at is null;
  perform graphile_worker.remove_job(app_private.flow_run_id(execution.id)::text) from app_public.flow_executions as execution
  where execution.tenant_id = tenant.id and execution.completed_at is null;

  delete from app_public.tenants where tenants.id = tenant.id;
  for target in select * from app_private.tenant_tables() loop
    execute format('delete from %s where tenant_id = $1', target.name) using tenant.id;
  end loop;
  delete from app_private.sign_in_tries where kind = 'account' and name = any (addresses);

  insert into app_private.tenant_erasures (erased_tenant_id, slug, reason, erased_by, row_counts, last_audit_hash)
  values (tenant.id, tenant.slug, btrim(erase_tenant.reason), session_user, counts, head)
  returning * into certificate;
  return to_jsonb(certificate);
end $$;

comment on function app_private.erase_tenant(text, text) is 'Erases a suspended tenant completely; answers the certificate: what there was, by table. For the owner alone.';
--! EndIncluded app_private/functions/tenants/erase_tenant.sql
--! Included app_private/functions/operators/operator_tenants.sql
-- By the login, which no setting of a session changes.
create or replace function app_private.operator_tenants() returns uuid[]
  language sql stable security definer parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(operator_grants.tenant_id), '{}')
  from app_private.operator_grants
  where operator_grants.operator = session_user and operator_grants.ended_at is null
    and operator_grants.created_at <= now() and operator_grants.expires_at > clock_timestamp()
$$;

comment on function app_private.operator_tenants() is 'The tenants that the login of this session may look into now: those of its grants that are alive.';
grant execute on function app_private.operator_tenants() to agentflow_operator;
--! EndIncluded app_private/functions/operators/operator_tenants.sql
--! Included app_private/functions/operators/open_operator_grant.sql
-- For the owner alone. The tenant's admins read of it in their audit log. The logins of AgentFlow itself serve everybody, and never get one.
create or replace function app_private.open_operator_grant(slug text, operator text, reason text, lasts interval, may_act boolean default false)
returns app_private.operator_grants
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant uuid;
  opened app_private.operator_grants;
begin
  select tenants.id into tenant from app_public.tenants where tenants.slug = open_operator_grant.slug;
  if not found then
    perform app_private.fail('NOT_FOUND', format('There is no tenant %s.', open_operator_grant.slug), 'slug');
  elsif btrim(coalesce(open_operator_grant.reason, '')) = '' then
    perform app_private.fail('INVALID_VALUE', 'A grant needs a reason, which the tenant''s admins read.', 'reason');
  elsif open_operator_grant.lasts is null or open_operator_grant.lasts <= interval '0' or open_operator_grant.lasts > interval '30 days' then
    perform app_private.fail('INVALID_VALUE', 'A grant lasts more than nothing and at most 30 days.', 'lasts');
  elsif open_operator_grant.operator in ('agentflow_authenticator', 'agentflow_worker') or not exists (
    select from pg_roles where rolname = open_operator_grant.operator and rolcanlogin and pg_has_role(oid, 'agentflow_operator', 'member'))
  then
    perform app_private.fail('INVALID_VALUE', format('%s is no login that belongs to agentflow_operator.', open_operator_grant.operator), 'operator',
      'Create it: create role <name> login password ''...'' in role agentflow_operator');
  end if;
  insert into app_private.operator_grants (tenant_id, operator, reason, may_act, granted_by, expires_at)
  values (tenant, open_operator_grant.operator, btrim(open_operator_grant.reason), open_operator_grant.may_act, session_user, now() + open_operator_grant.lasts)
  returning * into opened;
  perform app_private.record_audit(tenant, null, 'create', 'operator_grant', opened.id, null, to_jsonb(opened) - array['id', 'tenant_id', 'ended_at']);
  return opened;
end $$;

comment on function app_private.open_operator_grant(text, text, text, interval, boolean) is
  'Lets a login of the platform look into a tenant, for a reason and until an end; with may_act it may also do the few things that operators do.';
--! EndIncluded app_private/functions/operators/open_operator_grant.sql
--! Included app_private/functions/operators/end_operator_grant.sql
create or replace function app_private.end_operator_grant(id uuid)
returns app_private.operator_grants
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  ended app_private.operator_grants;
begin
  update app_private.operator_grants set ended_at = now()
  where operator_grants.id = end_operator_grant.id and operator_grants.ended_at is null
  returning * into ended;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no grant with this id that has not been ended.', 'id');
  end if;
  perform app_private.record_audit(ended.tenant_id, null, 'revoke', 'operator_grant', ended.id, null, jsonb_build_object('ended_at', ended.ended_at));
  return ended;
end $$;

comment on function app_private.end_operator_grant(uuid) is 'Ends a grant before its time. For the owner alone.';
--! EndIncluded app_private/functions/operators/end_operator_grant.sql
--! Included app_private/functions/operators/demand_operator.sql
-- For other functions of the owner. What is changed afterwards in this transaction names the login, the grant and its reason in the audit log.
create or replace function app_private.demand_operator(tenant uuid)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  given app_private.operator_grants;
begin
  select operator_grants.* into given from app_private.operator_grants
  where operator_grants.tenant_id = tenant and operator_grants.operator = session_user and operator_grants.may_act
    and operator_grants.ended_at is null and operator_grants.expires_at > clock_timestamp()
  order by operator_grants.expires_at desc limit 1;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no such object in a tenant in which you may act now.', 'id', 'Ask for a grant with the right to act.');
  end if;
  perform set_config('jwt.claims.user_id', '', true), set_config('jwt.claims.tenant_id', '', true), set_config('jwt.claims.api_key_id', '', true),
    set_config('request.user_agent', format('operator %s, grant %s: %s', session_user, given.id, given.reason), true);
end $$;

comment on function app_private.demand_operator(uuid) is 'Fails with NOT_FOUND unless the login of this session has a grant by which it may act in the tenant.';
--! EndIncluded app_private/functions/operators/demand_operator.sql
--! Included app_public/functions/operator_set_tenant_status.sql
create or replace function app_public.operator_set_tenant_status(tenant uuid, status text)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand_operator(operator_set_tenant_status.tenant);
  if operator_set_tenant_status.status is null or operator_set_tenant_status.status not in ('active', 'suspended') then
    perform app_private.fail('INVALID_VALUE', 'An operator makes a tenant active or suspended.', 'status');
  end if;
  update app_public.tenants set status = operator_set_tenant_status.status where tenants.id = operator_set_tenant_status.tenant;
end $$;

comment on function app_public.operator_set_tenant_status(uuid, text) is E'@behavior -*\nSuspends a tenant or lets it in again, within a grant.';
grant execute on function app_public.operator_set_tenant_status(uuid, text) to agentflow_operator;
--! EndIncluded app_public/functions/operator_set_tenant_status.sql
--! Included app_public/functions/operator_cancel_execution.sql
create or replace function app_public.operator_cancel_execution(execution uuid)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target app_public.executions;
begin
  select executions.* into target from app_public.executions where executions.id = operator_cancel_execution.execution for no key update;
  perform app_private.demand_operator(target.tenant_id);
  if target.completed_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('An execution that is %s cannot be cancelled.', target.status), 'status');
  end if;
  perform app_private.end_executions(target.tenant_id, array[target.id], 'cancelled');
  perform app_private.end_children(target.tenant_id, array[target.id]);
  perform app_private.wake_parents(array[target.id]);
end $$;

comment on function app_public.operator_cancel_execution(uuid) is E'@behavior -*\nCancels an execution and what it started, within a grant.';
grant execute on function app_public.operator_cancel_execution(uuid) to agentflow_operator;
--! EndIncluded app_public/functions/operator_cancel_execution.sql
--! Included app_private/functions/tenants/exceed_quota.sql
create or replace function app_private.exceed_quota(quota text, allowed numeric, used numeric) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.fail('QUOTA_EXCEEDED', format('The quota %s of this tenant is used up: %s are allowed, and this would make %s.', quota, allowed, used), null, null,
    jsonb_build_object('quota', quota, 'allowed', allowed, 'found', used));
end $$;

comment on function app_private.exceed_quota(text, numeric, numeric) is 'Fails with QUOTA_EXCEEDED, naming the quota.';
--! EndIncluded app_private/functions/tenants/exceed_quota.sql
--! Included app_private/functions/tenants/storage_of.sql
create or replace function app_private.storage_of(tenant uuid) returns bigint
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select (
    coalesce((select sum(pg_column_size(rows.spec)) from app_public.workflow_versions as rows where rows.tenant_id = tenant), 0)
    + coalesce((select sum(pg_column_size(rows.definition)) from app_public.flow_versions as rows where rows.tenant_id = tenant), 0)
    + coalesce((select sum(pg_column_size(rows.initial_state) + coalesce(pg_column_size(rows.final_state), 0)) from app_public.executions as rows where rows.tenant_id = tenant), 0)
    + coalesce((select sum(coalesce(pg_column_size(rows.input_context), 0) + coalesce(pg_column_size(rows.output_data), 0)) from app_public.flow_executions as rows where rows.tenant_id = tenant), 0)
    + coalesce((select sum(coalesce(pg_column_size(rows.input_data), 0) + coalesce(pg_column_size(rows.output_data), 0)) from app_public.task_executions as rows where rows.tenant_id = tenant), 0)
    + coalesce((select sum(octet_length(rows.bytes)) from app_private.artifacts as rows where rows.tenant_id = tenant), 0)
  )::bigint
$$;

comment on function app_private.storage_of(uuid) is
  'Bytes that a tenant keeps, as they lie on the disk: documents with their versions, states and results of executions, what tasks of flows were given and answered, pictures.';
--! EndIncluded app_private/functions/tenants/storage_of.sql
--! Included app_private/functions/tenants/demand_storage.sql
-- Measuring reads much of what the tenant has, so it is done once a minute at most, and less often where it takes long.
create or replace function app_private.demand_storage(tenant uuid, allowed numeric) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  known app_private.tenant_usages;
  begun constant timestamptz := clock_timestamp();
begin
  select * into known from app_private.tenant_usages as usage where usage.tenant_id = tenant;
  if known.storage_due is null or known.storage_due <= begun then
    known.storage_bytes := app_private.storage_of(tenant);
    insert into app_private.tenant_usages (tenant_id, storage_bytes, storage_due)
    values (tenant, known.storage_bytes, begun + greatest(interval '1 minute', (clock_timestamp() - begun) * 100))
    on conflict on constraint tenant_usages_pkey do update set storage_bytes = excluded.storage_bytes, storage_due = excluded.storage_due;
  end if;
  if known.storage_bytes > allowed then
    perform app_private.exceed_quota('storage_bytes', allowed, known.storage_bytes);
  end if;
end $$;

comment on function app_private.demand_storage(uuid, numeric) is 'Fails with QUOTA_EXCEEDED when a tenant keeps more bytes than allowed.';
--! EndIncluded app_private/functions/tenants/demand_storage.sql
--! Included app_private/functions/tenants/count_starts.sql
-- The first start of a day, and the first after a change of the quotas, counts what is there; the rows just made are there already.
create or replace function app_private.count_starts(tenant uuid, started bigint) returns bigint
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  today constant date := (now() at time zone 'UTC')::date;
  midnight constant timestamptz := today::timestamp at time zone 'UTC';
  counted bigint;
begin
  update app_private.tenant_usages as usage set executions = usage.executions + started
  where usage.tenant_id = tenant and usage.day = today
  returning usage.executions into counted;
  if found then
    return counted;
  end if;
  insert into app_private.tenant_usages as usage (tenant_id, day, executions)
  select tenant, today,
    (select count(*) from app_public.executions as rows where rows.tenant_id = tenant and rows.created_at >= midnight and rows.parent_execution_id is null)
    + (select count(*) from app_public.flow_executions as rows where rows.tenant_id = tenant and rows.started_at >= midnight)
  on conflict on constraint tenant_usages_pkey do update
    set executions = case when usage.day = today then usage.executions + started else excluded.executions end, day = today
  returning usage.executions into counted;
  return counted;
end $$;

comment on function app_private.count_starts(uuid, bigint) is 'Counts executions that a tenant starts today (UTC), and answers how many there are with these.';
--! EndIncluded app_private/functions/tenants/count_starts.sql
--! Included app_private/functions/tenants/count_running.sql
create or replace function app_private.count_running(tenant uuid, enough numeric) returns bigint
  language sql volatile
  set search_path = pg_catalog, pg_temp
as $$
  select count(*) from (
    (select from app_public.executions as rows
     where rows.tenant_id = tenant and rows.status in ('pending', 'running') and rows.parent_execution_id is null limit enough::bigint + 1)
    union all
    (select from app_public.flow_executions as rows
     where rows.tenant_id = tenant and rows.status in ('PENDING', 'RUNNING') limit enough::bigint + 1)
  ) as running
$$;

comment on function app_private.count_running(uuid, numeric) is 'Executions of a tenant, of workflows and flows, that are not over; counted no further than needed.';
--! EndIncluded app_private/functions/tenants/count_running.sql
--! Included app_private/functions/tenants/keep_quotas.sql
/*
 * A statement that starts executions for somebody signed in, whichever it is. The engine's own children have no caller: they belong to
 * the execution that was counted. Tenants without quotas pay for one look at their row. The row of the tenant's usage is held until the end of
 * the transaction where starts are counted, so that those at the same time come one after the other.
 */
create or replace function app_private.keep_quotas() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  tenant constant uuid := app_public.current_tenant_id();
  quotas jsonb;
  allowed numeric;
  used numeric;
  spent record;
begin
  select tenants.quotas into quotas from app_public.tenants
  where tenants.id = tenant and tenants.quotas <> '{}';
  if not found then
    return null;
  end if;
  select count(*) into used from inserted where inserted.tenant_id = tenant;
  if used = 0 then
    return null;
  end if;
  allowed := quotas ->> 'executions_per_day';
  if allowed is not null then
    used := app_private.count_starts(tenant, used::bigint);
    if used > allowed then
      perform app_private.exceed_quota('executions_per_day', allowed, used);
    end if;
  end if;
  allowed := quotas ->> 'concurrent_executions';
  if allowed is not null then
    perform pg_advisory_xact_lock(hashtextextended('app_private.keep_quotas ' || tenant::text, 0));
    used := app_private.count_running(tenant, allowed);
    if used > allowed then
      perform app_private.exceed_quota('concurrent_executions', allowed, used);
    end if;
  end if;
  if quotas ? 'tokens_per_month' or quotas ? 'cost_per_month' then
    select * into spent from app_private.spent_this_month(tenant);
    if spent.tokens >= (quotas ->> 'tokens_per_month')::numeric then
      perform app_private.exceed_quota('tokens_per_month', (quotas ->> 'tokens_per_month')::numeric, spent.tokens);
    elsif spent.cost >= (quotas ->> 'cost_per_month')::numeric then
      perform app_private.exceed_quota('cost_per_month', (quotas ->> 'cost_per_month')::numeric, spent.cost);
    end if;
  end if;
  allowed := quotas ->> 'storage_bytes';
  if allowed is not null then
    perform app_private.demand_storage(tenant, allowed);
  end if;
  return null;
end $$;

comment on function app_private.keep_quotas() is 'Refuses executions beyond the quotas of their tenant with QUOTA_EXCEEDED.';
--! EndIncluded app_private/functions/tenants/keep_quotas.sql
--! Included app_private/functions/tenants/keep_storage_quota.sql
create or replace function app_private.keep_storage_quota() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  tenant constant uuid := app_public.current_tenant_id();
  allowed numeric;
begin
  select tenants.quotas ->> 'storage_bytes' into allowed from app_public.tenants
  where tenants.id = tenant and tenants.quotas ? 'storage_bytes';
  if found then
    perform app_private.demand_storage(tenant, allowed);
  end if;
  return null;
end $$;

comment on function app_private.keep_storage_quota() is 'Refuses documents beyond the storage of their tenant with QUOTA_EXCEEDED.';
--! EndIncluded app_private/functions/tenants/keep_storage_quota.sql
--! Included app_private/functions/triggers/recount_quotas.sql
create or replace function app_private.recount_quotas() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from app_private.tenant_usages as usage where usage.tenant_id = new.id;
  return null;
end $$;

comment on function app_private.recount_quotas() is 'What was counted for other quotas is counted anew.';
--! EndIncluded app_private/functions/triggers/recount_quotas.sql
--! Included app_private/functions/triggers/park_tenant.sql
create or replace function app_private.park_tenant() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status = 'active' then
    perform app_private.resume_tenant(new.id);
  else
    perform app_private.park_tenants(array[new.id]);
  end if;
  return null;
end $$;

comment on function app_private.park_tenant() is 'Parks what runs in a tenant that is suspended or deleted, and lets it go on when the tenant is active again.';
--! EndIncluded app_private/functions/triggers/park_tenant.sql
--! Included app_private/functions/identity/accept_invitation.sql
-- Nobody knows a password of the new user: there is none that has this hash.
create or replace function app_private.accept_invitation(address text, name text)
returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  link app_public.access_links;
  person uuid;
begin
  select access_links.* into link
  from app_public.access_links join app_public.tenants on tenants.id = access_links.tenant_id
  where access_links.email = address and access_links.kind = 'invitation' and access_links.status = 'pending' and access_links.expires_at > now()
    and tenants.status = 'active' and not exists (select from app_public.users where users.email = address)
  order by access_links.created_at, access_links.id
  limit 1 for no key update of access_links;
  if not found then
    return null;
  end if;
  insert into app_public.users (tenant_id, email, name, role, password_hash, created_by)
  values (link.tenant_id, link.email, left(coalesce(nullif(btrim(accept_invitation.name), ''), link.name, split_part(link.email, '@', 1)), 255), link.role,
    '$2b$12$' || left(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 53), link.created_by)
  on conflict do nothing
  returning users.id into person;
  if person is not null then
    update app_public.access_links set status = 'used', user_id = person where access_links.id = link.id;
  end if;
  return person;
end $$;

comment on function app_private.accept_invitation(text, text) is
  'Makes the user of the oldest invitation of an address that the identity provider vouches for; null when there is none that can be used.';
--! EndIncluded app_private/functions/identity/accept_invitation.sql
--! Included app_private/functions/identity/open_provider_session.sql
/*
 * Somebody comes with a new token of the identity provider, which the server has found good. The first time the address, which the provider has
 * verified, says who it is, or which invitation is accepted by it; from then on the provider's name for the person alone, whatever the address
 * becomes there. A session that was ended here is not opened again; one that another request has just opened is answered. No row when nobody is meant.
 */
create or replace function app_private.open_provider_session(session_id uuid, issuer text, subject text, email text, name text, expires_at timestamptz)
returns table (user_id uuid, tenant_id uuid, role text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  address constant text := lower(btrim(open_provider_session.email));
  person uuid;
begin
  if exists (
    select from app_private.sessions
    where sessions.id = open_provider_session.session_id and (sessions.revoked_at is not null or sessions.expires_at <= now()))
  then
    return;
  end if;
  select identities.user_id into person from app_private.provider_identities as identities
  where identities.issuer = open_provider_session.issuer and identities.subject = open_provider_session.subject;
  if not found and address <> '' then
    person := coalesce(
      (select users.id from app_public.users where users.email = address and users.status = 'active'
        and not exists (select from app_private.provider_identities as identities where identities.user_id = users.id and identities.issuer = open_provider_session.issuer)),
      app_private.accept_invitation(address, open_provider_session.name));
    insert into app_private.provider_identities (issuer, subject, tenant_id, user_id)
    select open_provider_session.issuer, open_provider_session.subject, users.tenant_id, users.id from app_public.users where users.id = person
    on conflict do nothing;
    -- Of two tokens of one person at the same time the second finds what the first has made; another person's is refused.
    select identities.user_id into person from app_private.provider_identities as identities
    where identities.issuer = open_provider_session.issuer and identities.subject = open_provider_session.subject;
  end if;
  return query
    with opened as (
      insert into app_private.sessions as session (id, tenant_id, user_id, expires_at)
      select open_provider_session.session_id, users.tenant_id, users.id, least(open_provider_session.expires_at, now() + interval '1 day')
      from app_public.users join app_public.tenants on tenants.id = users.tenant_id
      where users.id = person and users.status = 'active' and tenants.status = 'active'
      on conflict on constraint sessions_pkey do update set id = excluded.id where session.user_id = excluded.user_id and session.revoked_at is null
      returning session.id, session.tenant_id, session.user_id, session.xmax = 0 as is_new
    ), told as materialized (
      select opened.id, case when opened.is_new then app_private.record_audit(opened.tenant_id, opened.user_id, 'sign_in', 'session', opened.id, null,
        jsonb_build_object('issuer', open_provider_session.issuer, 'subject', open_provider_session.subject))::text end as done
      from opened
    )
    select users.id, users.tenant_id, users.role::text
    from opened join told on told.id = opened.id join app_public.users on users.id = opened.user_id;
end $$;

comment on function app_private.open_provider_session(uuid, text, text, text, text, timestamptz) is
  'Opens the audited session of a token of the identity provider, for at most a day: of the user who is bound to its subject, or whose address or invitation it carries.';
grant execute on function app_private.open_provider_session(uuid, text, text, text, text, timestamptz) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/open_provider_session.sql
--! Included app_private/functions/identity/note_refusal.sql
/*
 * A refusal ends its transaction, so it is noted in another one, by the server, with the caller's settings. Of one kind by one user or key
 * there is one row in a quarter of an hour: whoever is refused again and again must not fill the log.
 */
create or replace function app_private.note_refusal(code text, operation text)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant constant uuid := app_public.current_tenant_id();
  person constant uuid := app_public.current_user_id();
  what constant text := left(coalesce(operation, ''), 100);
begin
  if person is null or not exists (select from app_public.users where users.tenant_id = tenant and users.id = person)
    or app_private.count_try('refusal', concat_ws(' ', person, app_private.current_api_key_id(), code, what)) > 1
  then
    return;
  end if;
  perform app_private.record_audit(tenant, person, 'refuse', 'operation', null, null, jsonb_build_object('code', left(code, 50), 'operation', what), what);
end $$;

comment on function app_private.note_refusal(text, text) is
  'Notes in the audit log that who is signed in was refused an operation: once in a quarter of an hour for each user, key and operation.';
grant execute on function app_private.note_refusal(text, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/note_refusal.sql
--! Included app_private/functions/identity/note_refused_key.sql
create or replace function app_private.note_refused_key(key_hash text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  api_key app_public.api_keys;
begin
  select * into api_key from app_public.api_keys where api_keys.key_hash = note_refused_key.key_hash;
  if found and app_private.count_try('refusal', api_key.id::text) = 1 then
    perform app_private.record_audit(api_key.tenant_id, api_key.user_id, 'sign_in_refused', 'api_key', api_key.id, null,
      jsonb_build_object('status', case when api_key.status = 'active' and api_key.expires_at <= now() then 'expired' else api_key.status end));
  end if;
end $$;

comment on function app_private.note_refused_key(text) is
  'Notes in the audit log that a key was used which is revoked or expired, or whose user or tenant is not active: once in a quarter of an hour. Nothing for an unknown one.';
--! EndIncluded app_private/functions/identity/note_refused_key.sql
--! Included app_private/functions/identity/identify_api_key.sql
/*
 * Called for each request by key. The use is noted once a minute at most, by whoever comes first: the others neither write nor wait.
 */
create or replace function app_private.identify_api_key(key_hash text)
returns table (api_key_id uuid, user_id uuid, tenant_id uuid, role text, permissions jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  identified record;
begin
  select api_keys.id, api_keys.user_id, api_keys.tenant_id, users.role::text as role, api_keys.permissions, api_keys.last_used_at
  into identified
  from app_public.api_keys
  join app_public.users on users.tenant_id = api_keys.tenant_id and users.id = api_keys.user_id
  join app_public.tenants on tenants.id = api_keys.tenant_id
  where api_keys.key_hash = identify_api_key.key_hash and api_keys.status = 'active' and api_keys.deleted_at is null
    and (api_keys.expires_at is null or api_keys.expires_at > now())
    and users.status = 'active' and tenants.status = 'active';
  if not found then
    perform app_private.note_refused_key(identify_api_key.key_hash);
    return;
  end if;

  if identified.last_used_at is null or identified.last_used_at < now() - interval '1 minute' then
    update app_public.api_keys set last_used_at = now()
    where api_keys.id = (
      select api_keys.id from app_public.api_keys
      where api_keys.id = identified.id and api_keys.last_used_at is not distinct from identified.last_used_at
      for no key update skip locked);
  end if;

  return query select identified.id, identified.user_id, identified.tenant_id, identified.role, identified.permissions;
end $$;

comment on function app_private.identify_api_key(text) is 'Whose API key has this hash. No row when it is revoked or expired, or when the user or the tenant is not active any more.';
grant execute on function app_private.identify_api_key(text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/identify_api_key.sql
--! Included app_private/functions/identity/rehash_api_key.sql
/*
 * AGENTFLOW_SECRET_KEY has changed: an API key that is known by its hash under an earlier one is known by the present one from now on. Whoever
 * calls it has the key itself. False: no active key has the old hash.
 */
create or replace function app_private.rehash_api_key(old_hash text, new_hash text)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  key_id uuid;
begin
  if rehash_api_key.new_hash is null or rehash_api_key.new_hash !~ '^[0-9a-f]{64}$' then
    perform app_private.fail('INVALID_VALUE', 'An API key is stored as its HMAC-SHA-256 in hex.', 'key_hash');
  end if;
  select api_keys.id into key_id
    from app_public.api_keys
   where api_keys.key_hash = rehash_api_key.old_hash and api_keys.status = 'active' and api_keys.deleted_at is null
     for no key update;
  if key_id is null then
    return false;
  end if;
  perform set_config('agentflow.rehashed_key', key_id::text, true);
  update app_public.api_keys set key_hash = rehash_api_key.new_hash where api_keys.id = key_id;
  perform set_config('agentflow.rehashed_key', '', true);
  return true;
end $$;

comment on function app_private.rehash_api_key(text, text) is 'Makes an API key known by its hash under the present AGENTFLOW_SECRET_KEY.';
grant execute on function app_private.rehash_api_key(text, text) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/rehash_api_key.sql
--! Included app_private/functions/identity/take_requests.sql
/*
 * Called by servers, for many buckets at a time. Rows are locked in one order, so that two servers never wait for each other in a ring. Buckets that
 * nobody has taken from for an hour are full, and forgotten on the way, a few at a time.
 */
create or replace function app_private.take_requests(kinds text[], names text[], wanted integer[], per_second double precision[], bursts double precision[])
returns table (kind text, name text, granted integer, wait_ms integer)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from app_private.request_buckets
  where (request_buckets.kind, request_buckets.name) in (
    select old.kind, old.name from app_private.request_buckets as old
    where old.refilled_at < now() - interval '1 hour' and old.name <> all (take_requests.names)
    order by old.refilled_at limit 10 for update skip locked);

  insert into app_private.request_buckets (kind, name, level)
  select asked.kind, asked.name, asked.burst
  from unnest(take_requests.kinds, take_requests.names, take_requests.bursts) as asked (kind, name, burst)
  order by asked.kind, asked.name
  on conflict on constraint request_buckets_pkey do nothing;

  with asked as (
    select * from unnest(take_requests.kinds, take_requests.names, take_requests.wanted, take_requests.per_second, take_requests.bursts)
      as input (kind, name, wanted, per_second, burst)
  ), locked as materialized (
    select bucket.kind, bucket.name, asked.wanted, asked.per_second,
      least(asked.burst, bucket.level + asked.per_second * greatest(extract(epoch from clock_timestamp() - bucket.refilled_at), 0)) as level
    from app_private.request_buckets as bucket
    join asked on asked.kind = bucket.kind and asked.name = bucket.name
    order by bucket.kind, bucket.name
    for update of bucket
  ), taken as (
    update app_private.request_buckets as bucket
    set level = locked.level - least(locked.wanted, floor(locked.level)), refilled_at = greatest(bucket.refilled_at, clock_timestamp())
    from locked
    where bucket.kind = locked.kind and bucket.name = locked.name
    returning bucket.kind, bucket.name, least(locked.wanted, floor(locked.level)::integer) as granted, locked.level, locked.per_second
  )
  select taken.kind::text, taken.name::text, taken.granted,
    case when taken.granted > 0 then 0 else least(ceil((1 - taken.level) / taken.per_second * 1000), 3600000)::integer end
  from taken
$$;

comment on function app_private.take_requests(text[], text[], integer[], double precision[], double precision[]) is
  'Takes requests from buckets: as many as are there of those wanted, and how long it takes until there is one when there is none.';
grant execute on function app_private.take_requests(text[], text[], integer[], double precision[], double precision[]) to agentflow_authenticator;
--! EndIncluded app_private/functions/identity/take_requests.sql

-- secrets and artifacts
--! Included app_public/functions/save_secret.sql
/*
 * Stores a secret of the caller's tenant, or puts another value under its name. `sealed` is what the server has made of the value: the database never
 * sees that. The audit log says that it happened, with nothing of the secret.
 */
create or replace function app_public.save_secret(name text, sealed text, hosts text[])
returns app_public.secret
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant uuid := app_public.current_tenant_id();
  actor uuid := app_public.current_user_id();
  saved app_private.secrets;
  is_new boolean;
begin
  perform app_private.demand('sources:write');
  if save_secret.name is null or save_secret.name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$' then
    perform app_private.fail('INVALID_VALUE', 'The name of a secret has 1 to 100 letters, digits, "_", "." and "-", and begins with a letter or digit.', 'name');
  end if;
  if exists (select from unnest(save_secret.hosts) as host where host is null or host !~ '^(\*\.)?[a-z0-9:.-]+$') then
    perform app_private.fail('INVALID_VALUE', 'Hosts are names in lower case like api.example.com, or *.example.com.', 'hosts');
  end if;
  insert into app_private.secrets (tenant_id, name, sealed, hosts, created_by, updated_by)
  values (tenant, save_secret.name, save_secret.sealed, save_secret.hosts, actor, actor)
  on conflict (tenant_id, name) do update
    set sealed = excluded.sealed, hosts = excluded.hosts, updated_at = now(), updated_by = excluded.updated_by
  returning * into saved;
  is_new := saved.updated_at = saved.created_at and saved.created_at = now();
  perform app_private.record_audit(tenant, actor, case when is_new then 'create' else 'update' end, 'secret', saved.id, null,
    jsonb_build_object('name', saved.name, 'hosts', saved.hosts));
  return row(saved.name, saved.hosts, saved.created_at, saved.updated_at)::app_public.secret;
end $$;

comment on function app_public.save_secret(text, text, text[]) is E'@behavior -*\nStores a sealed secret of the tenant under a name; a second one under the same name takes its place.';
grant execute on function app_public.save_secret(text, text, text[]) to agentflow_user;
--! EndIncluded app_public/functions/save_secret.sql
--! Included app_private/functions/sources/find_secret.sql
create or replace function app_private.find_secret(tenant uuid, name text)
returns table (sealed text, hosts text[])
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select secret.sealed, secret.hosts from app_private.secrets as secret where secret.tenant_id = tenant and secret.name = find_secret.name
$$;

comment on function app_private.find_secret(uuid, text) is 'A sealed secret of a tenant, for the worker that is to use it.';
grant execute on function app_private.find_secret(uuid, text) to agentflow_worker;
--! EndIncluded app_private/functions/sources/find_secret.sql
--! Included app_public/functions/source_to_test.sql
/* `secrets`: the sealed ones that its configuration may name, by name. For the server, which tries the source for the caller. */
create or replace function app_public.source_to_test(id uuid)
returns table (name text, kind text, config jsonb, tenant_id uuid, tenant_slug text, secrets jsonb)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform app_private.demand('sources:write');
  return query
    select source.name::text, source.kind::text, source.config, source.tenant_id, tenant.slug::text,
      coalesce((select jsonb_object_agg(secret.name, jsonb_build_object('sealed', secret.sealed, 'hosts', secret.hosts))
                  from app_private.secrets as secret
                 where secret.tenant_id = source.tenant_id
                   and jsonb_path_exists(source.config, 'strict $.**.secret ? (@ == $name)', jsonb_build_object('name', secret.name), true)), '{}')
      from app_public.sources as source
      join app_public.tenants as tenant on tenant.id = source.tenant_id
     where source.tenant_id = app_public.current_tenant_id() and source.id = source_to_test.id and source.deleted_at is null;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no such source, or it is not yours to see.', 'id');
  end if;
end $$;

comment on function app_public.source_to_test(uuid) is E'@behavior -*\nA source of the tenant with what is needed to try it.';
grant execute on function app_public.source_to_test(uuid) to agentflow_user;
--! EndIncluded app_public/functions/source_to_test.sql
--! Included app_public/functions/read_artifact.sql
/* No row: there is none, it is another tenant's, or the caller may not read executions. All look the same. */
create or replace function app_public.read_artifact(id uuid)
returns table (media_type text, bytes bytea)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select artifact.media_type, artifact.bytes
    from app_private.artifacts as artifact
    join app_public.executions as execution on execution.tenant_id = artifact.tenant_id and execution.id = artifact.execution_id
   where artifact.id = read_artifact.id
     and artifact.tenant_id = (select app_public.current_tenant_id())
     and execution.deleted_at is null
     and (select app_private.may('executions:read'))
$$;

comment on function app_public.read_artifact(uuid) is E'@behavior -*\nAn artifact of the caller''s tenant: what kind of bytes they are, and the bytes.';
grant execute on function app_public.read_artifact(uuid) to agentflow_user;
--! EndIncluded app_public/functions/read_artifact.sql
--! Included app_private/functions/triggers/demand_admin_to_write.sql
/* A database source reads only, unless an admin says otherwise. Without a user it is a DBA or an operator who acts. */
create or replace function app_private.demand_admin_to_write()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if app_public.current_user_id() is not null then
    perform app_private.demand('admin');
  end if;
  return new;
end $$;

comment on function app_private.demand_admin_to_write() is 'Refuses read_only: false in the configuration of a source to everybody but admins.';
--! EndIncluded app_private/functions/triggers/demand_admin_to_write.sql
--! Included app_public/functions/secrets.sql
create or replace function app_public.secrets()
returns setof app_public.secret
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select row(secret.name, secret.hosts, secret.created_at, secret.updated_at)::app_public.secret
    from app_private.secrets as secret
   where secret.tenant_id = (select app_public.current_tenant_id()) and (select app_private.may('sources:read'))
   order by secret.name
$$;

comment on function app_public.secrets() is 'The secrets that the tenant has stored: their names and where they may go, never their values.';
grant execute on function app_public.secrets() to agentflow_user;
comment on type app_public.secret is 'A stored secret, without its value: that is never shown again. Sources use it as {"secret": "name"}.';
comment on column app_public.secret.name is 'By which sources name it.';
comment on column app_public.secret.hosts is 'The hosts that it may be sent to; null: wherever a saved source says.';
comment on column app_public.secret.created_at is 'When a secret of this name was first stored.';
comment on column app_public.secret.updated_at is 'When its value was last replaced.';
--! EndIncluded app_public/functions/secrets.sql
--! Included app_public/functions/delete_secret.sql
create or replace function app_public.delete_secret(name text)
returns app_public.secret
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  gone app_private.secrets;
begin
  perform app_private.demand('sources:write');
  delete from app_private.secrets
  where secrets.tenant_id = app_public.current_tenant_id() and secrets.name = delete_secret.name
  returning * into gone;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no secret of this name.', 'name');
  end if;
  perform app_private.record_audit(gone.tenant_id, app_public.current_user_id(), 'delete', 'secret', gone.id, jsonb_build_object('name', gone.name, 'hosts', gone.hosts), null);
  return row(gone.name, gone.hosts, gone.created_at, gone.updated_at)::app_public.secret;
end $$;

comment on function app_public.delete_secret(text) is E'@resultFieldName secret\nDeletes a stored secret. Sources that name it fail from then on.';
grant execute on function app_public.delete_secret(text) to agentflow_user;
--! EndIncluded app_public/functions/delete_secret.sql
--! Included app_public/functions/usage.sql
/*
 * Sums of what nodes have used, by the time at which their executions were accepted: of finished and of running ones alike. Costs are summed unrounded.
 * Partitions outside of the time asked for are not read. By model and by source, nodes that used none are left out.
 */
create or replace function app_public.usage("from" timestamptz, "to" timestamptz, by app_public.usage_by default 'DAY')
returns setof app_public.usage_line
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform app_private.demand('executions:read');
  if usage."to" <= usage."from" or usage."to" > usage."from" + interval '400 days' then
    perform app_private.fail('INVALID_VALUE', 'The time ends after it begins, and at most 400 days later.', 'to');
  end if;
  return query
    select (case when usage.by = 'DAY' then (node.execution_created_at at time zone 'UTC')::date end) as day,
      (case when usage.by = 'WORKFLOW' then execution.workflow_id end) as workflow_id,
      (case when usage.by = 'NODE_TYPE' then node.node_type::text end) as node_type,
      count(distinct node.execution_id), sum(node.tokens_used)::bigint, sum(node.cost),
      (case when usage.by = 'MODEL' then node.model::text end) as model,
      (case when usage.by = 'SOURCE' then node.source_name::text end) as source_name,
      count(*) filter (where node.is_cached)
    from app_public.node_executions as node
    join app_public.executions as execution on execution.tenant_id = node.tenant_id and execution.id = node.execution_id
    where node.tenant_id = app_public.current_tenant_id()
      and node.execution_created_at >= usage."from" and node.execution_created_at < usage."to"
      and case usage.by when 'MODEL' then node.model is not null or node.cost > 0
            when 'SOURCE' then node.source_name is not null or node.cost > 0 else true end
    group by 1, 2, 3, 7, 8
    order by 1, 6 desc, 2, 3, 7, 8;
end $$;

comment on function app_public.usage(timestamptz, timestamptz, app_public.usage_by) is
  'What the tenant''s executions have used in a time (from included, to excluded; at most 400 days), by day (UTC), workflow, node type, model or source. Deleted executions count.';
grant execute on function app_public.usage(timestamptz, timestamptz, app_public.usage_by) to agentflow_user;
comment on type app_public.usage_by is 'By what usage is summed.';
comment on type app_public.usage_line is 'What was used on a day, by a workflow, by nodes of a type, by a model or by a source.';
comment on column app_public.usage_line.day is 'By DAY: the day, UTC.';
comment on column app_public.usage_line.workflow_id is 'By WORKFLOW: its id.';
comment on column app_public.usage_line.node_type is 'By NODE_TYPE: the type.';
comment on column app_public.usage_line.executions is 'How many executions took part.';
comment on column app_public.usage_line.tokens is 'Tokens of all model calls.';
comment on column app_public.usage_line.cost is 'US dollars, unrounded.';
comment on column app_public.usage_line.model is 'By MODEL: its name; null: of nodes whose model is not recorded.';
comment on column app_public.usage_line.source_name is 'By SOURCE: its name or id; null: of nodes that name their model themselves.';
comment on column app_public.usage_line.cache_hits is 'Nodes whose answer came from the cache of their source.';
--! EndIncluded app_public/functions/usage.sql
--! Included app_private/functions/sources/this_month.sql
-- Months of budgets are those of UTC.
create or replace function app_private.this_month()
returns date
language sql stable parallel safe
return date_trunc('month', now() at time zone 'UTC')::date;

comment on function app_private.this_month() is 'The first day of the present month, UTC.';
--! EndIncluded app_private/functions/sources/this_month.sql
--! Included app_private/functions/sources/key_of_run.sql
-- The API key by which an execution, or a flow execution (by the UUID that the engine knows it by), was started; null: by a person.
create or replace function app_private.key_of_run(tenant uuid, run_id uuid)
returns uuid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when app_private.flow_id_of_run(run_id) is null then
      (select execution.api_key_id from app_public.executions as execution where execution.tenant_id = tenant and execution.id = run_id)
    else
      (select execution.api_key_id from app_public.flow_executions as execution
        where execution.tenant_id = tenant and execution.id = app_private.flow_id_of_run(run_id))
  end
$$;

comment on function app_private.key_of_run(uuid, uuid) is 'The API key that started an execution or flow execution, or null.';
--! EndIncluded app_private/functions/sources/key_of_run.sql
--! Included app_private/functions/sources/spent_this_month.sql
create or replace function app_private.spent_this_month(tenant uuid)
returns table (tokens bigint, cost numeric)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(spending.tokens), 0)::bigint, coalesce(sum(spending.cost), 0)
    from app_private.monthly_expenses as spending
   where spending.tenant_id = tenant and spending.month = app_private.this_month() and spending.spender_id = tenant
$$;

comment on function app_private.spent_this_month(uuid) is 'What calls of models have used this month (UTC) for a tenant: tokens and US dollars.';
--! EndIncluded app_private/functions/sources/spent_this_month.sql
--! Included app_private/functions/sources/budget_refusals.sql
/*
 * Asked before calls of models: which of them may no longer be made, by the place in the lists, with the first reason. A budget is the tenant's
 * own, of all or of the key that started the run; a quota is the platform's. Calls that are under way are not counted: a limit may be passed by them.
 */
create or replace function app_private.budget_refusals(tenant_ids uuid[], run_ids uuid[])
returns table (place integer, code text, scope text, monthly_limit numeric, spent numeric)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select given.place::integer, refusal.code, refusal.scope, refusal.monthly_limit, refusal.spent
    from unnest(tenant_ids, run_ids) with ordinality as given (tenant_id, run_id, place)
   cross join lateral (
      select 'BUDGET_EXHAUSTED' as code, case when budget.api_key_id is null then 'tenant' else 'key' end as scope,
             budget.monthly_limit, coalesce(spending.cost, 0) as spent
        from app_private.budgets as budget
        left join app_private.monthly_expenses as spending
          on spending.tenant_id = budget.tenant_id and spending.month = app_private.this_month()
         and spending.spender_id = coalesce(budget.api_key_id, budget.tenant_id)
       where budget.tenant_id = given.tenant_id and coalesce(spending.cost, 0) >= budget.monthly_limit
         and (budget.api_key_id is null or budget.api_key_id = app_private.key_of_run(given.tenant_id, given.run_id))
       union all
      select 'QUOTA_EXCEEDED', quota.name, quota.most, quota.used
        from app_public.tenants as tenant
       cross join lateral app_private.spent_this_month(tenant.id) as spent
       cross join lateral (values ('cost_per_month', spent.cost), ('tokens_per_month', spent.tokens)) as known (name, used)
       cross join lateral (
          select known.name, known.used,
                 case when jsonb_typeof(tenant.quotas -> known.name) = 'number' then (tenant.quotas ->> known.name)::numeric end as most
       ) as quota
       where tenant.id = given.tenant_id and tenant.quotas ?| array['cost_per_month', 'tokens_per_month'] and quota.used >= quota.most
       limit 1
   ) as refusal
$$;

comment on function app_private.budget_refusals(uuid[], uuid[]) is
  'Which calls of models may not be made because a monthly budget or quota is used up.';
grant execute on function app_private.budget_refusals(uuid[], uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/sources/budget_refusals.sql
--! Included app_private/functions/sources/record_spending.sql
/*
 * Counts what calls of models have used: `calls` is [{tenant_id, run_id, tokens, cost}]. Budgets that cross their warning or their limit by it are
 * told to the admins in the audit log, once a month each, and returned for the worker's log.
 */
create or replace function app_private.record_spending(calls json)
returns table (tenant_id uuid, api_key_id uuid, event text, monthly_limit numeric, spent numeric)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  given_tenants uuid[];
  crossed record;
begin
  with call as materialized (
    select tenant.id as tenant_id, app_private.key_of_run(tenant.id, given.run_id) as key_id, given.tokens, given.cost
      from json_to_recordset(calls) as given (tenant_id uuid, run_id uuid, tokens bigint, cost numeric)
      join app_public.tenants as tenant on tenant.id = given.tenant_id
  ), counted as (
    insert into app_private.monthly_expenses as spending (tenant_id, month, spender_id, calls, tokens, cost)
    select spent.tenant_id, app_private.this_month(), spent.spender_id, count(*), sum(spent.tokens), sum(spent.cost)
      from (
        select call.tenant_id, call.tenant_id as spender_id, call.tokens, call.cost from call
        union all
        select call.tenant_id, call.key_id, call.tokens, call.cost from call where call.key_id is not null
      ) as spent
     group by spent.tenant_id, spent.spender_id
     order by spent.tenant_id, spent.spender_id
    on conflict (tenant_id, month, spender_id) do update
      set calls = spending.calls + excluded.calls, tokens = spending.tokens + excluded.tokens, cost = spending.cost + excluded.cost
    returning spending.tenant_id
  )
  select array_agg(distinct counted.tenant_id) into given_tenants from counted;

  for crossed in
    update app_private.monthly_expenses as spending
       set warned_at = coalesce(spending.warned_at, now()),
           stopped_at = case when spending.cost >= budget.monthly_limit then coalesce(spending.stopped_at, now()) end
      from app_private.budgets as budget
     where budget.tenant_id = any (given_tenants)
       and spending.tenant_id = budget.tenant_id and spending.month = app_private.this_month()
       and spending.spender_id = coalesce(budget.api_key_id, budget.tenant_id)
       and (spending.warned_at is null and spending.cost >= budget.monthly_limit * budget.warn_at
         or spending.stopped_at is null and spending.cost >= budget.monthly_limit)
    returning budget.id, budget.tenant_id, budget.api_key_id, case when spending.cost >= budget.monthly_limit then 'stop' else 'warn' end as event,
              budget.monthly_limit, spending.cost
  loop
    perform app_private.record_audit(crossed.tenant_id, null, crossed.event, 'budget', crossed.id, null,
      jsonb_build_object('api_key_id', crossed.api_key_id, 'monthly_limit', crossed.monthly_limit, 'spent', crossed.cost));
    return query select crossed.tenant_id, crossed.api_key_id, crossed.event::text, crossed.monthly_limit, crossed.cost;
  end loop;
end
$$;

comment on function app_private.record_spending(json) is
  'Counts what calls of models have used in the month; returns the budgets that crossed their warning or limit by it.';
grant execute on function app_private.record_spending(json) to agentflow_worker;
--! EndIncluded app_private/functions/sources/record_spending.sql
--! Included app_private/functions/sources/budget_of.sql
-- A budget as the API shows it: with what is spent of it this month.
create or replace function app_private.budget_of(budget app_private.budgets)
returns app_public.budget
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select row(budget.id, budget.api_key_id, budget.monthly_limit, budget.warn_at, coalesce(spending.cost, 0), coalesce(spending.tokens, 0),
    case when coalesce(spending.cost, 0) >= budget.monthly_limit then 'STOPPED'
      when spending.cost >= budget.monthly_limit * budget.warn_at then 'WARNED' else 'OK' end,
    spending.warned_at, spending.stopped_at, budget.created_at, budget.updated_at)::app_public.budget
  from (select) as always
  left join app_private.monthly_expenses as spending
    on spending.tenant_id = budget.tenant_id and spending.month = app_private.this_month()
   and spending.spender_id = coalesce(budget.api_key_id, budget.tenant_id)
$$;

comment on function app_private.budget_of(app_private.budgets) is 'A budget with what is spent of it this month.';
--! EndIncluded app_private/functions/sources/budget_of.sql
--! Included app_private/functions/sources/enter_circuits.sql
/*
 * Asked before calls of sources that have failed lately: may they be called now? After the time of an open circuit exactly one caller, of all
 * workers, is let through to try it (HALF_OPEN); the others wait for what becomes of it. `seconds`: how long it stays open yet.
 */
create or replace function app_private.enter_circuits(tenant_ids uuid[], source_keys text[])
returns table (place integer, failures integer, state text, seconds double precision)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  with given as materialized (
    select asked.tenant_id, asked.source_key, asked.place::integer as place,
           row_number() over (partition by asked.tenant_id, asked.source_key order by asked.place) as turn
      from unnest(tenant_ids, source_keys) with ordinality as asked (tenant_id, source_key, place)
  ), free as materialized (
    select circuit.tenant_id, circuit.source_key
      from app_private.source_circuits as circuit
      join given on given.tenant_id = circuit.tenant_id and given.source_key = circuit.source_key and given.turn = 1
     where circuit.retry_at <= now() and (circuit.probe_until is null or circuit.probe_until <= now())
     order by circuit.tenant_id, circuit.source_key
       for no key update of circuit
  ), probe as (
    update app_private.source_circuits as circuit set probe_until = now() + interval '1 minute'
      from free where circuit.tenant_id = free.tenant_id and circuit.source_key = free.source_key
    returning circuit.tenant_id, circuit.source_key
  )
  select given.place, coalesce(circuit.failures, 0),
         case when circuit.retry_at is null then 'CLOSED' when probe.tenant_id is not null and given.turn = 1 then 'HALF_OPEN' else 'OPEN' end,
         greatest(extract(epoch from circuit.retry_at - now())::double precision, 1)
    from given
    left join app_private.source_circuits as circuit on circuit.tenant_id = given.tenant_id and circuit.source_key = given.source_key
    left join probe on probe.tenant_id = given.tenant_id and probe.source_key = given.source_key
$$;

comment on function app_private.enter_circuits(uuid[], text[]) is
  'Whether sources may be called now: CLOSED, OPEN, or HALF_OPEN for the one caller that tries it out.';
grant execute on function app_private.enter_circuits(uuid[], text[]) to agentflow_worker;
--! EndIncluded app_private/functions/sources/enter_circuits.sql
--! Included app_private/functions/sources/record_circuits.sql
/*
 * What became of calls: `outcomes` is [{tenant_id, source_key, is_ok, threshold, seconds, error_code}]. So many failures in a row open the circuit for so
 * many seconds, twice as long each time that trying it out fails again (16 times at most). One that works closes it.
 * Failures are forgotten after five minutes.
 */
create or replace function app_private.record_circuits(outcomes json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  outcome record;
begin
  for outcome in
    select tenant.id as tenant_id, given.source_key, given.is_ok, given.threshold, given.seconds, given.error_code
      from json_to_recordset(outcomes) as given (
        tenant_id uuid, source_key varchar, is_ok boolean, threshold integer, seconds double precision, error_code varchar)
      join app_public.tenants as tenant on tenant.id = given.tenant_id
     order by tenant.id, given.source_key, given.is_ok
  loop
    if outcome.is_ok then
      delete from app_private.source_circuits as circuit
       where circuit.tenant_id = outcome.tenant_id and circuit.source_key = outcome.source_key;
    else
      insert into app_private.source_circuits as circuit (tenant_id, source_key, failures, error_code)
      values (outcome.tenant_id, outcome.source_key, 1, outcome.error_code)
      on conflict (tenant_id, source_key) do update
        set failures = case when circuit.retry_at is null and circuit.updated_at < now() - interval '5 minutes' then 1 else circuit.failures + 1 end,
            error_code = excluded.error_code, updated_at = now();
      update app_private.source_circuits as circuit
         set opened_at = coalesce(circuit.opened_at, now()), openings = circuit.openings + 1, probe_until = null,
             retry_at = now() + make_interval(secs => outcome.seconds * power(2, least(circuit.openings, 4)))
       where circuit.tenant_id = outcome.tenant_id and circuit.source_key = outcome.source_key
         and circuit.failures >= outcome.threshold and (circuit.retry_at is null or circuit.retry_at <= now());
      -- Configurations come and go: what nobody has called for a day is forgotten.
      delete from app_private.source_circuits as circuit
       where circuit.tenant_id = outcome.tenant_id and circuit.updated_at < now() - interval '1 day';
    end if;
  end loop;
end
$$;

comment on function app_private.record_circuits(json) is
  'Counts failures of sources, opens their circuits, and closes those of sources that work again.';
grant execute on function app_private.record_circuits(json) to agentflow_worker;
--! EndIncluded app_private/functions/sources/record_circuits.sql
--! Included app_private/functions/sources/find_answers.sql
/* Kept answers that are still good, by place; each one found is a hit. */
create or replace function app_private.find_answers(tenant_ids uuid[], cache_keys text[])
returns table (place integer, answer jsonb, bytes bytea)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  with good as materialized (
    select cached.tenant_id, cached.cache_key, cached.answer, cached.bytes
      from app_private.kept_answers as cached
     where (cached.tenant_id, cached.cache_key) in (select * from unnest(tenant_ids, cache_keys)) and cached.expires_at > now()
     order by cached.tenant_id, cached.cache_key
       for no key update
  ), given as (
    select asked.tenant_id, asked.cache_key, asked.place::integer as place
      from unnest(tenant_ids, cache_keys) with ordinality as asked (tenant_id, cache_key, place)
  ), counted as (
    update app_private.kept_answers as cached set hits = cached.hits + hit.times
      from (select good.tenant_id, good.cache_key, count(*) as times from good join given using (tenant_id, cache_key) group by 1, 2) as hit
     where cached.tenant_id = hit.tenant_id and cached.cache_key = hit.cache_key
  )
  select given.place, good.answer, good.bytes from given join good using (tenant_id, cache_key)
$$;

comment on function app_private.find_answers(uuid[], text[]) is 'Kept answers of sources that are still good, and counts the hits.';
grant execute on function app_private.find_answers(uuid[], text[]) to agentflow_worker;
--! EndIncluded app_private/functions/sources/find_answers.sql
--! Included app_private/functions/sources/keep_answers.sql
/*
 * Keeps answers: [{tenant_id, cache_key, source_name, answer, bytes (base64), seconds}]. What has expired goes with it, and now and then the
 * oldest of more than 10,000 of a tenant.
 */
create or replace function app_private.keep_answers(answers json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_private.kept_answers as cached (tenant_id, cache_key, source_name, answer, bytes, expires_at)
  select distinct on (tenant.id, given.cache_key) tenant.id, given.cache_key, given.source_name, given.answer, decode(given.bytes, 'base64'),
         now() + make_interval(secs => given.seconds)
    from json_to_recordset(answers) as given (
      tenant_id uuid, cache_key varchar, source_name varchar, answer jsonb, bytes text, seconds double precision)
    join app_public.tenants as tenant on tenant.id = given.tenant_id
   order by tenant.id, given.cache_key
  on conflict (tenant_id, cache_key) do update
    set answer = excluded.answer, bytes = excluded.bytes, created_at = now(), expires_at = excluded.expires_at, hits = 0;

  delete from app_private.kept_answers as cached
   where (cached.tenant_id, cached.cache_key) in (
     select old.tenant_id, old.cache_key
       from app_private.kept_answers as old
      where old.tenant_id in (select given.tenant_id from json_to_recordset(answers) as given (tenant_id uuid)) and old.expires_at <= now()
      limit 100
        for update skip locked);
  if random() < 0.01 then
    delete from app_private.kept_answers as cached
     where (cached.tenant_id, cached.cache_key) in (
       select old.tenant_id, old.cache_key
         from (select distinct given.tenant_id from json_to_recordset(answers) as given (tenant_id uuid)) as tenant
        cross join lateral (
          select * from app_private.kept_answers as each
           where each.tenant_id = tenant.tenant_id order by each.expires_at desc offset 10000 limit 1000) as old);
  end if;
end
$$;

comment on function app_private.keep_answers(json) is 'Keeps answers of sources for as long as each source says.';
grant execute on function app_private.keep_answers(json) to agentflow_worker;
--! EndIncluded app_private/functions/sources/keep_answers.sql
--! Included app_private/functions/sources/set_model_price.sql
/* What a model costs from a day on (null: today). Later calls cost that; what was counted before stays as it was. */
create or replace function app_private.set_model_price(
  model text, input_per_million numeric, output_per_million numeric, per_image numeric default 0, valid_from date default null
)
returns app_private.model_prices
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  saved app_private.model_prices;
begin
  if coalesce(btrim(set_model_price.model), '') = '' or char_length(set_model_price.model) > 255 then
    perform app_private.fail('INVALID_VALUE', 'The name of a model has 1 to 255 characters.', 'model');
  end if;
  if not (set_model_price.input_per_million >= 0 and set_model_price.output_per_million >= 0 and set_model_price.per_image >= 0)
    or set_model_price.input_per_million is null or set_model_price.output_per_million is null or set_model_price.per_image is null
    or greatest(set_model_price.input_per_million, set_model_price.output_per_million, set_model_price.per_image) >= 100000000 then
    perform app_private.fail('INVALID_VALUE', 'A price is an amount of US dollars from 0 to under 100000000.', 'input_per_million');
  end if;
  insert into app_private.model_prices as price (model, valid_from, input_per_million, output_per_million, per_image, changed_by)
  values (set_model_price.model, coalesce(set_model_price.valid_from, current_date), set_model_price.input_per_million,
    set_model_price.output_per_million, set_model_price.per_image, coalesce(app_public.current_user_id()::text, session_user))
  on conflict (model, valid_from) do update
    set input_per_million = excluded.input_per_million, output_per_million = excluded.output_per_million,
        per_image = excluded.per_image, changed_at = now(), changed_by = excluded.changed_by
  returning * into saved;
  return saved;
end $$;

comment on function app_private.set_model_price(text, numeric, numeric, numeric, date) is
  'Sets what a model costs from a day on, in US dollars per million tokens or per picture.';
--! EndIncluded app_private/functions/sources/set_model_price.sql
--! Included app_public/functions/operator_set_model_price.sql
/* Prices are those of the platform, and no tenant's: every login of agentflow_operator may set them, and is named beside them. */
create or replace function app_public.operator_set_model_price(
  model text, input_per_million numeric, output_per_million numeric, per_image numeric default 0, valid_from date default null
)
returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  select app_private.set_model_price(model, input_per_million, output_per_million, per_image, valid_from)
$$;

comment on function app_public.operator_set_model_price(text, numeric, numeric, numeric, date) is E'@behavior -*\nSets what a model costs from a day on (today), in US dollars per million tokens or per picture.';
grant execute on function app_public.operator_set_model_price(text, numeric, numeric, numeric, date) to agentflow_operator;
--! EndIncluded app_public/functions/operator_set_model_price.sql
--! Included app_public/functions/operator_model_prices.sql
create or replace function app_public.operator_model_prices()
returns table (model text, valid_from date, input_per_million numeric, output_per_million numeric, per_image numeric, changed_at timestamptz, changed_by text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select price.model::text, price.valid_from, price.input_per_million, price.output_per_million, price.per_image, price.changed_at, price.changed_by::text
    from app_private.model_prices as price
   order by price.model, price.valid_from desc
$$;

comment on function app_public.operator_model_prices() is E'@behavior -*\nAll prices of models, the newest of each first.';
grant execute on function app_public.operator_model_prices() to agentflow_operator;
--! EndIncluded app_public/functions/operator_model_prices.sql
--! Included app_public/functions/budgets.sql
create or replace function app_public.budgets()
returns setof app_public.budget
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select shown.*
    from app_private.budgets as budget
   cross join lateral app_private.budget_of(budget) as shown
   where budget.tenant_id = (select app_public.current_tenant_id()) and (select app_private.may('admin'))
   order by budget.api_key_id nulls first
$$;

comment on function app_public.budgets() is 'The monthly budgets of the tenant and of its API keys, with what is spent of them. For admins.';
grant execute on function app_public.budgets() to agentflow_user;
comment on type app_public.budget is 'What the tenant, or one of its API keys, may spend on models in a month (UTC).';
comment on column app_public.budget.api_key_id is 'The key that is bounded; null: the whole tenant.';
comment on column app_public.budget.monthly_limit is 'US dollars. When so much is spent, calls of models are refused with BUDGET_EXHAUSTED until the month ends or the limit is raised.';
comment on column app_public.budget.warn_at is 'The part of the limit, from 0 to 1, at which admins are warned in the audit log.';
comment on column app_public.budget.spent is 'US dollars spent this month, those of calls whose executions failed included.';
comment on column app_public.budget.tokens is 'Tokens used this month.';
comment on column app_public.budget.state is 'OK, WARNED (the warning part is spent) or STOPPED (the limit is spent).';
comment on column app_public.budget.warned_at is 'When the warning of this month was given.';
comment on column app_public.budget.stopped_at is 'When the limit was spent this month.';
comment on column app_public.budget.created_at is 'When it was first set.';
comment on column app_public.budget.updated_at is 'When it was last set.';
comment on type app_public.budget_state is 'How much of a budget is spent.';
--! EndIncluded app_public/functions/budgets.sql
--! Included app_public/functions/save_budget.sql
/* One budget for the tenant and one for each key: a second one takes the place of the first, and warns anew where it is above what is spent. */
create or replace function app_public.save_budget(monthly_limit numeric, api_key_id uuid default null, warn_at numeric default 0.8)
returns app_public.budget
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  actor constant uuid := app_public.current_user_id();
  old app_private.budgets;
  saved app_private.budgets;
begin
  perform app_private.demand('admin');
  if save_budget.monthly_limit is null or not save_budget.monthly_limit between 0 and 9999999999 then
    perform app_private.fail('INVALID_VALUE', 'A monthly limit is an amount of US dollars from 0 to 9999999999.', 'monthly_limit');
  end if;
  if save_budget.warn_at is null or not save_budget.warn_at between 0 and 1 then
    perform app_private.fail('INVALID_VALUE', 'A warning comes at a part of the limit from 0 to 1.', 'warn_at');
  end if;
  if save_budget.api_key_id is not null and not exists (
    select from app_public.api_keys as key where key.tenant_id = tenant and key.id = save_budget.api_key_id) then
    perform app_private.fail('NOT_FOUND', 'There is no API key with this id.', 'api_key_id');
  end if;
  -- Two admins at once come one after the other.
  perform from app_public.tenants where tenants.id = tenant for no key update;
  select * into old from app_private.budgets as budget
   where budget.tenant_id = tenant and budget.api_key_id is not distinct from save_budget.api_key_id;
  if old.id is null then
    insert into app_private.budgets (tenant_id, api_key_id, monthly_limit, warn_at, created_by, updated_by)
    values (tenant, save_budget.api_key_id, save_budget.monthly_limit, save_budget.warn_at, actor, actor)
    returning * into saved;
  else
    update app_private.budgets as budget
       set monthly_limit = save_budget.monthly_limit, warn_at = save_budget.warn_at, updated_at = now(), updated_by = actor
     where budget.tenant_id = tenant and budget.id = old.id
    returning * into saved;
  end if;
  update app_private.monthly_expenses as spending
     set warned_at = case when spending.cost >= saved.monthly_limit * saved.warn_at then spending.warned_at end,
         stopped_at = case when spending.cost >= saved.monthly_limit then spending.stopped_at end
   where spending.tenant_id = tenant and spending.month = app_private.this_month() and spending.spender_id = coalesce(saved.api_key_id, tenant);
  perform app_private.record_audit(tenant, actor, case when old.id is null then 'create' else 'update' end, 'budget', saved.id,
    case when old.id is not null then jsonb_build_object('monthly_limit', old.monthly_limit, 'warn_at', old.warn_at) end,
    jsonb_build_object('api_key_id', saved.api_key_id, 'monthly_limit', saved.monthly_limit, 'warn_at', saved.warn_at));
  return app_private.budget_of(saved);
end $$;

comment on function app_public.save_budget(numeric, uuid, numeric) is E'@resultFieldName budget\nSets what the tenant, or one of its API keys, may spend on models in a month (US dollars; the month of UTC). At the part warnAt of it admins are warned in the audit log; when it is spent, calls of models are refused with BUDGET_EXHAUSTED. Calls that are under way at that moment still end, and may pass it.';
grant execute on function app_public.save_budget(numeric, uuid, numeric) to agentflow_user;
--! EndIncluded app_public/functions/save_budget.sql
--! Included app_public/functions/delete_budget.sql
create or replace function app_public.delete_budget(id uuid)
returns app_public.budget
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  gone app_private.budgets;
begin
  perform app_private.demand('admin');
  delete from app_private.budgets as budget
   where budget.tenant_id = app_public.current_tenant_id() and budget.id = delete_budget.id
  returning * into gone;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no budget with this id.', 'id');
  end if;
  perform app_private.record_audit(gone.tenant_id, app_public.current_user_id(), 'delete', 'budget', gone.id,
    jsonb_build_object('api_key_id', gone.api_key_id, 'monthly_limit', gone.monthly_limit, 'warn_at', gone.warn_at), null);
  return app_private.budget_of(gone);
end $$;

comment on function app_public.delete_budget(uuid) is E'@resultFieldName budget\nTakes a budget away: nothing is bounded by it any more.';
grant execute on function app_public.delete_budget(uuid) to agentflow_user;
--! EndIncluded app_public/functions/delete_budget.sql
--! Included app_public/functions/sources_circuit.sql
create or replace function app_public.sources_circuit(source app_public.sources)
returns app_public.circuit_state
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select case when circuit.retry_at is null then 'CLOSED' when circuit.retry_at > now() then 'OPEN' else 'HALF_OPEN' end::app_public.circuit_state
    from (select) as always
    left join app_private.source_circuits as circuit
      on circuit.tenant_id = source.tenant_id and circuit.source_key = 'saved:' || source.name
     and source.tenant_id = app_public.current_tenant_id() and app_private.may('sources:read')
$$;

comment on function app_public.sources_circuit(app_public.sources) is 'CLOSED: it is called. OPEN: it failed several times in a row and is not called for a while. HALF_OPEN: the next call tries it out.';
comment on type app_public.circuit_state is 'Whether a source is called at present.';
grant execute on function app_public.sources_circuit(app_public.sources) to agentflow_user;
--! EndIncluded app_public/functions/sources_circuit.sql
--! Included app_public/functions/source_works.sql
create or replace function app_public.source_works(id uuid)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform app_private.demand('sources:write');
  delete from app_private.source_circuits as circuit
   using app_public.sources as source
   where source.tenant_id = app_public.current_tenant_id() and source.id = source_works.id
     and circuit.tenant_id = source.tenant_id and circuit.source_key = 'saved:' || source.name;
end $$;

comment on function app_public.source_works(uuid) is E'@behavior -*\nCloses the circuit of a source that was tried out and works.';
grant execute on function app_public.source_works(uuid) to agentflow_user;
--! EndIncluded app_public/functions/source_works.sql

-- versions, the publish gate, sources in use
--! Included app_private/functions/triggers/number_version.sql
/*
 * The version of a workflow counts the changes of its spec; nobody else sets it. A client that names another version than
 * the present one has read an older workflow: that is how an expected version is stated, and it is compared under the row's lock.
 */
create or replace function app_private.number_version() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.version is distinct from old.version then
    perform app_private.fail('VERSION_CONFLICT', format('The workflow is at version %s, not %s.', old.version, new.version), 'expected_version');
  end if;
  if new.spec is distinct from old.spec then
    new.version := old.version + 1;
  end if;
  return new;
end $$;

comment on function app_private.number_version() is 'Counts changes of a workflow''s spec, and refuses a change that states another version than the present one.';
--! EndIncluded app_private/functions/triggers/number_version.sql
--! Included app_private/functions/triggers/record_version.sql
-- Rows of workflow_versions are written here alone; they are what executions are pinned to.
create or replace function app_private.record_version() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.workflow_versions (tenant_id, workflow_id, version, spec, created_by)
  values (new.tenant_id, new.id, new.version, new.spec, new.updated_by);
  return null;
end $$;

comment on function app_private.record_version() is 'Keeps every spec that a workflow has had.';
--! EndIncluded app_private/functions/triggers/record_version.sql
--! Included app_private/functions/triggers/gate_published.sql
/*
 * What is published is valid, whoever writes it. Publishing, and editing what is published, needs the right to publish when
 * somebody is signed in; who works without settings (a DBA) has it. Renaming is no edit of what runs.
 * Definer: the checker reads the tenant's sources. Those it may use are locked first, so that none is deleted while this commits.
 */
create or replace function app_private.gate_published() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  errors jsonb;
begin
  if tg_op = 'UPDATE' and old.status = new.status and old.spec is not distinct from new.spec then
    return new;
  end if;
  if app_public.current_tenant_id() is not null then
    perform app_private.demand('workflows:publish');
  end if;
  perform from app_public.sources
  where sources.tenant_id = new.tenant_id and sources.name = any (app_private.spec_source_names(new.spec)) and sources.deleted_at is null
  for share;
  errors := app_private.workflow_problems(new.spec, new.tenant_id) -> 'errors';
  if jsonb_array_length(errors) > 0 then
    perform app_private.fail('INVALID_WORKFLOW', format('A published workflow must be valid. %s%s', errors #>> '{0,message}',
        case when jsonb_array_length(errors) > 1 then format(' (and %s more)', jsonb_array_length(errors) - 1) else '' end),
      'spec', null, errors);
  end if;
  return new;
end $$;

comment on function app_private.gate_published() is 'Refuses a published workflow that is not valid; the error''s detail lists every problem.';
--! EndIncluded app_private/functions/triggers/gate_published.sql
--! Included app_private/functions/triggers/pin_version.sql
-- An execution keeps the version of the workflow that it was started with; later edits never change it.
create or replace function app_private.pin_version() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  select versions.id into new.workflow_version_id
  from app_public.workflows
  join app_public.workflow_versions as versions
    on versions.tenant_id = workflows.tenant_id and versions.workflow_id = workflows.id and versions.version = workflows.version
  where workflows.tenant_id = new.tenant_id and workflows.id = new.workflow_id;
  if not found then
    perform app_private.fail('NOT_FOUND', format('There is no workflow %s.', new.workflow_id), 'workflow_id');
  end if;
  return new;
end $$;

comment on function app_private.pin_version() is 'Gives a new execution the present version of its workflow where it names none.';
--! EndIncluded app_private/functions/triggers/pin_version.sql
--! Included app_private/functions/triggers/keep_used_source.sql
/*
 * A source that a published workflow uses stays active under its name. `force` of delete_source sets agentflow.force_source to the
 * source's id for its transaction; a DBA may do the same.
 */
create or replace function app_private.keep_used_source() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  users jsonb;
begin
  if current_setting('agentflow.force_source', true) = old.id::text then
    return new;
  end if;
  select jsonb_agg(jsonb_build_object('id', workflows.id, 'name', workflows.name) order by workflows.name, workflows.id) into users
  from app_private.workflows_using_source(old.tenant_id, old.name, old.kind) as workflows;
  if users is not null then
    perform app_private.fail('SOURCE_IN_USE', format('The source %s is used by the published workflows %s.', app_private.shown(old.name),
        (select string_agg(app_private.shown(listed.entry ->> 'name'), ', ' order by listed."position")
          from app_private.json_entries(users) as listed where listed."position" < 10)
        || case when jsonb_array_length(users) > 10 then format(' and %s more', jsonb_array_length(users) - 10) else '' end),
      null, null, users);
  end if;
  return new;
end $$;

comment on function app_private.keep_used_source() is 'Refuses to delete, disable or rename a source that published workflows use; names them.';
--! EndIncluded app_private/functions/triggers/keep_used_source.sql

-- API: workflows, sources, executions
--! Included app_private/functions/workflow_to_change.sql
/*
 * The workflow of the signed-in tenant with this id, locked. A foreign one, an unknown one and, for those who cannot restore it,
 * a deleted one are the same: NOT_FOUND. For other functions of the owner, after demand().
 */
create or replace function app_private.workflow_to_change(id uuid)
returns app_public.workflows
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows;
begin
  select * into workflow
  from app_public.workflows
  where workflows.tenant_id = app_public.current_tenant_id() and workflows.id = workflow_to_change.id
    and (workflows.deleted_at is null or app_private.may('workflows:publish'))
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no workflow with this id.', 'id');
  end if;
  return workflow;
end $$;

comment on function app_private.workflow_to_change(uuid) is 'The tenant''s workflow with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/workflow_to_change.sql
--! Included app_private/functions/source_to_change.sql
/*
 * The source of the signed-in tenant with this id, locked; NOT_FOUND for a foreign or unknown one.
 * For other functions of the owner, after demand().
 */
create or replace function app_private.source_to_change(id uuid)
returns app_public.sources
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  source app_public.sources;
begin
  select * into source
  from app_public.sources
  where sources.tenant_id = app_public.current_tenant_id() and sources.id = source_to_change.id
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no source with this id.', 'id');
  end if;
  return source;
end $$;

comment on function app_private.source_to_change(uuid) is 'The tenant''s source with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/source_to_change.sql
--! Included app_private/functions/move_workflow.sql
-- Changes the status of a workflow of the signed-in tenant, from one of the statuses given. For other functions of the owner, after demand().
create or replace function app_private.move_workflow(id uuid, new_status text, allowed_from text[], doing text)
returns app_public.workflows
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows := app_private.workflow_to_change(id);
begin
  if not workflow.status = any (allowed_from) then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A workflow that is %s cannot be %s.', workflow.status, doing), 'status',
      case when workflow.status = 'deleted' then 'Restore it first.' end);
  end if;
  update app_public.workflows set status = move_workflow.new_status
  where workflows.tenant_id = workflow.tenant_id and workflows.id = workflow.id
  returning * into workflow;
  return workflow;
end $$;

comment on function app_private.move_workflow(uuid, text, text[], text) is 'Changes the status of the tenant''s workflow, if it may go there from where it is.';
--! EndIncluded app_private/functions/move_workflow.sql
--! Included app_private/functions/check_execution_input.sql
-- What executeWorkflow is given, looked at before anything else is done with it.
drop function if exists app_private.check_execution_input(jsonb, text);

create or replace function app_private.check_execution_input(initial_state jsonb, idempotency_key text, field text default 'initial_state')
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if initial_state is null or jsonb_typeof(initial_state) <> 'object' then
    perform app_private.fail('INVALID_VALUE', 'The initial state must be a JSON object.', field);
  end if;
  if octet_length(initial_state::text) > 1048576 then
    perform app_private.fail('TOO_LARGE', format('The initial state has %s bytes; at most 1048576 are allowed.',
      octet_length(initial_state::text)), field);
  end if;
  if char_length(idempotency_key) not between 1 and 255 then
    perform app_private.fail('INVALID_VALUE', 'An idempotency key has 1 to 255 characters.', 'idempotency_key');
  end if;
end $$;

comment on function app_private.check_execution_input(jsonb, text, text) is 'Fails unless an initial state is an object of at most 1 MiB and an idempotency key has 1 to 255 characters.';
--! EndIncluded app_private/functions/check_execution_input.sql
--! Included app_private/functions/repeated_execution.sql
-- The execution that this idempotency key started in the signed-in tenant; null when there is none. Another input is a conflict.
create or replace function app_private.repeated_execution(workflow_id uuid, initial_state jsonb, idempotency_key text)
returns app_public.executions
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  first app_public.executions;
begin
  select * into first
  from app_public.executions
  where executions.tenant_id = app_public.current_tenant_id() and executions.idempotency_key = repeated_execution.idempotency_key;
  if found and (first.workflow_id <> repeated_execution.workflow_id or first.initial_state <> repeated_execution.initial_state) then
    perform app_private.fail('IDEMPOTENCY_CONFLICT', null, 'idempotency_key');
  end if;
  return first;
end $$;

comment on function app_private.repeated_execution(uuid, jsonb, text) is 'The execution that this idempotency key started before; IDEMPOTENCY_CONFLICT when the input was another.';
--! EndIncluded app_private/functions/repeated_execution.sql
--! Included app_private/functions/cancel_nodes.sql
-- Ends the nodes of a cancelled execution that have begun and are not over. Their order of finishing goes on after the last one.
create or replace function app_private.cancel_nodes(tenant_id uuid, execution_id uuid, execution_created_at timestamptz)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update app_public.node_executions as nodes
  set status = 'cancelled', finish_order = ended.last_order + unfinished.place, completed_at = now(), wait_until = null
  from (
    select coalesce(max(finished.finish_order), 0) as last_order
    from app_public.node_executions as finished
    where finished.tenant_id = cancel_nodes.tenant_id and finished.execution_id = cancel_nodes.execution_id
      and finished.execution_created_at = cancel_nodes.execution_created_at
  ) as ended,
  (
    select open.node_id, row_number() over (order by open.sequence_number, open.node_id) as place
    from app_public.node_executions as open
    where open.tenant_id = cancel_nodes.tenant_id and open.execution_id = cancel_nodes.execution_id
      and open.execution_created_at = cancel_nodes.execution_created_at and open.finish_order is null
  ) as unfinished
  where nodes.tenant_id = cancel_nodes.tenant_id and nodes.execution_id = cancel_nodes.execution_id
    and nodes.execution_created_at = cancel_nodes.execution_created_at and nodes.node_id = unfinished.node_id
$$;

comment on function app_private.cancel_nodes(uuid, uuid, timestamptz) is 'Marks the unfinished nodes of a cancelled execution.';
--! EndIncluded app_private/functions/cancel_nodes.sql
--! Included app_private/functions/spent_so_far.sql
-- Tokens, cost and times of an execution that ends before its time, from the rows of its nodes. Cost is rounded once, here.
create or replace function app_private.spent_so_far(execution app_public.executions)
returns table (tokens_used integer, cost numeric, execution_time numeric, metrics jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select spent.tokens_used, spent.cost, spent.execution_time,
    jsonb_build_object('execution_time', spent.execution_time, 'tokens_used', spent.tokens_used, 'cost', spent.cost,
      'node_execution_times', spent.node_execution_times)
  from (
    select coalesce(sum(nodes.tokens_used), 0)::integer as tokens_used,
      round(coalesce(sum(nodes.cost), 0), 4) as cost,
      case when execution.status = 'pending' then 0.000
        else greatest(round(extract(epoch from now() - execution.started_at)::numeric, 3), 0) end as execution_time,
      coalesce(jsonb_object_agg(nodes.node_id, round(extract(epoch from nodes.completed_at - nodes.started_at)::numeric, 3))
        filter (where nodes.completed_at >= nodes.started_at), '{}'::jsonb) as node_execution_times
    from app_public.node_executions as nodes
    where nodes.tenant_id = execution.tenant_id and nodes.execution_id = execution.id
      and nodes.execution_created_at = execution.created_at
  ) as spent
$$;

comment on function app_private.spent_so_far(app_public.executions) is 'Tokens, cost, seconds and metrics of an execution, from the rows of its nodes.';
--! EndIncluded app_private/functions/spent_so_far.sql
--! Included app_private/functions/runnable_workflow.sql
-- The workflow of the signed-in tenant, if whoever acts may run it: a published one, or a draft as a test run. For other functions of the owner.
create or replace function app_private.runnable_workflow(id uuid)
returns app_public.workflows
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows;
begin
  select * into workflow
  from app_public.workflows
  where workflows.tenant_id = app_public.current_tenant_id() and workflows.id = runnable_workflow.id
    and (workflows.deleted_at is null or app_private.may('workflows:publish'));
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no workflow with this id.', 'workflow_id');
  elsif workflow.status = 'draft' then
    perform app_private.demand('workflows:test');
  elsif workflow.status <> 'published' then
    perform app_private.fail('WORKFLOW_NOT_RUNNABLE', format('A workflow that is %s cannot be executed.', workflow.status), 'workflow_id');
  end if;
  return workflow;
end $$;

comment on function app_private.runnable_workflow(uuid) is 'The tenant''s workflow, if who acts may run it; else NOT_FOUND, PERMISSION_DENIED or WORKFLOW_NOT_RUNNABLE.';
--! EndIncluded app_private/functions/runnable_workflow.sql
--! Included app_private/functions/execution_to_change.sql
-- The execution of the signed-in tenant with this id, locked; NOT_FOUND otherwise. For other functions of the owner, after demand().
create or replace function app_private.execution_to_change(id uuid, field text default 'id')
returns app_public.executions
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  execution app_public.executions;
begin
  select * into execution
  from app_public.executions
  where executions.tenant_id = app_public.current_tenant_id() and executions.id = execution_to_change.id and executions.deleted_at is null
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no execution with this id.', field);
  end if;
  return execution;
end $$;

comment on function app_private.execution_to_change(uuid, text) is 'The tenant''s execution with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/execution_to_change.sql
--! Included app_private/functions/demand_undecided.sql
-- Fails unless this node of the execution waits for a decision that whoever acts may make.
create or replace function app_private.demand_undecided(execution app_public.executions, node_id text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  node app_public.node_executions;
begin
  select * into node
  from app_public.node_executions
  where node_executions.tenant_id = execution.tenant_id and node_executions.execution_id = execution.id
    and node_executions.node_id = demand_undecided.node_id and node_executions.execution_created_at = execution.created_at;
  if not found then
    perform app_private.fail('NOT_FOUND', format('No node %s of this execution waits for a decision.', demand_undecided.node_id), 'node_id');
  elsif node.status <> 'waiting' or node.wait_reason <> 'approval' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('Node %s does not wait for a decision: it is %s.', demand_undecided.node_id, node.status), 'node_id');
  elsif node.wait_until <= now() then
    perform app_private.fail('ILLEGAL_TRANSITION', format('The time to decide about node %s is over.', demand_undecided.node_id), 'node_id');
  elsif jsonb_array_length(node.wait_details -> 'roles') > 0 and app_public.current_user_role() <> 'admin'
    and not node.wait_details -> 'roles' ? app_public.current_user_role() then
    perform app_private.fail('PERMISSION_DENIED', format('This is for others to decide: %s, or an admin.',
      (select string_agg(role.name, ', ') from jsonb_array_elements_text(node.wait_details -> 'roles') as role (name))), 'node_id');
  end if;
end $$;

comment on function app_private.demand_undecided(app_public.executions, text) is 'Fails unless this node waits for a decision that who acts may make.';
--! EndIncluded app_private/functions/demand_undecided.sql
--! Included app_private/functions/start_problems.sql
/*
 * What is wrong with the inputs of executeWorkflows, as [{code, message, field}] with fields like `inputs.3.initial_state`; null when nothing is.
 * For other functions of the owner.
 */
create or replace function app_private.start_problems(inputs app_public.workflow_start[])
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with input as (
    select given.*, (given.place - 1) as position, workflow.status, workflow.id as found_id
    from unnest(inputs) with ordinality as given (workflow_id, initial_state, idempotency_key, place)
    left join app_public.workflows as workflow
      on workflow.tenant_id = app_public.current_tenant_id() and workflow.id = given.workflow_id and workflow.deleted_at is null
  ), keyed as (
    select input.*, first_value(workflow_id) over same_key as first_workflow_id, first_value(initial_state) over same_key as first_state
    from input where idempotency_key is not null
    window same_key as (partition by idempotency_key order by position)
  ), problem (position, code, message, field) as (
    select position, 'INVALID_VALUE', 'The initial state must be a JSON object.', 'initial_state'
    from input where initial_state is null or jsonb_typeof(initial_state) <> 'object'
    union all
    select position, 'TOO_LARGE', format('The initial state has %s bytes; at most 1048576 are allowed.', octet_length(initial_state::text)), 'initial_state'
    from input where octet_length(initial_state::text) > 1048576
    union all
    select position, 'INVALID_VALUE', 'An idempotency key has 1 to 255 characters.', 'idempotency_key'
    from input where char_length(idempotency_key) not between 1 and 255
    union all
    select position, 'NOT_FOUND', 'There is no workflow with this id.', 'workflow_id' from input where found_id is null
    union all
    select position, 'PERMISSION_DENIED', 'Drafts are run by developers: this needs the right workflows:test.', 'workflow_id'
    from input where status = 'draft' and not app_private.may('workflows:test')
    union all
    select position, 'WORKFLOW_NOT_RUNNABLE', format('A workflow that is %s cannot be executed.', status), 'workflow_id'
    from input where status not in ('draft', 'published')
    union all
    select position, 'IDEMPOTENCY_CONFLICT', 'This idempotency key was used with another input.', 'idempotency_key'
    from keyed as input
    where (first_workflow_id, first_state) is distinct from (workflow_id, initial_state) or exists (
      select from app_public.executions as former
      where former.tenant_id = app_public.current_tenant_id() and former.idempotency_key = input.idempotency_key
        and (former.workflow_id, former.initial_state) is distinct from (input.workflow_id, input.initial_state)
    )
  )
  select jsonb_agg(jsonb_build_object('code', problem.code, 'message', problem.message, 'field', format('inputs.%s.%s', problem.position, problem.field))
    order by problem.position, problem.field, problem.code)
  from problem
$$;

comment on function app_private.start_problems(app_public.workflow_start[]) is 'All that is wrong with the inputs of executeWorkflows; null when nothing is.';
--! EndIncluded app_private/functions/start_problems.sql
--! Included app_public/functions/publish_workflow.sql
create or replace function app_public.publish_workflow(id uuid)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('workflows:publish');
  return app_private.move_workflow(publish_workflow.id, 'published', array['draft', 'archived'], 'published');
end $$;

comment on function app_public.publish_workflow(uuid) is E'@resultFieldName workflow\nPublishes a draft or archived workflow: those who may execute can run it from now on. It must be valid; INVALID_WORKFLOW lists every problem.';
grant execute on function app_public.publish_workflow(uuid) to agentflow_user;
--! EndIncluded app_public/functions/publish_workflow.sql
--! Included app_public/functions/archive_workflow.sql
create or replace function app_public.archive_workflow(id uuid)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('workflows:publish');
  return app_private.move_workflow(archive_workflow.id, 'archived', array['draft', 'published'], 'archived');
end $$;

comment on function app_public.archive_workflow(uuid) is E'@resultFieldName workflow\nArchives a workflow: nobody can execute it any more. Running executions go on; publishWorkflow or restoreWorkflow brings it back.';
grant execute on function app_public.archive_workflow(uuid) to agentflow_user;
--! EndIncluded app_public/functions/archive_workflow.sql
--! Included app_public/functions/delete_workflow.sql
create or replace function app_public.delete_workflow(id uuid)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('workflows:write');
  return app_private.move_workflow(delete_workflow.id, 'deleted', array['draft', 'published', 'archived'], 'deleted');
end $$;

comment on function app_public.delete_workflow(uuid) is E'@resultFieldName workflow\nDeletes a workflow softly: it is hidden, and nobody can execute it. Its executions stay; restoreWorkflow brings it back.';
grant execute on function app_public.delete_workflow(uuid) to agentflow_user;
--! EndIncluded app_public/functions/delete_workflow.sql
--! Included app_public/functions/restore_workflow.sql
create or replace function app_public.restore_workflow(id uuid)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('workflows:publish');
  return app_private.move_workflow(restore_workflow.id, 'draft', array['deleted', 'archived'], 'restored');
end $$;

comment on function app_public.restore_workflow(uuid) is E'@resultFieldName workflow\nBrings a deleted or archived workflow back as a draft.';
grant execute on function app_public.restore_workflow(uuid) to agentflow_user;
--! EndIncluded app_public/functions/restore_workflow.sql
--! Included app_public/functions/copy_workflow.sql
create or replace function app_public.copy_workflow(id uuid, name text default null)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  original app_public.workflows;
  copied app_public.workflows;
  new_name text;
begin
  perform app_private.demand('workflows:read');
  perform app_private.demand('workflows:write');
  select * into original
  from app_public.workflows
  where workflows.tenant_id = app_public.current_tenant_id() and workflows.id = copy_workflow.id and workflows.deleted_at is null;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no workflow with this id.', 'id');
  end if;

  new_name := coalesce(copy_workflow.name, left(original.name, 248) || ' (copy)');
  if app_private.is_blank(new_name) or char_length(new_name) > 255 then
    perform app_private.fail('INVALID_VALUE', 'The name of a workflow has 1 to 255 characters and is not blank.', 'name');
  end if;
  insert into app_public.workflows (tenant_id, user_id, name, description, spec)
  values (original.tenant_id, app_public.current_user_id(), new_name, original.description, original.spec)
  returning * into copied;
  return copied;
end $$;

comment on function app_public.copy_workflow(uuid, text) is E'@resultFieldName workflow\nCopies a workflow as a new draft of yours, so that it can be worked on in peace. Without a name, the copy is called "<name> (copy)".';
grant execute on function app_public.copy_workflow(uuid, text) to agentflow_user;
--! EndIncluded app_public/functions/copy_workflow.sql
--! Included app_public/functions/restore_workflow_version.sql
create or replace function app_public.restore_workflow_version(id uuid, version integer)
returns app_public.workflows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows;
  old_spec jsonb;
begin
  perform app_private.demand('workflows:write');
  workflow := app_private.workflow_to_change(restore_workflow_version.id);
  if workflow.deleted_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'A deleted workflow cannot be changed.', 'status', 'Restore it first.');
  end if;
  select versions.spec into old_spec
  from app_public.workflow_versions as versions
  where versions.tenant_id = workflow.tenant_id and versions.workflow_id = workflow.id
    and versions.version = restore_workflow_version.version;
  if not found then
    perform app_private.fail('NOT_FOUND', format('The workflow has no version %s; its present one is %s.',
      restore_workflow_version.version, workflow.version), 'version');
  end if;
  update app_public.workflows set spec = old_spec
  where workflows.tenant_id = workflow.tenant_id and workflows.id = workflow.id
  returning * into workflow;
  return workflow;
end $$;

comment on function app_public.restore_workflow_version(uuid, integer) is E'@resultFieldName workflow\nMakes the spec of an earlier version the present one, as a new version. A published workflow must stay valid.';
grant execute on function app_public.restore_workflow_version(uuid, integer) to agentflow_user;
--! EndIncluded app_public/functions/restore_workflow_version.sql
--! Included app_public/functions/delete_source.sql
create or replace function app_public.delete_source(id uuid, force boolean default false)
returns app_public.sources
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  source app_public.sources;
begin
  perform app_private.demand('sources:write');
  source := app_private.source_to_change(delete_source.id);
  if source.deleted_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'The source is deleted already.', 'status');
  end if;
  if delete_source.force then
    perform set_config('agentflow.force_source', source.id::text, true);
  end if;
  update app_public.sources set status = 'deleted'
  where sources.tenant_id = source.tenant_id and sources.id = source.id
  returning * into source;
  perform set_config('agentflow.force_source', '', true);
  return source;
end $$;

comment on function app_public.delete_source(uuid, boolean) is E'@resultFieldName source\nDeletes a source softly. Refused with SOURCE_IN_USE while published workflows use it, unless forced: then their executions fail at the nodes that need it.';
grant execute on function app_public.delete_source(uuid, boolean) to agentflow_user;
--! EndIncluded app_public/functions/delete_source.sql
--! Included app_public/functions/restore_source.sql
create or replace function app_public.restore_source(id uuid)
returns app_public.sources
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  source app_public.sources;
begin
  perform app_private.demand('sources:write');
  source := app_private.source_to_change(restore_source.id);
  if source.deleted_at is null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A source that is %s cannot be restored.', source.status), 'status');
  end if;
  if exists (
    select from app_public.sources as living
    where living.tenant_id = source.tenant_id and living.name = source.name and living.deleted_at is null
  ) then
    perform app_private.fail('ILLEGAL_TRANSITION', format('Another source is called %s now.', app_private.shown(source.name)), 'name',
      'Rename or delete the other one first.');
  end if;
  update app_public.sources set status = 'inactive'
  where sources.tenant_id = source.tenant_id and sources.id = source.id
  returning * into source;
  return source;
end $$;

comment on function app_public.restore_source(uuid) is E'@resultFieldName source\nBrings a deleted source back, inactive.';
grant execute on function app_public.restore_source(uuid) to agentflow_user;
--! EndIncluded app_public/functions/restore_source.sql
--! Included app_public/functions/execute_workflow.sql
/*
 * One statement from the client's point of view: permission, status, idempotency, the row; triggers add version, audit and job.
 * An idempotency key is looked at before the status: a repeated call gets its execution back even when the workflow has been archived since.
 */
create or replace function app_public.execute_workflow(workflow_id uuid, initial_state jsonb, idempotency_key text default null)
returns app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- also for what its triggers do: planning again for each value was a quarter of the work
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows;
  execution app_public.executions;
begin
  perform app_private.demand('workflows:execute');
  perform app_private.check_execution_input(initial_state, idempotency_key);
  execution := app_private.repeated_execution(workflow_id, initial_state, idempotency_key);
  if execution.id is not null then
    return execution;
  end if;

  workflow := app_private.runnable_workflow(execute_workflow.workflow_id);
  insert into app_public.executions (id, tenant_id, user_id, workflow_id, initial_state, idempotency_key, is_test)
  values (app_private.new_execution_id(), workflow.tenant_id, app_public.current_user_id(), workflow.id, execute_workflow.initial_state, execute_workflow.idempotency_key,
    workflow.status = 'draft')
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if not found then -- the same key came twice at once, and the other call was first
    execution := app_private.repeated_execution(workflow_id, initial_state, idempotency_key);
  end if;
  return execution;
end $$;

comment on function app_public.execute_workflow(uuid, jsonb, text) is E'@resultFieldName execution\nStarts an execution of a published workflow, or a test run of a draft, and answers at once with the pending execution. The same idempotency key with the same input returns the first execution; with another input it is IDEMPOTENCY_CONFLICT.';
grant execute on function app_public.execute_workflow(uuid, jsonb, text) to agentflow_user;
--! EndIncluded app_public/functions/execute_workflow.sql
--! Included app_public/functions/execute_workflows.sql
/*
 * Many starts as one statement: all or none. Every input is looked at before anything is started, and all that is wrong with them is told
 * at once. Triggers add one audit statement and one statement of jobs for all of them.
 * Executions are reached by their keys only, whatever a session that began with an empty table takes for cheap.
 */
create or replace function app_public.execute_workflows(inputs app_public.workflow_start[])
returns setof app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  problems jsonb;
  starts jsonb;
begin
  perform app_private.demand('workflows:execute');
  if cardinality(inputs) not between 1 and 1000 or inputs is null then
    perform app_private.fail('TOO_LARGE', format('1 to 1000 executions can be started at a time, not %s.', coalesce(cardinality(inputs), 0)), 'inputs');
  end if;
  problems := app_private.start_problems(inputs);
  if problems is not null then
    perform app_private.fail(problems #>> '{0,code}', format('%s%s', problems #>> '{0,message}',
      case when jsonb_array_length(problems) > 1 then format(' (and %s more)', jsonb_array_length(problems) - 1) else '' end),
      problems #>> '{0,field}', null, problems);
  end if;

  -- Ids are made beforehand: they say which row answers which input.
  starts := (
    select jsonb_agg(jsonb_build_object('place', input.place, 'id', app_private.new_execution_id(), 'key', input.idempotency_key) order by input.place)
    from unnest(inputs) with ordinality as input (workflow_id, initial_state, idempotency_key, place)
  );
  insert into app_public.executions (id, tenant_id, user_id, workflow_id, workflow_version_id, initial_state, idempotency_key, is_test)
  select start.id, tenant, app_public.current_user_id(), workflows.id, versions.id, input.initial_state, input.idempotency_key, workflows.status = 'draft'
  from unnest(inputs) with ordinality as input (workflow_id, initial_state, idempotency_key, place)
  join jsonb_to_recordset(starts) as start (place integer, id uuid) on start.place = input.place
  join app_public.workflows on workflows.tenant_id = tenant and workflows.id = input.workflow_id
  join app_public.workflow_versions as versions
    on versions.tenant_id = tenant and versions.workflow_id = workflows.id and versions.version = workflows.version
  order by input.place
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing;

  return query
    select answer.*
    from jsonb_to_recordset(starts) as start (place integer, id uuid, key text)
    cross join lateral (
      select * from app_public.executions where executions.id = start.id and start.key is null
      union all
      select * from app_public.executions where executions.tenant_id = tenant and executions.idempotency_key = start.key
    ) as answer
    order by start.place;
end $$;

comment on function app_public.execute_workflows(app_public.workflow_start[]) is E'@resultFieldName executions\nStarts up to 1,000 executions at once, all of them or none; what is wrong with the inputs is told for all of them. The answer is in the order of the inputs.';
grant execute on function app_public.execute_workflows(app_public.workflow_start[]) to agentflow_user;
--! EndIncluded app_public/functions/execute_workflows.sql
--! Included app_public/functions/retry_execution.sql
/*
 * A new execution of the same version with the same input, linked to the old one, which stays as it is. The worker takes over what the old one's
 * nodes returned: all that finished, or, with `from_node`, all that does not come after that node.
 */
create or replace function app_public.retry_execution(id uuid, from_node text default null)
returns app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  old app_public.executions;
  workflow app_public.workflows;
  execution app_public.executions;
begin
  perform app_private.demand('executions:execute');
  old := app_private.execution_to_change(retry_execution.id);
  if old.completed_at is null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('An execution that is %s cannot be tried again.', old.status), 'status', 'Wait for its end, or cancel it.');
  elsif old.status = 'completed' and from_node is null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'An execution that is completed has nothing to be tried again.', 'status', 'Name a node in fromNode to repeat it from there.');
  end if;
  if from_node is not null and not exists (
    select from app_public.workflow_versions as versions, app_private.spec_nodes(versions.spec -> 'nodes') as nodes
    where versions.tenant_id = old.tenant_id and versions.id = old.workflow_version_id and nodes.id = from_node
  ) then
    perform app_private.fail('NOT_FOUND', format('The version of the workflow that ran has no node %s.', from_node), 'from_node');
  end if;

  workflow := app_private.runnable_workflow(old.workflow_id);
  insert into app_public.executions (tenant_id, user_id, workflow_id, workflow_version_id, initial_state, retry_of_execution_id,
    retry_from_node_id, only_node_id, is_test)
  values (old.tenant_id, app_public.current_user_id(), old.workflow_id, old.workflow_version_id, old.initial_state, old.id,
    from_node, old.only_node_id, old.is_test or workflow.status = 'draft')
  returning * into execution;
  return execution;
end $$;

comment on function app_public.retry_execution(uuid, text) is E'@resultFieldName execution\nRepeats an execution that has ended, as a new one: from where it failed or was cancelled, or from the node named. What the other nodes returned is taken over, they are not run again.';
grant execute on function app_public.retry_execution(uuid, text) to agentflow_user;
--! EndIncluded app_public/functions/retry_execution.sql
--! Included app_private/functions/demand_batch.sql
create or replace function app_private.demand_batch(ids uuid[])
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if ids is null or cardinality(ids) > 1000 then
    perform app_private.fail('TOO_LARGE', format('At most 1000 executions can be changed at a time, not %s.', coalesce(cardinality(ids)::text, 'none')), 'ids');
  end if;
end $$;

comment on function app_private.demand_batch(uuid[]) is 'Fails for more ids than one statement may change.';
--! EndIncluded app_private/functions/demand_batch.sql
--! Included app_public/functions/cancel_executions.sql
/* Set-wise: the rows are locked, ended and announced as one. Those that are over by then stay as they are and are not in the answer. */
create or replace function app_public.cancel_executions(ids uuid[])
returns uuid[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  chosen uuid[];
begin
  perform app_private.demand('executions:execute');
  perform app_private.demand_batch(cancel_executions.ids);
  chosen := array(
    select executions.id from app_public.executions
    where executions.tenant_id = tenant and executions.id = any (cancel_executions.ids) and executions.completed_at is null and executions.deleted_at is null
    order by executions.id
    for no key update
  );
  perform app_private.end_executions(tenant, chosen, 'cancelled');
  perform app_private.end_children(tenant, chosen);
  perform app_private.wake_parents(chosen);
  return chosen;
end $$;

comment on function app_public.cancel_executions(uuid[]) is E'@behavior -*\nCancels those of up to 1,000 executions that are not over, and the executions that they started; answers with the ids of those cancelled.';
grant execute on function app_public.cancel_executions(uuid[]) to agentflow_user;
--! EndIncluded app_public/functions/cancel_executions.sql
--! Included app_public/functions/retry_executions.sql
/*
 * As retry_execution, for many as one statement: those that failed or were cancelled, whose workflow can be executed by who acts, and that nobody
 * has repeated yet. The old rows are locked, so of two callers at the same time only one repeats an execution.
 */
create or replace function app_public.retry_executions(ids uuid[])
returns uuid[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  chosen uuid[];
  made uuid[];
begin
  perform app_private.demand('executions:execute');
  perform app_private.demand_batch(retry_executions.ids);
  chosen := array(
    select executions.id from app_public.executions
    where executions.tenant_id = tenant and executions.id = any (retry_executions.ids) and executions.status in ('failed', 'cancelled') and executions.deleted_at is null
    order by executions.id
    for no key update
  );
  with repeated as (
    insert into app_public.executions (tenant_id, user_id, workflow_id, workflow_version_id, initial_state, retry_of_execution_id, only_node_id, is_test)
    select tenant, app_public.current_user_id(), old.workflow_id, old.workflow_version_id, old.initial_state, old.id, old.only_node_id,
      old.is_test or workflows.status = 'draft'
    from app_public.executions as old
    join app_public.workflows on workflows.tenant_id = tenant and workflows.id = old.workflow_id
    where old.tenant_id = tenant and old.id = any (chosen)
      and (workflows.status = 'published' or workflows.status = 'draft' and app_private.may('workflows:test'))
      and (workflows.deleted_at is null or app_private.may('workflows:publish'))
      and not exists (select from app_public.executions as later where later.tenant_id = tenant and later.retry_of_execution_id = old.id)
    order by old.created_at, old.id
    returning executions.id
  )
  select coalesce(array_agg(repeated.id), '{}') into made from repeated;
  return made;
end $$;

comment on function app_public.retry_executions(uuid[]) is E'@behavior -*\nRepeats those of up to 1,000 executions that failed or were cancelled and that nobody has repeated yet, as new ones; answers with the ids of the new ones.';
grant execute on function app_public.retry_executions(uuid[]) to agentflow_user;
--! EndIncluded app_public/functions/retry_executions.sql
--! Included app_public/functions/test_node.sql
-- A test run of one node: an execution like any other, but for its graph.
create or replace function app_public.test_node(workflow_id uuid, node_id text, state jsonb)
returns app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  workflow app_public.workflows;
  execution app_public.executions;
begin
  perform app_private.demand('workflows:test');
  perform app_private.check_execution_input(state, null, 'state');
  workflow := app_private.runnable_workflow(test_node.workflow_id);
  if not exists (select from app_private.spec_nodes(workflow.spec -> 'nodes') as nodes where nodes.id = node_id) then
    perform app_private.fail('NOT_FOUND', format('The workflow has no node %s.', node_id), 'node_id');
  end if;
  insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state, only_node_id, is_test)
  values (workflow.tenant_id, app_public.current_user_id(), workflow.id, state, node_id, true)
  returning * into execution;
  return execution;
end $$;

comment on function app_public.test_node(uuid, text, jsonb) is E'@resultFieldName execution\nRuns one node of a workflow, as it is saved now, on the given state, and nothing else: a test run. Its result stands in the execution\'s nodeExecutions.';
grant execute on function app_public.test_node(uuid, text, jsonb) to agentflow_user;
--! EndIncluded app_public/functions/test_node.sql
--! Included app_public/functions/decide_approval.sql
-- The decision is kept in the node's row and wakes the execution; both, and the audit row, commit together.
create or replace function app_public.decide_approval(execution_id uuid, node_id text, decision text, comment text default null)
returns app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  verdict constant text := case lower(btrim(decide_approval.decision))
    when 'approve' then 'approved' when 'approved' then 'approved' when 'reject' then 'rejected' when 'rejected' then 'rejected' end;
  execution app_public.executions;
begin
  perform app_private.demand('executions:execute');
  if verdict is null then
    perform app_private.fail('INVALID_VALUE', 'A decision is approved or rejected.', 'decision');
  elsif char_length(comment) > 10000 then
    perform app_private.fail('TOO_LARGE', 'A comment has at most 10000 characters.', 'comment');
  end if;
  execution := app_private.execution_to_change(decide_approval.execution_id, 'execution_id');
  perform app_private.demand_undecided(execution, decide_approval.node_id);
  if not app_private.resume_node(execution.tenant_id, execution.id, decide_approval.node_id::varchar, jsonb_build_object(
    'decision', verdict, 'comment', decide_approval.comment, 'decided_by', app_public.current_user_id(), 'decided_at', now()
  )) then
    perform app_private.fail('ILLEGAL_TRANSITION', format('Node %s has been decided already.', decide_approval.node_id), 'node_id');
  end if;
  perform app_private.record_audit(execution.tenant_id, app_public.current_user_id(), 'decide', 'execution', execution.id, null,
    jsonb_build_object('node_id', decide_approval.node_id, 'decision', verdict, 'comment', decide_approval.comment));
  return execution;
end $$;

comment on function app_public.decide_approval(uuid, text, text, text) is E'@resultFieldName execution\nDecides what a node of type approval asks: `approved` or `rejected`, once. The execution goes on by itself.';
grant execute on function app_public.decide_approval(uuid, text, text, text) to agentflow_user;
--! EndIncluded app_public/functions/decide_approval.sql
--! Included app_public/functions/cancel_execution.sql
create or replace function app_public.cancel_execution(id uuid)
returns app_public.executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  execution app_public.executions;
begin
  perform app_private.demand('executions:execute');
  execution := app_private.execution_to_change(cancel_execution.id);
  if execution.completed_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('An execution that is %s cannot be cancelled.', execution.status), 'status');
  end if;
  perform app_private.end_executions(execution.tenant_id, array[execution.id], 'cancelled');
  perform app_private.end_children(execution.tenant_id, array[execution.id]);
  perform app_private.wake_parents(array[execution.id]);
  select * into execution from app_public.executions where executions.tenant_id = execution.tenant_id and executions.id = execution.id;
  return execution;
end $$;

comment on function app_public.cancel_execution(uuid) is E'@resultFieldName execution\nCancels a pending or running execution, and the executions that it started: they are final at once, and running nodes get an abort signal.';
grant execute on function app_public.cancel_execution(uuid) to agentflow_user;
--! EndIncluded app_public/functions/cancel_execution.sql
--! Included app_public/functions/search_workflows.sql
-- `@>` is not leakproof, so under a policy it could not use the index on spec: the function states tenant, deletion and right itself.
create or replace function app_public.search_workflows(contains jsonb)
returns setof app_public.workflows
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select workflows.*
  from app_public.workflows
  where workflows.spec @> search_workflows.contains
    and workflows.tenant_id = (select app_public.current_tenant_id())
    and workflows.deleted_at is null
    and (select app_private.may('workflows:read'))
$$;

comment on function app_public.search_workflows(jsonb) is 'Workflows whose spec contains this JSON, e.g. {"nodes": [{"type": "llm"}]}.';
grant execute on function app_public.search_workflows(jsonb) to agentflow_user;
--! EndIncluded app_public/functions/search_workflows.sql
--! Included app_public/functions/search_sources.sql
-- `@>` is not leakproof, so under a policy it could not use the index on config: the function states tenant, deletion and right itself.
create or replace function app_public.search_sources(contains jsonb)
returns setof app_public.sources
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select sources.*
  from app_public.sources
  where sources.config @> search_sources.contains
    and sources.tenant_id = (select app_public.current_tenant_id())
    and sources.deleted_at is null
    and (select app_private.may('sources:read'))
$$;

comment on function app_public.search_sources(jsonb) is 'Sources whose config contains this JSON, e.g. {"provider": "openai"}.';
grant execute on function app_public.search_sources(jsonb) to agentflow_user;
--! EndIncluded app_public/functions/search_sources.sql
--! Included app_public/functions/signed_in_user.sql
-- Definer, because the table's grants name columns and a whole row is returned; so the hash is taken out of it.
create or replace function app_public.signed_in_user()
returns app_public.users
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  signed_in app_public.users;
begin
  select * into signed_in
  from app_public.users
  where users.tenant_id = app_public.current_tenant_id() and users.id = app_public.current_user_id() and users.status = 'active';
  if not found then
    return null;
  end if;
  signed_in.password_hash := null;
  return signed_in;
end $$;

comment on function app_public.signed_in_user() is E'@name currentUser\nWho is signed in; null for a visitor.';
grant execute on function app_public.signed_in_user() to agentflow_visitor, agentflow_user;
--! EndIncluded app_public/functions/signed_in_user.sql

-- for tables that a team adds: docs/how-to/add-a-table.md
--! Included app_private/functions/tenant_tables/add_constraint.sql
create or replace procedure app_private.add_constraint(target regclass, name text, definition text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from pg_constraint as existing where existing.conrelid = add_constraint.target and existing.conname = add_constraint.name) then
    execute format('alter table %s add constraint %I %s', add_constraint.target, add_constraint.name, add_constraint.definition);
  end if;
end $$;

comment on procedure app_private.add_constraint(regclass, text, text) is
  'Adds a constraint unless the table has one of that name: statements of current.sql run again and again.';
--! EndIncluded app_private/functions/tenant_tables/add_constraint.sql
--! Included app_private/functions/tenant_tables/add_tenant_columns.sql
create or replace procedure app_private.add_tenant_columns(target regclass)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  plain_name text := (select relname from pg_class where oid = add_tenant_columns.target);
  described record;
begin
  execute format('alter table %s
    add column if not exists tenant_id uuid not null,
    add column if not exists user_id uuid not null,
    add column if not exists created_at timestamptz not null default now(),
    add column if not exists updated_at timestamptz not null default now(),
    add column if not exists deleted_at timestamptz null,
    add column if not exists created_by uuid null,
    add column if not exists updated_by uuid null,
    add column if not exists deleted_by uuid null', target);
  call app_private.add_constraint(target, format('idx_%s_tenant_id_id', plain_name), 'unique (tenant_id, id)');
  call app_private.add_constraint(target, format('fk_%s_tenant_id', plain_name), 'foreign key (tenant_id) references app_public.tenants (id) on delete cascade');
  call app_private.add_constraint(target, format('fk_%s_user_id', plain_name),
    'foreign key (tenant_id, user_id) references app_public.users (tenant_id, id) on delete cascade');
  execute format('create index if not exists %I on %s (tenant_id, created_at desc, id desc)', format('idx_%s_tenant_id_created_at', plain_name), target);
  execute format('create index if not exists %I on %s (tenant_id, user_id, id)', format('idx_%s_tenant_id_user_id', plain_name), target);
  for described in
    select * from (values
      ('id', 'Primary key.'),
      ('tenant_id', 'The tenant that this row belongs to. Never changes.'),
      ('user_id', 'The user who owns it.'),
      ('created_at', 'When the row was created.'),
      ('updated_at', 'When the row was last changed.'),
      ('deleted_at', 'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.'),
      ('created_by', 'The user who created it; null when the system or a DBA did.'),
      ('updated_by', 'The user who last changed it; null when the system or a DBA did.'),
      ('deleted_by', 'The user who deleted it, or null.')
    ) as comments (column_name, comment)
  loop
    execute format('comment on column %s.%I is %L', target, described.column_name, described.comment);
  end loop;
end $$;

comment on procedure app_private.add_tenant_columns(regclass) is
  'Gives a table with a key id its tenant and owner, timestamps, actors and soft deletion: columns, composite keys, references, indexes, comments.';
--! EndIncluded app_private/functions/tenant_tables/add_tenant_columns.sql
--! Included app_private/functions/tenant_tables/secure_tenant_table.sql
create or replace procedure app_private.secure_tenant_table(target regclass, read_right text, write_right text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  own text := 'tenant_id = (select app_public.current_tenant_id())';
  writing text := format('%s and deleted_at is null and (select app_private.may(%L))', own, write_right);
  writable text := (
    select string_agg(quote_ident(attribute.attname), ', ' order by attribute.attnum) from pg_attribute as attribute
    where attribute.attrelid = target and attribute.attnum > 0 and not attribute.attisdropped
      and attribute.attname not in ('id', 'tenant_id', 'user_id', 'created_at', 'updated_at', 'deleted_at', 'created_by', 'updated_by', 'deleted_by'));
begin
  if app_private.least_role(read_right) is null or app_private.least_role(write_right) is null then
    raise exception 'One of the rights %, % is not known', read_right, write_right
      using hint = 'app_private.least_role lists the rights: workflows:read, workflows:write, sources:write ...';
  end if;
  execute format('alter table %1$s enable row level security; alter table %1$s force row level security', target);
  execute format('drop policy if exists owner_all on %1$s; create policy owner_all on %1$s to agentflow_owner using (true) with check (true)', target);
  execute format('drop policy if exists select_tenant on %1$s; create policy select_tenant on %1$s for select to agentflow_user
    using (%2$s and (select app_private.may(%3$L)) and (deleted_at is null or (select app_private.may(%4$L))))', target, own, read_right, write_right);
  execute format('drop policy if exists insert_own on %1$s; create policy insert_own on %1$s for insert to agentflow_user
    with check (%2$s and user_id = (select app_public.current_user_id()))', target, writing);
  execute format('drop policy if exists update_tenant on %1$s; create policy update_tenant on %1$s for update to agentflow_user
    using (%2$s) with check (%2$s)', target, writing);
  execute format('drop policy if exists select_by_operator on %1$s; create policy select_by_operator on %1$s for select to agentflow_operator
    using (tenant_id = any ((select app_private.operator_tenants())::uuid[]))', target);
  execute format('revoke all on %s from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker', target);
  execute format('grant select on %s to agentflow_user, agentflow_operator', target);
  if writable is not null then
    execute format('grant insert (%1$s), update (%1$s) on %2$s to agentflow_user', writable, target);
  end if;
end $$;

comment on procedure app_private.secure_tenant_table(regclass, text, text) is
  'Forced row-level security by tenant and right, and the rights of agentflow_user: reading, and writing the columns that are the table''s own.';
--! EndIncluded app_private/functions/tenant_tables/secure_tenant_table.sql
--! Included app_private/functions/tenant_tables/track_tenant_table.sql
create or replace procedure app_private.track_tenant_table(target regclass, entity_type text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('create or replace trigger _100_fill_owner before insert on %s
    for each row execute function app_private.fill_owner()', target);
  execute format('create or replace trigger _200_keep_identity before update of id, tenant_id, user_id on %s
    for each row execute function app_private.keep_identity(''id'', ''tenant_id'', ''user_id'')', target);
  execute format('create or replace trigger _400_stamp_actors before insert or update on %s
    for each row execute function app_private.stamp_actors()', target);
  execute format('create or replace trigger _410_stamp_deleted_by before update of deleted_at on %s
    for each row when (old.deleted_at is distinct from new.deleted_at) execute function app_private.stamp_deleted_by()', target);
  execute format('create or replace trigger _500_audit_insert after insert on %s referencing new table as new_rows
    for each statement execute function app_private.audit_rows(%L)', target, entity_type);
  execute format('create or replace trigger _500_audit_update after update on %s referencing old table as old_rows new table as new_rows
    for each statement execute function app_private.audit_rows(%L)', target, entity_type);
  execute format('create or replace trigger _500_audit_delete after delete on %s referencing old table as old_rows
    for each statement execute function app_private.audit_rows(%L)', target, entity_type);
end $$;

comment on procedure app_private.track_tenant_table(regclass, text) is
  'The triggers that fill owner, actors and times, keep what a row is, and write the audit log.';
--! EndIncluded app_private/functions/tenant_tables/track_tenant_table.sql
--! Included app_private/functions/tenant_tables/add_soft_deletion.sql
create or replace procedure app_private.add_soft_deletion(target regclass, entity_type text, write_right text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  work record;
begin
  for work in
    select * from (values
      ('delete', 'now()', 'is null', 'Deletes one softly: it is kept, and comes back by restoring it.'),
      ('restore', 'null', 'is not null', 'Brings a deleted one back.')
    ) as works (verb, new_value, present, comment)
  loop
    execute format($function$
      create or replace function app_public.%1$I(id uuid) returns %2$s
        language plpgsql security definer
        set search_path = pg_catalog, pg_temp
      as $body$
      #variable_conflict use_column
      declare
        changed %2$s;
      begin
        perform app_private.demand(%3$L);
        update %2$s as target set deleted_at = %4$s
        where target.tenant_id = app_public.current_tenant_id() and target.id = %1$I.id and target.deleted_at %5$s
        returning * into changed;
        if changed.id is null then
          perform app_private.fail('NOT_FOUND', field => 'id');
        end if;
        return changed;
      end $body$;
      comment on function app_public.%1$I(uuid) is %6$L;
      grant execute on function app_public.%1$I(uuid) to agentflow_user;
      $function$, work.verb || '_' || entity_type, target, write_right, work.new_value, work.present,
      format(E'@resultFieldName %s\n%s', (
        select string_agg(case place when 1 then part else initcap(part) end, '' order by place) from string_to_table(entity_type, '_') with ordinality as parts (part, place)), work.comment));
  end loop;
end $$;

comment on procedure app_private.add_soft_deletion(regclass, text, text) is
  'The functions delete_{entity} and restore_{entity}, which the API shows as mutations.';
--! EndIncluded app_private/functions/tenant_tables/add_soft_deletion.sql
--! Included app_private/functions/tenant_tables/refer_to.sql
create or replace procedure app_private.refer_to(target regclass, column_name text, parent regclass)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  plain_name text := (select relname from pg_class where oid = refer_to.target);
begin
  call app_private.add_constraint(target, format('fk_%s_%s', plain_name, column_name),
    format('foreign key (tenant_id, %I) references %s (tenant_id, id) on delete cascade', column_name, parent));
  execute format('create index if not exists %I on %s (tenant_id, %I, id)', format('idx_%s_tenant_id_%s', plain_name, column_name), target, column_name);
end $$;

comment on procedure app_private.refer_to(regclass, text, regclass) is
  'Lets a column refer to the id of another table, within the tenant, with the index that finds the referring rows.';
--! EndIncluded app_private/functions/tenant_tables/refer_to.sql
--! Included app_private/functions/tenant_tables/make_tenant_table.sql
create or replace procedure app_private.make_tenant_table(target regclass, entity_type text, read_right text, write_right text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  call app_private.add_tenant_columns(target);
  call app_private.secure_tenant_table(target, read_right, write_right);
  call app_private.track_tenant_table(target, entity_type);
  call app_private.add_soft_deletion(target, entity_type, write_right);
end $$;

comment on procedure app_private.make_tenant_table(regclass, text, text, text) is
  'Makes a table with a key id one of a tenant: isolated, audited, softly deletable, in the API. May run again and again. docs/how-to/add-a-table.md shows it.';
--! EndIncluded app_private/functions/tenant_tables/make_tenant_table.sql

-- flows: their rules, their gate, their API
--! Included app_private/functions/flows/known_flow_keys.sql
-- The keys that a part of a flow's definition may have; any other is refused.
create or replace function app_private.known_flow_keys(part text)
returns text[]
language sql immutable parallel safe
return case part
    when 'definition' then array['$schema', 'id', 'name', 'description', 'start_task', 'tasks', 'conditions', 'timeout_seconds']
    when 'tasks' then array['name', 'description', 'config']
    when 'conditions' then array['name', 'description', 'source_task', 'outcome', 'target_task_success', 'target_task_failure']
  end;

comment on function app_private.known_flow_keys(text) is 'Known keys of definition, tasks or conditions.';
--! EndIncluded app_private/functions/flows/known_flow_keys.sql
--! Included app_private/functions/flows/flow_tasks_of.sql
-- The objects of a definition's task list, taken apart. `name` is null unless it is a text.
create or replace function app_private.flow_tasks_of(definition jsonb)
returns table ("position" integer, entry jsonb, name text)
language sql immutable parallel safe
begin atomic
  select entries."position", entries.entry, app_private.json_text(entries.entry -> 'name')
  from app_private.json_entries(definition -> 'tasks') as entries
  where jsonb_typeof(entries.entry) = 'object'
  offset 0;
end;

comment on function app_private.flow_tasks_of(jsonb) is 'Tasks of a definition: position, entry, name when it is a text.';
--! EndIncluded app_private/functions/flows/flow_tasks_of.sql
--! Included app_private/functions/flows/flow_conditions_of.sql
-- The objects of a definition's condition list, taken apart. What is not a text is null.
create or replace function app_private.flow_conditions_of(definition jsonb)
returns table ("position" integer, entry jsonb, source text, outcome text, success text, failure text)
language sql immutable parallel safe
begin atomic
  select entries."position", entries.entry, app_private.json_text(entries.entry -> 'source_task'),
    app_private.json_text(entries.entry -> 'outcome'), app_private.json_text(entries.entry -> 'target_task_success'),
    app_private.json_text(entries.entry -> 'target_task_failure')
  from app_private.json_entries(definition -> 'conditions') as entries
  where jsonb_typeof(entries.entry) = 'object'
  offset 0;
end;

comment on function app_private.flow_conditions_of(jsonb) is 'Conditions of a definition: position, entry, source task, outcome and both targets where they are texts.';
--! EndIncluded app_private/functions/flows/flow_conditions_of.sql
--! Included app_private/functions/flows/flow_bound_problems.sql
-- Size and shape limits of a definition. They are looked at first, so that nothing after them meets a hostile document.
create or replace function app_private.flow_bound_problems(definition jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
declare
  bytes constant integer := octet_length(definition::text);
begin
  if jsonb_path_exists(definition, 'strict $.**{32} ? (@.type() == "object" || @.type() == "array")') then
    return query select 'E001', 'The definition is nested more than 32 levels deep', null, null;
    return;
  end if;
  if bytes > 1048576 then
    return query select 'E001', format('The definition has %s bytes; at most 1048576 are allowed', bytes), null, null;
  end if;
  return query
    select 'E001', format('%s has %s entries; at most %s are allowed', bounds.part, bounds.length, bounds.maximum), bounds.part, null
    from (
      select parts.part, parts.maximum,
        case when jsonb_typeof(definition -> parts.part) = 'array' then jsonb_array_length(definition -> parts.part) else 0 end as length
      from (values ('tasks', 200), ('conditions', 600)) as parts (part, maximum)
    ) as bounds
    where bounds.length > bounds.maximum;
end
$$;

comment on function app_private.flow_bound_problems(jsonb) is 'E001: the definition is larger, deeper or longer than allowed.';
--! EndIncluded app_private/functions/flows/flow_bound_problems.sql
--! Included app_private/functions/flows/flow_column_problems.sql
-- The columns of a flow, which are the source of truth, and the definition's copies of them.
create or replace function app_private.flow_column_problems(id text, name text, start_task text, definition jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select problems.code, problems.message, columns.key, null
    from (values
      ('id', flow_column_problems.id, 100),
      ('name', flow_column_problems.name, 255),
      ('start_task', flow_column_problems.start_task, 100)
    ) as columns (key, value, maximum)
    cross join lateral (select definition -> columns.key as copy) as definitions
    cross join lateral (
      select 'E002' as code, columns.key || ' is missing' as message
      where columns.value is null or app_private.is_blank(columns.value)
      union all
      select 'E003', format('%s has %s characters; at most %s are allowed', columns.key, char_length(columns.value), columns.maximum)
      where char_length(columns.value) > columns.maximum
      union all
      select 'E002', format('The definition has no %s', columns.key)
      where app_private.json_is_absent(definitions.copy) and columns.value is not null
      union all
      select 'E003', format('%s of the definition must be a text', columns.key)
      where jsonb_typeof(definitions.copy) not in ('string', 'null')
      union all
      select 'E015', format('%s of the definition is %s, the flow''s is %s', columns.key,
        app_private.shown(app_private.json_text(definitions.copy)), app_private.shown(columns.value))
      where app_private.json_text(definitions.copy) <> columns.value
    ) as problems;

  return query
    select 'E003', 'description of the definition must be a text', 'description', null
    where jsonb_typeof(definition -> 'description') not in ('string', 'null');

  return query
    select 'E003', 'timeout_seconds must be a number above 0 and at most 604800', 'timeout_seconds', null
    where not app_private.json_is_absent(definition -> 'timeout_seconds')
      and (app_private.json_number(definition -> 'timeout_seconds') between 0.001 and 604800) is not true;
end
$$;

comment on function app_private.flow_column_problems(text, text, text, jsonb) is
  'E002, E003, E015: id, name and start task of a flow, and a definition that disagrees with them.';
--! EndIncluded app_private/functions/flows/flow_column_problems.sql
--! Included app_private/functions/flows/flow_part_problems.sql
-- The lists of a definition, and keys that mean nothing: a slip of the pen would change what a flow does.
create or replace function app_private.flow_part_problems(definition jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E001', parts.part || ' must be a list', parts.part, null
    from unnest(array['tasks', 'conditions']) as parts (part)
    where jsonb_typeof(definition -> parts.part) not in ('array', 'null');

  return query
    select 'E001', format('%s.%s must be an object', parts.part, entries."position"), parts.part || '.' || entries."position", null
    from unnest(array['tasks', 'conditions']) as parts (part)
    cross join lateral app_private.json_entries(definition -> parts.part) as entries
    where jsonb_typeof(entries.entry) <> 'object';

  if app_private.json_is_absent(definition -> 'tasks') or definition -> 'tasks' = '[]' then
    return query select 'E002', 'tasks is missing: a flow has at least one task', 'tasks', null;
  end if;

  return query
    select 'E017', format('%s is not a known key; known are %s', left(places.prefix || keys.key, 200),
        array_to_string(app_private.known_flow_keys(places.part), ', ')), places.prefix || keys.key, places.node_id
    from (
      select 'definition' as part, '' as prefix, definition as entry, null::text as node_id
      union all
      select parts.part, parts.part || '.' || entries."position" || '.', entries.entry,
        case parts.part when 'tasks' then app_private.json_text(entries.entry -> 'name') else app_private.json_text(entries.entry -> 'source_task') end
      from unnest(array['tasks', 'conditions']) as parts (part)
      cross join lateral app_private.json_entries(definition -> parts.part) as entries
    ) as places
    cross join lateral jsonb_object_keys(app_private.json_object(places.entry)) as keys (key)
    where keys.key <> all (app_private.known_flow_keys(places.part))
    limit 1000;
end
$$;

comment on function app_private.flow_part_problems(jsonb) is 'E001, E002, E017: the lists of a definition, and unknown keys.';
--! EndIncluded app_private/functions/flows/flow_part_problems.sql
--! Included app_private/functions/flows/flow_task_problems.sql
-- Tasks: their names, descriptions and configs.
create or replace function app_private.flow_task_problems(definition jsonb)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select problems.code, problems.message, 'tasks.' || places."position" || '.name', places.name
    from app_private.flow_tasks_of(definition) as places
    cross join lateral (
      select 'E002' as code, format('tasks.%s has no name', places."position") as message
      where app_private.json_is_absent(places.entry -> 'name') or app_private.is_blank(places.name)
      union all
      select 'E003', format('The name of tasks.%s must be a text', places."position")
      where jsonb_typeof(places.entry -> 'name') not in ('string', 'null')
      union all
      select 'E003', format('The name of tasks.%s has %s characters; at most 100 are allowed', places."position", char_length(places.name))
      where char_length(places.name) > 100
      union all
      select 'E003', format('No task can have the name %s', places.name)
      where places.name in ('end', '__end__', '__script', '__proto__', 'prototype', 'constructor')
    ) as problems
    limit 1000;

  return query
    select 'E009', format('Task name %s is used twice', app_private.shown(uses.name)), 'tasks.' || uses."position" || '.name', uses.name
    from (
      select places.name, places."position", row_number() over (partition by places.name order by places."position") as use
      from app_private.flow_tasks_of(definition) as places
      where places.name is not null
    ) as uses
    where uses.use > 1
    limit 1000;

  return query
    select 'E003', format('The %s of task %s %s', faults.key, app_private.shown(places.name), faults.wanted),
      'tasks.' || places."position" || '.' || faults.key, places.name
    from app_private.flow_tasks_of(definition) as places
    cross join lateral (
      select 'description' as key, 'must be a text' as wanted
      where jsonb_typeof(places.entry -> 'description') not in ('string', 'null')
      union all
      select 'description', format('has %s characters; at most 500 are allowed', char_length(places.entry ->> 'description'))
      where char_length(app_private.json_text(places.entry -> 'description')) > 500
      union all
      select 'config', 'must be an object' where jsonb_typeof(places.entry -> 'config') not in ('object', 'null')
      union all
      select 'config.timeout_seconds', 'must be a number above 0 and at most 604800'
      where not app_private.json_is_absent(places.entry #> '{config,timeout_seconds}')
        and (app_private.json_number(places.entry #> '{config,timeout_seconds}') between 0.001 and 604800) is not true
    ) as faults
    limit 1000;
end
$$;

comment on function app_private.flow_task_problems(jsonb) is 'E002, E003, E009 of tasks: name, description, config.';
--! EndIncluded app_private/functions/flows/flow_task_problems.sql
--! Included app_private/functions/flows/flow_condition_problems.sql
-- Conditions: their source, outcome and targets. task_names: {name: position}.
create or replace function app_private.flow_condition_problems(definition jsonb, task_names jsonb, start_task text)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
begin
  return query
    select 'E005', format('Start task %s does not exist', app_private.shown(start_task)), 'start_task', start_task
    where not task_names ? start_task;

  return query
    select problems.code, format('conditions.%s: %s', places."position", problems.message),
      'conditions.' || places."position" || '.' || texts.key, places.source
    from app_private.flow_conditions_of(definition) as places
    cross join (values ('name', 255), ('source_task', null), ('outcome', null), ('target_task_success', null), ('target_task_failure', null),
      ('description', null)) as texts (key, maximum)
    cross join lateral (
      select 'E002' as code, texts.key || ' is missing' as message
      where texts.key <> 'description'
        and (app_private.json_is_absent(places.entry -> texts.key) or app_private.is_blank(app_private.json_text(places.entry -> texts.key)))
      union all
      select 'E003', texts.key || ' must be a text' where jsonb_typeof(places.entry -> texts.key) not in ('string', 'null')
      union all
      select 'E003', format('%s has %s characters; at most %s are allowed', texts.key, char_length(places.entry ->> texts.key), texts.maximum)
      where char_length(app_private.json_text(places.entry -> texts.key)) > texts.maximum
    ) as problems
    limit 1000;

  return query
    select 'E003', format('conditions.%s: outcome %s is none of success, failure, any', places."position", app_private.shown(places.outcome)),
      'conditions.' || places."position" || '.outcome', places.source
    from app_private.flow_conditions_of(definition) as places
    where places.outcome not in ('success', 'failure', 'any') and not app_private.is_blank(places.outcome)
    limit 1000;

  return query
    select 'E006', format('conditions.%s has the non-existent %s %s', places."position", ends.words, app_private.shown(ends.name)),
      'conditions.' || places."position" || '.' || ends.key, places.source
    from app_private.flow_conditions_of(definition) as places
    cross join lateral (values
      ('source_task', 'source task', places.source),
      ('target_task_success', 'target task', nullif(places.success, 'end')),
      ('target_task_failure', 'target task', nullif(places.failure, 'end'))
    ) as ends (key, words, name)
    where not task_names ? ends.name and not app_private.is_blank(ends.name)
    limit 1000;

  return query
    select 'E016', format('Two conditions of task %s have the outcome %s', app_private.shown(uses.source), uses.outcome),
      'conditions.' || uses."position" || '.outcome', uses.source
    from (
      select places.source, places.outcome, places."position",
        row_number() over (partition by places.source, places.outcome order by places."position") as use
      from app_private.flow_conditions_of(definition) as places
      where places.source is not null and places.outcome in ('success', 'failure', 'any')
    ) as uses
    where uses.use > 1
    limit 1000;
end
$$;

comment on function app_private.flow_condition_problems(jsonb, jsonb, text) is
  'E002, E003, E005, E006, E016 of start task and conditions. task_names: {name: position}.';
--! EndIncluded app_private/functions/flows/flow_condition_problems.sql
--! Included app_private/functions/flows/flow_graph_problems.sql
/*
 * E012 and W013: the graph that the conditions make. Both targets of each condition count, whether or not they can ever be taken:
 * what cannot go round today must not go round after an edit of another condition.
 */
create or replace function app_private.flow_graph_problems(definition jsonb, task_names jsonb, start_task text)
returns table (code text, message text, field text, node_id text)
language plpgsql immutable parallel safe as $$
#variable_conflict use_column
declare
  names text[];
  sources integer[];
  targets integer[];
begin
  if task_names = '{}' then
    return;
  end if;
  select array_agg(tasks.key order by places."position") into names
  from generate_series(0, (select max(tasks.value::integer) from jsonb_each_text(task_names) as tasks)) as places ("position")
  left join jsonb_each_text(task_names) as tasks on tasks.value::integer = places."position";

  select coalesce(array_agg(links.source order by links.source, links.target), '{}'),
    coalesce(array_agg(links.target order by links.source, links.target), '{}') into sources, targets
  from (
    select distinct (task_names ->> places.source)::integer as source, (task_names ->> ends.target)::integer as target
    from app_private.flow_conditions_of(definition) as places
    cross join lateral (values (places.success), (places.failure)) as ends (target)
    where task_names ? places.source and task_names ? ends.target and ends.target <> 'end'
  ) as links;

  return query
    select rings.code, replace(rings.message, 'The edges form', 'The conditions form'), 'conditions', rings.node_id
    from app_private.cycle_problems(names, app_private.graph_rows(cardinality(names), sources, targets),
      app_private.graph_rows(cardinality(names), targets, sources)) as rings;

  if task_names ? start_task then
    return query
      with recursive reached (task) as (
        select (task_names ->> start_task)::integer
        union
        select links.target from reached join unnest(sources, targets) as links (source, target) on links.source = reached.task
      )
      select 'W013', format('Task %s cannot be reached from the start task', app_private.shown(tasks.name)), 'tasks.' || (tasks.place - 1), tasks.name
      from unnest(names) with ordinality as tasks (name, place)
      where tasks.name is not null and not exists (select from reached where reached.task = tasks.place - 1)
      order by tasks.place;
  end if;
end
$$;

comment on function app_private.flow_graph_problems(jsonb, jsonb, text) is 'E012, W013: rings, and tasks that cannot be reached. task_names: {name: position}.';
--! EndIncluded app_private/functions/flows/flow_graph_problems.sql
--! Included app_private/functions/flows/flow_secret_problems.sql
-- W014: what looks like a secret in a task's config. Everybody who may read flows reads it; a source names the variable that holds it instead.
create or replace function app_private.flow_secret_problems(definition jsonb)
returns table (code text, message text, field text, node_id text)
language sql immutable parallel safe
begin atomic
  select 'W014', format('The config of task %s seems to hold a secret; use a source, which names the variable that holds it', app_private.shown(places.name)),
    'tasks.' || places."position" || '.config', places.name
  from app_private.flow_tasks_of(definition) as places
  where jsonb_typeof(places.entry -> 'config') = 'object' and app_private.has_inline_secret(places.entry -> 'config');
end;

comment on function app_private.flow_secret_problems(jsonb) is 'W014: configs of tasks that seem to hold a secret.';
--! EndIncluded app_private/functions/flows/flow_secret_problems.sql
--! Included app_private/functions/flows/unregistered_task_problems.sql
-- E004: tasks that no worker has. Looked at when a flow is activated or executed, never when it is saved.
create or replace function app_private.unregistered_task_problems(definition jsonb)
returns table (code text, message text, field text, node_id text)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select 'E004', format('Task %s is not registered: no worker has a task of this name', app_private.shown(places.name)),
    'tasks.' || places."position" || '.name', places.name
  from app_private.flow_tasks_of(definition) as places
  where places.name is not null
    and not exists (
      select from app_private.flow_tasks as registered
      where case when registered.is_pattern then places.name ~ registered.name else places.name = registered.name end)
  order by places."position"
  limit 1000
$$;

comment on function app_private.unregistered_task_problems(jsonb) is 'E004: tasks of a definition that no worker has registered.';
--! EndIncluded app_private/functions/flows/unregistered_task_problems.sql
--! Included app_private/functions/flows/flow_problems.sql
/*
 * The rules of flows, applied to one: {"errors": [{code, message, field, node_id}], "warnings": [...]}; every problem at once, never an error,
 * whatever the JSON is. `field` is a dotted path into the definition, or a column; node_id the task it is about.
 */
create or replace function app_private.flow_problems(id text, name text, start_task text, definition jsonb)
returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
  is_object constant boolean := coalesce(jsonb_typeof(definition) = 'object', false);
  is_bounded constant boolean := is_object and not exists (select from app_private.flow_bound_problems(definition));
  document constant jsonb := case when is_bounded then definition else '{}' end;
  task_names constant jsonb := (
    select coalesce(jsonb_object_agg(tasks.name, tasks.first_position), '{}')
    from (select places.name, min(places."position") as first_position from app_private.flow_tasks_of(document) as places
          where places.name is not null group by 1) as tasks);
begin
  return (
    select jsonb_build_object(
      'errors', coalesce(jsonb_agg(to_jsonb(problems)) filter (where problems.code like 'E%'), '[]'),
      'warnings', coalesce(jsonb_agg(to_jsonb(problems)) filter (where problems.code like 'W%'), '[]'))
    from (
      select 'E001' as code, 'A definition is a JSON object' as message, null as field, null as node_id where not is_object
      union all
      select * from app_private.flow_bound_problems(definition) where is_object
      union all
      select * from app_private.flow_column_problems(flow_problems.id, flow_problems.name, flow_problems.start_task, document) where is_bounded
      union all
      select * from app_private.flow_part_problems(document) where is_bounded
      union all
      select * from app_private.flow_task_problems(document)
      union all
      select * from app_private.flow_condition_problems(document, task_names, flow_problems.start_task) where task_names <> '{}'
      union all
      select * from app_private.flow_graph_problems(document, task_names, flow_problems.start_task)
      union all
      select * from app_private.flow_secret_problems(document)
    ) as problems
  );
end
$$;

comment on function app_private.flow_problems(text, text, text, jsonb) is
  'Problems of a flow: {"errors": [...], "warnings": [...]}, each {code, message, field, node_id}.';
--! EndIncluded app_private/functions/flows/flow_problems.sql
--! Included app_private/functions/flows/fail_invalid_flow.sql
-- Raises INVALID_FLOW with all problems, unless there are none.
create or replace function app_private.fail_invalid_flow(errors jsonb, sentence text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_array_length(errors) > 0 then
    perform app_private.fail('INVALID_FLOW', format('%s %s%s', sentence, errors #>> '{0,message}',
        case when jsonb_array_length(errors) > 1 then format(' (and %s more)', jsonb_array_length(errors) - 1) else '' end),
      'definition', null, errors);
  end if;
end $$;

comment on function app_private.fail_invalid_flow(jsonb, text) is 'Fails with INVALID_FLOW, its detail listing every problem, unless the list is empty.';
--! EndIncluded app_private/functions/flows/fail_invalid_flow.sql
--! Included app_private/functions/flows/demand_registered_tasks.sql
-- For activation and execution: INVALID_FLOW naming every task that no worker has.
create or replace function app_private.demand_registered_tasks(definition jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.fail_invalid_flow(
    (select coalesce(jsonb_agg(to_jsonb(problems)), '[]') from app_private.unregistered_task_problems(definition) as problems),
    'Every task of an active flow must be registered.');
end $$;

comment on function app_private.demand_registered_tasks(jsonb) is 'Fails with INVALID_FLOW unless a worker has registered every task of the definition.';
--! EndIncluded app_private/functions/flows/demand_registered_tasks.sql
--! Included app_private/functions/flows/has_test_tasks.sql
-- Test tasks answer for names by a pattern; then what a flow finds unregistered is decided by the worker that runs it.
create or replace function app_private.has_test_tasks()
returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from app_private.flow_tasks as registered where registered.is_pattern)
$$;

comment on function app_private.has_test_tasks() is 'Does a worker answer for tasks by a pattern (AGENTFLOW_TEST_TASKS)?';
--! EndIncluded app_private/functions/flows/has_test_tasks.sql
--! Included app_private/functions/flows/flow_to_change.sql
/*
 * The flow of the signed-in tenant with this id, locked. An unknown one and, for those who cannot restore it, a deleted one are the same:
 * NOT_FOUND. For other functions of the owner, after demand().
 */
create or replace function app_private.flow_to_change(id text)
returns app_public.flows
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  select * into flow
  from app_public.flows
  where flows.tenant_id = app_public.current_tenant_id() and flows.id = flow_to_change.id
    and (flows.deleted_at is null or app_private.may('flows:publish'))
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no flow with this id.', 'id');
  end if;
  return flow;
end $$;

comment on function app_private.flow_to_change(text) is 'The tenant''s flow with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/flows/flow_to_change.sql
--! Included app_private/functions/flows/demand_living_flow.sql
create or replace function app_private.demand_living_flow(flow app_public.flows, doing text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if flow.deleted_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A deleted flow cannot be %s.', doing), 'id', 'Restore it first.');
  end if;
end $$;

comment on function app_private.demand_living_flow(app_public.flows, text) is 'Fails with ILLEGAL_TRANSITION when the flow is deleted.';
--! EndIncluded app_private/functions/flows/demand_living_flow.sql
--! Included app_private/functions/flows/check_flow_input.sql
-- What executeFlow is given, looked at before anything else is done with it.
create or replace function app_private.check_flow_input(input_context jsonb, idempotency_key text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if input_context is null or jsonb_typeof(input_context) <> 'object' then
    perform app_private.fail('INVALID_VALUE', 'The input context must be a JSON object.', 'input_context');
  end if;
  if octet_length(input_context::text) > 1048576 then
    perform app_private.fail('TOO_LARGE', format('The input context has %s bytes; at most 1048576 are allowed.',
      octet_length(input_context::text)), 'input_context');
  end if;
  if char_length(idempotency_key) not between 1 and 255 then
    perform app_private.fail('INVALID_VALUE', 'An idempotency key has 1 to 255 characters.', 'idempotency_key');
  end if;
end $$;

comment on function app_private.check_flow_input(jsonb, text) is 'Fails unless an input context is an object of at most 1 MiB and an idempotency key has 1 to 255 characters.';
--! EndIncluded app_private/functions/flows/check_flow_input.sql
--! Included app_private/functions/flows/repeated_flow_execution.sql
-- The flow execution that this idempotency key started in the signed-in tenant; null when there is none. Another input is a conflict.
create or replace function app_private.repeated_flow_execution(flow_id text, input_context jsonb, idempotency_key text)
returns app_public.flow_executions
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  first app_public.flow_executions;
begin
  select * into first
  from app_public.flow_executions
  where flow_executions.tenant_id = app_public.current_tenant_id() and flow_executions.idempotency_key = repeated_flow_execution.idempotency_key;
  if found and (first.flow_id <> repeated_flow_execution.flow_id or first.input_context is distinct from repeated_flow_execution.input_context) then
    perform app_private.fail('IDEMPOTENCY_CONFLICT', null, 'idempotency_key');
  end if;
  return first;
end $$;

comment on function app_private.repeated_flow_execution(text, jsonb, text) is 'The flow execution that this idempotency key started before; IDEMPOTENCY_CONFLICT when the input was another.';
--! EndIncluded app_private/functions/flows/repeated_flow_execution.sql
--! Included app_private/functions/flows/take_over_tasks.sql
/*
 * A retried flow execution goes on where the old one failed: the tasks before that are taken over as they are, in their order.
 * The task that failed it, or was cut off, is run again.
 */
create or replace function app_private.take_over_tasks(old_execution app_public.flow_executions, new_id bigint)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into app_public.task_executions (flow_execution_id, tenant_id, task_name, task_description, sequence_number, status, attempts,
    input_data, output_data, error_code, error_message, error_traceback, logs, started_at, completed_at)
  select take_over_tasks.new_id, tasks.tenant_id, tasks.task_name, tasks.task_description, tasks.sequence_number, tasks.status, tasks.attempts,
    tasks.input_data, tasks.output_data, tasks.error_code, tasks.error_message, tasks.error_traceback, tasks.logs, tasks.started_at, tasks.completed_at
  from app_public.task_executions as tasks
  where tasks.tenant_id = old_execution.tenant_id and tasks.flow_execution_id = old_execution.id and tasks.completed_at is not null
    and tasks.task_name is distinct from old_execution.error_task
  order by tasks.sequence_number
$$;

comment on function app_private.take_over_tasks(app_public.flow_executions, bigint) is 'Copies the finished tasks of a flow execution into the one that repeats it.';
--! EndIncluded app_private/functions/flows/take_over_tasks.sql
--! Included app_private/functions/triggers/number_flow_version.sql
/*
 * As number_version, for flows: the version counts the changes of the definition. The columns are the source of truth, so a change of name or
 * start task alone is carried into the definition's copy of it.
 */
create or replace function app_private.number_flow_version() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.version is distinct from old.version then
    perform app_private.fail('VERSION_CONFLICT', format('The flow is at version %s, not %s.', old.version, new.version), 'expected_version');
  end if;
  if new.definition = old.definition then
    new.definition := new.definition || jsonb_build_object('name', new.name, 'start_task', new.start_task);
  end if;
  if new.definition is distinct from old.definition then
    new.version := old.version + 1;
  end if;
  return new;
end $$;

comment on function app_private.number_flow_version() is 'Counts changes of a flow''s definition, and refuses a change that states another version than the present one.';
--! EndIncluded app_private/functions/triggers/number_flow_version.sql
--! Included app_private/functions/triggers/record_flow_version.sql
-- Rows of flow_versions are written here alone.
create or replace function app_private.record_flow_version() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app_public.flow_versions (tenant_id, flow_id, version, definition, created_by)
  values (new.tenant_id, new.id, new.version, new.definition, new.updated_by);
  return null;
end $$;

comment on function app_private.record_flow_version() is 'Keeps every definition that a flow has had.';
--! EndIncluded app_private/functions/triggers/record_flow_version.sql
--! Included app_private/functions/triggers/rest_unpublished_flow.sql
-- A flow is active from the start, unless who creates it may not activate it. Who works without settings (a DBA) may.
create or replace function app_private.rest_unpublished_flow() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if app_public.current_tenant_id() is not null and not app_private.may('flows:publish') then
    new.is_active := 0;
  end if;
  return new;
end $$;

comment on function app_private.rest_unpublished_flow() is 'A new flow is inactive when its author may not activate flows.';
--! EndIncluded app_private/functions/triggers/rest_unpublished_flow.sql
--! Included app_private/functions/triggers/gate_flow.sql
/*
 * Every flow is valid, whoever writes it. Activating one, and editing an active one, needs the right to publish when somebody is signed in;
 * activating needs its tasks registered as well. Renaming is no edit of what runs.
 */
create or replace function app_private.gate_flow() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  is_activated constant boolean := tg_op = 'UPDATE' and old.is_active = 0 and new.is_active = 1;
begin
  if tg_op = 'UPDATE' and new.is_active = 1 and app_public.current_tenant_id() is not null
    and (is_activated or new.definition - 'name' is distinct from old.definition - 'name') then
    perform app_private.demand('flows:publish');
  end if;
  perform app_private.fail_invalid_flow(
    app_private.flow_problems(new.id, new.name, new.start_task, new.definition) -> 'errors', 'A flow must be valid.');
  if is_activated then
    perform app_private.demand_registered_tasks(new.definition);
  end if;
  return new;
end $$;

comment on function app_private.gate_flow() is 'Refuses a flow that is not valid; the error''s detail lists every problem.';
--! EndIncluded app_private/functions/triggers/gate_flow.sql
--! Included app_public/functions/check_flow.sql
-- What validateFlow of the API asks. Whether the tasks are registered is no matter of saving a flow, but worth a word beforehand: W015.
create or replace function app_public.check_flow(id text, name text, start_task text, definition jsonb)
returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  problems jsonb;
begin
  perform app_private.demand('flows:read');
  problems := app_private.flow_problems(check_flow.id, check_flow.name, check_flow.start_task, check_flow.definition);
  return problems || jsonb_build_object('warnings', (problems -> 'warnings') || (
    select coalesce(jsonb_agg(to_jsonb(unregistered) || '{"code": "W015"}'), '[]')
    from app_private.unregistered_task_problems(check_flow.definition) as unregistered));
end $$;

comment on function app_public.check_flow(text, text, text, jsonb) is E'@behavior -*\nProblems of a flow: {"errors": [...], "warnings": [...]}, each {code, message, field, node_id}.';
grant execute on function app_public.check_flow(text, text, text, jsonb) to agentflow_user;
--! EndIncluded app_public/functions/check_flow.sql
--! Included app_public/functions/create_flow.sql
-- The values are looked at before the row is made, so that every problem is told, and not only the first that a column refuses.
create or replace function app_public.create_flow(id text, name text, description text, start_task text, definition jsonb)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  perform app_private.demand('flows:write');
  perform app_private.fail_invalid_flow(
    app_private.flow_problems(create_flow.id, create_flow.name, create_flow.start_task, create_flow.definition) -> 'errors', 'A flow must be valid.');
  insert into app_public.flows (id, name, description, start_task, definition)
  values (create_flow.id, create_flow.name, create_flow.description, create_flow.start_task, create_flow.definition)
  returning * into flow;
  return flow;
end $$;

comment on function app_public.create_flow(text, text, text, text, jsonb) is E'@behavior -*\nCreates a flow; INVALID_FLOW lists every problem. It is active when its author may activate flows.';
grant execute on function app_public.create_flow(text, text, text, text, jsonb) to agentflow_user;
--! EndIncluded app_public/functions/create_flow.sql
--! Included app_public/functions/update_flow.sql
-- `patch`: any of name, description, start_task, definition; what it does not hold stays as it is.
create or replace function app_public.update_flow(id text, patch jsonb, expected_version integer default null)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
  new_name text;
  new_start_task text;
  new_definition jsonb;
begin
  perform app_private.demand('flows:write');
  flow := app_private.flow_to_change(update_flow.id);
  perform app_private.demand_living_flow(flow, 'changed');
  new_name := case when patch ? 'name' then patch ->> 'name' else flow.name end;
  new_start_task := case when patch ? 'start_task' then patch ->> 'start_task' else flow.start_task end;
  new_definition := case when patch ? 'definition' then patch -> 'definition'
    else flow.definition || jsonb_build_object('name', new_name, 'start_task', new_start_task) end;
  perform app_private.fail_invalid_flow(
    app_private.flow_problems(flow.id, new_name, new_start_task, new_definition) -> 'errors', 'A flow must be valid.');
  update app_public.flows
  set name = new_name, start_task = new_start_task, definition = new_definition,
    description = case when patch ? 'description' then patch ->> 'description' else flows.description end,
    version = coalesce(update_flow.expected_version, flows.version)
  where flows.tenant_id = flow.tenant_id and flows.id = flow.id
  returning * into flow;
  return flow;
end $$;

comment on function app_public.update_flow(text, jsonb, integer) is E'@behavior -*\nChanges a flow; a changed definition is a new version. An active flow is edited by those who may activate it. With an expected version other than the present one: VERSION_CONFLICT.';
grant execute on function app_public.update_flow(text, jsonb, integer) to agentflow_user;
--! EndIncluded app_public/functions/update_flow.sql
--! Included app_public/functions/activate_flow.sql
create or replace function app_public.activate_flow(id text)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  perform app_private.demand('flows:publish');
  flow := app_private.flow_to_change(activate_flow.id);
  perform app_private.demand_living_flow(flow, 'activated');
  perform app_private.demand_registered_tasks(flow.definition);
  update app_public.flows set is_active = 1
  where flows.tenant_id = flow.tenant_id and flows.id = flow.id and flows.is_active = 0;
  return app_private.flow_to_change(activate_flow.id);
end $$;

comment on function app_public.activate_flow(text) is E'@resultFieldName flow\nMakes a flow executable. Every task of it must be registered; INVALID_FLOW names those that are not.';
grant execute on function app_public.activate_flow(text) to agentflow_user;
--! EndIncluded app_public/functions/activate_flow.sql
--! Included app_public/functions/deactivate_flow.sql
create or replace function app_public.deactivate_flow(id text)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  perform app_private.demand('flows:publish');
  flow := app_private.flow_to_change(deactivate_flow.id);
  perform app_private.demand_living_flow(flow, 'deactivated');
  update app_public.flows set is_active = 0
  where flows.tenant_id = flow.tenant_id and flows.id = flow.id and flows.is_active = 1;
  return app_private.flow_to_change(deactivate_flow.id);
end $$;

comment on function app_public.deactivate_flow(text) is E'@resultFieldName flow\nTakes a flow out of use: it cannot be executed. What runs goes on.';
grant execute on function app_public.deactivate_flow(text) to agentflow_user;
--! EndIncluded app_public/functions/deactivate_flow.sql
--! Included app_public/functions/delete_flow.sql
create or replace function app_public.delete_flow(id text)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  perform app_private.demand('flows:write');
  flow := app_private.flow_to_change(delete_flow.id);
  perform app_private.demand_living_flow(flow, 'deleted');
  update app_public.flows set deleted_at = now()
  where flows.tenant_id = flow.tenant_id and flows.id = flow.id
  returning * into flow;
  return flow;
end $$;

comment on function app_public.delete_flow(text) is E'@resultFieldName flow\nDeletes a flow softly: it is hidden, inactive, and its id stays taken. Its executions stay; restoreFlow brings it back.';
grant execute on function app_public.delete_flow(text) to agentflow_user;
--! EndIncluded app_public/functions/delete_flow.sql
--! Included app_public/functions/restore_flow.sql
create or replace function app_public.restore_flow(id text)
returns app_public.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  flow app_public.flows;
begin
  perform app_private.demand('flows:publish');
  flow := app_private.flow_to_change(restore_flow.id);
  if flow.deleted_at is null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'The flow is not deleted.', 'id');
  end if;
  update app_public.flows set deleted_at = null
  where flows.tenant_id = flow.tenant_id and flows.id = flow.id
  returning * into flow;
  return flow;
end $$;

comment on function app_public.restore_flow(text) is E'@resultFieldName flow\nBrings a deleted flow back, inactive.';
grant execute on function app_public.restore_flow(text) to agentflow_user;
--! EndIncluded app_public/functions/restore_flow.sql
--! Included app_public/functions/flow_tasks.sql
create or replace function app_public.flow_tasks()
returns text[]
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app_private.demand('flows:read');
  return array(select distinct registered.name::text from app_private.flow_tasks as registered where not registered.is_pattern order by 1);
end $$;

comment on function app_public.flow_tasks() is 'Names of the tasks that flows can use: those that workers have registered.';
grant execute on function app_public.flow_tasks() to agentflow_user;
--! EndIncluded app_public/functions/flow_tasks.sql
--! Included app_public/functions/execute_flow.sql
/*
 * One statement from the client's point of view: permission, status, idempotency, the row; triggers add audit and job.
 * An idempotency key is looked at before the status: a repeated call gets its execution back even when the flow is inactive by now.
 * Where test tasks are on, `__script` is taken out of the context and kept where nobody sees it; and a task that is not registered is left
 * to the worker that meets it, so that this can be tested too.
 */
create or replace function app_public.execute_flow(flow_id text, input_context jsonb, idempotency_key text default null)
returns app_public.flow_executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- also for what its triggers do: planning again for each value was a quarter of the work
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  is_test constant boolean := app_private.has_test_tasks();
  context constant jsonb := case when is_test and jsonb_typeof(input_context) = 'object' then input_context - '__script' else input_context end;
  flow app_public.flows;
  execution app_public.flow_executions;
begin
  perform app_private.demand('flows:execute');
  perform app_private.check_flow_input(input_context, idempotency_key);
  execution := app_private.repeated_flow_execution(flow_id, context, idempotency_key);
  if execution.id is not null then
    return execution;
  end if;

  select * into flow
  from app_public.flows
  where flows.tenant_id = tenant and flows.id = execute_flow.flow_id and (flows.deleted_at is null or app_private.may('flows:publish'));
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no flow with this id.', 'flow_id');
  elsif flow.deleted_at is not null or flow.is_active = 0 then
    perform app_private.fail('FLOW_NOT_RUNNABLE', format('A flow that is %s cannot be executed.',
      case when flow.deleted_at is null then 'inactive' else 'deleted' end), 'flow_id');
  elsif not is_test then
    perform app_private.demand_registered_tasks(flow.definition);
  end if;

  insert into app_public.flow_executions (tenant_id, user_id, flow_id, flow_version, definition, input_context, idempotency_key)
  values (tenant, app_public.current_user_id(), flow.id, flow.version, flow.definition, context, execute_flow.idempotency_key)
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if not found then -- the same key came twice at once, and the other call was first
    return app_private.repeated_flow_execution(flow_id, context, idempotency_key);
  end if;
  insert into app_private.flow_scripts (flow_execution_id, tenant_id, script)
  select execution.id, tenant, input_context -> '__script' where is_test and input_context ? '__script';
  return execution;
end $$;

comment on function app_public.execute_flow(text, jsonb, text) is E'@resultFieldName flowExecution\nStarts an execution of an active flow and answers at once with the pending execution. The same idempotency key with the same input returns the first execution; with another input it is IDEMPOTENCY_CONFLICT.';
grant execute on function app_public.execute_flow(text, jsonb, text) to agentflow_user;
--! EndIncluded app_public/functions/execute_flow.sql
--! Included app_public/functions/cancel_flow_execution.sql
/*
 * As cancel_execution: the row is final at once, and the worker that drives it is fenced. Executions that its tasks have started and wait for
 * are cancelled with it. Lock order as everywhere in the engine: the execution, then its lease.
 */
create or replace function app_public.cancel_flow_execution(id bigint)
returns app_public.flow_executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  execution app_public.flow_executions;
  run_id constant uuid := app_private.flow_run_id(cancel_flow_execution.id);
  cut_off text;
begin
  perform app_private.demand('executions:execute');
  select * into execution
  from app_public.flow_executions
  where flow_executions.tenant_id = app_public.current_tenant_id() and flow_executions.id = cancel_flow_execution.id
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no flow execution with this id.', 'id');
  elsif execution.completed_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A flow execution that is %s cannot be cancelled.', execution.status), 'status');
  end if;

  delete from app_private.execution_leases as leases where leases.tenant_id = execution.tenant_id and leases.execution_id = run_id;
  update app_public.task_executions as tasks
  set status = 'FAILURE', error_code = 'CANCELLED', error_message = 'cancelled', completed_at = now(), wait_until = null
  where tasks.tenant_id = execution.tenant_id and tasks.flow_execution_id = execution.id and tasks.completed_at is null
  returning tasks.task_name into cut_off;
  update app_public.flow_executions
  set status = 'FAILURE', error_code = 'CANCELLED', error_message = 'cancelled', error_task = cut_off, completed_at = now(),
    total_tasks_executed = (
      select coalesce(max(tasks.sequence_number), 0) from app_public.task_executions as tasks
      where tasks.tenant_id = execution.tenant_id and tasks.flow_execution_id = execution.id)
  where flow_executions.tenant_id = execution.tenant_id and flow_executions.id = execution.id
  returning * into execution;

  perform app_public.cancel_execution(children.execution_id)
  from app_private.flow_children as children
  join app_public.executions as started on started.tenant_id = children.tenant_id and started.id = children.execution_id
  where children.tenant_id = execution.tenant_id and children.flow_execution_id = execution.id and started.completed_at is null;
  perform app_private.enqueue_executions(array[run_id]); -- a job that waits for an event would wait for ever
  perform app_private.notify_executions(array[execution.tenant_id], array[run_id]);
  return execution;
end $$;

comment on function app_public.cancel_flow_execution(bigint) is E'@resultFieldName flowExecution\nCancels a pending or running flow execution: it is FAILURE with the message "cancelled" at once, and the running task gets an abort signal.';
grant execute on function app_public.cancel_flow_execution(bigint) to agentflow_user;
--! EndIncluded app_public/functions/cancel_flow_execution.sql
--! Included app_public/functions/retry_flow_execution.sql
/*
 * A new execution that goes on where the old one failed, on the definition that it ran: tasks that had finished are taken over.
 * It is pending from the start, so its tasks are there before its job can be seen.
 */
create or replace function app_public.retry_flow_execution(id bigint, idempotency_key text default null)
returns app_public.flow_executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  old_execution app_public.flow_executions;
  execution app_public.flow_executions;
  flow app_public.flows;
begin
  perform app_private.demand('executions:execute');
  select * into old_execution
  from app_public.flow_executions
  where flow_executions.tenant_id = tenant and flow_executions.id = retry_flow_execution.id;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no flow execution with this id.', 'id');
  elsif old_execution.status <> 'FAILURE' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A flow execution that is %s cannot be retried.', old_execution.status), 'status',
      'Only one that has failed or was cancelled can be.');
  end if;
  perform app_private.check_flow_input(old_execution.input_context, retry_flow_execution.idempotency_key);
  select * into flow from app_public.flows where flows.tenant_id = tenant and flows.id = old_execution.flow_id;
  if flow.deleted_at is not null or flow.is_active = 0 then
    perform app_private.fail('FLOW_NOT_RUNNABLE', format('A flow that is %s cannot be executed.',
      case when flow.deleted_at is null then 'inactive' else 'deleted' end), 'id');
  end if;

  insert into app_public.flow_executions (tenant_id, user_id, flow_id, flow_version, definition, input_context, idempotency_key, retry_of_flow_execution_id)
  values (tenant, app_public.current_user_id(), old_execution.flow_id, old_execution.flow_version, old_execution.definition,
    old_execution.input_context, retry_flow_execution.idempotency_key, old_execution.id)
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if not found then
    select * into execution
    from app_public.flow_executions
    where flow_executions.tenant_id = tenant and flow_executions.idempotency_key = retry_flow_execution.idempotency_key;
    if execution.retry_of_flow_execution_id is distinct from old_execution.id then
      perform app_private.fail('IDEMPOTENCY_CONFLICT', null, 'idempotency_key');
    end if;
    return execution;
  end if;
  insert into app_private.flow_scripts (flow_execution_id, tenant_id, script)
  select execution.id, tenant, scripts.script from app_private.flow_scripts as scripts where scripts.flow_execution_id = old_execution.id;
  perform app_private.take_over_tasks(old_execution, execution.id);
  return execution;
end $$;

comment on function app_public.retry_flow_execution(bigint, text) is E'@resultFieldName flowExecution\nRuns a failed or cancelled flow execution again, as a new execution linked to it, from the task that failed; what had finished before is taken over.';
grant execute on function app_public.retry_flow_execution(bigint, text) to agentflow_user;
--! EndIncluded app_public/functions/retry_flow_execution.sql
--! Included app_public/functions/task_tracebacks.sql
-- Where in the program tasks failed. Traces can hold secrets, so they are for admins; everybody else is given none.
create or replace function app_public.task_tracebacks(ids bigint[])
returns table (id bigint, traceback text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select tasks.id, tasks.error_traceback
  from app_public.task_executions as tasks
  where tasks.id = any (task_tracebacks.ids) and tasks.tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('admin'))
$$;

comment on function app_public.task_tracebacks(bigint[]) is E'@behavior -*\nTraces of failed tasks, for admins.';
grant execute on function app_public.task_tracebacks(bigint[]) to agentflow_user;
--! EndIncluded app_public/functions/task_tracebacks.sql

-- API: users and keys
--! Included app_private/functions/user_to_change.sql
/*
 * The user of the signed-in tenant with this id, locked; NOT_FOUND for a foreign or unknown one.
 * For other functions of the owner, after demand().
 */
create or replace function app_private.user_to_change(id uuid)
returns app_public.users
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person app_public.users;
begin
  select * into person
  from app_public.users
  where users.tenant_id = app_public.current_tenant_id() and users.id = user_to_change.id
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no user with this id.', 'id');
  end if;
  return person;
end $$;

comment on function app_private.user_to_change(uuid) is 'The tenant''s user with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/user_to_change.sql
--! Included app_private/functions/api_key_to_change.sql
/*
 * The API key of the signed-in tenant with this id, locked; NOT_FOUND for a foreign or unknown one.
 * For other functions of the owner, after demand().
 */
create or replace function app_private.api_key_to_change(id uuid)
returns app_public.api_keys
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  api_key app_public.api_keys;
begin
  select * into api_key
  from app_public.api_keys
  where api_keys.tenant_id = app_public.current_tenant_id() and api_keys.id = api_key_to_change.id
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no API key with this id.', 'id');
  end if;
  return api_key;
end $$;

comment on function app_private.api_key_to_change(uuid) is 'The tenant''s API key with this id, locked for a change; NOT_FOUND otherwise.';
--! EndIncluded app_private/functions/api_key_to_change.sql
--! Included app_private/functions/demand_key_hash.sql
create or replace function app_private.demand_key_hash(key_hash text, key_prefix text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if key_hash is null or key_hash !~ '^[0-9a-f]{64}$' or key_prefix is null or key_prefix !~ '^sk_(live|test)_[A-Za-z0-9_-]{4}$' then
    perform app_private.fail('INVALID_VALUE', 'An API key is stored as its HMAC-SHA-256 in hex and its first twelve characters.', 'key_hash');
  end if;
end $$;

comment on function app_private.demand_key_hash(text, text) is 'Fails unless these are the hash and the prefix of an API key: never the key as it is.';
--! EndIncluded app_private/functions/demand_key_hash.sql
--! Included app_public/functions/create_user.sql
-- Makes an invitation, whether the address is taken or not: who may invite learns nothing about other tenants' people.
create or replace function app_public.create_user(email text, name text, role text, token_hash text)
returns app_public.access_links
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link app_public.access_links;
begin
  perform app_private.demand('admin');
  if create_user.email is null or lower(btrim(create_user.email)) !~ '^[^@[:space:]]+@[^@[:space:]]+$' or char_length(btrim(create_user.email)) > 255 then
    perform app_private.fail('INVALID_VALUE', 'An e-mail address has a name, an @ and a host, and at most 255 characters.', 'email');
  end if;
  if char_length(create_user.name) > 255 then
    perform app_private.fail('INVALID_VALUE', 'A name has at most 255 characters.', 'name');
  end if;
  if app_private.role_rank(coalesce(create_user.role, 'viewer')) is null then
    perform app_private.fail('INVALID_VALUE', 'A role is viewer, operator, developer, architect or admin.', 'role');
  end if;
  -- The newest invitation of an address is the one that counts.
  update app_public.access_links set status = 'withdrawn'
  where access_links.tenant_id = app_public.current_tenant_id() and access_links.kind = 'invitation' and access_links.status = 'pending'
    and access_links.email = lower(btrim(create_user.email));
  link := app_private.make_access_link(app_public.current_tenant_id(), 'invitation', create_user.email, create_user.name,
    coalesce(create_user.role, 'viewer'), null, create_user.token_hash);
  link.token_hash := null;
  return link;
end $$;

comment on function app_public.create_user(text, text, text, text) is E'@behavior -*\nInvites somebody into the tenant: the API''s createUser, which makes the token.';
grant execute on function app_public.create_user(text, text, text, text) to agentflow_user;
--! EndIncluded app_public/functions/create_user.sql
--! Included app_public/functions/delete_user.sql
create or replace function app_public.delete_user(id uuid)
returns app_public.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person app_public.users;
begin
  perform app_private.demand('admin');
  person := app_private.user_to_change(delete_user.id);
  if person.deleted_at is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'The user is deleted already.', 'status');
  end if;
  update app_public.users set status = 'deleted' where users.tenant_id = person.tenant_id and users.id = person.id
  returning * into person;
  person.password_hash := null;
  return person;
end $$;

comment on function app_public.delete_user(uuid) is E'@resultFieldName user\nDeletes a user softly: sessions end, keys are revoked, the address is free. What the user made stays, and running executions go on.';
grant execute on function app_public.delete_user(uuid) to agentflow_user;
--! EndIncluded app_public/functions/delete_user.sql
--! Included app_public/functions/restore_user.sql
create or replace function app_public.restore_user(id uuid)
returns app_public.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person app_public.users;
begin
  perform app_private.demand('admin');
  person := app_private.user_to_change(restore_user.id);
  if person.deleted_at is null then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A user who is %s cannot be restored.', person.status), 'status');
  end if;
  begin
    update app_public.users set status = 'inactive' where users.tenant_id = person.tenant_id and users.id = person.id
    returning * into person;
  exception when unique_violation then
    perform app_private.fail('ILLEGAL_TRANSITION', 'This user cannot be restored.', 'id', 'Invite the person anew.');
  end;
  person.password_hash := null;
  return person;
end $$;

comment on function app_public.restore_user(uuid) is E'@resultFieldName user\nBrings a deleted user back, inactive; updateUser makes the user active.';
grant execute on function app_public.restore_user(uuid) to agentflow_user;
--! EndIncluded app_public/functions/restore_user.sql
--! Included app_public/functions/create_password_reset.sql
create or replace function app_public.create_password_reset(user_id uuid, token_hash text)
returns app_public.access_links
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  person app_public.users;
  link app_public.access_links;
begin
  perform app_private.demand('admin');
  person := app_private.user_to_change(create_password_reset.user_id);
  if person.status <> 'active' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A user who is %s cannot be given a new password.', person.status), 'user_id', 'Make the user active first.');
  end if;
  perform app_private.withdraw_resets(person.tenant_id, person.id);
  link := app_private.make_access_link(person.tenant_id, 'reset', person.email, null, null, person.id, create_password_reset.token_hash);
  link.token_hash := null;
  return link;
end $$;

comment on function app_public.create_password_reset(uuid, text) is E'@behavior -*\nA one-time link for a user who has forgotten the password: the API''s createPasswordReset, which makes the token.';
grant execute on function app_public.create_password_reset(uuid, text) to agentflow_user;
--! EndIncluded app_public/functions/create_password_reset.sql
--! Included app_public/functions/withdraw_access_link.sql
create or replace function app_public.withdraw_access_link(id uuid)
returns app_public.access_links
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  link app_public.access_links;
begin
  perform app_private.demand('admin');
  select * into link from app_public.access_links
  where access_links.tenant_id = app_public.current_tenant_id() and access_links.id = withdraw_access_link.id
  for no key update;
  if not found then
    perform app_private.fail('NOT_FOUND', 'There is no one-time link with this id.', 'id');
  elsif link.status <> 'pending' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A link that is %s cannot be withdrawn.', link.status), 'status');
  end if;
  update app_public.access_links set status = 'withdrawn' where access_links.tenant_id = link.tenant_id and access_links.id = link.id
  returning * into link;
  link.token_hash := null;
  return link;
end $$;

comment on function app_public.withdraw_access_link(uuid) is E'@resultFieldName accessLink\nWithdraws an invitation or a password reset that has not been used.';
grant execute on function app_public.withdraw_access_link(uuid) to agentflow_user;
--! EndIncluded app_public/functions/withdraw_access_link.sql
--! Included app_public/functions/create_api_key.sql
create or replace function app_public.create_api_key(name text, permissions jsonb, expires_at timestamptz, user_id uuid, key_hash text, key_prefix text)
returns app_public.api_keys
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  person app_public.users;
  created app_public.api_keys;
begin
  perform app_private.demand('admin');
  perform app_private.demand_key_hash(create_api_key.key_hash, create_api_key.key_prefix);
  if app_private.is_blank(create_api_key.name) or char_length(create_api_key.name) > 255 then
    perform app_private.fail('INVALID_VALUE', 'The name of an API key has 1 to 255 characters and is not blank.', 'name');
  end if;
  if create_api_key.permissions is not null and not app_private.is_permissions(create_api_key.permissions) then
    perform app_private.fail('INVALID_VALUE', 'Permissions are an object of workflows, flows, executions and sources, each a list of read, write and execute.', 'permissions');
  end if;
  if create_api_key.expires_at <= now() then
    perform app_private.fail('INVALID_VALUE', 'An API key ends in the future, or never.', 'expires_at');
  end if;
  person := app_private.user_to_change(coalesce(create_api_key.user_id, app_public.current_user_id()));
  if person.status <> 'active' then
    perform app_private.fail('ILLEGAL_TRANSITION', format('A user who is %s has no API keys.', person.status), 'user_id');
  end if;
  insert into app_public.api_keys (tenant_id, user_id, name, permissions, expires_at, key_hash, key_prefix)
  values (person.tenant_id, person.id, btrim(create_api_key.name), create_api_key.permissions, create_api_key.expires_at, create_api_key.key_hash, create_api_key.key_prefix)
  returning * into created;
  created.key_hash := null;
  return created;
end $$;

comment on function app_public.create_api_key(text, jsonb, timestamptz, uuid, text, text) is E'@behavior -*\nKeeps a new API key of a user (null: of who is signed in): the API''s createApiKey, which makes the key.';
grant execute on function app_public.create_api_key(text, jsonb, timestamptz, uuid, text, text) to agentflow_user;
--! EndIncluded app_public/functions/create_api_key.sql
--! Included app_public/functions/rotate_api_key.sql
create or replace function app_public.rotate_api_key(id uuid, overlap interval, key_hash text, key_prefix text)
returns app_public.api_keys
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  old_key app_public.api_keys;
  new_key app_public.api_keys;
begin
  perform app_private.demand('admin');
  perform app_private.demand_key_hash(rotate_api_key.key_hash, rotate_api_key.key_prefix);
  if rotate_api_key.overlap is null or rotate_api_key.overlap not between interval '0' and interval '30 days' then
    perform app_private.fail('INVALID_VALUE', 'The old key works on for at most 30 days.', 'overlap');
  end if;
  old_key := app_private.api_key_to_change(rotate_api_key.id);
  if old_key.status <> 'active' or old_key.deleted_at is not null or old_key.expires_at <= now() then
    perform app_private.fail('ILLEGAL_TRANSITION', 'Only an API key that works can be rotated.', 'status', 'Create a new one.');
  elsif old_key.replaced_by_id is not null then
    perform app_private.fail('ILLEGAL_TRANSITION', 'This API key has been rotated already.', 'id', 'Rotate the key that took its place.');
  end if;
  insert into app_public.api_keys (tenant_id, user_id, name, permissions, expires_at, key_hash, key_prefix)
  values (old_key.tenant_id, old_key.user_id, old_key.name, old_key.permissions, old_key.expires_at, rotate_api_key.key_hash, rotate_api_key.key_prefix)
  returning * into new_key;
  update app_public.api_keys set
    replaced_by_id = new_key.id,
    expires_at = least(old_key.expires_at, now() + rotate_api_key.overlap),
    status = case when rotate_api_key.overlap = interval '0' then 'revoked' else old_key.status end,
    revoked_reason = case when rotate_api_key.overlap = interval '0' then 'rotated' end
  where api_keys.tenant_id = old_key.tenant_id and api_keys.id = old_key.id;
  new_key.key_hash := null;
  return new_key;
end $$;

comment on function app_public.rotate_api_key(uuid, interval, text, text) is E'@behavior -*\nPuts a new key in the place of one that works on for the overlap: the API''s rotateApiKey, which makes the key.';
grant execute on function app_public.rotate_api_key(uuid, interval, text, text) to agentflow_user;
--! EndIncluded app_public/functions/rotate_api_key.sql
--! Included app_public/functions/revoke_api_key.sql
create or replace function app_public.revoke_api_key(id uuid, reason text default null)
returns app_public.api_keys
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  api_key app_public.api_keys;
begin
  perform app_private.demand('admin');
  api_key := app_private.api_key_to_change(revoke_api_key.id);
  if api_key.status = 'revoked' then
    perform app_private.fail('ILLEGAL_TRANSITION', 'The API key is revoked already.', 'status');
  elsif char_length(revoke_api_key.reason) > 255 then
    perform app_private.fail('INVALID_VALUE', 'A reason has at most 255 characters.', 'reason');
  end if;
  update app_public.api_keys set status = 'revoked', revoked_reason = nullif(btrim(revoke_api_key.reason), '')
  where api_keys.tenant_id = api_key.tenant_id and api_keys.id = api_key.id
  returning * into api_key;
  api_key.key_hash := null;
  return api_key;
end $$;

comment on function app_public.revoke_api_key(uuid, text) is E'@resultFieldName apiKey\nRevokes an API key: it is refused from the next request on. The reason stands beside it and in the audit log.';
grant execute on function app_public.revoke_api_key(uuid, text) to agentflow_user;
--! EndIncluded app_public/functions/revoke_api_key.sql

-- triggers
--! Included triggers/tenants.sql
create or replace trigger _200_keep_identity
  before update of id on app_public.tenants
  for each row
  execute function app_private.keep_identity('id');

create or replace trigger _300_check_transition
  before update of status on app_public.tenants
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('active>suspended', 'suspended>active', 'active>deleted', 'suspended>deleted', 'deleted>suspended');

create or replace trigger _400_stamp_actors
  before insert or update on app_public.tenants
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deletion_insert
  before insert on app_public.tenants
  for each row when (new.status = 'deleted')
  execute function app_private.stamp_deletion();

create or replace trigger _410_stamp_deletion_update
  before update of status on app_public.tenants
  for each row when (old.status is distinct from new.status)
  execute function app_private.stamp_deletion();

create or replace trigger _500_audit_insert
  after insert on app_public.tenants
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('tenant');

create or replace trigger _500_audit_update
  after update on app_public.tenants
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('tenant');

create or replace trigger _500_audit_delete
  after delete on app_public.tenants
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('tenant');

create or replace trigger _600_park_tenant
  after update of status on app_public.tenants
  for each row when ((old.status = 'active') <> (new.status = 'active'))
  execute function app_private.park_tenant();

create or replace trigger _610_recount_quotas
  after update of quotas on app_public.tenants
  for each row when (old.quotas is distinct from new.quotas)
  execute function app_private.recount_quotas();
--! EndIncluded triggers/tenants.sql
--! Included triggers/users.sql
create or replace trigger _110_normalise_email
  before insert or update on app_public.users
  for each row
  execute function app_private.normalise_email();

create or replace trigger _200_keep_identity
  before update of id, tenant_id on app_public.users
  for each row
  execute function app_private.keep_identity('id', 'tenant_id');

create or replace trigger _300_check_transition
  before update of status on app_public.users
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('active>inactive', 'inactive>active', 'active>deleted', 'inactive>deleted', 'deleted>inactive');

create or replace trigger _350_keep_an_admin
  before update of role, status on app_public.users
  for each row when (old.role = 'admin' and old.status = 'active' and (new.role <> 'admin' or new.status <> 'active'))
  execute function app_private.keep_an_admin();

create or replace trigger _400_stamp_actors
  before insert or update on app_public.users
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deletion_insert
  before insert on app_public.users
  for each row when (new.status = 'deleted')
  execute function app_private.stamp_deletion();

create or replace trigger _410_stamp_deletion_update
  before update of status on app_public.users
  for each row when (old.status is distinct from new.status)
  execute function app_private.stamp_deletion();

create or replace trigger _500_audit_insert
  after insert on app_public.users
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('user');

create or replace trigger _500_audit_update
  after update on app_public.users
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('user');

create or replace trigger _500_audit_delete
  after delete on app_public.users
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('user');

create or replace trigger _600_end_access
  after update of status on app_public.users
  for each row when (old.status = 'active' and new.status <> 'active')
  execute function app_private.end_access();

create or replace trigger _610_end_sessions_of_old_password
  after update of password_hash on app_public.users
  for each row when (old.password_hash <> new.password_hash)
  execute function app_private.end_sessions_of_old_password();
--! EndIncluded triggers/users.sql
--! Included triggers/access_links.sql
create or replace trigger _200_keep_identity
  before update of id, tenant_id, kind, email, role, token_hash, expires_at on app_public.access_links
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'kind', 'email', 'role', 'token_hash', 'expires_at');

create or replace trigger _300_check_transition
  before update of status on app_public.access_links
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('pending>used', 'pending>withdrawn');

create or replace trigger _310_keep_finished
  before update on app_public.access_links
  for each row when (old.status <> 'pending')
  execute function app_private.keep_finished('updated_at', 'updated_by');

create or replace trigger _400_stamp_actors
  before insert or update on app_public.access_links
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_end
  before insert or update of status on app_public.access_links
  for each row
  execute function app_private.stamp_end();

create or replace trigger _500_audit_insert
  after insert on app_public.access_links
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('access_link');

create or replace trigger _500_audit_update
  after update on app_public.access_links
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('access_link');

create or replace trigger _500_audit_delete
  after delete on app_public.access_links
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('access_link');
--! EndIncluded triggers/access_links.sql
--! Included triggers/workflows.sql
create or replace trigger _100_fill_owner
  before insert on app_public.workflows
  for each row
  execute function app_private.fill_owner();

create or replace trigger _200_keep_identity
  before update of id, tenant_id on app_public.workflows
  for each row
  execute function app_private.keep_identity('id', 'tenant_id');

create or replace trigger _300_check_transition
  before update of status on app_public.workflows
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('draft>published', 'draft>archived', 'draft>deleted', 'published>draft', 'published>archived', 'published>deleted', 'archived>draft', 'archived>published', 'archived>deleted', 'deleted>draft');

create or replace trigger _350_number_version
  before update on app_public.workflows
  for each row
  execute function app_private.number_version();

create or replace trigger _360_gate_published
  before insert or update of spec, status on app_public.workflows
  for each row when (new.status = 'published')
  execute function app_private.gate_published();

create or replace trigger _400_stamp_actors
  before insert or update on app_public.workflows
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deletion_insert
  before insert on app_public.workflows
  for each row when (new.status = 'deleted')
  execute function app_private.stamp_deletion();

create or replace trigger _410_stamp_deletion_update
  before update of status on app_public.workflows
  for each row when (old.status is distinct from new.status)
  execute function app_private.stamp_deletion();

create or replace trigger _500_audit_insert
  after insert on app_public.workflows
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('workflow');

create or replace trigger _500_audit_update
  after update on app_public.workflows
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('workflow');

create or replace trigger _500_audit_delete
  after delete on app_public.workflows
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('workflow');

create or replace trigger _600_record_version_insert
  after insert on app_public.workflows
  for each row
  execute function app_private.record_version();

create or replace trigger _600_record_version_update
  after update on app_public.workflows
  for each row when (old.version is distinct from new.version)
  execute function app_private.record_version();
--! EndIncluded triggers/workflows.sql
--! Included triggers/workflow_versions.sql
create or replace trigger _200_refuse_change
  before update on app_public.workflow_versions
  for each row
  execute function app_private.refuse_change('workflow_versions');

create or replace trigger _450_keep_storage_quota
  after insert on app_public.workflow_versions
  for each statement when (current_setting('jwt.claims.tenant_id', true) <> '')
  execute function app_private.keep_storage_quota();
--! EndIncluded triggers/workflow_versions.sql
--! Included triggers/executions.sql
create or replace trigger _100_fill_owner
  before insert on app_public.executions
  for each row when (new.tenant_id is null or new.user_id is null)
  execute function app_private.fill_owner();

create or replace trigger _150_pin_version
  before insert on app_public.executions
  for each row when (new.workflow_version_id is null)
  execute function app_private.pin_version();

create or replace trigger _200_keep_identity
  before update of id, tenant_id, workflow_id, workflow_version_id, user_id, initial_state, created_at, idempotency_key, parent_execution_id, parent_node_id, retry_of_execution_id, retry_from_node_id, only_node_id, depth, is_test on app_public.executions
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'workflow_id', 'workflow_version_id', 'user_id', 'initial_state', 'created_at', 'idempotency_key', 'parent_execution_id', 'parent_node_id', 'retry_of_execution_id', 'retry_from_node_id', 'only_node_id', 'depth', 'is_test');

-- What the engine does all the time is told apart here, where it costs no call. An end that also says when the execution began takes both
-- steps at once.
create or replace trigger _300_check_transition
  before update of status on app_public.executions
  for each row when (old.status is distinct from new.status
    and not (old.status = 'running' and new.status = 'completed'
      or old.status = 'pending' and new.status = 'running'
      or old.status = 'pending' and new.status = 'completed' and old.started_at is distinct from new.started_at))
  execute function app_private.check_transition('pending>running', 'pending>failed', 'pending>cancelled', 'running>completed', 'running>failed', 'running>cancelled');

create or replace trigger _310_keep_finished
  before update on app_public.executions
  for each row when (old.completed_at is not null)
  execute function app_private.keep_finished('updated_at', 'deleted_at', 'deleted_by');

create or replace trigger _400_touch
  before update on app_public.executions
  for each row when (new.updated_at is distinct from now())
  execute function app_private.touch();

create or replace trigger _410_stamp_deleted_by
  before update of deleted_at on app_public.executions
  for each row when (old.deleted_at is distinct from new.deleted_at)
  execute function app_private.stamp_deleted_by();

create or replace trigger _500_audit_insert
  after insert on app_public.executions
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_executions();

create or replace trigger _500_audit_change
  after update of status, deleted_at on app_public.executions
  for each row when ((new.status = 'cancelled' and old.status <> 'cancelled') or old.deleted_at is distinct from new.deleted_at)
  execute function app_private.audit_execution_change();

create or replace trigger _500_audit_delete
  after delete on app_public.executions
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_erased_executions();

create or replace trigger _600_drop_leases
  after delete on app_public.executions
  referencing old table as old_rows
  for each statement
  execute function app_private.drop_leases();

create or replace trigger _450_keep_quotas
  after insert on app_public.executions
  referencing new table as inserted
  for each statement when (current_setting('jwt.claims.tenant_id', true) <> '')
  execute function app_private.keep_quotas();
--! EndIncluded triggers/executions.sql
--! Included triggers/node_executions.sql
create or replace trigger _200_keep_identity
  before update of execution_id, node_id, execution_created_at, tenant_id on app_public.node_executions
  for each row
  execute function app_private.keep_identity('execution_id', 'node_id', 'execution_created_at', 'tenant_id');
--! EndIncluded triggers/node_executions.sql
--! Included triggers/sources.sql
create or replace trigger _100_fill_owner
  before insert on app_public.sources
  for each row
  execute function app_private.fill_owner();

create or replace trigger _200_keep_identity
  before update of id, tenant_id, kind on app_public.sources
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'kind');

create or replace trigger _300_check_transition
  before update of status on app_public.sources
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('active>inactive', 'inactive>active', 'active>deleted', 'inactive>deleted', 'deleted>inactive');

create or replace trigger _350_keep_used_source
  before update of status, name on app_public.sources
  for each row when (old.status = 'active' and (new.status <> 'active' or new.name <> old.name))
  execute function app_private.keep_used_source();

create or replace trigger _400_stamp_actors
  before insert or update on app_public.sources
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deletion_insert
  before insert on app_public.sources
  for each row when (new.status = 'deleted')
  execute function app_private.stamp_deletion();

create or replace trigger _410_stamp_deletion_update
  before update of status on app_public.sources
  for each row when (old.status is distinct from new.status)
  execute function app_private.stamp_deletion();

create or replace trigger _500_audit_insert
  after insert on app_public.sources
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('source');

create or replace trigger _500_audit_update
  after update on app_public.sources
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('source');

create or replace trigger _500_audit_delete
  after delete on app_public.sources
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('source');

create or replace trigger _360_demand_admin_to_write
  before insert or update of config on app_public.sources
  for each row when (new.config -> 'read_only' = 'false'::jsonb)
  execute function app_private.demand_admin_to_write();
--! EndIncluded triggers/sources.sql
--! Included triggers/api_keys.sql
create or replace trigger _100_fill_owner
  before insert on app_public.api_keys
  for each row
  execute function app_private.fill_owner();

create or replace trigger _200_keep_identity
  before update of id, tenant_id, user_id on app_public.api_keys
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'user_id');

-- rehash_api_key sets agentflow.rehashed_key for its statement; a DBA may do the same.
create or replace trigger _210_keep_key_hash
  before update of key_hash on app_public.api_keys
  for each row when (current_setting('agentflow.rehashed_key', true) is distinct from old.id::text)
  execute function app_private.keep_identity('key_hash');

create or replace trigger _250_revoke_deleted_key
  before update of deleted_at on app_public.api_keys
  for each row when (old.deleted_at is null and new.deleted_at is not null)
  execute function app_private.revoke_deleted_key();

create or replace trigger _300_check_transition
  before update on app_public.api_keys
  for each row when (old.status is distinct from new.status)
  execute function app_private.check_transition('active>revoked', 'active>expired', 'expired>revoked');

create or replace trigger _400_stamp_actors_insert
  before insert on app_public.api_keys
  for each row
  execute function app_private.stamp_actors();

-- A use of the key is no change of it.
create or replace trigger _400_stamp_actors_update
  before update on app_public.api_keys
  for each row when (old.last_used_at is not distinct from new.last_used_at)
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deleted_by
  before update of deleted_at on app_public.api_keys
  for each row when (old.deleted_at is distinct from new.deleted_at)
  execute function app_private.stamp_deleted_by();

create or replace trigger _500_audit_insert
  after insert on app_public.api_keys
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('api_key');

create or replace trigger _500_audit_update
  after update on app_public.api_keys
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('api_key');

create or replace trigger _500_audit_delete
  after delete on app_public.api_keys
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('api_key');
--! EndIncluded triggers/api_keys.sql
--! Included triggers/audit_logs.sql
create or replace trigger _200_keep_audit
  before update or delete on app_public.audit_logs
  for each row
  execute function app_private.keep_audit();

create or replace trigger _200_refuse_truncate
  before truncate on app_public.audit_logs
  for each statement
  execute function app_private.refuse_change('audit_logs');
--! EndIncluded triggers/audit_logs.sql
--! Included triggers/flows.sql
create or replace trigger _100_fill_tenant
  before insert on app_public.flows
  for each row
  execute function app_private.fill_tenant();

create or replace trigger _150_rest_unpublished_flow
  before insert on app_public.flows
  for each row
  execute function app_private.rest_unpublished_flow();

create or replace trigger _200_keep_identity
  before update of id, tenant_id on app_public.flows
  for each row
  execute function app_private.keep_identity('id', 'tenant_id');

create or replace trigger _300_deactivate_deleted_flow
  before update on app_public.flows
  for each row when (old.deleted_at is not null or new.deleted_at is not null)
  execute function app_private.deactivate_deleted_flow();

create or replace trigger _350_number_flow_version
  before update on app_public.flows
  for each row
  execute function app_private.number_flow_version();

create or replace trigger _360_gate_flow
  before insert or update of name, start_task, definition, is_active on app_public.flows
  for each row
  execute function app_private.gate_flow();

create or replace trigger _400_stamp_actors
  before insert or update on app_public.flows
  for each row
  execute function app_private.stamp_actors();

create or replace trigger _410_stamp_deleted_by
  before update of deleted_at on app_public.flows
  for each row when (old.deleted_at is distinct from new.deleted_at)
  execute function app_private.stamp_deleted_by();

create or replace trigger _500_audit_insert
  after insert on app_public.flows
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_rows('flow');

create or replace trigger _500_audit_update
  after update on app_public.flows
  referencing old table as old_rows new table as new_rows
  for each statement
  execute function app_private.audit_rows('flow');

create or replace trigger _500_audit_delete
  after delete on app_public.flows
  referencing old table as old_rows
  for each statement
  execute function app_private.audit_rows('flow');

create or replace trigger _600_record_flow_version_insert
  after insert on app_public.flows
  for each row
  execute function app_private.record_flow_version();

create or replace trigger _600_record_flow_version_update
  after update on app_public.flows
  for each row when (old.version is distinct from new.version)
  execute function app_private.record_flow_version();
--! EndIncluded triggers/flows.sql
--! Included triggers/flow_versions.sql
create or replace trigger _200_refuse_change
  before update on app_public.flow_versions
  for each row
  execute function app_private.refuse_change('flow_versions');

create or replace trigger _450_keep_storage_quota
  after insert on app_public.flow_versions
  for each statement when (current_setting('jwt.claims.tenant_id', true) <> '')
  execute function app_private.keep_storage_quota();
--! EndIncluded triggers/flow_versions.sql
--! Included triggers/flow_executions.sql
-- What the engine does all the time is told apart in the triggers, where it costs no call.
create or replace trigger _100_fill_owner
  before insert on app_public.flow_executions
  for each row when (new.tenant_id is null or new.user_id is null)
  execute function app_private.fill_owner();

create or replace trigger _200_keep_identity
  before update of id, tenant_id, flow_id, user_id, flow_version, definition, input_context, created_at, idempotency_key, retry_of_flow_execution_id on app_public.flow_executions
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'flow_id', 'user_id', 'flow_version', 'definition', 'input_context', 'created_at', 'idempotency_key', 'retry_of_flow_execution_id');

create or replace trigger _300_check_transition
  before update of status on app_public.flow_executions
  for each row when (old.status is distinct from new.status
    and not (old.status = 'PENDING' and new.status = 'RUNNING' or old.status = 'RUNNING' and new.status in ('SUCCESS', 'COMPLETED')))
  execute function app_private.check_transition('PENDING>RUNNING', 'PENDING>FAILURE', 'RUNNING>SUCCESS', 'RUNNING>FAILURE', 'RUNNING>COMPLETED');

create or replace trigger _310_keep_finished
  before update on app_public.flow_executions
  for each row when (old.completed_at is not null)
  execute function app_private.keep_finished('updated_at');

create or replace trigger _400_touch
  before update on app_public.flow_executions
  for each row when (new.updated_at is distinct from now())
  execute function app_private.touch();

create or replace trigger _500_audit_insert
  after insert on app_public.flow_executions
  referencing new table as new_rows
  for each statement
  execute function app_private.audit_flow_executions();

create or replace trigger _500_audit_change
  after update of status on app_public.flow_executions
  for each row when (new.error_code = 'CANCELLED' and old.error_code is null)
  execute function app_private.audit_flow_execution_change();

create or replace trigger _600_drop_leases
  after delete on app_public.flow_executions
  referencing old table as old_rows
  for each statement
  execute function app_private.drop_leases();

create or replace trigger _450_keep_quotas
  after insert on app_public.flow_executions
  referencing new table as inserted
  for each statement when (current_setting('jwt.claims.tenant_id', true) <> '')
  execute function app_private.keep_quotas();
--! EndIncluded triggers/flow_executions.sql
--! Included triggers/task_executions.sql
create or replace trigger _100_fill_tenant
  before insert on app_public.task_executions
  for each row when (new.tenant_id is null)
  execute function app_private.fill_tenant();

create or replace trigger _200_keep_identity
  before update of id, tenant_id, flow_execution_id, sequence_number, task_name on app_public.task_executions
  for each row
  execute function app_private.keep_identity('id', 'tenant_id', 'flow_execution_id', 'sequence_number', 'task_name');

create or replace trigger _300_check_transition
  before update of status on app_public.task_executions
  for each row when (old.status is distinct from new.status and not (old.status = 'RUNNING' and new.status = 'SUCCESS'))
  execute function app_private.check_transition('PENDING>RUNNING', 'PENDING>FAILURE', 'RUNNING>SUCCESS', 'RUNNING>FAILURE');

create or replace trigger _310_keep_finished
  before update on app_public.task_executions
  for each row when (old.completed_at is not null)
  execute function app_private.keep_finished('updated_at');
--! EndIncluded triggers/task_executions.sql

-- policies
--! Included policies/tenants.sql
alter table app_public.tenants enable row level security;
alter table app_public.tenants force row level security;

drop policy if exists owner_all on app_public.tenants;
create policy owner_all on app_public.tenants to agentflow_owner using (true) with check (true);

drop policy if exists select_own on app_public.tenants;
create policy select_own on app_public.tenants for select to agentflow_user
  using (
    id = (select app_public.current_tenant_id())
    and deleted_at is null
  );

drop policy if exists update_by_admin on app_public.tenants;
create policy update_by_admin on app_public.tenants for update to agentflow_user
  using (
    id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('admin'))
  )
  with check (
    id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('admin'))
  );

drop policy if exists select_by_operator on app_public.tenants;
create policy select_by_operator on app_public.tenants for select to agentflow_operator
  using (id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/tenants.sql
--! Included policies/tenant_usages.sql
alter table app_private.tenant_usages enable row level security;
alter table app_private.tenant_usages force row level security;

drop policy if exists owner_all on app_private.tenant_usages;
create policy owner_all on app_private.tenant_usages to agentflow_owner using (true) with check (true);
--! EndIncluded policies/tenant_usages.sql
--! Included policies/operator_grants.sql
alter table app_private.operator_grants enable row level security;
alter table app_private.operator_grants force row level security;

drop policy if exists owner_all on app_private.operator_grants;
create policy owner_all on app_private.operator_grants to agentflow_owner using (true) with check (true);
--! EndIncluded policies/operator_grants.sql
--! Included policies/provider_identities.sql
alter table app_private.provider_identities enable row level security;
alter table app_private.provider_identities force row level security;

drop policy if exists owner_all on app_private.provider_identities;
create policy owner_all on app_private.provider_identities to agentflow_owner using (true) with check (true);
--! EndIncluded policies/provider_identities.sql
--! Included policies/tenant_erasures.sql
alter table app_private.tenant_erasures enable row level security;
alter table app_private.tenant_erasures force row level security;

drop policy if exists owner_all on app_private.tenant_erasures;
create policy owner_all on app_private.tenant_erasures to agentflow_owner using (true) with check (true);
--! EndIncluded policies/tenant_erasures.sql
--! Included policies/users.sql
alter table app_public.users enable row level security;
alter table app_public.users force row level security;

drop policy if exists owner_all on app_public.users;
create policy owner_all on app_public.users to agentflow_owner using (true) with check (true);

-- A key stands for one user and sees no other. Deleted users are shown to those who may restore them.
drop policy if exists select_tenant on app_public.users;
create policy select_tenant on app_public.users for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (deleted_at is null or (select app_private.may('admin')))
    and (not (select app_private.acts_by_key()) or id = (select app_public.current_user_id()))
  );

drop policy if exists update_by_admin on app_public.users;
create policy update_by_admin on app_public.users for update to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('admin'))
  )
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('admin'))
  );

-- Everybody may change the own row, and neither role nor status of it: what the row becomes still has the role that its owner signed in with.
drop policy if exists update_self on app_public.users;
create policy update_self on app_public.users for update to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and id = (select app_public.current_user_id())
    and status = 'active'
    and not (select app_private.acts_by_key())
  )
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and id = (select app_public.current_user_id())
    and status = 'active'
    and role = (select app_public.current_user_role())
    and not (select app_private.acts_by_key())
  );

drop policy if exists select_by_operator on app_public.users;
create policy select_by_operator on app_public.users for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/users.sql
--! Included policies/access_links.sql
alter table app_public.access_links enable row level security;
alter table app_public.access_links force row level security;

drop policy if exists owner_all on app_public.access_links;
create policy owner_all on app_public.access_links to agentflow_owner using (true) with check (true);

drop policy if exists select_by_admin on app_public.access_links;
create policy select_by_admin on app_public.access_links for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('admin'))
  );

drop policy if exists select_by_operator on app_public.access_links;
create policy select_by_operator on app_public.access_links for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/access_links.sql
--! Included policies/workflows.sql
alter table app_public.workflows enable row level security;
alter table app_public.workflows force row level security;

drop policy if exists owner_all on app_public.workflows;
create policy owner_all on app_public.workflows to agentflow_owner using (true) with check (true);

-- Deleted workflows are shown to those who may restore them.
drop policy if exists select_tenant on app_public.workflows;
create policy select_tenant on app_public.workflows for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('workflows:read'))
    and (deleted_at is null or (select app_private.may('workflows:publish')))
  );

drop policy if exists insert_own on app_public.workflows;
create policy insert_own on app_public.workflows for insert to agentflow_user
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and user_id = (select app_public.current_user_id())
    and (select app_private.may('workflows:write'))
    and status = 'draft'
  );

drop policy if exists update_tenant on app_public.workflows;
create policy update_tenant on app_public.workflows for update to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('workflows:write'))
  )
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('workflows:write'))
  );

drop policy if exists select_by_operator on app_public.workflows;
create policy select_by_operator on app_public.workflows for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/workflows.sql
--! Included policies/workflow_versions.sql
alter table app_public.workflow_versions enable row level security;
alter table app_public.workflow_versions force row level security;

drop policy if exists owner_all on app_public.workflow_versions;
create policy owner_all on app_public.workflow_versions to agentflow_owner using (true) with check (true);

-- Shown with their workflow: the policy of workflows is applied inside.
drop policy if exists select_with_workflow on app_public.workflow_versions;
create policy select_with_workflow on app_public.workflow_versions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('workflows:read'))
    and exists (
      select 1 from app_public.workflows
      where workflows.tenant_id = workflow_versions.tenant_id and workflows.id = workflow_versions.workflow_id
    )
  );

drop policy if exists select_by_operator on app_public.workflow_versions;
create policy select_by_operator on app_public.workflow_versions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/workflow_versions.sql
--! Included policies/executions.sql
alter table app_public.executions enable row level security;
alter table app_public.executions force row level security;

drop policy if exists owner_all on app_public.executions;
create policy owner_all on app_public.executions to agentflow_owner using (true) with check (true);

-- Written by functions only. Deleted executions are shown to those who may restore them.
drop policy if exists select_tenant on app_public.executions;
create policy select_tenant on app_public.executions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('executions:read'))
    and (deleted_at is null or (select app_private.may('executions:restore')))
  );

drop policy if exists select_by_operator on app_public.executions;
create policy select_by_operator on app_public.executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/executions.sql
--! Included policies/node_executions.sql
alter table app_public.node_executions enable row level security;
alter table app_public.node_executions force row level security;

drop policy if exists owner_all on app_public.node_executions;
create policy owner_all on app_public.node_executions to agentflow_owner using (true) with check (true);

-- Shown with their execution: the policy of executions is applied inside.
drop policy if exists select_with_execution on app_public.node_executions;
create policy select_with_execution on app_public.node_executions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('executions:read'))
    and exists (
      select 1 from app_public.executions
      where executions.tenant_id = node_executions.tenant_id and executions.id = node_executions.execution_id
    )
  );

drop policy if exists select_by_operator on app_public.node_executions;
create policy select_by_operator on app_public.node_executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/node_executions.sql
--! Included policies/sources.sql
alter table app_public.sources enable row level security;
alter table app_public.sources force row level security;

drop policy if exists owner_all on app_public.sources;
create policy owner_all on app_public.sources to agentflow_owner using (true) with check (true);

-- Deleted sources are shown to those who may restore them.
drop policy if exists select_tenant on app_public.sources;
create policy select_tenant on app_public.sources for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('sources:read'))
    and (deleted_at is null or (select app_private.may('sources:write')))
  );

drop policy if exists insert_own on app_public.sources;
create policy insert_own on app_public.sources for insert to agentflow_user
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and user_id = (select app_public.current_user_id())
    and (select app_private.may('sources:write'))
    and deleted_at is null
  );

drop policy if exists update_tenant on app_public.sources;
create policy update_tenant on app_public.sources for update to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('sources:write'))
  )
  with check (
    tenant_id = (select app_public.current_tenant_id())
    and deleted_at is null
    and (select app_private.may('sources:write'))
  );

drop policy if exists select_by_operator on app_public.sources;
create policy select_by_operator on app_public.sources for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/sources.sql
--! Included policies/api_keys.sql
alter table app_public.api_keys enable row level security;
alter table app_public.api_keys force row level security;

drop policy if exists owner_all on app_public.api_keys;
create policy owner_all on app_public.api_keys to agentflow_owner using (true) with check (true);

drop policy if exists select_by_admin on app_public.api_keys;
create policy select_by_admin on app_public.api_keys for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('admin'))
  );

drop policy if exists select_by_operator on app_public.api_keys;
create policy select_by_operator on app_public.api_keys for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/api_keys.sql
--! Included policies/audit_logs.sql
alter table app_public.audit_logs enable row level security;
alter table app_public.audit_logs force row level security;

drop policy if exists owner_all on app_public.audit_logs;
create policy owner_all on app_public.audit_logs to agentflow_owner using (true) with check (true);

drop policy if exists select_by_admin on app_public.audit_logs;
create policy select_by_admin on app_public.audit_logs for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('admin'))
  );

drop policy if exists select_by_operator on app_public.audit_logs;
create policy select_by_operator on app_public.audit_logs for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/audit_logs.sql
--! Included policies/audit_sealings.sql
alter table app_private.audit_sealings enable row level security;
alter table app_private.audit_sealings force row level security;

drop policy if exists owner_all on app_private.audit_sealings;
create policy owner_all on app_private.audit_sealings to agentflow_owner using (true) with check (true);
--! EndIncluded policies/audit_sealings.sql
--! Included policies/audit_seals.sql
alter table app_private.audit_seals enable row level security;
alter table app_private.audit_seals force row level security;

drop policy if exists owner_all on app_private.audit_seals;
create policy owner_all on app_private.audit_seals to agentflow_owner using (true) with check (true);
--! EndIncluded policies/audit_seals.sql
--! Included policies/flows.sql
alter table app_public.flows enable row level security;
alter table app_public.flows force row level security;

drop policy if exists owner_all on app_public.flows;
create policy owner_all on app_public.flows to agentflow_owner using (true) with check (true);

-- Deleted flows are shown to those who may restore them.
drop policy if exists select_tenant on app_public.flows;
create policy select_tenant on app_public.flows for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('flows:read'))
    and (deleted_at is null or (select app_private.may('flows:publish')))
  );

drop policy if exists select_by_operator on app_public.flows;
create policy select_by_operator on app_public.flows for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flows.sql
--! Included policies/flow_versions.sql
alter table app_public.flow_versions enable row level security;
alter table app_public.flow_versions force row level security;

drop policy if exists owner_all on app_public.flow_versions;
create policy owner_all on app_public.flow_versions to agentflow_owner using (true) with check (true);

-- Shown with their flow: the policy of flows is applied inside.
drop policy if exists select_with_flow on app_public.flow_versions;
create policy select_with_flow on app_public.flow_versions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('flows:read'))
    and exists (
      select 1 from app_public.flows
      where flows.tenant_id = flow_versions.tenant_id and flows.id = flow_versions.flow_id
    )
  );

drop policy if exists select_by_operator on app_public.flow_versions;
create policy select_by_operator on app_public.flow_versions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flow_versions.sql
--! Included policies/flow_executions.sql
alter table app_public.flow_executions enable row level security;
alter table app_public.flow_executions force row level security;

drop policy if exists owner_all on app_public.flow_executions;
create policy owner_all on app_public.flow_executions to agentflow_owner using (true) with check (true);

drop policy if exists select_tenant on app_public.flow_executions;
create policy select_tenant on app_public.flow_executions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('executions:read'))
  );

drop policy if exists select_by_operator on app_public.flow_executions;
create policy select_by_operator on app_public.flow_executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flow_executions.sql
--! Included policies/task_executions.sql
alter table app_public.task_executions enable row level security;
alter table app_public.task_executions force row level security;

drop policy if exists owner_all on app_public.task_executions;
create policy owner_all on app_public.task_executions to agentflow_owner using (true) with check (true);

drop policy if exists select_tenant on app_public.task_executions;
create policy select_tenant on app_public.task_executions for select to agentflow_user
  using (
    tenant_id = (select app_public.current_tenant_id())
    and (select app_private.may('executions:read'))
  );

drop policy if exists select_by_operator on app_public.task_executions;
create policy select_by_operator on app_public.task_executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/task_executions.sql
--! Included policies/sessions.sql
alter table app_private.sessions enable row level security;
alter table app_private.sessions force row level security;

drop policy if exists owner_all on app_private.sessions;
create policy owner_all on app_private.sessions to agentflow_owner using (true) with check (true);
--! EndIncluded policies/sessions.sql
--! Included policies/sign_in_tries.sql
alter table app_private.sign_in_tries enable row level security;
alter table app_private.sign_in_tries force row level security;

drop policy if exists owner_all on app_private.sign_in_tries;
create policy owner_all on app_private.sign_in_tries to agentflow_owner using (true) with check (true);
--! EndIncluded policies/sign_in_tries.sql
--! Included policies/request_buckets.sql
alter table app_private.request_buckets enable row level security;
alter table app_private.request_buckets force row level security;

drop policy if exists owner_all on app_private.request_buckets;
create policy owner_all on app_private.request_buckets to agentflow_owner using (true) with check (true);
--! EndIncluded policies/request_buckets.sql
--! Included policies/workers.sql
alter table app_private.workers enable row level security;
alter table app_private.workers force row level security;

drop policy if exists owner_all on app_private.workers;
create policy owner_all on app_private.workers to agentflow_owner using (true) with check (true);
--! EndIncluded policies/workers.sql
--! Included policies/execution_leases.sql
alter table app_private.execution_leases enable row level security;
alter table app_private.execution_leases force row level security;

drop policy if exists owner_all on app_private.execution_leases;
create policy owner_all on app_private.execution_leases to agentflow_owner using (true) with check (true);
--! EndIncluded policies/execution_leases.sql
--! Included policies/rate_buckets.sql
alter table app_private.rate_buckets enable row level security;
alter table app_private.rate_buckets force row level security;

drop policy if exists owner_all on app_private.rate_buckets;
create policy owner_all on app_private.rate_buckets to agentflow_owner using (true) with check (true);
--! EndIncluded policies/rate_buckets.sql
--! Included policies/artifacts.sql
alter table app_private.artifacts enable row level security;
alter table app_private.artifacts force row level security;

drop policy if exists owner_all on app_private.artifacts;
create policy owner_all on app_private.artifacts to agentflow_owner using (true) with check (true);
--! EndIncluded policies/artifacts.sql
--! Included policies/secrets.sql
alter table app_private.secrets enable row level security;
alter table app_private.secrets force row level security;

drop policy if exists owner_all on app_private.secrets;
create policy owner_all on app_private.secrets to agentflow_owner using (true) with check (true);
--! EndIncluded policies/secrets.sql
--! Included policies/budgets.sql
alter table app_private.budgets enable row level security;
alter table app_private.budgets force row level security;

drop policy if exists owner_all on app_private.budgets;
create policy owner_all on app_private.budgets to agentflow_owner using (true) with check (true);
--! EndIncluded policies/budgets.sql
--! Included policies/monthly_expenses.sql
alter table app_private.monthly_expenses enable row level security;
alter table app_private.monthly_expenses force row level security;

drop policy if exists owner_all on app_private.monthly_expenses;
create policy owner_all on app_private.monthly_expenses to agentflow_owner using (true) with check (true);
--! EndIncluded policies/monthly_expenses.sql
--! Included policies/source_circuits.sql
alter table app_private.source_circuits enable row level security;
alter table app_private.source_circuits force row level security;

drop policy if exists owner_all on app_private.source_circuits;
create policy owner_all on app_private.source_circuits to agentflow_owner using (true) with check (true);
--! EndIncluded policies/source_circuits.sql
--! Included policies/kept_answers.sql
alter table app_private.kept_answers enable row level security;
alter table app_private.kept_answers force row level security;

drop policy if exists owner_all on app_private.kept_answers;
create policy owner_all on app_private.kept_answers to agentflow_owner using (true) with check (true);
--! EndIncluded policies/kept_answers.sql
--! Included policies/flow_tasks.sql
alter table app_private.flow_tasks enable row level security;
alter table app_private.flow_tasks force row level security;

drop policy if exists owner_all on app_private.flow_tasks;
create policy owner_all on app_private.flow_tasks to agentflow_owner using (true) with check (true);
--! EndIncluded policies/flow_tasks.sql
--! Included policies/flow_scripts.sql
alter table app_private.flow_scripts enable row level security;
alter table app_private.flow_scripts force row level security;

drop policy if exists owner_all on app_private.flow_scripts;
create policy owner_all on app_private.flow_scripts to agentflow_owner using (true) with check (true);
--! EndIncluded policies/flow_scripts.sql
--! Included policies/flow_children.sql
alter table app_private.flow_children enable row level security;
alter table app_private.flow_children force row level security;

drop policy if exists owner_all on app_private.flow_children;
create policy owner_all on app_private.flow_children to agentflow_owner using (true) with check (true);
--! EndIncluded policies/flow_children.sql
--! Included policies/model_prices.sql
alter table app_private.model_prices enable row level security;
alter table app_private.model_prices force row level security;

drop policy if exists owner_all on app_private.model_prices;
create policy owner_all on app_private.model_prices to agentflow_owner using (true) with check (true);
--! EndIncluded policies/model_prices.sql
--! Included policies/added_node_types.sql
alter table app_private.added_node_types enable row level security;
alter table app_private.added_node_types force row level security;

drop policy if exists owner_all on app_private.added_node_types;
create policy owner_all on app_private.added_node_types to agentflow_owner using (true) with check (true);
--! EndIncluded policies/added_node_types.sql

-- partitions
--! Included app_private/partitions.sql
do $$ begin perform app_private.ensure_partitions(); end $$;
--! EndIncluded app_private/partitions.sql
--! Included app_private/model_prices.sql
/*
 * Public list prices in US dollars: per million tokens, or per image of the usual size. A row that is there already stays as it is,
 * so an installation's own prices (a later valid_from, or a corrected row) are never overwritten.
 */
insert into app_private.model_prices (model, valid_from, input_per_million, output_per_million, per_image)
values
  ('gpt-3.5-turbo', '2025-01-01', 0.5, 1.5, 0),
  ('gpt-4', '2025-01-01', 30, 60, 0),
  ('gpt-4-turbo', '2025-01-01', 10, 30, 0),
  ('gpt-4o', '2025-01-01', 2.5, 10, 0),
  ('gpt-4o-mini', '2025-01-01', 0.15, 0.6, 0),
  ('gpt-4.1', '2025-01-01', 2, 8, 0),
  ('gpt-4.1-mini', '2025-01-01', 0.4, 1.6, 0),
  ('gpt-4.1-nano', '2025-01-01', 0.1, 0.4, 0),
  ('gpt-5', '2025-01-01', 1.25, 10, 0),
  ('gpt-5-mini', '2025-01-01', 0.25, 2, 0),
  ('gpt-5-nano', '2025-01-01', 0.05, 0.4, 0),
  ('o1', '2025-01-01', 15, 60, 0),
  ('o3', '2025-01-01', 2, 8, 0),
  ('o3-mini', '2025-01-01', 1.1, 4.4, 0),
  ('o4-mini', '2025-01-01', 1.1, 4.4, 0),
  ('claude-3-haiku', '2025-01-01', 0.25, 1.25, 0),
  ('claude-3-5-haiku', '2025-01-01', 0.8, 4, 0),
  ('claude-haiku-4-5', '2025-01-01', 1, 5, 0),
  ('claude-3-5-sonnet', '2025-01-01', 3, 15, 0),
  ('claude-3-7-sonnet', '2025-01-01', 3, 15, 0),
  ('claude-sonnet-4', '2025-01-01', 3, 15, 0),
  ('claude-sonnet-4-5', '2025-01-01', 3, 15, 0),
  ('claude-3-opus', '2025-01-01', 15, 75, 0),
  ('claude-opus-4', '2025-01-01', 15, 75, 0),
  ('claude-opus-4-1', '2025-01-01', 15, 75, 0),
  ('claude-opus-4-5', '2025-01-01', 5, 25, 0),
  ('gemini-1.5-flash', '2025-01-01', 0.075, 0.3, 0),
  ('gemini-1.5-pro', '2025-01-01', 1.25, 5, 0),
  ('gemini-2.0-flash', '2025-01-01', 0.1, 0.4, 0),
  ('gemini-2.5-flash-lite', '2025-01-01', 0.1, 0.4, 0),
  ('gemini-2.5-flash', '2025-01-01', 0.3, 2.5, 0),
  ('gemini-2.5-pro', '2025-01-01', 1.25, 10, 0),
  ('llama-3.1-8b-instant', '2025-01-01', 0.05, 0.08, 0),
  ('llama-3.3-70b-versatile', '2025-01-01', 0.59, 0.79, 0),
  ('dall-e-2', '2025-01-01', 0, 0, 0.02),
  ('dall-e-3', '2025-01-01', 0, 0, 0.04)
on conflict (model, valid_from) do nothing;
--! EndIncluded app_private/model_prices.sql

-- grants
--! Included grants/tenants.sql
revoke all on app_public.tenants from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, slug, name, status, settings, quotas, created_at, updated_at, deleted_at, created_by, updated_by, deleted_by) on app_public.tenants to agentflow_user, agentflow_operator;
grant update (name, settings) on app_public.tenants to agentflow_user;
--! EndIncluded grants/tenants.sql
--! Included grants/users.sql
-- No password_hash.
revoke all on app_public.users from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, email, name, tenant_id, status, role, created_at, updated_at, deleted_at, created_by, updated_by, deleted_by) on app_public.users to agentflow_user, agentflow_operator;
grant update (name, role, status) on app_public.users to agentflow_user;
--! EndIncluded grants/users.sql
--! Included grants/access_links.sql
-- No token_hash.
revoke all on app_public.access_links from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, tenant_id, kind, user_id, email, name, role, status, expires_at, ended_at, created_at, updated_at, created_by, updated_by)
  on app_public.access_links to agentflow_user, agentflow_operator;
--! EndIncluded grants/access_links.sql
--! Included grants/workflows.sql
revoke all on app_public.workflows from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.workflows to agentflow_user, agentflow_operator;
grant insert (name, description, spec) on app_public.workflows to agentflow_user;
-- version: to state the version that one has read; a trigger refuses any other than the present one.
grant update (name, description, spec, version) on app_public.workflows to agentflow_user;
--! EndIncluded grants/workflows.sql
--! Included grants/workflow_versions.sql
revoke all on app_public.workflow_versions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.workflow_versions to agentflow_user, agentflow_operator;
--! EndIncluded grants/workflow_versions.sql
--! Included grants/executions.sql
revoke all on app_public.executions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.executions to agentflow_user, agentflow_operator;
--! EndIncluded grants/executions.sql
--! Included grants/node_executions.sql
revoke all on app_public.node_executions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.node_executions to agentflow_user, agentflow_operator;
--! EndIncluded grants/node_executions.sql
--! Included grants/sources.sql
revoke all on app_public.sources from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.sources to agentflow_user, agentflow_operator;
grant insert (name, kind, config) on app_public.sources to agentflow_user;
grant update (name, config, status) on app_public.sources to agentflow_user;
--! EndIncluded grants/sources.sql
--! Included grants/api_keys.sql
-- No key_hash.
revoke all on app_public.api_keys from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, user_id, tenant_id, name, key_prefix, permissions, status, revoked_reason, replaced_by_id, last_used_at, expires_at,
  created_at, updated_at, deleted_at, created_by, updated_by, deleted_by) on app_public.api_keys to agentflow_user, agentflow_operator;
--! EndIncluded grants/api_keys.sql
--! Included grants/audit_logs.sql
-- No log_number: it counts the rows of all tenants, and would tell one how busy the others are.
revoke all on app_public.audit_logs from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, user_id, tenant_id, action, entity_type, entity_id, old_value, new_value, ip_address, user_agent, created_at,
  api_key_id, request_id, entity_key) on app_public.audit_logs to agentflow_user, agentflow_operator;
--! EndIncluded grants/audit_logs.sql
--! Included grants/flows.sql
revoke all on app_public.flows from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.flows to agentflow_user, agentflow_operator;
--! EndIncluded grants/flows.sql
--! Included grants/flow_versions.sql
revoke all on app_public.flow_versions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.flow_versions to agentflow_user, agentflow_operator;
--! EndIncluded grants/flow_versions.sql
--! Included grants/flow_executions.sql
revoke all on app_public.flow_executions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select on app_public.flow_executions to agentflow_user, agentflow_operator;
--! EndIncluded grants/flow_executions.sql
--! Included grants/task_executions.sql
-- No error_traceback: it can hold secrets. No wait_...: they are the engine's.
revoke all on app_public.task_executions from public, agentflow_visitor, agentflow_user, agentflow_operator, agentflow_worker;
grant select (id, flow_execution_id, task_name, task_description, sequence_number, status, input_data, output_data, error_message,
  error_code, attempts, logs, started_at, completed_at, tenant_id) on app_public.task_executions to agentflow_user, agentflow_operator;
--! EndIncluded grants/task_executions.sql

-- comments
--! Included comments/tenants.sql
comment on table app_public.tenants is
  'A customer of this installation. Everything else belongs to exactly one tenant and is invisible to all others.';
comment on column app_public.tenants.id is
  'Primary key.';
comment on column app_public.tenants.slug is
  'Short name in lower case, unique over all tenants.';
comment on column app_public.tenants.name is
  'Full name.';
comment on column app_public.tenants.status is
  'active; suspended: nobody of it can sign in; deleted.';
comment on column app_public.tenants.settings is
  'Settings of the tenant, as a JSON object.';
comment on column app_public.tenants.quotas is
  'Limits that who runs the platform sets: executions_per_day, concurrent_executions, storage_bytes, tokens_per_month, cost_per_month, and max_... of each execution.';
comment on column app_public.tenants.created_at is
  'When the row was created.';
comment on column app_public.tenants.updated_at is
  'When the row was last changed.';
comment on column app_public.tenants.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.tenants.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.tenants.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.tenants.deleted_by is
  'The user who deleted it, or null.';

-- What clients are told when it refuses.
comment on constraint chk_tenants_slug on app_public.tenants is
  'A slug consists of small letters, digits and single hyphens inside.';
comment on constraint chk_tenants_quotas on app_public.tenants is
  'Quotas are numbers from 0 on, by the names that the column''s description lists.';
comment on constraint chk_tenants_settings on app_public.tenants is
  'The settings of a tenant are a JSON object.';
--! EndIncluded comments/tenants.sql
--! Included comments/tenant_usages.sql
comment on table app_private.tenant_usages is 'What is counted for the quotas of a tenant, where it has any.';
comment on column app_private.tenant_usages.day is 'The day (UTC) that executions counts.';
comment on column app_private.tenant_usages.storage_bytes is 'What the tenant kept when it was last measured.';
comment on column app_private.tenant_usages.storage_due is 'When it is measured anew; null: at once.';
--! EndIncluded comments/tenant_usages.sql
--! Included comments/operator_grants.sql
comment on table app_private.operator_grants is 'Which login of the platform may look into which tenant, why, and until when.';
comment on column app_private.operator_grants.operator is 'A database login that belongs to agentflow_operator.';
comment on column app_private.operator_grants.reason is 'Why; the tenant''s admins read it in their audit log.';
comment on column app_private.operator_grants.may_act is 'May also suspend the tenant, let it in again, and cancel executions.';
comment on column app_private.operator_grants.granted_by is 'The database login that opened it.';
comment on column app_private.operator_grants.ended_at is 'When it was ended before its time; null when it was not.';
--! EndIncluded comments/operator_grants.sql
--! Included comments/provider_identities.sql
comment on table app_private.provider_identities is 'By which name an identity provider knows a user; made when the user first comes from there.';
comment on column app_private.provider_identities.issuer is 'The provider, as its tokens name it (iss).';
comment on column app_private.provider_identities.subject is 'The person, as the provider names it (sub).';
--! EndIncluded comments/provider_identities.sql
--! Included comments/tenant_erasures.sql
comment on table app_private.tenant_erasures is 'Certificates of erased tenants: what there was, and nothing of what it said.';
comment on column app_private.tenant_erasures.row_counts is 'How many rows of each table were erased.';
comment on column app_private.tenant_erasures.last_audit_hash is 'The hash of the last seal of the tenant''s audit chain, in hex.';
comment on column app_private.tenant_erasures.erased_by is 'The database login that did it.';
--! EndIncluded comments/tenant_erasures.sql
--! Included comments/users.sql
comment on table app_public.users is
  'A person who signs in, with one role in one tenant.';
comment on column app_public.users.id is
  'Primary key.';
comment on column app_public.users.email is
  'Address to sign in with, in lower case, unique over all tenants. Deleting the user frees it.';
comment on column app_public.users.name is
  'Full name.';
comment on column app_public.users.password_hash is
  'bcrypt hash of the password. Never readable through the API.';
comment on column app_public.users.status is
  'active; inactive: cannot sign in, all keys and sessions revoked; deleted.';
comment on column app_public.users.role is
  'What the user may do: viewer, operator, developer, architect, admin; each may do what those before it may.';
comment on column app_public.users.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.users.created_at is
  'When the row was created.';
comment on column app_public.users.updated_at is
  'When the row was last changed.';
comment on column app_public.users.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.users.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.users.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.users.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint idx_users_tenant_id_id on app_public.users is
  E'@behavior -*';
comment on constraint fk_users_tenant_id on app_public.users is
  E'@fieldName tenant\n@backwardBehavior -*';

-- What clients are told when it refuses.
comment on constraint chk_users_name on app_public.users is
  'The name of a user must not be blank.';
--! EndIncluded comments/users.sql
--! Included comments/access_links.sql
comment on table app_public.access_links is
  'A one-time link by which somebody gets in without a password: an invitation of a new user, or a reset of a forgotten password. Only its hash is kept.';
comment on column app_public.access_links.id is
  'Primary key.';
comment on column app_public.access_links.kind is
  'invitation: whoever uses it becomes a user of the tenant; reset: gives the user a new password.';
comment on column app_public.access_links.user_id is
  'The user whose password is given anew; of an invitation, the user whom it made.';
comment on column app_public.access_links.email is
  'Address of that person.';
comment on column app_public.access_links.name is
  'Name of an invited person, as far as it is known.';
comment on column app_public.access_links.role is
  'Role that an invited person gets.';
comment on column app_public.access_links.token_hash is
  'SHA-256 of the token in the link, in hex. Never readable through the API; the token itself is not stored.';
comment on column app_public.access_links.status is
  'pending; used; withdrawn. One that is pending is good until expires_at.';
comment on column app_public.access_links.expires_at is
  'Until when it can be used.';
comment on column app_public.access_links.ended_at is
  'When it was used or withdrawn, or null.';
comment on column app_public.access_links.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.access_links.created_at is
  'When the row was created.';
comment on column app_public.access_links.updated_at is
  'When the row was last changed.';
comment on column app_public.access_links.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.access_links.updated_by is
  'The user who last changed it; null when the system or a DBA did.';

-- Names and visibility in the API.
comment on constraint idx_access_links_tenant_id_id on app_public.access_links is
  E'@behavior -*';
comment on constraint idx_access_links_token_hash on app_public.access_links is
  E'@behavior -*';
comment on constraint fk_access_links_tenant_id on app_public.access_links is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_access_links_user_id on app_public.access_links is
  E'@fieldName user\n@backwardBehavior -*\nThe user whose password is given anew, or whom an invitation made.';
--! EndIncluded comments/access_links.sql
--! Included comments/workflows.sql
comment on table app_public.workflows is
  'An AI workflow: a graph of nodes and edges, kept as a JSON document. Each change of the document is a new version.';
comment on column app_public.workflows.id is
  'Primary key.';
comment on column app_public.workflows.name is
  'Name of the workflow.';
comment on column app_public.workflows.description is
  'What it is for.';
comment on column app_public.workflows.spec is
  'The document: nodes, edges, queues, sources, start_node. A draft may be unfinished; a published one is valid.';
comment on column app_public.workflows.user_id is
  'The user who owns it.';
comment on column app_public.workflows.status is
  'draft: being written, runs as a test; published: valid and executable; archived: kept, not executable; deleted.';
comment on column app_public.workflows.version is
  'Number of the current version; one more with each change of the spec.';
comment on column app_public.workflows.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.workflows.created_at is
  'When the row was created.';
comment on column app_public.workflows.updated_at is
  'When the row was last changed.';
comment on column app_public.workflows.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.workflows.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.workflows.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.workflows.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint idx_workflows_tenant_id_id on app_public.workflows is
  E'@behavior -*';
comment on constraint fk_workflows_tenant_id on app_public.workflows is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_workflows_user_id on app_public.workflows is
  E'@fieldName user\n@foreignFieldName workflows\nThe user who owns the workflow.';

-- What clients are told when it refuses.
comment on constraint chk_workflows_name on app_public.workflows is
  'A workflow has a name that is not empty.';
comment on constraint chk_workflows_spec on app_public.workflows is
  'A workflow document is a JSON object of at most 3 MiB.';
--! EndIncluded comments/workflows.sql
--! Included comments/workflow_versions.sql
comment on table app_public.workflow_versions is
  'A workflow''s document as it was at one version. Never changes; executions name the version that they run.';
comment on column app_public.workflow_versions.id is
  'Primary key.';
comment on column app_public.workflow_versions.workflow_id is
  'The workflow.';
comment on column app_public.workflow_versions.version is
  'Number of the version, from 1.';
comment on column app_public.workflow_versions.spec is
  'The document.';
comment on column app_public.workflow_versions.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.workflow_versions.created_at is
  'When the row was created.';
comment on column app_public.workflow_versions.created_by is
  'The user who created it; null when the system or a DBA did.';

-- Names and visibility in the API.
comment on constraint idx_workflow_versions_tenant_id_id on app_public.workflow_versions is
  E'@behavior -*';
comment on constraint idx_workflow_versions_workflow_id_version on app_public.workflow_versions is
  E'@behavior -*';
comment on constraint fk_workflow_versions_tenant_id on app_public.workflow_versions is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_workflow_versions_workflow_id on app_public.workflow_versions is
  E'@fieldName workflow\n@foreignFieldName versions\nThe workflow that this is a version of.';
--! EndIncluded comments/workflow_versions.sql
--! Included comments/executions.sql
comment on table app_public.executions is
  'One run of a workflow, from its input to its result.';
comment on column app_public.executions.id is
  'Primary key.';
comment on column app_public.executions.workflow_id is
  'The workflow.';
comment on column app_public.executions.user_id is
  'The user who started it.';
comment on column app_public.executions.status is
  'pending: accepted; running; completed; failed; cancelled. The last three are final.';
comment on column app_public.executions.initial_state is
  'The input: the state that the run starts with, a JSON object.';
comment on column app_public.executions.final_state is
  'The state at the end; null until then.';
comment on column app_public.executions.error_message is
  'Why it failed, in words.';
comment on column app_public.executions.metrics is
  'Figures of the run: execution_time (seconds), tokens_used, cost (US dollars), node_execution_times (seconds by node).';
comment on column app_public.executions.tokens_used is
  'Tokens used by all nodes.';
comment on column app_public.executions.cost is
  'What the run cost, in US dollars.';
comment on column app_public.executions.execution_time is
  'How long it ran, in seconds; waiting for a worker is not counted.';
comment on column app_public.executions.started_at is
  'When it was accepted, until a worker takes it; then when that was.';
comment on column app_public.executions.completed_at is
  'When it ended; null until then.';
comment on column app_public.executions.workflow_version_id is
  'The version of the workflow that runs: the current one at the start.';
comment on column app_public.executions.idempotency_key is
  'Key by which the client may repeat the start without starting twice; unique in the tenant.';
comment on column app_public.executions.parent_execution_id is
  'The execution whose node started this one, or null.';
comment on column app_public.executions.parent_node_id is
  'The node of the parent that started this one, or null.';
comment on column app_public.executions.retry_of_execution_id is
  'The execution that this one repeats, or null.';
comment on column app_public.executions.retry_from_node_id is
  'The node from which the other one is repeated; null when it goes on where that one failed.';
comment on column app_public.executions.only_node_id is
  'The only node that is run: a test of one node. Null for a whole run.';
comment on column app_public.executions.depth is
  'How many parents stand above it: 0 for one that a person started.';
comment on column app_public.executions.is_test is
  'Started from a draft: a test run.';
comment on column app_public.executions.api_key_id is
  'The API key by which it, or the execution that it is a part of, was started; null: by a person.';
comment on column app_public.executions.error_code is
  'Code of the error, from the list of error codes.';
comment on column app_public.executions.error_node_id is
  'The node that made it fail, or null.';
comment on column app_public.executions.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.executions.created_at is
  'When the row was created.';
comment on column app_public.executions.updated_at is
  'When the row was last changed.';
comment on column app_public.executions.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.executions.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint idx_executions_tenant_id_id on app_public.executions is
  E'@behavior -*';
comment on constraint fk_executions_tenant_id on app_public.executions is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_executions_workflow_id on app_public.executions is
  E'@fieldName workflow\n@foreignFieldName executions\nThe workflow that was run.';
comment on constraint fk_executions_user_id on app_public.executions is
  E'@fieldName user\n@foreignFieldName executions\nThe user who started it.';
comment on constraint fk_executions_workflow_version_id on app_public.executions is
  E'@fieldName workflowVersion\n@foreignFieldName executions\nThe version that was run.';
comment on constraint fk_executions_parent_execution_id on app_public.executions is
  E'@fieldName parentExecution\n@foreignFieldName childExecutions\n@backwardBehavior +connection\nThe execution whose node waits for this one.';
comment on constraint fk_executions_retry_of_execution_id on app_public.executions is
  E'@fieldName retryOf\n@foreignFieldName retries\n@backwardBehavior +connection\nThe execution that this one repeats.';

-- What clients are told when it refuses.
comment on constraint chk_executions_initial_state on app_public.executions is
  'The initial state is a JSON object of at most 1 MiB.';
--! EndIncluded comments/executions.sql
--! Included comments/node_executions.sql
comment on table app_public.node_executions is
  'What one node did in one execution: a row a node, written when it starts, waits or ends.';
comment on column app_public.node_executions.execution_id is
  'The execution.';
comment on column app_public.node_executions.node_id is
  'Id of the node in the document.';
comment on column app_public.node_executions.execution_created_at is
  'When the execution was created; by it the rows are kept in monthly partitions.';
comment on column app_public.node_executions.node_type is
  'Type of the node, as in the document.';
comment on column app_public.node_executions.sequence_number is
  'Order in which the nodes started, from 1.';
comment on column app_public.node_executions.finish_order is
  'Order in which the nodes ended, from 1.';
comment on column app_public.node_executions.attempts is
  'How often the node was tried.';
comment on column app_public.node_executions.status is
  'pending, running, waiting (for a time, an approval or a child execution), rate_limited, completed, failed, skipped (not on the path that was taken), timed_out, cancelled.';
comment on column app_public.node_executions.input is
  'What the node was given, after its templates were filled.';
comment on column app_public.node_executions.output is
  'What the node returned.';
comment on column app_public.node_executions.writes is
  'What the node wrote into the state, by key.';
comment on column app_public.node_executions.route_target is
  'Where a router sent the run.';
comment on column app_public.node_executions.error_code is
  'Code of the error, from the list of error codes.';
comment on column app_public.node_executions.error_message is
  'Why it failed, in words.';
comment on column app_public.node_executions.tokens_used is
  'Tokens used by this node.';
comment on column app_public.node_executions.cost is
  'What this node cost, in US dollars.';
comment on column app_public.node_executions.wait_time is
  'How long it waited for a rate limit, in seconds.';
comment on column app_public.node_executions.wait_reason is
  'What it waits for, or null.';
comment on column app_public.node_executions.wait_until is
  'When it goes on by itself, or null.';
comment on column app_public.node_executions.wait_details is
  'More about the wait, or null.';
comment on column app_public.node_executions.logs is
  'Lines that the node logged.';
comment on column app_public.node_executions.source_name is
  'The source that answered; null: none was asked, or the node names its model itself.';
comment on column app_public.node_executions.model is
  'The model that answered, or null.';
comment on column app_public.node_executions.is_cached is
  'The answer came from the cache of the source: nothing was asked and nothing cost.';
comment on column app_public.node_executions.partial_output is
  'What a model has said so far, while its answer is streamed; null when it has ended.';
comment on column app_public.node_executions.started_at is
  'When it started.';
comment on column app_public.node_executions.completed_at is
  'When it ended; null until then.';
comment on column app_public.node_executions.tenant_id is
  'The tenant that this row belongs to. Never changes.';

-- Names and visibility in the API.
comment on constraint fk_node_executions_execution_id on app_public.node_executions is
  E'@fieldName execution\n@foreignFieldName nodeExecutions\nThe execution that the node ran in.';
--! EndIncluded comments/node_executions.sql
--! Included comments/sources.sql
comment on table app_public.sources is
  'Something outside that nodes use: a language model, an image model, a database or an HTTP API.';
comment on column app_public.sources.id is
  'Primary key.';
comment on column app_public.sources.name is
  'Name by which documents refer to it; unique among the living sources of the tenant.';
comment on column app_public.sources.kind is
  'llm, image, db or api. Never changes.';
comment on column app_public.sources.config is
  'How it is reached, a JSON object: for a model model_name, provider, api_key_env, temperature, max_tokens ... Secrets are never stored here, only the names of variables that hold them.';
comment on column app_public.sources.user_id is
  'The user who owns it.';
comment on column app_public.sources.status is
  'active; inactive: nodes cannot use it; deleted.';
comment on column app_public.sources.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.sources.created_at is
  'When the row was created.';
comment on column app_public.sources.updated_at is
  'When the row was last changed.';
comment on column app_public.sources.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.sources.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.sources.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.sources.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint idx_sources_tenant_id_id on app_public.sources is
  E'@behavior -*';
comment on constraint fk_sources_tenant_id on app_public.sources is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_sources_user_id on app_public.sources is
  E'@fieldName user\n@foreignFieldName sources\nThe user who owns the source.';

-- What clients are told when it refuses.
comment on constraint chk_sources_name on app_public.sources is
  'A source has a name that is not empty.';
comment on constraint chk_sources_config on app_public.sources is
  'The configuration of a source is a JSON object of at most 64 KiB.';
comment on constraint chk_sources_config_secrets on app_public.sources is
  'The configuration of a source holds no secrets: name the variable that has the value, e.g. token_env.';
comment on constraint chk_sources_config_secret_texts on app_public.sources is
  'A configuration holds no secrets: no URL with a password, no key of a service. Name a variable, or a stored secret.';
comment on index app_public.idx_sources_tenant_id_name is
  'There is already a source with this name in the tenant.';
--! EndIncluded comments/sources.sql
--! Included comments/api_keys.sql
comment on table app_public.api_keys is
  'A key by which a program acts as its user, narrowed to the permissions named.';
comment on column app_public.api_keys.id is
  'Primary key.';
comment on column app_public.api_keys.user_id is
  'The user whose role the key narrows.';
comment on column app_public.api_keys.name is
  'What the key is for.';
comment on column app_public.api_keys.key_hash is
  'HMAC-SHA-256 of the key, in hex. Never readable through the API; the key itself is not stored.';
comment on column app_public.api_keys.permissions is
  'What the key may do, by area: {"workflows": ["read", "write", "execute"], "sources": [...], "executions": [...], "flows": [...]}. Null allows nothing.';
comment on column app_public.api_keys.status is
  'active, revoked or expired.';
comment on column app_public.api_keys.last_used_at is
  'When it was last used, to the minute.';
comment on column app_public.api_keys.expires_at is
  'When it ends; null for never.';
comment on column app_public.api_keys.key_prefix is
  'The first characters of the key, to recognise it by.';
comment on column app_public.api_keys.revoked_reason is
  'Why it was revoked, or null.';
comment on column app_public.api_keys.replaced_by_id is
  'The key that took its place when it was rotated; until expires_at both work.';
comment on column app_public.api_keys.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.api_keys.created_at is
  'When the row was created.';
comment on column app_public.api_keys.updated_at is
  'When the row was last changed.';
comment on column app_public.api_keys.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.api_keys.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.api_keys.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.api_keys.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint idx_api_keys_tenant_id_id on app_public.api_keys is
  E'@behavior -*';
comment on constraint idx_api_keys_key_hash on app_public.api_keys is
  E'@behavior -*';
comment on constraint fk_api_keys_tenant_id on app_public.api_keys is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_api_keys_user_id on app_public.api_keys is
  E'@fieldName user\n@foreignFieldName apiKeys\nThe user whose role the key narrows.';
comment on constraint fk_api_keys_replaced_by_id on app_public.api_keys is
  E'@fieldName replacedBy\n@backwardBehavior -*\nThe key that took its place when it was rotated.';
comment on constraint chk_api_keys_name on app_public.api_keys is
  'The name of an API key must not be blank.';
--! EndIncluded comments/api_keys.sql
--! Included comments/audit_logs.sql
comment on table app_public.audit_logs is
  'Who did what, when and from where. Written with each change, in the same transaction; never changed.';
comment on column app_public.audit_logs.id is
  'Unique together with created_at.';
comment on column app_public.audit_logs.user_id is
  'The user who did it; null for the system, a DBA or an erased user.';
comment on column app_public.audit_logs.action is
  'What was done: create, update, delete, restore, publish, archive, activate, deactivate, revoke, execute, cancel, erase, sign_in ...';
comment on column app_public.audit_logs.entity_type is
  'What it was done to: workflow, source, execution, user, api_key, tenant, flow ...';
comment on column app_public.audit_logs.entity_id is
  'The id of that, where it is a UUID.';
comment on column app_public.audit_logs.old_value is
  'Values before a change: the changed columns only. Secrets are replaced by [redacted].';
comment on column app_public.audit_logs.new_value is
  'Values after a change (the changed columns only), or of what was created. Secrets are replaced by [redacted].';
comment on column app_public.audit_logs.ip_address is
  'Address that the request came from.';
comment on column app_public.audit_logs.user_agent is
  'Program that sent the request, or the database role of a DBA.';
comment on column app_public.audit_logs.created_at is
  'When it was done.';
comment on column app_public.audit_logs.api_key_id is
  'The API key that was used, or null.';
comment on column app_public.audit_logs.request_id is
  'Id of the request, as in the server log.';
comment on column app_public.audit_logs.entity_key is
  'The id of the entity where it is no UUID: a flow.';
comment on column app_public.audit_logs.log_number is
  'Counts the rows of all tenants: the order in which they are sealed.';
comment on column app_public.audit_logs.tenant_id is
  'The tenant that this row belongs to. Never changes.';

-- Names and visibility in the API.
comment on constraint fk_audit_logs_user_id on app_public.audit_logs is
  E'@fieldName user\n@foreignFieldName auditLogs\nThe user who did it.';
--! EndIncluded comments/audit_logs.sql
--! Included comments/audit_sealings.sql
comment on table app_private.audit_sealings is 'How far the audit log is sealed: one row.';
comment on column app_private.audit_sealings.sealed_to is 'Rows up to this number are sealed.';
comment on column app_private.audit_sealings.next_to is 'The next limit; null when none is set.';
comment on column app_private.audit_sealings.waits_for is 'Transactions (pg_locks.virtualtransaction) that may still write rows up to the next limit.';
comment on column app_private.audit_sealings.kept_from is 'Months before this one were dropped by retention.';
--! EndIncluded comments/audit_sealings.sql
--! Included comments/audit_seals.sql
comment on table app_private.audit_seals is
  'The chain over a tenant''s audit rows: each seal holds the hashes of up to a thousand rows of one month, and its own hash holds that of the seal before it.';
comment on column app_private.audit_seals.number is 'The how-manieth seal of the tenant.';
comment on column app_private.audit_seals.row_ids is 'The rows, in the order of their numbers; null when retention has dropped them.';
comment on column app_private.audit_seals.row_hashes is 'The hash of each row.';
comment on column app_private.audit_seals.digest is 'One hash for the rows.';
--! EndIncluded comments/audit_seals.sql
--! Included comments/flows.sql
comment on table app_public.flows is
  'A sequence of named tasks; conditions choose the next by the outcome of the last.';
comment on column app_public.flows.id is
  'Slug of the flow, unique in the tenant.';
comment on column app_public.flows.name is
  'Name of the flow.';
comment on column app_public.flows.description is
  'What it is for.';
comment on column app_public.flows.start_task is
  'The task that it starts with.';
comment on column app_public.flows.definition is
  'The document: tasks and conditions.';
comment on column app_public.flows.is_active is
  '1: can be executed; 0: not. The tasks of a flow are looked for when it is activated and when it is executed.';
comment on column app_public.flows.version is
  'Number of the current version; one more with each change of the definition.';
comment on column app_public.flows.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.flows.created_at is
  'When the row was created.';
comment on column app_public.flows.updated_at is
  'When the row was last changed.';
comment on column app_public.flows.deleted_at is
  'When it was deleted, or null. A deleted one is kept, and shown only to those who may restore it.';
comment on column app_public.flows.created_by is
  'The user who created it; null when the system or a DBA did.';
comment on column app_public.flows.updated_by is
  'The user who last changed it; null when the system or a DBA did.';
comment on column app_public.flows.deleted_by is
  'The user who deleted it, or null.';

-- Names and visibility in the API.
comment on constraint fk_flows_tenant_id on app_public.flows is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint flows_pkey on app_public.flows is
  'There is already a flow with this id; it may be a deleted one.';

-- What clients are told when it refuses.
comment on constraint chk_flows_definition on app_public.flows is
  'A definition is a JSON object of at most 1 MiB.';
--! EndIncluded comments/flows.sql
--! Included comments/flow_versions.sql
comment on table app_public.flow_versions is
  'A flow''s definition as it was at one version. Never changes.';
comment on column app_public.flow_versions.id is
  'Primary key.';
comment on column app_public.flow_versions.flow_id is
  'Slug of the flow.';
comment on column app_public.flow_versions.version is
  'Number of the version, from 1.';
comment on column app_public.flow_versions.definition is
  'The document.';
comment on column app_public.flow_versions.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.flow_versions.created_at is
  'When the row was created.';
comment on column app_public.flow_versions.created_by is
  'The user who created it; null when the system or a DBA did.';

-- Names and visibility in the API.
comment on constraint idx_flow_versions_tenant_id_id on app_public.flow_versions is
  E'@behavior -*';
comment on constraint idx_flow_versions_flow_id_version on app_public.flow_versions is
  E'@behavior -*';
comment on constraint fk_flow_versions_tenant_id on app_public.flow_versions is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_flow_versions_flow_id on app_public.flow_versions is
  E'@fieldName flow\n@foreignFieldName versions\nThe flow that this is a version of.';
--! EndIncluded comments/flow_versions.sql
--! Included comments/flow_executions.sql
comment on table app_public.flow_executions is
  'One run of a flow.';
comment on column app_public.flow_executions.id is
  'Primary key.';
comment on column app_public.flow_executions.flow_id is
  'Slug of the flow.';
comment on column app_public.flow_executions.status is
  'PENDING: accepted; RUNNING; COMPLETED; FAILURE. (SUCCESS is legal and not written by the engine.)';
comment on column app_public.flow_executions.input_context is
  'The input, a JSON object.';
comment on column app_public.flow_executions.output_data is
  'The whole context at the end; null when it failed.';
comment on column app_public.flow_executions.error_message is
  'Why it failed, in words.';
comment on column app_public.flow_executions.api_key_id is
  'The API key by which it was started; null: by a person.';
comment on column app_public.flow_executions.error_code is
  'Why it failed, as a stable code.';
comment on column app_public.flow_executions.error_task is
  'The task that made it fail, or was running when it was cut off.';
comment on column app_public.flow_executions.total_tasks_executed is
  'How many tasks were run.';
comment on column app_public.flow_executions.started_at is
  'When it was accepted, until a worker takes it; then when that was.';
comment on column app_public.flow_executions.completed_at is
  'When it ended; null until then.';
comment on column app_public.flow_executions.user_id is
  'The user who started it.';
comment on column app_public.flow_executions.flow_version is
  'The version of the flow that runs.';
comment on column app_public.flow_executions.definition is
  'The document as it was at the start.';
comment on column app_public.flow_executions.idempotency_key is
  'Key by which the client may repeat the start without starting twice; unique in the tenant.';
comment on column app_public.flow_executions.retry_of_flow_execution_id is
  'The run that this one repeats, or null.';
comment on column app_public.flow_executions.tenant_id is
  'The tenant that this row belongs to. Never changes.';
comment on column app_public.flow_executions.created_at is
  'When the row was created.';
comment on column app_public.flow_executions.updated_at is
  'When the row was last changed.';

-- Names and visibility in the API.
comment on constraint idx_flow_executions_tenant_id_id on app_public.flow_executions is
  E'@behavior -*';
comment on constraint fk_flow_executions_tenant_id on app_public.flow_executions is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_flow_executions_flow_id on app_public.flow_executions is
  E'@fieldName flow\n@foreignFieldName flowExecutions\nThe flow that was run.';
comment on constraint fk_flow_executions_user_id on app_public.flow_executions is
  E'@fieldName user\n@foreignFieldName flowExecutions\nThe user who started it.';
comment on constraint fk_flow_executions_retry_of_flow_execution_id on app_public.flow_executions is
  E'@fieldName retryOf\n@foreignFieldName retries';

comment on type app_public.flow_execution_status is
  'Where a run of a flow stands.';
--! EndIncluded comments/flow_executions.sql
--! Included comments/task_executions.sql
comment on table app_public.task_executions is
  'What one task did in one run of a flow.';
comment on column app_public.task_executions.id is
  'Primary key.';
comment on column app_public.task_executions.flow_execution_id is
  'The run of the flow.';
comment on column app_public.task_executions.task_name is
  'Name of the task.';
comment on column app_public.task_executions.task_description is
  'What the task is for.';
comment on column app_public.task_executions.sequence_number is
  'Order of the tasks, from 1.';
comment on column app_public.task_executions.status is
  'PENDING, RUNNING, SUCCESS or FAILURE.';
comment on column app_public.task_executions.input_data is
  'The context before the task.';
comment on column app_public.task_executions.output_data is
  'What the task returned.';
comment on column app_public.task_executions.attempts is
  'How often the task was begun: once more when a worker died in the middle of it.';
comment on column app_public.task_executions.error_code is
  'Why it failed, as a stable code.';
comment on column app_public.task_executions.wait_reason is
  'What it waits for, holding no worker: delay or child. For the engine.';
comment on column app_public.task_executions.wait_until is
  'When its wait is over at the latest. For the engine.';
comment on column app_public.task_executions.wait_details is
  'What it needs to go on after its wait. For the engine.';
comment on column app_public.task_executions.logs is
  'What the task wrote down, a list of {at, level, message}; without the values of secrets.';
comment on column app_public.task_executions.error_message is
  'Why it failed, in words.';
comment on column app_public.task_executions.error_traceback is
  'Where in the program it failed. For admins only, through a function: it can hold secrets.';
comment on column app_public.task_executions.started_at is
  'When it started.';
comment on column app_public.task_executions.completed_at is
  'When it ended; null until then.';
comment on column app_public.task_executions.tenant_id is
  'The tenant that this row belongs to. Never changes.';

-- Names and visibility in the API.
comment on constraint idx_task_executions_flow_execution_id_sequence_number on app_public.task_executions is
  E'@behavior -*';
comment on constraint fk_task_executions_tenant_id on app_public.task_executions is
  E'@fieldName tenant\n@backwardBehavior -*';
comment on constraint fk_task_executions_flow_execution_id on app_public.task_executions is
  E'@fieldName flowExecution\n@foreignFieldName taskExecutions\nThe run of the flow that the task belongs to.';

comment on type app_public.task_execution_status is
  'Where a task of a flow stands.';
--! EndIncluded comments/task_executions.sql
--! Included comments/sessions.sql
comment on table app_private.sessions is
  'Signed-in people. A bearer token names its session; a revoked session ends it on the next request.';
--! EndIncluded comments/sessions.sql
--! Included comments/sign_in_tries.sql
comment on table app_private.sign_in_tries is
  'Tries at passwords within a quarter of an hour, by account and by origin.';
--! EndIncluded comments/sign_in_tries.sql
--! Included comments/request_buckets.sql
comment on table app_private.request_buckets is
  'Requests that a tenant, or an address that nobody has signed in from, may still send: servers take leases from it.';
--! EndIncluded comments/request_buckets.sql
--! Included comments/workers.sql
comment on table app_private.workers is
  'Worker processes that live, each with an advisory lock of its own.';
--! EndIncluded comments/workers.sql
--! Included comments/execution_leases.sql
comment on table app_private.execution_leases is
  'Which worker drives which execution, and the fencing token of that.';
--! EndIncluded comments/execution_leases.sql
--! Included comments/rate_buckets.sql
comment on table app_private.rate_buckets is
  'Token buckets of queues: what may pass now, for all workers together.';
--! EndIncluded comments/rate_buckets.sql
--! Included comments/artifacts.sql
comment on table app_private.artifacts is
  'Bytes that nodes made, such as pictures, kept beside their execution.';
--! EndIncluded comments/artifacts.sql
--! Included comments/secrets.sql
comment on table app_private.secrets is
  'Secrets that tenants have stored for their sources, sealed by the server (AES-256-GCM) before they come here.';
comment on column app_private.secrets.sealed is
  'v1.<key id>.<base64url of nonce, sealed value and tag>; bound to tenant and name.';
comment on column app_private.secrets.hosts is
  'The hosts that it may be sent to; null: wherever a saved source says.';
--! EndIncluded comments/secrets.sql
--! Included comments/budgets.sql
comment on table app_private.budgets is
  'What a tenant lets itself, or one of its API keys, spend on models in a month (UTC).';
comment on column app_private.budgets.api_key_id is
  'The key that is bounded; null: the whole tenant.';
comment on column app_private.budgets.monthly_limit is
  'US dollars. Calls of models are refused when so much is spent.';
comment on column app_private.budgets.warn_at is
  'The part of it at which admins are warned.';
--! EndIncluded comments/budgets.sql
--! Included comments/monthly_expenses.sql
comment on table app_private.monthly_expenses is
  'What calls of models have cost in a month, by tenant and by API key.';
comment on column app_private.monthly_expenses.spender_id is
  'The tenant itself, or one of its API keys.';
comment on column app_private.monthly_expenses.warned_at is
  'When the warning of its budget was given.';
comment on column app_private.monthly_expenses.stopped_at is
  'When its budget was used up.';
--! EndIncluded comments/monthly_expenses.sql
--! Included comments/source_circuits.sql
comment on table app_private.source_circuits is
  'Sources that have failed lately; while a circuit is open they are not called.';
comment on column app_private.source_circuits.source_key is
  'saved:<name> of a row of sources, or a digest of an inline configuration.';
comment on column app_private.source_circuits.failures is
  'In a row.';
comment on column app_private.source_circuits.retry_at is
  'Until then it is open; afterwards one call tries it out. Null: closed.';
--! EndIncluded comments/source_circuits.sql
--! Included comments/kept_answers.sql
comment on table app_private.kept_answers is
  'Answers of sources that ask for it, kept for their time.';
comment on column app_private.kept_answers.cache_key is
  'SHA-256, in hex, of tenant, source, configuration and request.';
comment on column app_private.kept_answers.hits is
  'How often it was given instead of a call.';
--! EndIncluded comments/kept_answers.sql
--! Included comments/flow_tasks.sql
comment on table app_private.flow_tasks is
  'The tasks of flows that each worker has registered.';
--! EndIncluded comments/flow_tasks.sql
--! Included comments/flow_scripts.sql
comment on table app_private.flow_scripts is
  'What test tasks answer in one flow execution.';
--! EndIncluded comments/flow_scripts.sql
--! Included comments/flow_children.sql
comment on table app_private.flow_children is
  'Executions of workflows that tasks of flows have started.';
--! EndIncluded comments/flow_children.sql
--! Included comments/model_prices.sql
comment on table app_private.model_prices is
  'What models cost, by model and day of validity.';
comment on column app_private.model_prices.changed_by is
  'Who last changed it; null: it came with AgentFlow.';
--! EndIncluded comments/model_prices.sql
--! Included comments/added_node_types.sql
comment on table app_private.added_node_types is
  'Node types that servers and workers registered when they started, beyond those that every installation has.';
--! EndIncluded comments/added_node_types.sql
--! EndIncluded after.sql
