--! Previous: sha1:8591d115f7bd42139ea0d73cb8e092a72aa4c3f5
--! Hash: sha1:770ef0f362098d00e40e734a25d6ff983a00b001
--! Message: flows begin by priority, what kills its workers is told apart, the audit log believes the API

-- Write the next migration here; see it run with: agentflow db watch

-- flows: priorities, as executions have them; the CHECK is validated in a migration of its own
-- undo: alter table app_public.flow_executions drop column priority
alter table app_public.flow_executions add column if not exists priority smallint not null default 0;
alter table app_public.flow_executions drop constraint if exists chk_flow_executions_priority;
alter table app_public.flow_executions add constraint chk_flow_executions_priority check (priority between -10 and 10) not valid;
-- undo: drop type app_public.flow_start_by_priority
do $$ begin
  if to_regtype('app_public.flow_start_by_priority') is null then
    create type app_public.flow_start_by_priority as (flow_id text, input_context jsonb, idempotency_key text, priority integer);
  end if;
end $$;
-- undo: alter table app_private.execution_leases drop column on_trial
alter table app_private.execution_leases add column if not exists on_trial boolean not null default false;
drop function if exists app_private.give_up_execution(uuid);
drop function if exists app_private.demand_priority(integer);
drop function if exists app_private.flow_start_problems(app_public.flow_start[], boolean);
drop function if exists app_public.execute_flow(text, jsonb, text);

--! Included app_private/functions/audit/audit_context.sql
/*
 * Without a search path of its own, which would cost as much as the rest: everything in it is named in full.
 * Whom the API names was there when its request began, and it erases nobody: the foreign key of the log is enough. Others may name anybody, and may
 * have erased him in this very transaction.
 */
create or replace function app_private.audit_context(
  out user_id uuid,
  out api_key_id uuid,
  out ip_address inet,
  out user_agent text,
  out request_id varchar
)
  language plpgsql stable
as $$
begin
  user_id := app_public.current_user_id();
  if user_id is not null and session_user <> 'agentflow_authenticator' then
    user_id := (select users.id from app_public.users where users.id = audit_context.user_id);
  end if;
  api_key_id := app_private.current_api_key_id();
  ip_address := case when pg_catalog.current_setting('request.ip', true) <> '' then app_private.current_request_ip() else pg_catalog.inet_client_addr() end;
  user_agent := coalesce(nullif(pg_catalog.current_setting('request.user_agent', true), ''), 'database role ' || session_user);
  request_id := pg_catalog.left(nullif(pg_catalog.current_setting('request.id', true), ''), 100);
end $$;

comment on function app_private.audit_context() is 'Who acts and from where, for the audit log. A user who is not there is nobody.';
--! EndIncluded app_private/functions/audit/audit_context.sql
--! Included app_private/functions/audit/audit_rows.sql
/*
 * Statement-level: a thousand rows cost one INSERT. The argument is the entity's type. `offset 0`: each row is made into JSON once, not once for
 * each place that looks at it. `full join`: the plan is kept from the first call, which may have changed one row, and no plan of a full join compares
 * each row with each other one (which took four times as long for a thousand).
 * What is rare (a secret, a change of status) is a call of PL/pgSQL behind a cheap question: what is SQL here is made ready for every statement.
 */
