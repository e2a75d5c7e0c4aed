--! Previous: sha1:a1abcfcd18be40cc9a972297572a59d083d66488
--! Hash: sha1:bf8e27ff278d5c2f57247b017d00cd68d8bdef74
--! Message: flows in bulk, fair queues, fewer bytes for an execution

-- Write the next migration here; see it run with: agentflow db watch

-- flows: bulk start; a run is written when it ends
-- undo: drop type app_public.flow_start
do $$ begin
  if to_regtype('app_public.flow_start') is null then
    create type app_public.flow_start as (flow_id text, input_context jsonb, idempotency_key text);
  end if;
end $$;
drop function if exists app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json);
drop function if exists app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json);
drop function if exists app_private.write_tasks(uuid, json);

-- executions: priorities, and tenants with long queues
-- undo: alter table app_public.executions drop column priority
alter table app_public.executions add column if not exists priority smallint not null default 0;
alter table app_public.executions drop constraint if exists chk_executions_priority;
alter table app_public.executions add constraint chk_executions_priority check (priority between -10 and 10) not valid;
-- undo: alter type app_public.workflow_start drop attribute priority
do $$ begin
  if not exists (select from pg_attribute where attrelid = 'app_public.workflow_start'::regclass and attname = 'priority' and not attisdropped) then
    alter type app_public.workflow_start add attribute priority integer;
  end if;
end $$;
-- undo: drop table app_private.long_queues
create table if not exists app_private.long_queues (
  tenant_id uuid primary key,
  since timestamptz not null default now(),
  constraint fk_long_queues_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade
);
drop function if exists app_public.execute_workflow(uuid, jsonb, text);

-- pictures count for the storage of their tenant
drop function if exists app_private.demand_storage(uuid, numeric);

-- leases: one index less to write; who looks for those of a worker, every few seconds, reads the small table
-- undo: create index idx_execution_leases_worker_id on app_private.execution_leases (worker_id)
-- the table holds what is in flight, and nothing else: nobody waits long
-- squawk-ignore require-concurrent-index-deletion
drop index if exists app_private.idx_execution_leases_worker_id;
drop function if exists app_private.write_nodes(uuid, uuid[], json);

