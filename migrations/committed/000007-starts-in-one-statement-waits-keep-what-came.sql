--! Previous: sha1:b3a6f6745adf3d78c73e04dfb2b534a9a0a3e0d0
--! Hash: sha1:fe760d196707dbaf19d99d9b175765badf3f2b08
--! Message: starts in one statement, waits keep what came

-- Write the next migration here; see it run with: agentflow db watch
-- Quotas are asked for where the jobs are added (app_private.demand_quotas).
drop trigger if exists _450_keep_quotas on app_public.executions;
-- undo: create trigger _450_keep_quotas after insert on app_public.executions referencing new table as inserted for each statement when (current_setting('jwt.claims.tenant_id', true) <> '') execute function app_private.keep_quotas();
drop trigger if exists _450_keep_quotas on app_public.flow_executions;
-- undo: create trigger _450_keep_quotas after insert on app_public.flow_executions referencing new table as inserted for each statement when (current_setting('jwt.claims.tenant_id', true) <> '') execute function app_private.keep_quotas();
drop function if exists app_private.keep_quotas();

--! Included app_private/functions/is_json_object.sql
-- In PL/pgSQL because that is not inlined: every statement makes the CHECKs of its table ready anew, and parsing and planning this there cost more than calling it.
create or replace function app_private.is_json_object(value jsonb, max_bytes integer) returns boolean
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_typeof(value) = 'object' and octet_length(value::text) <= max_bytes;
end $$;

comment on function app_private.is_json_object(jsonb, integer) is
  'Is the value a JSON object whose text is at most max_bytes long? For CHECKs.';
grant execute on function app_private.is_json_object(jsonb, integer) to agentflow_user;
--! EndIncluded app_private/functions/is_json_object.sql
--! Included app_private/functions/is_metrics.sql
-- In PL/pgSQL because that is not inlined: every statement makes the CHECKs of its table ready anew, and parsing and planning this there cost more than calling it.
create or replace function app_private.is_metrics(value jsonb) returns boolean
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_typeof(value) = 'object'
    and coalesce(jsonb_typeof(value -> 'execution_time') in ('number', 'null'), true)
    and coalesce(jsonb_typeof(value -> 'tokens_used') in ('number', 'null'), true)
    and coalesce(jsonb_typeof(value -> 'cost') in ('number', 'null'), true)
    and coalesce(jsonb_typeof(value -> 'node_execution_times') in ('object', 'null'), true)
    and coalesce(not jsonb_path_exists(value, 'lax $.node_execution_times.* ? (@.type() != "number")'), true);
end $$;

comment on function app_private.is_metrics(jsonb) is
  'Has the value the shape of execution metrics: seconds, tokens, US dollars, and seconds by node? Other keys may be there. For CHECKs.';