create or replace function app_private.audit_rows() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context record := app_private.audit_context();
begin
  if tg_op = 'UPDATE' then
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value, new_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(pair.new_row), context.user_id,
      case
        when difference.new_value ?| array['status', 'deleted_at', 'is_active']
        then app_private.audit_action(difference.old_value, difference.new_value)
        else 'update'
      end,
      tg_argv[0], pair.entity_id, case when pair.entity_id is null then pair.id end,
      case when difference.is_suspect then app_private.redact_row(difference.old_value) else difference.old_value end,
      case when difference.is_suspect then app_private.redact_row(difference.new_value) else difference.new_value end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(old_rows) as old_row, to_jsonb(new_rows) as new_row, new_rows.id::text as id, app_private.uuid_of(new_rows.id::text) as entity_id
      from old_rows full join new_rows on new_rows.id = old_rows.id
      offset 0
    ) as pair
    cross join lateral (
      select jsonb_object_agg(entry.key, pair.old_row -> entry.key) as old_value, jsonb_object_agg(entry.key, entry.value) as new_value,
        app_private.names_secrets(
          jsonb_object_agg(entry.key, pair.old_row -> entry.key)::text || jsonb_object_agg(entry.key, entry.value)::text) as is_suspect
      from jsonb_each(pair.new_row) as entry
      where entry.value <> pair.old_row -> entry.key
        and entry.key not in ('updated_at', 'updated_by', 'last_used_at')
    ) as difference
    where difference.new_value is not null
      and app_private.audited_tenant(pair.old_row) = app_private.audited_tenant(pair.new_row);
  elsif tg_op = 'INSERT' then
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, new_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.new_row), context.user_id, 'create', tg_argv[0],
      changed.entity_id, case when changed.entity_id is null then changed.id end,
      case when app_private.names_secrets(changed.new_row::text) then app_private.redact_row(changed.new_row) else changed.new_row end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(new_rows) as new_row, new_rows.id::text as id, app_private.uuid_of(new_rows.id::text) as entity_id from new_rows offset 0
    ) as changed;
  else
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.old_row), context.user_id, 'erase', tg_argv[0],
      changed.entity_id, case when changed.entity_id is null then changed.id end,
      case when app_private.names_secrets(changed.old_row::text) then app_private.redact_row(changed.old_row) else changed.old_row end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(old_rows) as old_row, old_rows.id::text as id, app_private.uuid_of(old_rows.id::text) as entity_id from old_rows offset 0
    ) as changed;
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
declare
  context record := app_private.audit_context();
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, new_value,
    api_key_id, ip_address, user_agent, request_id)
  select new_rows.tenant_id, context.user_id, 'execute', 'execution', new_rows.id,
    jsonb_strip_nulls(jsonb_build_object('workflow_id', new_rows.workflow_id, 'workflow_version_id', new_rows.workflow_version_id,
      'user_id', new_rows.user_id, 'status', new_rows.status, 'is_test', new_rows.is_test,
      'idempotency_key', new_rows.idempotency_key, 'retry_of_execution_id', new_rows.retry_of_execution_id)),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from new_rows
  where new_rows.parent_execution_id is null;
  return null;
end $$;

comment on function app_private.audit_executions() is 'Writes an audit row for each execution that somebody starts, without its state.';
--! EndIncluded app_private/functions/audit/audit_executions.sql
--! Included app_private/functions/audit/audit_erased_executions.sql
create or replace function app_private.audit_erased_executions() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context record := app_private.audit_context();
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, old_value,
    api_key_id, ip_address, user_agent, request_id)
  select old_rows.tenant_id, context.user_id, 'erase', 'execution', old_rows.id,
    jsonb_build_object('workflow_id', old_rows.workflow_id, 'status', old_rows.status),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from old_rows;
  return null;
end $$;

comment on function app_private.audit_erased_executions() is 'Writes an audit row for each execution that is erased.';
--! EndIncluded app_private/functions/audit/audit_erased_executions.sql
--! Included app_private/functions/audit/audit_flow_executions.sql
create or replace function app_private.audit_flow_executions() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context record := app_private.audit_context();
begin
  insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_key, new_value,
    api_key_id, ip_address, user_agent, request_id)
  select new_rows.tenant_id, context.user_id, 'execute', 'flow_execution', new_rows.id::text,
    jsonb_strip_nulls(jsonb_build_object('flow_id', new_rows.flow_id, 'flow_version', new_rows.flow_version,
      'user_id', new_rows.user_id, 'status', new_rows.status,
      'idempotency_key', new_rows.idempotency_key, 'retry_of_flow_execution_id', new_rows.retry_of_flow_execution_id)),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from new_rows;
  return null;
end $$;

comment on function app_private.audit_flow_executions() is 'Writes an audit row for each flow execution that somebody starts, without its context.';
--! EndIncluded app_private/functions/audit/audit_flow_executions.sql
--! Included app_private/functions/engine/checkpoint_executions.sql
/*
 * Writes node rows of many executions in one statement, and marks those of `begun` as running. Rows of a lost lease are not written;
 * those executions are returned, and their driver must stop. A node that has ended clears the count of lost workers; one that only runs
 * or waits does not, or what kills its workers slowly would never be found.
 * Tables are reached by their keys only: the conditions on other columns are made such that no index of theirs fits.
 */