--! Included app_private/functions/fail_starts.sql
-- Of bulk starts: the first problem is the error, all of them are its detail. Nothing happens when there are none.
create or replace function app_private.fail_starts(problems jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if problems is not null then
    perform app_private.fail(problems #>> '{0,code}', format('%s%s', problems #>> '{0,message}',
      case when jsonb_array_length(problems) > 1 then format(' (and %s more)', jsonb_array_length(problems) - 1) else '' end),
      problems #>> '{0,field}', null, problems);
  end if;
end $$;

comment on function app_private.fail_starts(jsonb) is 'Fails with the first of the problems, and all of them as its detail; does nothing when there are none.';
--! EndIncluded app_private/functions/fail_starts.sql
--! Included app_private/functions/flow_engine/claim_flows.sql
/*
 * As claim_executions, for flow executions: the row itself is not touched, the first checkpoint that says so marks it as running. One that takes
 * over tasks of the execution that it repeats has stored tasks from the start.
 * `age_seconds`: since it was first taken up, waits included; the time limit of a flow counts them.
 */
create or replace function app_private.claim_flows(worker uuid, run_ids uuid[])
returns table (
  id uuid, flow_execution_id bigint, attempt integer, losses integer, tenant_id uuid, tenant_slug text, user_id uuid,
  now_ms double precision, age_seconds double precision, definition text, input_context jsonb, script jsonb, tasks jsonb, is_begun boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  flow_ids constant bigint[] := array(select app_private.flow_id_of_run(given.id) from unnest(run_ids) as given (id));
begin
  if not exists (select from app_private.workers as known where known.id = worker) then
    perform app_private.fail('WORKER_UNKNOWN');
  end if;
  return query
  with locked as materialized (
    select execution.*, app_private.flow_run_id(execution.id) as run_id
      from app_public.flow_executions as execution
     where execution.id = any (flow_ids)
     order by execution.id
       for no key update
  ), candidate as materialized (
    select * from locked where locked.status in ('PENDING', 'RUNNING')
  ), leased as (
    insert into app_private.execution_leases as lease (execution_id, tenant_id, worker_id)
    select candidate.run_id, candidate.tenant_id, worker from candidate
    on conflict (execution_id) do update
      set worker_id = excluded.worker_id, attempt = lease.attempt + 1, claimed_at = now(), waits = false
      where lease.worker_id is null or lease.worker_id = excluded.worker_id
    returning lease.execution_id, lease.attempt, lease.losses, lease.driven
  ), tenant as materialized (
    select known.id, known.slug::text as slug from app_public.tenants as known
     where known.id = any (array(select distinct candidate.tenant_id from candidate))
  ), scripted as materialized (
    select script.flow_execution_id, script.script from app_private.flow_scripts as script where script.flow_execution_id = any (flow_ids)
  )
  select candidate.run_id, candidate.id, leased.attempt, leased.losses, candidate.tenant_id, tenant.slug, candidate.user_id,
         extract(epoch from now())::double precision * 1000,
         extract(epoch from case when candidate.status = 'RUNNING' then now() - candidate.started_at else leased.driven end)::double precision,
         candidate.definition::text, candidate.input_context, scripted.script,
         case when leased.attempt > 1 or candidate.retry_of_flow_execution_id is not null
           then app_private.stored_tasks(candidate.tenant_id, candidate.id) end,
         candidate.status = 'RUNNING'
    from leased
    join candidate on candidate.run_id = leased.execution_id
    join tenant on tenant.id = candidate.tenant_id
    left join scripted on scripted.flow_execution_id = candidate.id;
end
$$;

comment on function app_private.claim_flows(uuid, uuid[]) is
  'Takes the leases of flow executions for a worker and returns what is needed to drive them.';

grant execute on function app_private.claim_flows(uuid, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/claim_flows.sql
--! Included app_private/functions/flow_engine/claim_flow_executions.sql
/* What workers of the version before call, which may go on for a while beside newer ones: the same answer as ever. */
create or replace function app_private.claim_flow_executions(worker uuid, run_ids uuid[])
returns table (
  id uuid, flow_execution_id bigint, attempt integer, losses integer, tenant_id uuid, tenant_slug text, user_id uuid,
  now_ms double precision, age_seconds double precision, definition text, input_context jsonb, script jsonb, tasks jsonb
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  select claimed.id, claimed.flow_execution_id, claimed.attempt, claimed.losses, claimed.tenant_id, claimed.tenant_slug, claimed.user_id,
         claimed.now_ms, claimed.age_seconds, claimed.definition, claimed.input_context, claimed.script, claimed.tasks
    from app_private.claim_flows(claim_flow_executions.worker, claim_flow_executions.run_ids) as claimed
$$;

comment on function app_private.claim_flow_executions(uuid, uuid[]) is
  'Takes the leases of flow executions for a worker of the version before.';

grant execute on function app_private.claim_flow_executions(uuid, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/claim_flow_executions.sql
--! Included app_private/functions/flow_engine/write_tasks.sql
/*
 * Writes task rows of flow executions whose leases the caller's transaction has locked. A row that is final is never overwritten.
 * `run_ids`: those whose leases are held; `tasks`: a JSON list; `execution_id`, `attempt` and `worker` decide what is written.
 */
create or replace function app_private.write_tasks(worker uuid, run_ids uuid[], tasks json)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tasks::text = '[]' then
    return;
  end if;
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
   where lease.execution_id = any (run_ids)
   order by given.execution_id, given.sequence_number
  on conflict (tenant_id, flow_execution_id, sequence_number) do update
    set status = excluded.status, attempts = excluded.attempts, output_data = excluded.output_data,
        error_code = excluded.error_code, error_message = excluded.error_message, error_traceback = excluded.error_traceback,
        wait_reason = excluded.wait_reason, wait_until = excluded.wait_until, wait_details = excluded.wait_details,
        logs = excluded.logs, completed_at = excluded.completed_at
    where stored.completed_at is null;
end
$$;

comment on function app_private.write_tasks(uuid, uuid[], json) is
  'Writes task rows of flow executions whose leases are locked by the caller; final rows stay as they are.';
--! EndIncluded app_private/functions/flow_engine/write_tasks.sql
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
    update app_private.execution_leases as lease set losses = 0
     where lease.execution_id = any (held_ids) and lease.losses > 0;
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
--! Included app_private/functions/flow_engine/release_flow_executions.sql
/* As release_executions; `begun`: as in checkpoint_flow_executions. A flow whose task waits for an execution that is over by now is woken at once. */
create or replace function app_private.release_flow_executions(
  worker uuid, run_ids uuid[], attempts integer[], run_at timestamptz[], tasks json, begun uuid[] default '{}'
)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are
set enable_seqscan = off
as $$
begin
  perform app_private.checkpoint_flow_executions(worker, run_ids, attempts, tasks, begun);
  return app_private.release_executions(worker, run_ids, attempts, array(
    select case when app_private.has_flow_result(given.id) then now() else given.at end
      from unnest(run_ids, release_flow_executions.run_at) with ordinality as given (id, at, place)
     order by given.place), '[]');
end
$$;

comment on function app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json, uuid[]) is
  'Gives flow executions back with a job at the given times; returns those whose lease is lost.';

grant execute on function app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/release_flow_executions.sql
--! Included app_private/functions/flow_engine/finish_flow_executions.sql
/*
 * As finish_executions, for flow executions.
 * `finishes`: {execution_id, attempt, status, output_data, total_tasks_executed, error_code, error_message, error_task}.
 * One that was not marked as running yet began when it was claimed.
 */
create or replace function app_private.finish_flow_executions(worker uuid, finishes json, tasks json)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are
set enable_seqscan = off
as $$
declare
  given_ids uuid[];
  flow_ids bigint[];
  held_ids uuid[];
  held_tenants uuid[];
begin
  select array_agg(given.execution_id), array_agg(app_private.flow_id_of_run(given.execution_id)) into given_ids, flow_ids
    from json_to_recordset(finishes) as given (execution_id uuid);

  perform from app_public.flow_executions as execution
    where execution.id = any (flow_ids) order by execution.id for no key update;
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

  perform app_private.write_tasks(worker, held_ids, tasks);
  update app_public.flow_executions as execution
     set status = given.status,
         output_data = given.output_data,
         total_tasks_executed = given.total_tasks_executed,
         error_code = given.error_code,
         error_message = given.error_message,
         error_task = given.error_task,
         started_at = case when execution.status = 'PENDING' then lease.claimed_at else execution.started_at end,
         completed_at = now(),
         updated_at = now()
    from json_to_recordset(finishes) as given (
      execution_id uuid, status app_public.flow_execution_status, output_data jsonb, total_tasks_executed integer,
      error_code varchar, error_message text, error_task varchar
    )
    join app_private.execution_leases as lease on lease.execution_id = given.execution_id and lease.execution_id = any (held_ids)
   where execution.id = app_private.flow_id_of_run(given.execution_id) and execution.id = any (flow_ids)
     and execution.status in ('PENDING', 'RUNNING');
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
  if cardinality(held_ids) = cardinality(given_ids) then
    return '{}';
  end if;
  return array(select given.id from unnest(given_ids) as given (id) where given.id <> all (held_ids));
end
$$;

comment on function app_private.finish_flow_executions(uuid, json, json) is
  'Ends flow executions under the leases of a worker; returns those whose lease is lost.';

grant execute on function app_private.finish_flow_executions(uuid, json, json) to agentflow_worker;
--! EndIncluded app_private/functions/flow_engine/finish_flow_executions.sql
--! Included app_private/functions/flows/told_context.sql
-- Where test tasks are on, what they answer is taken out of the context: nobody sees it there.
create or replace function app_private.told_context(input_context jsonb, is_test boolean)
returns jsonb
language sql immutable parallel safe
return case when is_test and jsonb_typeof(input_context) = 'object' then input_context - '__script' else input_context end;

comment on function app_private.told_context(jsonb, boolean) is 'The input context of a flow as it is kept: without the script of test tasks.';
--! EndIncluded app_private/functions/flows/told_context.sql
--! Included app_private/functions/flows/flow_start_problems.sql
/*
 * What is wrong with the inputs of executeFlows, as [{code, message, field}] with fields like `inputs.3.input_context`; null when nothing is.
 * As executeFlow looks at one: a key that was used before with the same input is no problem, whatever has become of the flow since.
 * `is_test`: as in execute_flow. For other functions of the owner.
 */
create or replace function app_private.flow_start_problems(inputs app_public.flow_start[], is_test boolean)
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
      octet_length(given.input_context::text) as bytes, app_private.told_context(given.input_context, is_test) as context
    from unnest(inputs) with ordinality as given (flow_id, input_context, idempotency_key, place)
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

comment on function app_private.flow_start_problems(app_public.flow_start[], boolean) is 'All that is wrong with the inputs of executeFlows; null when nothing is.';
--! EndIncluded app_private/functions/flows/flow_start_problems.sql
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
  context constant jsonb := app_private.told_context(input_context, is_test);
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
--! Included app_public/functions/execute_flows.sql
/*
 * Many starts as one statement: all or none, as execute_workflows. Every input is looked at before anything is started, and all that is wrong
 * with them is told at once. Triggers add one audit statement and one statement of jobs for all of them. Of test tasks: see execute_flow.
 * Rows are reached by their keys only, whatever a session that began with an empty table takes for cheap.
 */
create or replace function app_public.execute_flows(inputs app_public.flow_start[])
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
  insert into app_public.flow_executions (id, tenant_id, user_id, flow_id, flow_version, definition, input_context, idempotency_key)
  select input.id, tenant, app_public.current_user_id(), flows.id, flows.version, flows.definition,
    app_private.told_context(input.input_context, is_test), input.idempotency_key
  from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, id)
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
    from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, id)
    join app_public.flow_executions as made on made.id = input.id
    where input.input_context ? '__script';
  end if;

  return query
    select answer.*
    from unnest(inputs, ids) as input (flow_id, input_context, idempotency_key, id)
    cross join lateral (
      select * from app_public.flow_executions where flow_executions.id = input.id and input.idempotency_key is null
      union all
      select * from app_public.flow_executions where flow_executions.tenant_id = tenant and flow_executions.idempotency_key = input.idempotency_key
    ) as answer
    order by input.id;
end $$;

comment on function app_public.execute_flows(app_public.flow_start[]) is E'@resultFieldName flowExecutions\nStarts up to 1,000 executions of flows at once, all of them or none; what is wrong with the inputs is told for all of them. The answer is in the order of the inputs.';
grant execute on function app_public.execute_flows(app_public.flow_start[]) to agentflow_user;
--! EndIncluded app_public/functions/execute_flows.sql
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

-- An end that also says when the execution began takes both steps at once.
create or replace trigger _300_check_transition
  before update of status on app_public.flow_executions
  for each row when (old.status is distinct from new.status
    and not (old.status = 'PENDING' and new.status = 'RUNNING' or old.status = 'RUNNING' and new.status in ('SUCCESS', 'COMPLETED')
      or old.status = 'PENDING' and new.status = 'COMPLETED' and old.started_at is distinct from new.started_at))
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
--! Included policies/long_queues.sql
alter table app_private.long_queues enable row level security;
alter table app_private.long_queues force row level security;

drop policy if exists owner_all on app_private.long_queues;
create policy owner_all on app_private.long_queues to agentflow_owner using (true) with check (true);
--! EndIncluded policies/long_queues.sql
--! Included comments/long_queues.sql
comment on table app_private.long_queues is 'Tenants of which more executions wait than are taken at once: what they start waits behind what others start. Empty most of the time.';
--! EndIncluded comments/long_queues.sql
--! Included app_private/functions/engine/start_priority.sql
/*
 * The job's priority of an execution that begins; a lower number comes first. What goes on (-1) comes before all of these.
 *   0 to 20     10 less the execution's own priority
 *   50          of a tenant with a long queue, and its turn (app_private.share_turns)
 *   100 to 120  of a tenant with a long queue, or beyond the first 100 of one statement: waits for its turn, or until nobody else has anything to do
 * `place`: of the row in its statement, from 1. Written so that it is inlined: every start asks for it.
 */
create or replace function app_private.start_priority(tenant uuid, priority smallint, place bigint)
returns integer
language sql
stable
as $$
  select case when place > 100 or exists (select from app_private.long_queues as long where long.tenant_id = tenant) then 110 else 10 end - priority
$$;

comment on function app_private.start_priority(uuid, smallint, bigint) is
  'The priority of the job that begins an execution; a lower number comes first.';
--! EndIncluded app_private/functions/engine/start_priority.sql
--! Included app_private/functions/engine/tg_enqueue_executions.sql
/*
 * A row and the job that acts on it commit together, whichever client inserts. A child goes on with what its parent has begun.
 * What one statement starts beyond the first 100 makes the queue of its tenant a long one.
 */
create or replace function app_private.tg_enqueue_executions()
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
    select row('run_execution', json_build_object('id', started.id), null, now(), null, started.id::text,
             case when started.parent_execution_id is null then app_private.start_priority(started.tenant_id, started.priority, started.place) else -1 end,
             null)::graphile_worker.job_spec
      from (select inserted.id, inserted.tenant_id, inserted.parent_execution_id, inserted.priority, row_number() over () as place from inserted where inserted.status = 'pending') as started
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

drop trigger if exists _500_enqueue on app_public.executions;
create trigger _500_enqueue
  after insert on app_public.executions
  referencing new table as inserted
  for each statement
  execute function app_private.tg_enqueue_executions();

comment on function app_private.tg_enqueue_executions() is 'Adds the job of each pending execution, in the transaction that accepts it.';
--! EndIncluded app_private/functions/engine/tg_enqueue_executions.sql
--! Included app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
/* As of executions: the row and the job that acts on it commit together, whichever client inserts. Flows have no priority of their own. */
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
             app_private.start_priority(started.tenant_id, 0::smallint, started.place), null)::graphile_worker.job_spec
      from (select app_private.flow_run_id(inserted.id) as run_id, inserted.tenant_id, row_number() over () as place from inserted where inserted.status = 'PENDING') as started
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
--! Included app_private/functions/engine/longest_waiting.sql
/*
 * The jobs, at most `wanted`, of what has waited longest in a tenant's long queue. Executions come by an index in their order of age; a flow
 * has none, so that flows are looked for among the jobs, the first ones only.
 */
create or replace function app_private.longest_waiting(tenant uuid, wanted integer)
returns table (job_id bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
  (
    select job.id
      from app_public.executions as execution
      join graphile_worker._private_jobs as job on job.key = execution.id::text
     where execution.tenant_id = tenant and execution.status = 'pending' and job.is_available and job.priority >= 100
     order by execution.created_at, execution.id
     limit wanted
  ) union all (
    select behind.id
      from (
        select job.id, job.key from graphile_worker._private_jobs as job
         where job.is_available and job.priority >= 100 and job.key ~ '^00000000-[0-9a-f]{4}-8000-8000-[0-9a-f]{12}$'
         order by job.priority, job.run_at
         limit 2000
      ) as behind
      join app_public.flow_executions as flow on flow.id = app_private.flow_id_of_run(behind.key::uuid)
     where flow.tenant_id = tenant
     limit wanted
  )
  limit wanted
$$;

comment on function app_private.longest_waiting(uuid, integer) is 'The jobs of what has waited longest in a tenant''s long queue.';
--! EndIncluded app_private/functions/engine/longest_waiting.sql
--! Included app_private/functions/engine/share_turns.sql
/*
 * Keeps one tenant's long queue from standing before everybody. Workers call it while there is more to do than they can take, some times a second.
 *   - Of what is to begin next, what a tenant has beyond its first 100 waits behind all others, and so does what it starts from then on.
 *   - Tenants with long queues share `turns` (what the caller has taken since it last asked): the oldest of each come next after what others begin.
 *   - A tenant of which nothing is left behind is like any other again.
 * Workers take what is behind only when nothing is before it, so that nobody idles. One caller at a time; the others have nothing to do.
 * Returns how many queues are long.
 */
create or replace function app_private.share_turns(turns integer)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off -- plans of an empty queue would read every execution there is
set enable_mergejoin = off
set enable_seqscan = off
as $$
declare
  at_once constant integer := 100;
  looked_at constant integer := 2000;
  many integer;
  late record;
  long record;
  next_ids bigint[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('agentflow turns', 0)) then
    return (select count(*) from app_private.long_queues);
  end if;

  for late in
    with head as materialized (
      select job.id, job.priority, job.run_at, case when job.key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then job.key::uuid end as run_id
        from graphile_worker._private_jobs as job
       where job.is_available and job.priority between 0 and 20
       order by job.priority, job.run_at
       limit looked_at
    ), owned as (
      select head.*, coalesce(execution.tenant_id, flow.tenant_id) as tenant_id
        from head
        left join app_public.executions as execution on execution.id = head.run_id
        left join app_public.flow_executions as flow on flow.id = app_private.flow_id_of_run(head.run_id)
    ), placed as (
      select owned.id, owned.tenant_id, owned.priority, row_number() over (partition by owned.tenant_id order by owned.priority, owned.run_at, owned.id) as place from owned
       where owned.tenant_id is not null
    )
    select placed.priority, array_agg(placed.id order by placed.id) as ids, array_agg(distinct placed.tenant_id) as tenants from placed where placed.place > at_once group by placed.priority
  loop
    insert into app_private.long_queues (tenant_id) select distinct unnest(late.tenants) order by 1 on conflict do nothing;
    perform graphile_worker.reschedule_jobs(late.ids, priority => late.priority + 100);
  end loop;

  select count(*) into many from app_private.long_queues;
  if many = 0 then
    return 0;
  elsif not exists (select from graphile_worker._private_jobs as job where job.is_available and job.priority >= 100) then
    delete from app_private.long_queues;
    return 0;
  elsif many = 1 then
    return 1; -- nobody to share with: what it has comes next anyway
  end if;
  for long in select queue.tenant_id from app_private.long_queues as queue order by queue.tenant_id for update loop
    select coalesce(array_agg(waiting.job_id), '{}') into next_ids from app_private.longest_waiting(long.tenant_id, ceil(turns::numeric / many)::integer) as waiting (job_id);
    perform graphile_worker.reschedule_jobs(next_ids, priority => 50);
    if cardinality(next_ids) < ceil(turns::numeric / many) then
      delete from app_private.long_queues as queue where queue.tenant_id = long.tenant_id;
    end if;
  end loop;
  return (select count(*) from app_private.long_queues);
end
$$;

comment on function app_private.share_turns(integer) is
  'Puts what tenants with long queues have behind what others have, and shares turns among them; returns how many queues are long.';

grant execute on function app_private.share_turns(integer) to agentflow_worker;
--! EndIncluded app_private/functions/engine/share_turns.sql
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
    select position, 'INVALID_VALUE', 'A priority is a whole number from -10 to 10.', 'priority'
    from input where priority not between -10 and 10
    union all
    select position, 'PERMISSION_DENIED', 'A priority above 0 is given by architects: this needs the right workflows:publish.', 'priority'
    from input where priority between 1 and 10 and not app_private.may('workflows:publish')
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
--! Included app_private/functions/demand_priority.sql
/* Who may run a workflow may let it wait; going before others takes the right to publish. For other functions of the owner. */
create or replace function app_private.demand_priority(priority integer)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if priority not between -10 and 10 then
    perform app_private.fail('INVALID_VALUE', 'A priority is a whole number from -10 to 10.', 'priority');
  elsif priority > 0 and not app_private.may('workflows:publish') then
    perform app_private.fail('PERMISSION_DENIED', 'A priority above 0 is given by architects: this needs the right workflows:publish.', 'priority');
  end if;
end $$;

comment on function app_private.demand_priority(integer) is 'Refuses a priority that is none, or that the caller may not give.';
--! EndIncluded app_private/functions/demand_priority.sql
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
    perform app_private.demand_priority(priority);
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
    from unnest(inputs) with ordinality as input (workflow_id, initial_state, idempotency_key, priority, place)
  );
  insert into app_public.executions (id, tenant_id, user_id, workflow_id, workflow_version_id, initial_state, idempotency_key, is_test, priority)
  select start.id, tenant, app_public.current_user_id(), workflows.id, versions.id, input.initial_state, input.idempotency_key, workflows.status = 'draft', coalesce(input.priority, 0)
  from unnest(inputs) with ordinality as input (workflow_id, initial_state, idempotency_key, priority, place)
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
comment on column app_public.executions.priority is
  'Of what waits for a worker, a higher one begins first; from -10 to 10, 0 unless given.';
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
comment on constraint chk_executions_priority on app_public.executions is
  'A priority is a whole number from -10 to 10.';
--! EndIncluded comments/executions.sql
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
--! Included app_private/functions/tenants/demand_storage.sql
-- Measuring reads much of what the tenant has, so it is done once a minute at most, and less often where it takes long.
create or replace function app_private.demand_storage(tenant uuid, allowed numeric, more bigint default 0) returns void
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
  if known.storage_bytes + more > allowed then
    perform app_private.exceed_quota('storage_bytes', allowed, known.storage_bytes + more);
  end if;
end $$;

comment on function app_private.demand_storage(uuid, numeric, bigint) is 'Fails with QUOTA_EXCEEDED when a tenant keeps more bytes than allowed, or would with so many more.';
--! EndIncluded app_private/functions/tenants/demand_storage.sql
--! Included app_private/functions/engine/save_artifact.sql
/*
 * Keeps bytes beside an execution whose lease the worker holds. Null: the lease is lost, and nothing is kept. What is kept counts at once for the
 * tenant's storage, although that is measured once a minute at most.
 */
create or replace function app_private.save_artifact(worker uuid, execution uuid, attempt integer, node varchar, media_type varchar, bytes bytea)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant uuid;
  allowed numeric;
  kept uuid;
begin
  select lease.tenant_id, (tenants.quotas ->> 'storage_bytes')::numeric into tenant, allowed
  from app_private.execution_leases as lease
  join app_public.tenants on tenants.id = lease.tenant_id
  where lease.execution_id = execution and lease.attempt = save_artifact.attempt and lease.worker_id = worker;
  if not found then
    return null;
  end if;
  if allowed is not null then
    perform app_private.demand_storage(tenant, allowed, octet_length(save_artifact.bytes));
    update app_private.tenant_usages as usage set storage_bytes = usage.storage_bytes + octet_length(save_artifact.bytes) where usage.tenant_id = tenant;
  end if;
  insert into app_private.artifacts (tenant_id, execution_id, node_id, media_type, bytes)
  values (tenant, execution, node, save_artifact.media_type, save_artifact.bytes)
  returning id into kept;
  return kept;
end $$;

comment on function app_private.save_artifact(uuid, uuid, integer, varchar, varchar, bytea) is
  'Keeps bytes that a node made; returns their id, null when the lease is lost. Fails with QUOTA_EXCEEDED when the tenant''s storage has no room for them.';

grant execute on function app_private.save_artifact(uuid, uuid, integer, varchar, varchar, bytea) to agentflow_worker;
--! EndIncluded app_private/functions/engine/save_artifact.sql
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
set enable_seqscan = off
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
--! Included app_private/functions/engine/write_nodes.sql
/*
 * Writes node rows of executions whose leases the caller's transaction has locked or let go: nobody else writes rows of theirs. A row that
 * is final is never overwritten: a node that finished is never run again. `nodes`: a JSON list; of the rows in it those of an execution that
 * is among `execution_ids`, under its attempt, are written.
 * Most executions are written once, when they end: where none has a row yet, all are spared the care for conflicts.
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
  is_new boolean;
  children jsonb;
  written record;
begin
  if nodes::text = '[]' then
    return;
  end if;
  is_new := not exists (
    select from unnest(execution_ids) as given (id)
     cross join lateral (select one.id, one.created_at from app_public.executions as one where one.id = given.id offset 0) as execution
     where exists (
       select from app_public.node_executions as stored
        where stored.execution_id = execution.id and stored.execution_created_at = execution.created_at
       offset 0)
  );
  if is_new then
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
  else
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
            wait_details = excluded.wait_details, logs = excluded.logs,
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
--! Included app_private/functions/engine/checkpoint_executions.sql
/*
 * Writes node rows of many executions in one statement, and marks those of `begun` as running. Rows of a lost lease are not written;
 * those executions are returned, and their driver must stop. Progress clears the count of lost workers.
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
--! Included app_private/functions/engine/finish_executions.sql
/*
 * Ends executions: the lease, the last node rows, the row itself. Those whose lease is lost are left alone and returned.
 * `finishes`: {execution_id, status, final_state, metrics, tokens_used, cost, error_code, error_message, error_node_id}.
 * One that was not marked as running yet began when it was claimed. `execution_time` is told by the database's clock.
 * Whoever waits for one of them is woken in the same statement.
 * Tables are reached by their keys only, whatever a session that began with empty ones takes for cheap: no condition here names a column
 * of another index. Rows that this transaction has locked stay where they are, and are written where they were found.
 */
drop function if exists app_private.finish_executions(uuid, json, json);

create or replace function app_private.finish_executions(worker uuid, execution_ids uuid[], attempts integer[], finishes json, nodes json)
returns uuid[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  living_ids uuid[];
  living_places tid[];
  held_ids uuid[];
  held_attempts integer[];
  held_tenants uuid[];
  held_since timestamptz[];
  held_places tid[];
  children uuid[];
begin
  select array_agg(living.id), array_agg(living.place) into living_ids, living_places
    from (
      select case when execution.status in ('pending', 'running') then execution.id end as id, execution.ctid as place from app_public.executions as execution
       where execution.id = any (execution_ids) order by execution.id for no key update
    ) as living
   where living.id is not null;
  with let_go as (
    delete from app_private.execution_leases as lease
     where lease.worker_id = worker and lease.ctid = any (array(
       select held.ctid
         from unnest(execution_ids, attempts) as given (id, attempt)
        cross join lateral (
          select one.ctid from app_private.execution_leases as one
           where one.execution_id = given.id and one.attempt = given.attempt and one.worker_id = worker
          offset 0
        ) as held))
    returning lease.execution_id, lease.attempt, lease.tenant_id, lease.claimed_at
  )
  select array_agg(let_go.execution_id), array_agg(let_go.attempt), array_agg(let_go.tenant_id), array_agg(let_go.claimed_at), array_agg(living.place)
    into held_ids, held_attempts, held_tenants, held_since, held_places
    from let_go join unnest(living_ids, living_places) as living (id, place) on living.id = let_go.execution_id;
  if held_ids is null then
    return execution_ids;
  end if;

  perform app_private.write_nodes(held_ids, held_attempts, held_tenants, nodes);
  with ended as (
    update app_public.executions as execution
       set status = given.status,
           final_state = given.final_state,
           metrics = given.metrics || jsonb_build_object('execution_time', app_private.seconds_since(
             case when execution.status = 'pending' then held.since else execution.started_at end)),
           execution_time = app_private.seconds_since(
             case when execution.status = 'pending' then held.since else execution.started_at end),
           tokens_used = given.tokens_used,
           cost = given.cost,
           error_code = given.error_code,
           error_message = given.error_message,
           error_node_id = given.error_node_id,
           started_at = case when execution.status = 'pending' then held.since else execution.started_at end,
           completed_at = now(),
           updated_at = now()
      from json_to_recordset(finishes) as given (
        execution_id uuid, status varchar, final_state jsonb, metrics jsonb, tokens_used integer, cost numeric,
        error_code varchar, error_message text, error_node_id varchar
      )
      join unnest(held_ids, held_since, held_places) as held (id, since, place) on held.id = given.execution_id
     where execution.ctid = held.place
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
  perform app_private.wake_flows(held_ids);
  perform app_private.notify_executions(held_tenants, held_ids);
  if children is not null then
    perform app_private.wake_parents(children);
  end if;
  return array(select given.id from unnest(execution_ids) as given (id) except select held.id from unnest(held_ids) as held (id));
end
$$;

comment on function app_private.finish_executions(uuid, uuid[], integer[], json, json) is
  'Ends executions under the leases of a worker; returns those whose lease is lost.';

grant execute on function app_private.finish_executions(uuid, uuid[], integer[], json, json) to agentflow_worker;
--! EndIncluded app_private/functions/engine/finish_executions.sql
--! Included app_private/functions/identity/origin_name.sql
-- Whoever has one address of an IPv6 network of 64 bits has all of them; an IPv4 address written as IPv6 is itself.
create or replace function app_private.origin_name(address text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  known inet;
begin
  known := regexp_replace(address, '^::ffff:(?=\d+\.)', '', 'i');
  return case when known is null then 'unknown' when family(known) = 6 then network(set_masklen(known, 64))::text else host(known) end;
exception when invalid_text_representation then
  return address;
end $$;

comment on function app_private.origin_name(text) is 'By what name tries to sign in from an address are counted.';
--! EndIncluded app_private/functions/identity/origin_name.sql
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
  is_allowed constant boolean := app_private.count_try('origin', app_private.origin_name(origin)) <= 100 and tries <= 10;
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
  where sign_in_tries.kind = 'origin' and sign_in_tries.name = app_private.origin_name(current_setting('request.ip', true));
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
  if lower(btrim(create_tenant.admin_email)) !~ '^[^@\s]+@[^@\s]+$' then
    perform app_private.fail('INVALID_VALUE', 'This is no e-mail address.', 'admin_email', 'Write it as name@example.com.');
  end if;
  insert into app_public.tenants (slug, name) values (create_tenant.slug, coalesce(nullif(btrim(create_tenant.name), ''), create_tenant.slug))
  returning tenants.id into tenant;
  perform app_private.make_access_link(tenant, 'invitation', create_tenant.admin_email, null, 'admin', null, create_tenant.token_hash);
  return tenant;
end $$;

comment on function app_private.create_tenant(text, text, text, text) is 'Makes a tenant and the invitation of its first admin; answers the tenant. For the owner alone.';
--! EndIncluded app_private/functions/tenants/create_tenant.sql
--! Included app_private/functions/server/operating_figures.sql
-- Asked for GET /metrics by logins of the platform: numbers over all tenants, and nothing that says which. Counts of jobs end at 100,000.
create or replace function app_private.operating_figures()
returns table (name text, value double precision)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  with due as (
    select job.run_at from graphile_worker._private_jobs as job
     where job.is_available and job.run_at <= now()
     limit 100000
  )
  select 'jobs_due', count(*)::double precision from due
  union all
  select 'oldest_job_seconds', coalesce(extract(epoch from now() - min(due.run_at)), 0) from due
  union all
  select 'executions_driven', count(*) filter (where lease.worker_id is not null) from app_private.execution_leases as lease
  union all
  select 'executions_waiting', count(*) filter (where lease.worker_id is null) from app_private.execution_leases as lease
  union all
  select 'workers', count(*) from app_private.workers
  union all
  select 'oldest_heartbeat_seconds', coalesce(extract(epoch from clock_timestamp() - min(worker.heartbeat_at)), 0) from app_private.workers as worker
  union all
  select 'long_queues', count(*) from app_private.long_queues
  union all
  select 'cron_seconds', extract(epoch from now() - min(coalesce(cron.last_execution, cron.known_since))) from graphile_worker._private_known_crontabs as cron having count(*) > 0
$$;

comment on function app_private.operating_figures() is 'Numbers of jobs, executions and workers over all tenants, for GET /metrics.';
revoke execute on function app_private.operating_figures() from public;
grant execute on function app_private.operating_figures() to agentflow_authenticator, agentflow_worker;
--! EndIncluded app_private/functions/server/operating_figures.sql
--! Included app_private/functions/audit/redact_hashes.sql
-- A function of its own: whatever stands in redact_row is made ready for each statement that is audited, and few rows hold a hash.
create or replace function app_private.redact_hashes(value jsonb) returns jsonb
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return app_private.redact((
    select jsonb_object_agg(entry.key, case when entry.key in ('password_hash', 'key_hash', 'token_hash') then '"[redacted]"'::jsonb else entry.value end)
    from jsonb_each(value) as entry));
end $$;

comment on function app_private.redact_hashes(jsonb) is 'A row for the audit log that holds hashes: without them, and without secrets inside JSON columns.';
--! EndIncluded app_private/functions/audit/redact_hashes.sql
--! Included app_private/functions/audit/redact_row.sql
create or replace function app_private.redact_row(value jsonb) returns jsonb
  language sql immutable parallel safe
  return case when value ?| array['password_hash', 'key_hash', 'token_hash'] then app_private.redact_hashes(value) else app_private.redact(value) end;

comment on function app_private.redact_row(jsonb) is 'A row for the audit log: no hashes, and no secrets inside JSON columns.';
--! EndIncluded app_private/functions/audit/redact_row.sql
--! Included app_private/functions/audit/audit_rows.sql
-- Statement-level: a thousand rows cost one INSERT. The argument is the entity's type. `offset 0`: each row is made into JSON once, not once for
-- each place that looks at it. `full join`: the plan is kept from the first call, which may have changed one row, and no plan of a full join compares
-- each row with each other one (which took four times as long for a thousand).
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
      from old_rows full join new_rows on new_rows.id = old_rows.id
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
--! Included app_private/functions/is_permissions.sql
create or replace function app_private.is_permissions(value jsonb) returns boolean
  language sql immutable parallel safe
  return pg_catalog.jsonb_typeof(value) = 'object' and pg_catalog.octet_length(value::pg_catalog.text) <= 1000
    and not pg_catalog.jsonb_path_exists(value, 'strict $.keyvalue() ? (
      !(@.key == "workflows" || @.key == "flows" || @.key == "executions" || @.key == "sources")
      || @.value.type() != "array"
      || exists (@.value[*] ? (@.type() != "string" || !(@ == "read" || @ == "write" || @ == "execute"))))', silent => true);

comment on function app_private.is_permissions(jsonb) is
  'Has the value the shape of an API key''s permissions: areas (workflows, flows, executions, sources), each with a list of read, write, execute? For CHECKs.';
grant execute on function app_private.is_permissions(jsonb) to agentflow_user;
--! EndIncluded app_private/functions/is_permissions.sql
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
  if cardinality(save_secret.hosts) > 100 then
    perform app_private.fail('TOO_LARGE', 'A secret is for 100 hosts at most.', 'hosts');
  elsif exists (select from unnest(save_secret.hosts) as host where host is null or host !~ '^(\*\.)?[a-z0-9:.-]+$') then
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
--! Included app_private/functions/engine/free_jobs.sql
/*
 * Unlocks the jobs of job pools that are gone, under new ids: whoever still runs one completes it by its id, without a look at who has
 * it locked, and would take it away from those who have it now.
 */
create or replace function app_private.free_jobs(job_worker_ids text[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update graphile_worker._private_jobs as job
     set id = default, locked_by = null, locked_at = null
   where job.locked_by = any (job_worker_ids);
  perform graphile_worker.force_unlock_workers(job_worker_ids);
end
$$;

comment on function app_private.free_jobs(text[]) is 'Unlocks the jobs of job pools that are gone, so that a late end of one of them completes nothing.';
--! EndIncluded app_private/functions/engine/free_jobs.sql
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
    perform app_private.free_jobs(dead_pools);
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
    perform app_private.free_jobs(former);
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