grant execute on function app_private.is_metrics(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/is_metrics.sql
--! Included app_private/functions/tenants/demand_quotas.sql
/*
 * Whoever is signed in has started so many executions by one statement, in a tenant that has quotas. The engine's own children have no caller: they belong to
 * the execution that was counted. The row of the tenant's usage is held until the end of the transaction where starts are counted, so that those at the same
 * time come one after the other.
 */
create or replace function app_private.demand_quotas(tenant uuid, started bigint) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  quotas constant jsonb := (select tenants.quotas from app_public.tenants where tenants.id = tenant);
  allowed numeric;
  used numeric;
  spent record;
begin
  if started = 0 then
    return;
  end if;
  allowed := quotas ->> 'executions_per_day';
  if allowed is not null then
    used := app_private.count_starts(tenant, started);
    if used > allowed then
      perform app_private.exceed_quota('executions_per_day', allowed, used);
    end if;
  end if;
  allowed := quotas ->> 'concurrent_executions';
  if allowed is not null then
    perform pg_advisory_xact_lock(hashtextextended('app_private.demand_quotas ' || tenant::text, 0));
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
end $$;

comment on function app_private.demand_quotas(uuid, bigint) is 'Refuses executions beyond the quotas of their tenant with QUOTA_EXCEEDED.';
--! EndIncluded app_private/functions/tenants/demand_quotas.sql
--! Included app_private/functions/engine/add_execution_task.sql
-- graphile-worker's id of the task that looks at an execution, where it is not known yet. For other functions of the owner.
create or replace function app_private.add_execution_task()
returns integer
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into graphile_worker._private_tasks as task (identifier) values ('run_execution')
  on conflict (identifier) do update set identifier = excluded.identifier
  returning task.id
$$;

comment on function app_private.add_execution_task() is 'The id of task run_execution, which it makes known to graphile-worker.';
--! EndIncluded app_private/functions/engine/add_execution_task.sql
--! Included app_private/functions/engine/tg_enqueue_executions.sql
/*
 * A row and the job that acts on it commit together, whichever client inserts. A child goes on with what its parent has begun.
 * What one statement starts beyond the first 100 makes the queue of its tenant a long one.
 * The job is the row that graphile_worker.add_jobs would write (`test/sql/functions/enqueue.test.ts`), which takes four statements because a job of that key
 * may be there and may run. Here the execution is new; a job that was left of an erased one of the same id begins anew, unless it runs: then the search for
 * orphans finds what it leaves.
 * Quotas are asked for in the same statement, and not in a trigger of their own, which every start would pay for.
 */
create or replace function app_private.tg_enqueue_executions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  added integer;
  has_quotas boolean;
begin
  with added as (
    insert into graphile_worker._private_jobs as job (task_id, payload, key, priority)
    select coalesce((select task.id from graphile_worker._private_tasks as task where task.identifier = 'run_execution'), app_private.add_execution_task()),
           json_build_object('id', started.id), started.id::text,
           case when started.parent_execution_id is null then app_private.start_priority(started.place > 100 or long.tenant_id is not null, started.priority) else -1 end
      from (select inserted.id, inserted.tenant_id, inserted.parent_execution_id, inserted.priority, row_number() over () as place from inserted where inserted.status = 'pending') as started
      left join app_private.long_queues as long on long.tenant_id = started.tenant_id
    on conflict (key) do update
      set attempts = 0, last_error = null, run_at = excluded.run_at, priority = excluded.priority, revision = job.revision + 1, updated_at = now()
      where job.locked_at is null
    returning 1
  )
  select count(*), (select tenants.quotas <> '{}' from app_public.tenants where tenants.id = app_public.current_tenant_id())
    into added, has_quotas
    from added;
  if has_quotas then
    perform app_private.demand_quotas(app_public.current_tenant_id(), (select count(*) from inserted where inserted.tenant_id = app_public.current_tenant_id()));
  end if;
  if added > 100 then
    insert into app_private.long_queues (tenant_id) select distinct inserted.tenant_id from inserted order by inserted.tenant_id
    on conflict do nothing;
  end if;
  if added > 0 then
    perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', added)::text);
  end if;
  return null;
end
$$;

drop trigger if exists _500_enqueue on app_public.executions;
create trigger _500_enqueue
  after insert on app_public.executions
  referencing new table as inserted
  for each statement
  execute function app_private.tg_enqueue_executions();

comment on function app_private.tg_enqueue_executions() is 'Adds the job of each pending execution, in the transaction that accepts it, unless quotas of its tenant forbid it.';
--! EndIncluded app_private/functions/engine/tg_enqueue_executions.sql
--! Included app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
/* As of executions: the row and the job that acts on it commit together, whichever client inserts, unless quotas forbid it. */
create or replace function app_private.tg_enqueue_flow_executions()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  added integer;
  has_quotas boolean;
begin
  with added as (
    insert into graphile_worker._private_jobs as job (task_id, payload, key, priority)
    select coalesce((select task.id from graphile_worker._private_tasks as task where task.identifier = 'run_execution'), app_private.add_execution_task()),
           json_build_object('id', started.run_id), started.run_id::text,
           app_private.start_priority(started.place > 100 or long.tenant_id is not null, started.priority)
      from (select app_private.flow_run_id(inserted.id) as run_id, inserted.tenant_id, inserted.priority, row_number() over () as place from inserted where inserted.status = 'PENDING') as started
      left join app_private.long_queues as long on long.tenant_id = started.tenant_id
    on conflict (key) do update
      set attempts = 0, last_error = null, run_at = excluded.run_at, priority = excluded.priority, revision = job.revision + 1, updated_at = now()
      where job.locked_at is null
    returning 1
  )
  select count(*), (select tenants.quotas <> '{}' from app_public.tenants where tenants.id = app_public.current_tenant_id())
    into added, has_quotas
    from added;
  if has_quotas then
    perform app_private.demand_quotas(app_public.current_tenant_id(), (select count(*) from inserted where inserted.tenant_id = app_public.current_tenant_id()));
  end if;
  if added > 100 then
    insert into app_private.long_queues (tenant_id) select distinct inserted.tenant_id from inserted order by inserted.tenant_id
    on conflict do nothing;
  end if;
  if added > 0 then
    perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', added)::text);
  end if;
  return null;
end
$$;

comment on function app_private.tg_enqueue_flow_executions() is 'Adds the job of each pending flow execution, in the transaction that accepts it, unless quotas of its tenant forbid it.';

drop trigger if exists _500_enqueue on app_public.flow_executions;
create trigger _500_enqueue
  after insert on app_public.flow_executions
  referencing new table as inserted
  for each statement
  execute function app_private.tg_enqueue_flow_executions();
--! EndIncluded app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--! Included app_public/functions/execute_workflow.sql
/*
 * One statement from the client's point of view: permission, status, idempotency, the row; triggers add audit and job.
 * Where nothing is to be said against it, it is one statement here as well, which asks for all of it. Where something is, it starts nothing, and what
 * follows finds out what to say, or starts what is less usual: a test run, or one that goes before others. An idempotency key is looked at
 * before the status then: a repeated call gets its execution back even when the workflow has been archived since.
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
  insert into app_public.executions (id, tenant_id, user_id, workflow_id, workflow_version_id, initial_state, idempotency_key, priority)
  select app_private.new_execution_id(), workflows.tenant_id, app_public.current_user_id(), workflows.id, versions.id,
    execute_workflow.initial_state, execute_workflow.idempotency_key, coalesce(execute_workflow.priority, 0)
  from app_public.workflows
  join app_public.workflow_versions as versions
    on versions.tenant_id = workflows.tenant_id and versions.workflow_id = workflows.id and versions.version = workflows.version
  where workflows.tenant_id = app_private.tenant_if_may('workflows:execute') and workflows.id = execute_workflow.workflow_id
    and workflows.status = 'published' and app_public.current_user_id() is not null
    and app_private.is_json_object(execute_workflow.initial_state, 1048576)
    and (execute_workflow.idempotency_key is null or char_length(execute_workflow.idempotency_key) between 1 and 255)
    and (execute_workflow.priority is null or execute_workflow.priority between -10 and 0)
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
  returning * into execution;
  if found then
    return execution;
  end if;

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
--! Included app_private/functions/engine/free_jobs.sql
/*
 * Unlocks the jobs of job pools that are gone, under new ids: whoever still runs one completes it by its id, without a look at who has
 * it locked, and would take it away from those who have it now. One without a key has a later job in its place, and runs no more: it goes.
 */
create or replace function app_private.free_jobs(job_worker_ids text[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  freed bigint[];
begin
  with freed_now as (
    update graphile_worker._private_jobs as job
       set id = default, locked_by = null, locked_at = null
     where job.locked_by = any (job_worker_ids)
    returning job.id
  )
  select array_agg(freed_now.id) into freed from freed_now;
  -- afterwards: what is unlocked loses its key no more
  delete from graphile_worker._private_jobs as job where job.id = any (freed) and job.key is null and job.attempts >= job.max_attempts;
  perform graphile_worker.force_unlock_workers(job_worker_ids);
end
$$;

comment on function app_private.free_jobs(text[]) is 'Unlocks the jobs of job pools that are gone, so that a late end of one of them completes nothing.';
--! EndIncluded app_private/functions/engine/free_jobs.sql
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
  perform pg_notify('agentflow', '{"executions":[' || string_agg('["' || pair.tenant_id || '","' || pair.id || '"]', ',') || ']}')
    from unnest(tenant_ids, ids) with ordinality as pair (tenant_id, id, place)
   group by (pair.place - 1) / 95;
end
$$;

comment on function app_private.notify_executions(uuid[], uuid[]) is
  'Tells listeners of channel "agentflow" which executions changed: {"executions": [[tenant_id, id], ...]}.';
--! EndIncluded app_private/functions/engine/notify_executions.sql
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
  if cardinality(held_ids) = cardinality(execution_ids) then
    return '{}';
  end if;
  return array(select given.id from unnest(execution_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) is
  'Writes node rows under the leases of a worker; returns the executions whose lease is lost.';

grant execute on function app_private.checkpoint_executions(uuid, uuid[], integer[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/checkpoint_executions.sql
--! Included app_private/functions/engine/write_nodes.sql
/*
 * Writes node rows of executions whose leases the caller's transaction has locked or let go: nobody else writes rows of theirs. A row that
 * is final is never overwritten: a node that finished is never run again. `nodes`: a JSON list; of the rows in it those of an execution that
 * is among `execution_ids`, under its attempt, are written.
 * A wait that is written again, as its answer was lost, keeps what has come of it meanwhile: the child, the decision.
 * Most rows are new: where none says that it `may_exist` already, all are spared the care for conflicts. A statement that came through and
 * whose answer was lost comes again; then they are not new after all.
 * A node that begins to wait for a child gets it here, and one that gives up ends its child.
 */
drop function if exists app_private.write_nodes(uuid, json);
drop function if exists app_private.write_nodes(uuid, uuid[], json);

create or replace function app_private.write_nodes(execution_ids uuid[], attempts integer[], tenant_ids uuid[], nodes json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  may_exist boolean;
  children jsonb;
  written record;
begin
  if nodes::text = '[]' then
    return;
  end if;
  may_exist := strpos(nodes::text, '"may_exist":true') > 0;
  if not may_exist then
    begin
      with stored_now as (
        insert into app_public.node_executions as stored (
          execution_id, node_id, execution_created_at, tenant_id, node_type, sequence_number, finish_order, attempts, status,
          input, output, writes, route_target, error_code, error_message, tokens_used, cost,
          wait_time, wait_reason, wait_until, wait_details, logs, started_at, completed_at, source_name, model, is_cached, partial_output
        )
        select node.execution_id, node.node_id, node.execution_created_at, held.tenant_id, node.node_type,
               node.sequence_number, node.finish_order, coalesce(node.attempts, 1), node.status,
               node.input, node.output, node.writes, node.route_target, node.error_code, node.error_message,
               coalesce(node.tokens_used, 0), coalesce(node.cost, 0), coalesce(node.wait_time, 0), node.wait_reason, node.wait_until, node.wait_details, node.logs,
               to_timestamp(node.started_ms / 1000), to_timestamp(node.completed_ms / 1000),
               node.source_name, node.model, coalesce(node.is_cached, false), node.partial_output
          from json_to_recordset(nodes) as node (
            execution_id uuid, attempt integer, execution_created_at timestamptz, node_id varchar, node_type varchar,
            sequence_number integer, finish_order integer, attempts integer, status varchar,
            input jsonb, output jsonb, writes jsonb, route_target varchar, error_code varchar, error_message text,
            tokens_used integer, cost numeric, wait_time numeric, wait_reason varchar, wait_until timestamptz, wait_details jsonb,
            logs jsonb, started_ms double precision, completed_ms double precision,
            source_name varchar, model varchar, is_cached boolean, partial_output text
          )
          join unnest(execution_ids, write_nodes.attempts, tenant_ids) as held (id, attempt, tenant_id)
            on held.id = node.execution_id and held.attempt = node.attempt
        returning stored.tenant_id, stored.execution_id, stored.node_id, stored.node_type, stored.status, stored.finish_order, stored.wait_details
      )
      select jsonb_agg(stored_now) into children from stored_now where stored_now.node_type = 'workflow';
    exception when unique_violation then
      may_exist := true;
    end;
  end if;
  if may_exist then
    with stored_now as (
      insert into app_public.node_executions as stored (
        execution_id, node_id, execution_created_at, tenant_id, node_type, sequence_number, finish_order, attempts, status,
        input, output, writes, route_target, error_code, error_message, tokens_used, cost,
        wait_time, wait_reason, wait_until, wait_details, logs, started_at, completed_at, source_name, model, is_cached, partial_output
      )
      select node.execution_id, node.node_id, node.execution_created_at, held.tenant_id, node.node_type,
             node.sequence_number, node.finish_order, coalesce(node.attempts, 1), node.status,
             node.input, node.output, node.writes, node.route_target, node.error_code, node.error_message,
             coalesce(node.tokens_used, 0), coalesce(node.cost, 0), coalesce(node.wait_time, 0), node.wait_reason, node.wait_until, node.wait_details, node.logs,
             to_timestamp(node.started_ms / 1000), to_timestamp(node.completed_ms / 1000),
             node.source_name, node.model, coalesce(node.is_cached, false), node.partial_output
        from json_to_recordset(nodes) as node (
          execution_id uuid, attempt integer, execution_created_at timestamptz, node_id varchar, node_type varchar,
          sequence_number integer, finish_order integer, attempts integer, status varchar,
          input jsonb, output jsonb, writes jsonb, route_target varchar, error_code varchar, error_message text,
          tokens_used integer, cost numeric, wait_time numeric, wait_reason varchar, wait_until timestamptz, wait_details jsonb,
          logs jsonb, started_ms double precision, completed_ms double precision,
          source_name varchar, model varchar, is_cached boolean, partial_output text
        )
        join unnest(execution_ids, write_nodes.attempts, tenant_ids) as held (id, attempt, tenant_id)
          on held.id = node.execution_id and held.attempt = node.attempt
      on conflict (execution_id, node_id, execution_created_at) do update
        set sequence_number = excluded.sequence_number, finish_order = excluded.finish_order, attempts = excluded.attempts,
            status = excluded.status, input = excluded.input, output = excluded.output, writes = excluded.writes,
            route_target = excluded.route_target, error_code = excluded.error_code, error_message = excluded.error_message,
            tokens_used = excluded.tokens_used, cost = excluded.cost, wait_time = excluded.wait_time,
            wait_reason = excluded.wait_reason, wait_until = excluded.wait_until,
            wait_details = case
              when stored.status = 'waiting' and excluded.status = 'waiting' and stored.attempts = excluded.attempts
                and (stored.wait_reason, stored.wait_until, stored.wait_time, stored.wait_details - array['execution_id', 'result'])
                  is not distinct from (excluded.wait_reason, excluded.wait_until, excluded.wait_time, excluded.wait_details) then stored.wait_details
              else excluded.wait_details end,
            logs = excluded.logs,
            started_at = excluded.started_at, completed_at = excluded.completed_at,
            source_name = excluded.source_name, model = excluded.model, is_cached = excluded.is_cached, partial_output = excluded.partial_output
        where stored.finish_order is null
      returning stored.tenant_id, stored.execution_id, stored.node_id, stored.node_type, stored.status, stored.finish_order, stored.wait_details
    )
    select jsonb_agg(stored_now) into children from stored_now where stored_now.node_type = 'workflow';
  end if;
  for written in
    select * from jsonb_to_recordset(children) as node (tenant_id uuid, execution_id uuid, node_id varchar, status varchar, finish_order integer, wait_details jsonb)
  loop
    if written.status = 'waiting' and not written.wait_details ?| array['execution_id', 'result'] then
      perform app_private.start_child(written.tenant_id, written.execution_id, written.node_id, written.wait_details);
    elsif written.finish_order is not null and written.status <> 'completed' then
      perform app_private.end_children(written.tenant_id, array[written.execution_id], written.node_id);
    end if;
  end loop;
end
$$;

comment on function app_private.write_nodes(uuid[], integer[], uuid[], json) is
  'Writes node rows of executions that the caller''s transaction holds; final rows stay as they are.';
--! EndIncluded app_private/functions/engine/write_nodes.sql
--! Included app_private/functions/audit/uuid_of.sql
-- LIKE says how long it is and where the hyphens stand, the pattern that nothing else stands between them. A pattern that counts would cost five times as much.
create or replace function app_private.uuid_of(value text) returns uuid
  language sql immutable parallel safe
  return case
    when value like '________-____-____-____-____________' and value ~ '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$'
    then value::pg_catalog.uuid
  end;

comment on function app_private.uuid_of(text) is 'The id of an audited row where it is a UUID; null for others: the slug of a flow.';

create or replace function app_private.uuid_of(value uuid) returns uuid
  language sql immutable parallel safe
  return value;

comment on function app_private.uuid_of(uuid) is 'The id of an audited row that is a UUID: nothing is to be found out, and nothing is left of the call in a plan.';

-- With a body in quotes, as one of standard SQL takes no polymorphic argument.
create or replace function app_private.uuid_of(value anyelement) returns uuid
  language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$ select app_private.uuid_of(value::text) $$;

comment on function app_private.uuid_of(anyelement) is 'The id of an audited row of any other type, such as a number.';
--! EndIncluded app_private/functions/audit/uuid_of.sql
--! Included app_private/functions/audit/audit_rows.sql
/*
 * Statement-level: a thousand rows cost one INSERT. The argument is the entity's type. `offset 0`: each row is made into JSON once, not once for
 * each place that looks at it. One changed row has a way of its own, without a join. Several are joined by `full join`: the plan is
 * kept from the first call, which may have changed two rows, and no plan of a full join compares each row with each other one (which took four times as
 * long for a thousand).
 * `limit 1` of the first look: without it the planner takes it for the product of both, which is worth a compiler to it.
 * What is rare (a secret, a change of status) is a call of PL/pgSQL behind a cheap question: what is SQL here is made ready for every statement.
 */
create or replace function app_private.audit_rows() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context record;
  old_row jsonb;
  new_row jsonb;
  entity_id uuid;
  are_many boolean;
  old_value jsonb;
  new_value jsonb;
  action text := 'update';
begin
  if tg_op = 'UPDATE' then
    select to_jsonb(old_rows), to_jsonb(new_rows), app_private.uuid_of(new_rows.id), exists (select from new_rows offset 1)
    into old_row, new_row, entity_id, are_many
    from old_rows, new_rows
    limit 1;
    if are_many then
      context := app_private.audit_context();
      insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value, new_value,
        api_key_id, ip_address, user_agent, request_id)
      select app_private.audited_tenant(pair.new_row), context.user_id,
        case
          when difference.new_value ?| array['status', 'deleted_at', 'is_active']
          then app_private.audit_action(difference.old_value, difference.new_value)
          else 'update'
        end,
        tg_argv[0], pair.entity_id, case when pair.entity_id is null then pair.id::text end,
        case when difference.is_suspect then app_private.redact_row(difference.old_value) else difference.old_value end,
        case when difference.is_suspect then app_private.redact_row(difference.new_value) else difference.new_value end,
        context.api_key_id, context.ip_address, context.user_agent, context.request_id
      from (
        select to_jsonb(old_rows) as old_row, to_jsonb(new_rows) as new_row, new_rows.id, app_private.uuid_of(new_rows.id) as entity_id
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
      return null;
    end if;
    select jsonb_object_agg(entry.key, old_row -> entry.key), jsonb_object_agg(entry.key, entry.value)
    into old_value, new_value
    from jsonb_each(new_row) as entry
    where entry.value <> old_row -> entry.key
      and entry.key not in ('updated_at', 'updated_by', 'last_used_at');
    if new_value is null or app_private.audited_tenant(old_row) <> app_private.audited_tenant(new_row) then
      return null;
    end if;
    if new_value ?| array['status', 'deleted_at', 'is_active'] then
      action := app_private.audit_action(old_value, new_value);
    end if;
    if app_private.names_secrets(old_value::text || new_value::text) then
      old_value := app_private.redact_row(old_value);
      new_value := app_private.redact_row(new_value);
    end if;
    context := app_private.audit_context();
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value, new_value,
      api_key_id, ip_address, user_agent, request_id)
    values (app_private.audited_tenant(new_row), context.user_id, action, tg_argv[0], entity_id,
      case when entity_id is null then new_row ->> 'id' end, old_value, new_value,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id);
  elsif tg_op = 'INSERT' then
    context := app_private.audit_context();
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, new_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.new_row), context.user_id, 'create', tg_argv[0],
      changed.entity_id, case when changed.entity_id is null then changed.id::text end,
      case when app_private.names_secrets(changed.new_row::text) then app_private.redact_row(changed.new_row) else changed.new_row end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(new_rows) as new_row, new_rows.id, app_private.uuid_of(new_rows.id) as entity_id from new_rows offset 0
    ) as changed;
  else
    context := app_private.audit_context();
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.old_row), context.user_id, 'erase', tg_argv[0],
      changed.entity_id, case when changed.entity_id is null then changed.id::text end,
      case when app_private.names_secrets(changed.old_row::text) then app_private.redact_row(changed.old_row) else changed.old_row end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(old_rows) as old_row, old_rows.id, app_private.uuid_of(old_rows.id) as entity_id from old_rows offset 0
    ) as changed;
  end if;
  return null;
end $$;

comment on function app_private.audit_rows() is
  'Writes an audit row for each row that a statement inserted, changed or erased: old and new values (of a change, the changed columns only), without secrets.';
--! EndIncluded app_private/functions/audit/audit_rows.sql