drop function if exists app_private.checkpoint_executions(uuid, uuid[], integer[], json);

create or replace function app_private.checkpoint_executions(worker uuid, execution_ids uuid[], attempts integer[], nodes json, begun uuid[] default '{}')
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are; a plan for few looked cheaper, and was made anew each time
as $$
declare
  held_ids uuid[];
  held_attempts integer[];
  held_tenants uuid[];
  troubled boolean;
begin
  if begun <> '{}' then
    perform from app_public.executions as execution where execution.id = any (begun) order by execution.id for no key update;
  end if;
  select array_agg(held.execution_id), array_agg(held.attempt), array_agg(held.tenant_id), coalesce(bool_or(held.losses > 0), false)
    into held_ids, held_attempts, held_tenants, troubled
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
       and case when execution.status = 'pending' then true end;
  end if;
  perform app_private.write_nodes(held_ids, held_attempts, held_tenants, nodes);
  if troubled then
    update app_private.execution_leases as lease set losses = 0, on_trial = false
     where lease.execution_id = any (held_ids) and lease.losses > 0
       and lease.execution_id in (
         select node.execution_id from json_to_recordset(nodes) as node (execution_id uuid, finish_order integer) where node.finish_order is not null);
  end if;
  perform app_private.notify_executions(held_tenants, held_ids);
  return array(select given.id from unnest(execution_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) is
  'Writes node rows under the leases of a worker; returns the executions whose lease is lost.';

grant execute on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/checkpoint_executions.sql
--! Included app_private/functions/flow_engine/checkpoint_flow_executions.sql
/*
 * As checkpoint_executions; the rows are of tasks, and each task asks for it: so it says itself what that one does, and calls little.
 * `begun`: marked as running, since they were claimed.
 */
create or replace function app_private.checkpoint_flow_executions(worker uuid, run_ids uuid[], attempts integer[], tasks json, begun uuid[] default '{}')
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are
set enable_seqscan = off
as $$
declare
  flow_ids bigint[];
  held_ids uuid[];
  held_tenants uuid[];
  troubled boolean;
begin
  if begun <> '{}' then
    flow_ids := array(select app_private.flow_id_of_run(given.id) from unnest(begun) as given (id));
    perform from app_public.flow_executions as execution where execution.id = any (flow_ids) order by execution.id for no key update;
  end if;
  select array_agg(held.execution_id), array_agg(held.tenant_id), coalesce(bool_or(held.losses > 0), false)
    into held_ids, held_tenants, troubled
    from (select * from unnest(run_ids, attempts) as one (id, attempt) order by one.id) as given
   cross join lateral (
      select * from app_private.execution_leases as lease
       where lease.execution_id = given.id and lease.attempt = given.attempt and lease.worker_id = worker
         for no key update
   ) as held;
  if held_ids is null then
    return run_ids;
  end if;

  if begun <> '{}' then
    update app_public.flow_executions as execution
       set status = 'RUNNING', started_at = lease.claimed_at, updated_at = now()
      from app_private.execution_leases as lease
     where execution.id = any (flow_ids) and execution.status = 'PENDING'
       and lease.execution_id = app_private.flow_run_id(execution.id) and lease.execution_id = any (held_ids);
  end if;
  perform app_private.write_tasks(worker, held_ids, tasks);
  if troubled then
    update app_private.execution_leases as lease set losses = 0, on_trial = false
     where lease.execution_id = any (held_ids) and lease.losses > 0
       and lease.execution_id in (
         select task.execution_id from json_to_recordset(tasks) as task (execution_id uuid, completed_ms double precision) where task.completed_ms is not null);
  end if;
  perform app_private.notify_executions(held_tenants, held_ids);
  if cardinality(held_ids) = cardinality(run_ids) then
    return '{}';
  end if;
  return array(select given.id from unnest(run_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json, uuid[]) is
  'Writes task rows under the leases of a worker; returns the flow executions whose lease is lost.';

grant execute on function app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/checkpoint_flow_executions.sql
--! Included app_private/functions/engine/free_leases.sql
/*
 * Takes leases from their worker and adds jobs, so that another goes on. The next claim raises the attempt, which fences
 * whatever the former holder still writes. `lost`: the holder died, which counts against an execution that may be what kills its workers;
 * of one with eight such losses (`lossesOfSuspects` in src/runtime/suspects.ts) only when it was on trial. Those come again a
 * little later: what waits behind them has its turn before the next worker that they may kill.
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
  freed_at timestamptz[];
begin
  with changed as (
    update app_private.execution_leases as lease
       set worker_id = null,
           losses = lease.losses + (lost and (lease.on_trial or lease.losses < 8))::integer,
           on_trial = false,
           driven = lease.driven + (now() - lease.claimed_at)
     where lease.execution_id = any (execution_ids)
       and lease.worker_id is not null
    returning lease.execution_id, case when lease.losses < 8 then now() else now() + make_interval(secs => 1 + 2 * random()) end as at
  )
  select coalesce(array_agg(changed.execution_id), '{}'), array_agg(changed.at) into freed, freed_at from changed;
  perform app_private.enqueue_executions(freed, freed_at);
end
$$;

comment on function app_private.free_leases(uuid[], boolean) is 'Takes leases from their worker and adds jobs for them.';
--! EndIncluded app_private/functions/engine/free_leases.sql
--! Included app_private/functions/engine/begin_trial.sql
-- A worker that holds an execution with many losses, and no other such one, runs it now: when the worker dies, it counts. False: its lease is lost.
create or replace function app_private.begin_trial(worker uuid, run_id uuid, attempt integer)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update app_private.execution_leases as lease set on_trial = true
   where lease.execution_id = run_id and lease.attempt = begin_trial.attempt and lease.worker_id = worker;
  return found;
end
$$;

comment on function app_private.begin_trial(uuid, uuid, integer) is 'Says that a worker runs a suspect now; false when its lease is lost.';

grant execute on function app_private.begin_trial(uuid, uuid, integer) to agentflow_worker;
--! EndIncluded app_private/functions/engine/begin_trial.sql
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
set plan_cache_mode = force_generic_plan -- as of checkpoint_executions
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
       set worker_id = null, on_trial = false, driven = lease.driven + (now() - lease.claimed_at), waits = given.at is null
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
  -- Deaths of workers are in the same count: beyond `most_faults` it is a suspect's, who has the rest of its tries (src/runtime/suspects.ts).
  most_losses constant integer := 14;
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
    set losses = lease.losses + 1, worker_id = null, waits = false, on_trial = false,
        driven = lease.driven + case when lease.worker_id is null then interval '0' else now() - lease.claimed_at end
    where lease.worker_id is null or lease.worker_id = worker
  returning lease.losses into faults;
  if faults is null then
    return 'over';
  elsif faults = most_faults or faults >= most_losses then
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
      -- What runs is marked as running a moment after its first node has begun.
      coalesce(greatest(round(extract(epoch from now() - case when execution.status = 'pending' then min(nodes.started_at) else execution.started_at end)::numeric, 3), 0),
        0.000) as execution_time,
      coalesce(jsonb_object_agg(nodes.node_id, round(extract(epoch from nodes.completed_at - nodes.started_at)::numeric, 3))
        filter (where nodes.completed_at >= nodes.started_at), '{}'::jsonb) as node_execution_times
    from app_public.node_executions as nodes
    where nodes.tenant_id = execution.tenant_id and nodes.execution_id = execution.id
      and nodes.execution_created_at = execution.created_at
  ) as spent
$$;

comment on function app_private.spent_so_far(app_public.executions) is 'Tokens, cost, seconds and metrics of an execution, from the rows of its nodes.';
--! EndIncluded app_private/functions/spent_so_far.sql
--! Included app_private/functions/engine/give_up_execution.sql
/*
 * Ends an execution, of a workflow or a flow, that no worker can drive: as failed, with `code` and `told`, and its nodes that have begun with it. It needs
 * nothing of what the execution holds, so that whatever keeps it from running cannot keep it from ending. Retrying it makes a new one.
 * Lock order as everywhere in the engine: the execution, then its lease. False: it is over, or unknown.
 */
drop function if exists app_private.give_up_execution(uuid);

create or replace function app_private.give_up_execution(
  run_id uuid, code text default 'EXECUTION_POISONED', told text default 'No worker could run this execution; the server log says why.'
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  flow constant bigint := app_private.flow_id_of_run(run_id);
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
       set status = 'failed', completed_at = now(), error_code = code, error_message = told,
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
       set status = 'FAILURE', error_code = code, error_message = told, completed_at = now(), wait_until = null
     where task.tenant_id = flow_tenant and task.flow_execution_id = flow and task.completed_at is null;
    update app_public.flow_executions as known
       set status = 'FAILURE', completed_at = now(), error_code = code, error_message = told, error_task = last.task_name,
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

comment on function app_private.give_up_execution(uuid, text, text) is
  'Ends an execution that no worker can drive, as failed; false when there is nothing to end.';
--! EndIncluded app_private/functions/engine/give_up_execution.sql
--! Included app_private/functions/engine/give_up_claim.sql
/*
 * A worker gives up an execution, of a workflow or a flow, that it has claimed and does not run: as failed, with `code` and `told`.
 * False: its lease is lost, or it is over.
 */
create or replace function app_private.give_up_claim(worker uuid, run_id uuid, attempt integer, code text, told text)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from app_public.executions as execution where execution.id = run_id for no key update;
  perform from app_public.flow_executions as execution where execution.id = app_private.flow_id_of_run(run_id) for no key update;
  perform from app_private.execution_leases as lease
    where lease.execution_id = run_id and lease.attempt = give_up_claim.attempt and lease.worker_id = worker for no key update;
  return found and app_private.give_up_execution(run_id, code, told);
end
$$;

comment on function app_private.give_up_claim(uuid, uuid, integer, text, text) is
  'Ends an execution that a worker has claimed and does not run, as failed; false when its lease is lost.';

grant execute on function app_private.give_up_claim(uuid, uuid, integer, text, text) to agentflow_worker;
--! EndIncluded app_private/functions/engine/give_up_claim.sql
--! Included app_private/functions/priority_problem.sql
/* What is wrong with a priority, for who may go first by `needed`; no row when nothing is. For other functions of the owner. */
create or replace function app_private.priority_problem(priority integer, needed text)
returns table (code text, message text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select 'INVALID_VALUE', 'A priority is a whole number from -10 to 10.' where priority not between -10 and 10
  union all
  select 'PERMISSION_DENIED', format('A priority above 0 is given by architects: this needs the right %s.', needed)
  where priority between 1 and 10 and not app_private.may(needed)
$$;

comment on function app_private.priority_problem(integer, text) is 'What is wrong with a priority; no row when nothing is.';
--! EndIncluded app_private/functions/priority_problem.sql
--! Included app_private/functions/demand_priority.sql
/* Who may start something may let it wait; going before others takes the right to publish, `needed`. For other functions of the owner. */
create or replace function app_private.demand_priority(priority integer, needed text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  problem record;
begin
  for problem in select * from app_private.priority_problem(priority, needed) loop
    perform app_private.fail(problem.code, problem.message, 'priority');
  end loop;
end $$;

comment on function app_private.demand_priority(integer, text) is 'Refuses a priority that is none, or that the caller may not give.';
--! EndIncluded app_private/functions/demand_priority.sql
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
    from unnest(inputs) with ordinality as given (workflow_id, initial_state, idempotency_key, priority, place)
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
    select position, wrong.code, wrong.message, 'priority'
    from input cross join lateral app_private.priority_problem(priority, 'workflows:publish') as wrong where priority <> 0
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
--! Included app_public/functions/execute_workflow.sql
/*
 * One statement from the client's point of view: permission, status, idempotency, the row; triggers add version, audit and job.
 * An idempotency key is looked at before the status: a repeated call gets its execution back even when the workflow has been archived since.
 */
create or replace function app_public.execute_workflow(workflow_id uuid, initial_state jsonb, idempotency_key text default null, priority integer default null)
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
  if priority <> 0 then
    perform app_private.demand_priority(priority, 'workflows:publish');
  end if;
  execution := app_private.repeated_execution(workflow_id, initial_state, idempotency_key);
  if execution.id is not null then
    return execution;
  end if;

  workflow := app_private.runnable_workflow(execute_workflow.workflow_id);
  insert into app_public.executions (id, tenant_id, user_id, workflow_id, initial_state, idempotency_key, is_test, priority)
  values (app_private.new_execution_id(), workflow.tenant_id, app_public.current_user_id(), workflow.id, execute_workflow.initial_state, execute_workflow.idempotency_key,
    workflow.status = 'draft', coalesce(execute_workflow.priority, 0))
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if not found then -- the same key came twice at once, and the other call was first
    execution := app_private.repeated_execution(workflow_id, initial_state, idempotency_key);
  end if;
  return execution;
end $$;

comment on function app_public.execute_workflow(uuid, jsonb, text, integer) is E'@resultFieldName execution\nStarts an execution of a published workflow, or a test run of a draft, and answers at once with the pending execution. The same idempotency key with the same input returns the first execution; with another input it is IDEMPOTENCY_CONFLICT. Of what waits for a worker, a higher priority (-10 to 10, 0 unless given) begins first; above 0 it takes the right to publish.';
grant execute on function app_public.execute_workflow(uuid, jsonb, text, integer) to agentflow_user;
--! EndIncluded app_public/functions/execute_workflow.sql
--! Included app_private/functions/flows/flow_start_problems.sql
/*
 * What is wrong with the inputs of executeFlows, as [{code, message, field}] with fields like `inputs.3.input_context`; null when nothing is.
 * As executeFlow looks at one: a key that was used before with the same input is no problem, whatever has become of the flow since.
 * `is_test`: as in execute_flow. For other functions of the owner.
 */
create or replace function app_private.flow_start_problems(inputs app_public.flow_start_by_priority[], is_test boolean)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with flow as materialized (
    select flows.id, flows.deleted_at is not null as is_deleted, flows.is_active = 0 as is_inactive,
      case when not is_test then (select problem.message from app_private.unregistered_task_problems(flows.definition) as problem limit 1) end as missing
    from app_public.flows
    where flows.tenant_id = app_public.current_tenant_id() and flows.id = any (array(select given.flow_id from unnest(inputs) as given))
      and (flows.deleted_at is null or app_private.may('flows:publish'))
  ), input as materialized (
    select given.place - 1 as position, given.flow_id, given.idempotency_key as key, jsonb_typeof(given.input_context) = 'object' as is_object,
      octet_length(given.input_context::text) as bytes, given.priority, app_private.told_context(given.input_context, is_test) as context
    from unnest(inputs) with ordinality as given (flow_id, input_context, idempotency_key, priority, place)
  ), keyed as (
    select input.position, former.id is not null as is_repeated,
      (first_value(input.flow_id) over same_key, first_value(input.context) over same_key) is distinct from (input.flow_id, input.context)
        or former.id is not null and (former.flow_id, former.input_context) is distinct from (input.flow_id, input.context) as is_other
    from input
    left join app_public.flow_executions as former on former.tenant_id = app_public.current_tenant_id() and former.idempotency_key = input.key
    where input.key is not null
    window same_key as (partition by input.key order by input.position)
  ), unheard as (
    select input.position, flow.* from input left join flow on flow.id = input.flow_id
    where not exists (select from keyed where keyed.position = input.position and keyed.is_repeated)
  ), problem (position, code, message, field) as (
    select position, 'INVALID_VALUE', 'The input context must be a JSON object.', 'input_context' from input where is_object is not true
    union all
    select position, 'TOO_LARGE', format('The input context has %s bytes; at most 1048576 are allowed.', bytes), 'input_context' from input where bytes > 1048576
    union all
    select position, 'INVALID_VALUE', 'An idempotency key has 1 to 255 characters.', 'idempotency_key' from input where char_length(key) not between 1 and 255
    union all
    select position, wrong.code, wrong.message, 'priority'
    from input cross join lateral app_private.priority_problem(input.priority, 'flows:publish') as wrong where input.priority <> 0
    union all
    select position, 'NOT_FOUND', 'There is no flow with this id.', 'flow_id' from unheard where id is null
    union all
    select position, 'FLOW_NOT_RUNNABLE', format('A flow that is %s cannot be executed.', case when is_deleted then 'deleted' else 'inactive' end), 'flow_id'
    from unheard where is_deleted or is_inactive
    union all
    select position, 'INVALID_FLOW', format('Every task of an active flow must be registered: %s.', missing), 'flow_id'
    from unheard where missing is not null and not is_deleted and not is_inactive
    union all
    select position, 'IDEMPOTENCY_CONFLICT', 'This idempotency key was used with another input.', 'idempotency_key' from keyed where is_other
  )
  select jsonb_agg(jsonb_build_object('code', problem.code, 'message', problem.message, 'field', format('inputs.%s.%s', problem.position, problem.field))
    order by problem.position, problem.field, problem.code)
  from problem
$$;

comment on function app_private.flow_start_problems(app_public.flow_start_by_priority[], boolean) is 'All that is wrong with the inputs of executeFlows; null when nothing is.';
--! EndIncluded app_private/functions/flows/flow_start_problems.sql
--! Included app_public/functions/execute_flow.sql
/*
 * One statement from the client's point of view: permission, status, idempotency, the row; triggers add audit and job.
 * An idempotency key is looked at before the status: a repeated call gets its execution back even when the flow is inactive by now.
 * Where test tasks are on, `__script` is taken out of the context and kept where nobody sees it; and a task that is not registered is left
 * to the worker that meets it, so that this can be tested too.
 */
create or replace function app_public.execute_flow(flow_id text, input_context jsonb, idempotency_key text default null, priority integer default null)
returns app_public.flow_executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- also for what its triggers do: planning again for each value was a quarter of the work
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  is_test constant boolean := app_private.has_test_tasks();
  context constant jsonb := app_private.told_context(input_context, is_test);
  flow app_public.flows;
  execution app_public.flow_executions;
begin
  perform app_private.demand('flows:execute');
  perform app_private.check_flow_input(input_context, idempotency_key);
  if priority <> 0 then
    perform app_private.demand_priority(priority, 'flows:publish');
  end if;
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

  insert into app_public.flow_executions (tenant_id, user_id, flow_id, flow_version, definition, input_context, idempotency_key, priority)
  values (tenant, app_public.current_user_id(), flow.id, flow.version, flow.definition, context, execute_flow.idempotency_key, coalesce(execute_flow.priority, 0))
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if not found then -- the same key came twice at once, and the other call was first
    return app_private.repeated_flow_execution(flow_id, context, idempotency_key);
  end if;
  insert into app_private.flow_scripts (flow_execution_id, tenant_id, script)
  select execution.id, tenant, input_context -> '__script' where is_test and input_context ? '__script';
  return execution;
end $$;

comment on function app_public.execute_flow(text, jsonb, text, integer) is E'@resultFieldName flowExecution\nStarts an execution of an active flow and answers at once with the pending execution. The same idempotency key with the same input returns the first execution; with another input it is IDEMPOTENCY_CONFLICT. Of what waits for a worker, a higher priority (-10 to 10, 0 unless given) begins first; above 0 it takes the right to publish.';
grant execute on function app_public.execute_flow(text, jsonb, text, integer) to agentflow_user;
--! EndIncluded app_public/functions/execute_flow.sql
--! Included app_public/functions/execute_flows_by_priority.sql
/*
 * Many starts as one statement: all or none, as execute_workflows. Every input is looked at before anything is started, and all that is wrong
 * with them is told at once. Triggers add one audit statement and one statement of jobs for all of them. Of test tasks: see execute_flow.
 * The API calls it executeFlows: execute_flows is what servers of a version before call.
 * Rows are reached by their keys only, whatever a session that began with an empty table takes for cheap.
 */
create or replace function app_public.execute_flows_by_priority(inputs app_public.flow_start_by_priority[])
returns setof app_public.flow_executions
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  is_test constant boolean := app_private.has_test_tasks();
  ids bigint[];
  started bigint;
begin
  perform app_private.demand('flows:execute');
  if cardinality(inputs) not between 1 and 1000 or inputs is null then
    perform app_private.fail('TOO_LARGE', format('1 to 1000 executions can be started at a time, not %s.', coalesce(cardinality(inputs), 0)), 'inputs');
  end if;
  perform app_private.fail_starts(app_private.flow_start_problems(inputs, is_test));

  -- Ids are taken beforehand: they say which row answers which input. Keys go in their order, so that two calls never wait for each other.
  ids := array(select nextval('app_public.flow_executions_id_seq') from generate_series(1, cardinality(inputs)));
  insert into app_public.flow_executions (id, tenant_id, user_id, flow_id, flow_version, definition, input_context, idempotency_key, priority)
  select input.id, tenant, app_public.current_user_id(), flows.id, flows.version, flows.definition,
    app_private.told_context(input.input_context, is_test), input.idempotency_key, coalesce(input.priority, 0)
  from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, priority, id)
  join app_public.flows on flows.tenant_id = tenant and flows.id = input.flow_id
  order by input.idempotency_key nulls first, input.id
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing;
  get diagnostics started = row_count;
  if started < cardinality(inputs) then -- a key may have come with another input at the same time, and the other call was first
    perform app_private.fail_starts(app_private.flow_start_problems(inputs, is_test));
  end if;
  if is_test then
    insert into app_private.flow_scripts (flow_execution_id, tenant_id, script)
    select made.id, tenant, input.input_context -> '__script'
    from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, priority, id)
    join app_public.flow_executions as made on made.id = input.id
    where input.input_context ? '__script';
  end if;

  return query
    select answer.*
    from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, priority, id)
    cross join lateral (
      select * from app_public.flow_executions where flow_executions.id = input.id and input.idempotency_key is null
      union all
      select * from app_public.flow_executions where flow_executions.tenant_id = tenant and flow_executions.idempotency_key = input.idempotency_key
    ) as answer
    order by input.id;
end $$;

comment on function app_public.execute_flows_by_priority(app_public.flow_start_by_priority[]) is E'@name execute_flows\n@resultFieldName flowExecutions\nStarts up to 1,000 executions of flows at once, all of them or none; what is wrong with the inputs is told for all of them. The answer is in the order of the inputs.';
grant execute on function app_public.execute_flows_by_priority(app_public.flow_start_by_priority[]) to agentflow_user;
comment on type app_public.flow_start_by_priority is E'@name flow_start';
--! EndIncluded app_public/functions/execute_flows_by_priority.sql
--! Included app_public/functions/execute_flows.sql
/* As servers of a version before call it: their starts have no priority. */
create or replace function app_public.execute_flows(inputs app_public.flow_start[])
returns setof app_public.flow_executions
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  select * from app_public.execute_flows_by_priority(array(
    select row(input.flow_id, input.input_context, input.idempotency_key, null)::app_public.flow_start_by_priority
    from unnest(inputs) with ordinality as input (flow_id, input_context, idempotency_key, place) order by input.place))
$$;

comment on function app_public.execute_flows(app_public.flow_start[]) is E'@name execute_flows_without_priority\n@behavior -*\nStarts executions of flows as servers of a version before do.';
comment on type app_public.flow_start is E'@name flow_start_without_priority\n@behavior -*';
grant execute on function app_public.execute_flows(app_public.flow_start[]) to agentflow_user;
--! EndIncluded app_public/functions/execute_flows.sql
--! Included app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
/* As of executions: the row and the job that acts on it commit together, whichever client inserts. */
create or replace function app_private.tg_enqueue_flow_executions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  specs graphile_worker.job_spec[];
begin
  specs := array(
    select row('run_execution', json_build_object('id', started.run_id), null, now(), null, started.run_id::text,
             app_private.start_priority(started.place > 100 or long.tenant_id is not null, started.priority), null)::graphile_worker.job_spec
      from (select app_private.flow_run_id(inserted.id) as run_id, inserted.tenant_id, inserted.priority, row_number() over () as place from inserted where inserted.status = 'PENDING') as started
      left join app_private.long_queues as long on long.tenant_id = started.tenant_id
  );
  if cardinality(specs) > 100 then
    insert into app_private.long_queues (tenant_id) select distinct inserted.tenant_id from inserted order by inserted.tenant_id
    on conflict do nothing;
  end if;
  if cardinality(specs) > 0 then
    perform graphile_worker.add_jobs(specs);
  end if;
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
comment on column app_public.flow_executions.priority is
  'Of what waits for a worker, a higher one begins first; from -10 to 10, 0 unless given.';
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

-- What clients are told when it refuses.
comment on constraint chk_flow_executions_priority on app_public.flow_executions is
  'A priority is a whole number from -10 to 10.';

comment on type app_public.flow_execution_status is
  'Where a run of a flow stands.';
--! EndIncluded comments/flow_executions.sql
