--! Previous: sha1:6b54dcccef2004869ee7870f679aac00a0c2eb12
--! Hash: sha1:8591d115f7bd42139ea0d73cb8e092a72aa4c3f5
--! Message: jobs are taken with their leases, cheaper audit and policies

-- Write the next migration here; see it run with: agentflow db watch

-- undo: the texts of audited_id.sql and audited_key.sql
drop function if exists app_private.audited_key(jsonb);
drop function if exists app_private.audited_id(jsonb);

alter table app_private.long_queues add column if not exists empty_since timestamptz;
-- undo: alter table app_private.long_queues drop column empty_since

--! Included app_private/functions/flow_engine/flow_id_of_run.sql
create or replace function app_private.flow_id_of_run(run_id uuid)
returns bigint
language sql immutable strict parallel safe
return case when run_id::text like '00000000-____-8000-8000-____________'
    then ('x' || substr(run_id::text, 10, 4) || substr(run_id::text, 25))::bit(64)::bigint end;

comment on function app_private.flow_id_of_run(uuid) is 'The flow execution that the engine knows by this UUID; null when it is none of a flow.';
--! EndIncluded app_private/functions/flow_engine/flow_id_of_run.sql
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
         where job.is_available and job.priority >= 100 and job.key like '00000000-____-8000-8000-____________'
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
--! Included app_private/functions/engine/start_priority.sql
/*
 * The job's priority of an execution that begins; a lower number comes first. What goes on (-1) comes before all of these.
 *   0 to 20     10 less the execution's own priority
 *   50          of a tenant with a long queue, and its turn: given by workers of a version before (app_private.share_turns)
 *   100 to 120  of a tenant with a long queue, or beyond the first 100 of one statement: taken in its share (app_private.take_jobs)
 * An expression alone, so that it is inlined: every start asks for it.
 */
drop function if exists app_private.start_priority(uuid, smallint, bigint);

create or replace function app_private.start_priority(is_long boolean, priority smallint)
returns integer
language sql
immutable
as $$
  select case when is_long then 110 else 10 end - priority
$$;

comment on function app_private.start_priority(boolean, smallint) is
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
             case when started.parent_execution_id is null then app_private.start_priority(started.place > 100 or long.tenant_id is not null, started.priority) else -1 end,
             null)::graphile_worker.job_spec
      from (select inserted.id, inserted.tenant_id, inserted.parent_execution_id, inserted.priority, row_number() over () as place from inserted where inserted.status = 'pending') as started
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
             app_private.start_priority(started.place > 100 or long.tenant_id is not null, 0::smallint), null)::graphile_worker.job_spec
      from (select app_private.flow_run_id(inserted.id) as run_id, inserted.tenant_id, row_number() over () as place from inserted where inserted.status = 'PENDING') as started
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
set enable_nestloop = off -- rows of a batch are joined with each other, and statistics of a quiet time say that there is one
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
begin
  delete from graphile_worker._private_jobs as job where job.locked_by = any (job_worker_ids) and job.key is null and job.attempts >= job.max_attempts;
  update graphile_worker._private_jobs as job
     set id = default, locked_by = null, locked_at = null
   where job.locked_by = any (job_worker_ids);
  perform graphile_worker.force_unlock_workers(job_worker_ids);
end
$$;

comment on function app_private.free_jobs(text[]) is 'Unlocks the jobs of job pools that are gone, so that a late end of one of them completes nothing.';
--! EndIncluded app_private/functions/engine/free_jobs.sql
--! Included app_private/functions/engine/requeue_orphans.sql
/*
 * The last net: executions, of workflows and flows, that are not over, that nobody holds and that no job will wake get a job. Nothing should ever be found;
 * a job removed by hand is. Jobs that a pool has locked which no worker knows go free. One whose job has used up its attempts failed every time that a worker took it: it is given up.
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
  -- locked under the name of a pool that the database never heard of, or forgot: its process ended before it could tell
  perform app_private.free_jobs(array(
    select distinct job.locked_by from graphile_worker._private_jobs as job
      join graphile_worker._private_tasks as task on task.id = job.task_id
     where task.identifier = 'run_execution' and job.locked_at < now() - interval '15 seconds'
       and not exists (select from app_private.workers as known where job.locked_by = any (known.job_worker_ids))));
  -- what was locked when a later job took its key, and then left: it runs no more
  delete from graphile_worker._private_jobs as job using graphile_worker._private_tasks as task
    where task.identifier = 'run_execution' and job.task_id = task.id and job.key is null and job.locked_at is null and job.attempts >= job.max_attempts;
  return found_count + cardinality(requeued);
end
$$;

comment on function app_private.requeue_orphans() is
  'Adds jobs for executions that nobody holds and that no job would wake, and gives up those whose job failed every time; returns how many.';

grant execute on function app_private.requeue_orphans() to agentflow_worker;
--! EndIncluded app_private/functions/engine/requeue_orphans.sql
--! Included app_private/functions/engine/share_turns.sql
/*
 * Keeps one tenant's long queue from standing before everybody. Workers call it while there is more to do than they can take, some times a second.
 *   - Of what is to begin next, what a tenant has beyond its first 100 waits behind all others, and so does what it starts from then on.
 *   - Tenants with long queues share what workers take: whoever takes jobs by take_jobs sees to that, and asks with 0 turns. For workers of a version
 *     before, `turns` is what the caller has taken since it last asked: so many of the oldest, in equal parts, come next after what others begin.
 *   - A tenant of which nothing has been left behind for some seconds is like any other again.
 * Workers take what is behind only when nothing is before it, so that nobody idles. One caller at a time; the others have nothing to do.
 * Returns how many queues are long, or have been just now.
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
  forgotten_after constant interval := '5 seconds'; -- who starts many just now has seen the queue as a long one, and has not committed yet
  looked_at constant integer := 2000;
  many integer;
  something_is_behind boolean;
  late record;
  long record;
  next_ids bigint[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('agentflow turns', 0)) then
    return (select count(*) from app_private.long_queues);
  end if;

  for late in
    with head as materialized (
      select job.id, job.priority, job.run_at, case when job.key like '________-____-____-____-____________' and job.key ~ '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$' then job.key::uuid end as run_id
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

  -- where one queue alone is long, whatever is behind is its own; to ask for one tenant passes what is driven of it
  select count(*) into many from app_private.long_queues;
  something_is_behind := exists (select from graphile_worker._private_jobs as job where job.is_available and job.priority >= 100);
  update app_private.long_queues as queue
     set empty_since = case when looked.is_empty then now() end
    from (
      select one.tenant_id,
             not something_is_behind or (many > 1 and not exists (select from app_private.longest_waiting(one.tenant_id, 1))) as is_empty
        from app_private.long_queues as one
    ) as looked
   where looked.tenant_id = queue.tenant_id and looked.is_empty <> (queue.empty_since is not null);
  delete from app_private.long_queues as queue where queue.empty_since < now() - forgotten_after;
  if turns = 0 then
    return (select count(*) from app_private.long_queues);
  end if;
  select count(*) into many from app_private.long_queues as queue where queue.empty_since is null;
  if many <= 1 then
    return many; -- one alone has nobody to share with: what it has comes next anyway
  end if;
  for long in select queue.tenant_id from app_private.long_queues as queue where queue.empty_since is null order by queue.tenant_id for update loop
    select coalesce(array_agg(waiting.job_id), '{}') into next_ids from app_private.longest_waiting(long.tenant_id, ceil(turns::numeric / many)::integer) as waiting (job_id);
    perform graphile_worker.reschedule_jobs(next_ids, priority => 50);
  end loop;
  return many;
end
$$;

comment on function app_private.share_turns(integer) is
  'Puts what tenants with long queues have behind what others have; returns how many queues are long.';

grant execute on function app_private.share_turns(integer) to agentflow_worker;
--! EndIncluded app_private/functions/engine/share_turns.sql
--! Included app_private/functions/engine/take_jobs.sql
/*
 * Deletes jobs of executions that are due, at most `wanted`, and `of_long` of them at most from long queues; returns the executions, and how many jobs
 * there were. First comes what waits as everybody does (app_private.start_priority); then tenants with long queues, in equal shares, the oldest
 * of each; then whatever is left. A job whose execution is held, or that names none, is passed by. Whoever changes an execution locks it, then its
 * lease, then its job; here the job comes first, so that nothing else is waited for: what is locked is left for the next look.
 * Jobs are reached by their indexes, whatever a session that began with an empty queue takes for cheap.
 */
create or replace function app_private.take_jobs(
  wanted integer, of_long integer,
  out execution_ids uuid[], out flow_run_ids uuid[], out short_taken integer, out long_taken integer, out passed_by integer
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  long_priority constant integer := 50;
  task constant integer := (select tasks.id from graphile_worker._private_tasks as tasks where tasks.identifier = 'run_execution');
  due bigint[];
  shared bigint[];
  tenants uuid[];
  room integer;
  runs uuid[];
  locked uuid[];
begin
  due := array(
    select job.id from graphile_worker._private_jobs as job
     where job.is_available and job.task_id = task and job.priority < long_priority and job.run_at <= now()
     order by job.priority, job.run_at
     limit wanted
       for update skip locked
  );
  room := least(of_long, wanted - cardinality(due));
  if room > 0 then
    tenants := array(select queue.tenant_id from app_private.long_queues as queue order by random() limit room);
    if cardinality(tenants) > 1 then
      shared := array(
        select job.id from graphile_worker._private_jobs as job
         where job.is_available and job.id = any (array(
           select waiting.job_id from unnest(tenants) as queue (tenant_id)
            cross join lateral app_private.longest_waiting(queue.tenant_id, ceil(room::numeric / cardinality(tenants))::integer) as waiting (job_id)))
         limit room
           for update skip locked
      );
      due := due || shared;
      room := room - cardinality(shared);
    end if;
  end if;
  if room > 0 then
    due := due || array(
      select job.id from graphile_worker._private_jobs as job
       where job.is_available and job.task_id = task and job.priority >= long_priority and job.run_at <= now() and job.id <> all (due)
       order by job.priority, job.run_at
       limit room
         for update skip locked
    );
  end if;

  runs := array(
    select job.key::uuid from graphile_worker._private_jobs as job
     where job.id = any (due)
       and case when job.key like '________-____-____-____-____________' then job.key ~ '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$' else false end
  );
  locked := array(
    select execution.id from app_public.executions as execution where execution.id = any (runs) order by execution.id for no key update skip locked
  );
  if cardinality(locked) < cardinality(runs) then
    locked := locked || array(
      select app_private.flow_run_id(execution.id) from app_public.flow_executions as execution
       where execution.id = any (array(select app_private.flow_id_of_run(run.id) from unnest(runs) as run (id)))
       order by execution.id for no key update skip locked
    );
  end if;

  with leased as materialized (
    select lease.execution_id from app_private.execution_leases as lease
     where lease.execution_id = any (locked) and lease.worker_id is null
       for update skip locked
  ), gone as (
    delete from graphile_worker._private_jobs as job
     using unnest(locked) as run (id)
     where job.id = any (due) and job.key = run.id::text
       and (run.id in (select leased.execution_id from leased)
         or not exists (select from app_private.execution_leases as lease where lease.execution_id = run.id))
    returning run.id, job.priority, job.key like '00000000-____-8000-8000-%' as is_flow -- as app_private.flow_run_id makes them
  )
  select array_agg(gone.id) filter (where not gone.is_flow), array_agg(gone.id) filter (where gone.is_flow),
         count(*) filter (where gone.priority < long_priority), count(*) filter (where gone.priority >= long_priority)
    into execution_ids, flow_run_ids, short_taken, long_taken
    from gone;

  passed_by := cardinality(due) - cardinality(runs);
  if short_taken + long_taken < cardinality(runs) then
    passed_by := passed_by + (
      select count(*) from unnest(runs) as run (id)
       where exists (select from app_private.execution_leases as lease where lease.execution_id = run.id and lease.worker_id is not null)
          or not exists (select from app_public.executions as execution where execution.id = run.id
                          union all
                         select from app_public.flow_executions as execution where execution.id = app_private.flow_id_of_run(run.id))
    );
  end if;
end
$$;

comment on function app_private.take_jobs(integer, integer) is 'Deletes due jobs of executions that nobody holds; says whose they were.';
--! EndIncluded app_private/functions/engine/take_jobs.sql
--! Included app_private/functions/engine/take_executions.sql
/*
 * Takes jobs that are due, as of take_jobs, and in the same statement the leases of their executions: from then on the lease says that they are
 * driven, and no job is needed. Whoever takes the lease from its worker adds a job again.
 * The first row counts what was taken and what was passed by; each further one is what claim_executions says of one execution, or claim_flows
 * (`initial_state` is its input, `driven_seconds` its age, `stored` its tasks).
 */
create or replace function app_private.take_executions(worker uuid, wanted integer, of_long integer)
returns table (
  short_taken integer, long_taken integer, passed_by integer,
  id uuid, attempt integer, losses integer, tenant_id uuid, user_id uuid, now_ms double precision, driven_seconds double precision,
  initial_state jsonb, stored jsonb, is_begun boolean,
  workflow_id uuid, workflow_version_id uuid, created_at text, parent_execution_id uuid, only_node_id text, repeats jsonb, caps jsonb,
  flow_execution_id bigint, tenant_slug text, definition text, script jsonb
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  execution_ids uuid[];
  flow_run_ids uuid[];
begin
  select taken.execution_ids, taken.flow_run_ids, taken.short_taken, taken.long_taken, taken.passed_by
    into execution_ids, flow_run_ids, short_taken, long_taken, passed_by
    from app_private.take_jobs(wanted, of_long) as taken;
  return next;
  if flow_run_ids is not null then
    return query select null::integer, null::integer, null::integer,
        claimed.id, claimed.attempt, claimed.losses, claimed.tenant_id, claimed.user_id, claimed.now_ms, claimed.age_seconds,
        claimed.input_context, claimed.tasks, claimed.is_begun,
        null::uuid, null::uuid, null::text, null::uuid, null::text, null::jsonb, null::jsonb,
        claimed.flow_execution_id, claimed.tenant_slug, claimed.definition, claimed.script
      from app_private.claim_flows(worker, flow_run_ids) as claimed;
  end if;
  if execution_ids is not null then
    return query select null::integer, null::integer, null::integer,
        claimed.id, claimed.attempt, claimed.losses, claimed.tenant_id, claimed.user_id, claimed.now_ms, claimed.driven_seconds,
        claimed.initial_state, claimed.nodes, claimed.is_begun,
        claimed.workflow_id, claimed.workflow_version_id, claimed.created_at, claimed.parent_execution_id, claimed.only_node_id, claimed.repeats, claimed.caps,
        null::bigint, null::text, null::text, null::jsonb
      from app_private.claim_executions(worker, execution_ids) as claimed;
  end if;
end
$$;

comment on function app_private.take_executions(uuid, integer, integer) is
  'Takes due jobs together with the leases of their executions, and returns what is needed to drive them.';

grant execute on function app_private.take_executions(uuid, integer, integer) to agentflow_worker;
--! EndIncluded app_private/functions/engine/take_executions.sql
--! Included app_private/functions/engine/forget_leases.sql
/*
 * Gives back what a worker holds without knowing: the answer to a statement that took it was lost. `known`: the executions that it drives or is
 * about to claim. Returns what was given back: a claim may have come in between, and ends then.
 */
create or replace function app_private.forget_leases(worker uuid, known uuid[], out forgotten uuid[])
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  forgotten := array(
    select lease.execution_id from app_private.execution_leases as lease
     where lease.worker_id = worker and lease.execution_id <> all (known)
     order by lease.execution_id
       for update
  );
  perform app_private.free_leases(forgotten, false);
end
$$;

comment on function app_private.forget_leases(uuid, uuid[]) is 'Gives back the leases of a worker that it does not know of.';

grant execute on function app_private.forget_leases(uuid, uuid[]) to agentflow_worker;
--! EndIncluded app_private/functions/engine/forget_leases.sql
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
      ('INVALID_VALUE', 'AF400', 'A value is not acceptable.', 'Correct the value: the message says what is wrong with it, and field names it.'),
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
--! Included app_private/functions/validation/is_email.sql
-- Nearly everything is allowed before the @; what stands here keeps out slips of the pen, and what mail programs would read as more than one address.
create or replace function app_private.is_email(value text)
returns boolean
language sql immutable parallel safe
return char_length(value) <= 255 and position('#deleted-' in value) = 0
  and value ~ '^[^@[:space:][:cntrl:],;:<>()\\"]+@[^@[:space:][:cntrl:],;:<>()\\".]+([.][^@[:space:][:cntrl:],;:<>()\\".]+)+$';

comment on function app_private.is_email(text) is 'Is this written as an e-mail address, name@host.domain? Null for null.';
--! EndIncluded app_private/functions/validation/is_email.sql
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
  if app_private.is_email(btrim(create_user.email)) is not true then
    perform app_private.fail('INVALID_VALUE', 'An e-mail address has a name, an @ and a host with a dot in it, and at most 255 characters.', 'email',
      'Write it as name@example.com.');
  end if;
  if app_private.is_blank(create_user.name) or char_length(create_user.name) > 255 then
    perform app_private.fail('INVALID_VALUE', 'A name has 1 to 255 characters and is not blank.', 'name', 'Give one, or leave it out: the person can choose one.');
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
  if app_private.is_email(btrim(create_tenant.admin_email)) is not true then
    perform app_private.fail('INVALID_VALUE', 'This is no e-mail address.', 'admin_email', 'Write it as name@example.com.');
  end if;
  -- Who runs the platform may know; the link would be of no use.
  if exists (select from app_public.users where users.email = lower(btrim(create_tenant.admin_email))) then
    perform app_private.fail('INVALID_VALUE', 'This address has an account already, and an account is of one tenant.', 'admin_email', 'Give another address.');
  end if;
  insert into app_public.tenants (slug, name) values (create_tenant.slug, coalesce(nullif(btrim(create_tenant.name), ''), create_tenant.slug))
  returning tenants.id into tenant;
  perform app_private.make_access_link(tenant, 'invitation', create_tenant.admin_email, null, 'admin', null, create_tenant.token_hash);
  return tenant;
end $$;

comment on function app_private.create_tenant(text, text, text, text) is 'Makes a tenant and the invitation of its first admin; answers the tenant. For the owner alone.';
--! EndIncluded app_private/functions/tenants/create_tenant.sql
--! Included app_private/functions/tenants/erase_tenant.sql
/*
 * For the owner alone. Everything goes: the rows of every table that has a tenant, the audit log and its seals, jobs, counted requests and tries to sign in.
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
  addresses := array(
    select users.email from app_public.users where users.tenant_id = tenant.id
    union select links.email from app_public.access_links as links where links.tenant_id = tenant.id);
  perform graphile_worker.remove_job(execution.id::text) from app_public.executions as execution
  where execution.tenant_id = tenant.id and execution.completed_at is null;
  perform graphile_worker.remove_job(app_private.flow_run_id(execution.id)::text) from app_public.flow_executions as execution
  where execution.tenant_id = tenant.id and execution.completed_at is null;

  delete from app_public.tenants where tenants.id = tenant.id;
  for target in select * from app_private.tenant_tables() loop
    execute format('delete from %s where tenant_id = $1', target.name) using tenant.id;
  end loop;
  delete from app_private.sign_in_tries where kind = 'account' and name = any (addresses);
  delete from app_private.request_buckets where kind = 'tenant' and name = tenant.id::text;

  insert into app_private.tenant_erasures (erased_tenant_id, slug, reason, erased_by, row_counts, last_audit_hash)
  values (tenant.id, tenant.slug, btrim(erase_tenant.reason), session_user, counts, head)
  returning * into certificate;
  return to_jsonb(certificate);
end $$;

comment on function app_private.erase_tenant(text, text) is 'Erases a suspended tenant completely; answers the certificate: what there was, by table. For the owner alone.';
--! EndIncluded app_private/functions/tenants/erase_tenant.sql
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
  if create_api_key.expires_at <= now() or not isfinite(create_api_key.expires_at) then
    perform app_private.fail('INVALID_VALUE', 'An API key ends in the future, or never.', 'expires_at', 'Give a time that is to come, or none.');
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
  update app_public.api_keys set status = 'revoked', revoked_reason = case when not app_private.is_blank(revoke_api_key.reason) then btrim(revoke_api_key.reason) end
  where api_keys.tenant_id = api_key.tenant_id and api_keys.id = api_key.id
  returning * into api_key;
  api_key.key_hash := null;
  return api_key;
end $$;

comment on function app_public.revoke_api_key(uuid, text) is E'@resultFieldName apiKey\nRevokes an API key: it is refused from the next request on. The reason stands beside it and in the audit log.';
grant execute on function app_public.revoke_api_key(uuid, text) to agentflow_user;
--! EndIncluded app_public/functions/revoke_api_key.sql
--! Included app_public/functions/current_tenant_id.sql
-- Each hexadecimal digit becomes an x, and an x something else: a regular expression would cost more than all the rest.
create or replace function app_public.current_tenant_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.translate(pg_catalog.current_setting('jwt.claims.tenant_id', true), '-0123456789abcdefABCDEFx', '-xxxxxxxxxxxxxxxxxxxxxxy')
      = 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'
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
    when pg_catalog.translate(pg_catalog.current_setting('jwt.claims.user_id', true), '-0123456789abcdefABCDEFx', '-xxxxxxxxxxxxxxxxxxxxxxy')
      = 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'
    then pg_catalog.current_setting('jwt.claims.user_id', true)::pg_catalog.uuid
  end;

comment on function app_public.current_user_id() is
  E'@behavior -*\nThe user of this transaction (for an API key: its owner), or null.';
grant execute on function app_public.current_user_id() to agentflow_user;
--! EndIncluded app_public/functions/current_user_id.sql
--! Included app_private/functions/roles_with.sql
create or replace function app_private.roles_with(wanted text) returns text[]
  language sql immutable parallel safe
  return (array['viewer', 'operator', 'developer', 'architect', 'admin'])[app_private.role_rank(app_private.least_role(wanted)) :];

comment on function app_private.roles_with(text) is 'The roles that have this right, in the order of their ranks. Null for an unknown right.';
grant execute on function app_private.roles_with(text) to agentflow_user;
--! EndIncluded app_private/functions/roles_with.sql
--! Included app_private/functions/key_may.sql
-- In plpgsql because that is not inlined: a statement that no key sends does not make the expression ready.
create or replace function app_private.key_may(wanted text) returns boolean
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(app_private.current_permissions() -> split_part(wanted, ':', 1) ?& app_private.key_permission(wanted), false);
end $$;

comment on function app_private.key_may(text) is 'Do the permissions of the API key that this transaction acts by allow this? Of its role nothing is said.';
grant execute on function app_private.key_may(text) to agentflow_user;
--! EndIncluded app_private/functions/key_may.sql
--! Included app_private/functions/may.sql
create or replace function app_private.may(wanted text) returns boolean
  language sql stable parallel safe
  return coalesce(
    pg_catalog.current_setting('jwt.claims.role', true) = any (app_private.roles_with(wanted))
      and (not app_private.acts_by_key() or app_private.key_may(wanted)),
    false);

comment on function app_private.may(text) is
  'Has who acts in this transaction the right (workflows:read, sources:write ..., admin)? The role must grant it, and an API key must permit it too.';
grant execute on function app_private.may(text) to agentflow_user;
--! EndIncluded app_private/functions/may.sql
--! Included app_private/functions/may_restore.sql
-- In plpgsql because that is not inlined: a statement that meets nothing deleted does not make the expression ready.
create or replace function app_private.may_restore(wanted text) returns boolean
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return app_private.may(wanted);
end $$;

comment on function app_private.may_restore(text) is 'may(), for policies that ask it only where a row is deleted: who may restore a row sees it.';
grant execute on function app_private.may_restore(text) to agentflow_user;
--! EndIncluded app_private/functions/may_restore.sql
--! Included app_private/functions/tenant_if_may.sql
-- For policies: one sub-select in place of two. A second one that is true or false would make the planner expect half of the rows.
create or replace function app_private.tenant_if_may(wanted text) returns uuid
  language sql stable parallel safe
  return case when app_private.may(wanted) then app_public.current_tenant_id() end;

comment on function app_private.tenant_if_may(text) is 'The tenant of this transaction when who acts in it has the right; else null, which no tenant is equal to.';
grant execute on function app_private.tenant_if_may(text) to agentflow_user;
--! EndIncluded app_private/functions/tenant_if_may.sql
--! Included app_private/functions/current_api_key_id.sql
create or replace function app_private.current_api_key_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.translate(pg_catalog.current_setting('jwt.claims.api_key_id', true), '-0123456789abcdefABCDEFx', '-xxxxxxxxxxxxxxxxxxxxxxy')
      = 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'
    then pg_catalog.current_setting('jwt.claims.api_key_id', true)::pg_catalog.uuid
  end;

comment on function app_private.current_api_key_id() is 'The API key that this transaction acts by, or null.';
grant execute on function app_private.current_api_key_id() to agentflow_user;
--! EndIncluded app_private/functions/current_api_key_id.sql
--! Included app_private/functions/tenant_tables/secure_tenant_table.sql
create or replace procedure app_private.secure_tenant_table(target regclass, read_right text, write_right text)
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  reading text := format('tenant_id = (select app_private.tenant_if_may(%L))', read_right);
  writing text := format('tenant_id = (select app_private.tenant_if_may(%L)) and deleted_at is null', write_right);
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
    using (%2$s and (deleted_at is null or (select app_private.may_restore(%3$L))))', target, reading, write_right);
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
--! Included policies/access_links.sql
alter table app_public.access_links enable row level security;
alter table app_public.access_links force row level security;

drop policy if exists owner_all on app_public.access_links;
create policy owner_all on app_public.access_links to agentflow_owner using (true) with check (true);

drop policy if exists select_by_admin on app_public.access_links;
create policy select_by_admin on app_public.access_links for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('admin'))
  );

drop policy if exists select_by_operator on app_public.access_links;
create policy select_by_operator on app_public.access_links for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/access_links.sql
--! Included policies/api_keys.sql
alter table app_public.api_keys enable row level security;
alter table app_public.api_keys force row level security;

drop policy if exists owner_all on app_public.api_keys;
create policy owner_all on app_public.api_keys to agentflow_owner using (true) with check (true);

drop policy if exists select_by_admin on app_public.api_keys;
create policy select_by_admin on app_public.api_keys for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('admin'))
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
    tenant_id = (select app_private.tenant_if_may('admin'))
  );

drop policy if exists select_by_operator on app_public.audit_logs;
create policy select_by_operator on app_public.audit_logs for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/audit_logs.sql
--! Included policies/executions.sql
alter table app_public.executions enable row level security;
alter table app_public.executions force row level security;

drop policy if exists owner_all on app_public.executions;
create policy owner_all on app_public.executions to agentflow_owner using (true) with check (true);

-- Written by functions only. Deleted executions are shown to those who may restore them.
drop policy if exists select_tenant on app_public.executions;
create policy select_tenant on app_public.executions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('executions:read'))
    and (deleted_at is null or (select app_private.may_restore('executions:restore')))
  );

drop policy if exists select_by_operator on app_public.executions;
create policy select_by_operator on app_public.executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/executions.sql
--! Included policies/flow_executions.sql
alter table app_public.flow_executions enable row level security;
alter table app_public.flow_executions force row level security;

drop policy if exists owner_all on app_public.flow_executions;
create policy owner_all on app_public.flow_executions to agentflow_owner using (true) with check (true);

drop policy if exists select_tenant on app_public.flow_executions;
create policy select_tenant on app_public.flow_executions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('executions:read'))
  );

drop policy if exists select_by_operator on app_public.flow_executions;
create policy select_by_operator on app_public.flow_executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flow_executions.sql
--! Included policies/flow_versions.sql
alter table app_public.flow_versions enable row level security;
alter table app_public.flow_versions force row level security;

drop policy if exists owner_all on app_public.flow_versions;
create policy owner_all on app_public.flow_versions to agentflow_owner using (true) with check (true);

-- Shown with their flow: the policy of flows is applied inside.
drop policy if exists select_with_flow on app_public.flow_versions;
create policy select_with_flow on app_public.flow_versions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('flows:read'))
    and exists (
      select 1 from app_public.flows
      where flows.tenant_id = flow_versions.tenant_id and flows.id = flow_versions.flow_id
    )
  );

drop policy if exists select_by_operator on app_public.flow_versions;
create policy select_by_operator on app_public.flow_versions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flow_versions.sql
--! Included policies/flows.sql
alter table app_public.flows enable row level security;
alter table app_public.flows force row level security;

drop policy if exists owner_all on app_public.flows;
create policy owner_all on app_public.flows to agentflow_owner using (true) with check (true);

-- Deleted flows are shown to those who may restore them.
drop policy if exists select_tenant on app_public.flows;
create policy select_tenant on app_public.flows for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('flows:read'))
    and (deleted_at is null or (select app_private.may_restore('flows:publish')))
  );

drop policy if exists select_by_operator on app_public.flows;
create policy select_by_operator on app_public.flows for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/flows.sql
--! Included policies/node_executions.sql
alter table app_public.node_executions enable row level security;
alter table app_public.node_executions force row level security;

drop policy if exists owner_all on app_public.node_executions;
create policy owner_all on app_public.node_executions to agentflow_owner using (true) with check (true);

-- Shown with their execution: the policy of executions is applied inside.
drop policy if exists select_with_execution on app_public.node_executions;
create policy select_with_execution on app_public.node_executions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('executions:read'))
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
    tenant_id = (select app_private.tenant_if_may('sources:read'))
    and (deleted_at is null or (select app_private.may_restore('sources:write')))
  );

drop policy if exists insert_own on app_public.sources;
create policy insert_own on app_public.sources for insert to agentflow_user
  with check (
    tenant_id = (select app_private.tenant_if_may('sources:write'))
    and user_id = (select app_public.current_user_id())
    and deleted_at is null
  );

drop policy if exists update_tenant on app_public.sources;
create policy update_tenant on app_public.sources for update to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('sources:write'))
    and deleted_at is null
  )
  with check (
    tenant_id = (select app_private.tenant_if_may('sources:write'))
    and deleted_at is null
  );

drop policy if exists select_by_operator on app_public.sources;
create policy select_by_operator on app_public.sources for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/sources.sql
--! Included policies/task_executions.sql
alter table app_public.task_executions enable row level security;
alter table app_public.task_executions force row level security;

drop policy if exists owner_all on app_public.task_executions;
create policy owner_all on app_public.task_executions to agentflow_owner using (true) with check (true);

drop policy if exists select_tenant on app_public.task_executions;
create policy select_tenant on app_public.task_executions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('executions:read'))
  );

drop policy if exists select_by_operator on app_public.task_executions;
create policy select_by_operator on app_public.task_executions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/task_executions.sql
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
    id = (select app_private.tenant_if_may('admin'))
    and deleted_at is null
  )
  with check (
    id = (select app_private.tenant_if_may('admin'))
    and deleted_at is null
  );

drop policy if exists select_by_operator on app_public.tenants;
create policy select_by_operator on app_public.tenants for select to agentflow_operator
  using (id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/tenants.sql
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
    and (deleted_at is null or (select app_private.may_restore('admin')))
    and (not (select app_private.acts_by_key()) or id = (select app_public.current_user_id()))
  );

drop policy if exists update_by_admin on app_public.users;
create policy update_by_admin on app_public.users for update to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('admin'))
    and deleted_at is null
  )
  with check (
    tenant_id = (select app_private.tenant_if_may('admin'))
    and deleted_at is null
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
--! Included policies/workflow_versions.sql
alter table app_public.workflow_versions enable row level security;
alter table app_public.workflow_versions force row level security;

drop policy if exists owner_all on app_public.workflow_versions;
create policy owner_all on app_public.workflow_versions to agentflow_owner using (true) with check (true);

-- Shown with their workflow: the policy of workflows is applied inside.
drop policy if exists select_with_workflow on app_public.workflow_versions;
create policy select_with_workflow on app_public.workflow_versions for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('workflows:read'))
    and exists (
      select 1 from app_public.workflows
      where workflows.tenant_id = workflow_versions.tenant_id and workflows.id = workflow_versions.workflow_id
    )
  );

drop policy if exists select_by_operator on app_public.workflow_versions;
create policy select_by_operator on app_public.workflow_versions for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/workflow_versions.sql
--! Included policies/workflows.sql
alter table app_public.workflows enable row level security;
alter table app_public.workflows force row level security;

drop policy if exists owner_all on app_public.workflows;
create policy owner_all on app_public.workflows to agentflow_owner using (true) with check (true);

-- Deleted workflows are shown to those who may restore them.
drop policy if exists select_tenant on app_public.workflows;
create policy select_tenant on app_public.workflows for select to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('workflows:read'))
    and (deleted_at is null or (select app_private.may_restore('workflows:publish')))
  );

drop policy if exists insert_own on app_public.workflows;
create policy insert_own on app_public.workflows for insert to agentflow_user
  with check (
    tenant_id = (select app_private.tenant_if_may('workflows:write'))
    and user_id = (select app_public.current_user_id())
    and status = 'draft'
  );

drop policy if exists update_tenant on app_public.workflows;
create policy update_tenant on app_public.workflows for update to agentflow_user
  using (
    tenant_id = (select app_private.tenant_if_may('workflows:write'))
    and deleted_at is null
  )
  with check (
    tenant_id = (select app_private.tenant_if_may('workflows:write'))
    and deleted_at is null
  );

drop policy if exists select_by_operator on app_public.workflows;
create policy select_by_operator on app_public.workflows for select to agentflow_operator
  using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));
--! EndIncluded policies/workflows.sql
--! Included comments/long_queues.sql
comment on table app_private.long_queues is 'Tenants of which more executions wait than are taken at once: what they start waits behind what others start. Empty most of the time.';
comment on column app_private.long_queues.empty_since is 'Since when nothing of it has waited; null while something does.';
--! EndIncluded comments/long_queues.sql
--! Included app_private/functions/engine/claim_executions.sql
/*
 * Takes the lease of each execution that is not over and not another living worker's, and raises the attempt. Ids that are unknown, over
 * or held are left out of the answer; their job has nothing to do. The row itself is not touched: it is marked as running by the first
 * checkpoint that says so, and most executions are over before that.
 * Lock order everywhere in the engine: executions by id, then leases.
 * A worker that was taken for dead gets WORKER_UNKNOWN and must register anew.
 * No nested loops: once statistics say that hardly any execution is pending, they would compare each of a batch with each.
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
set enable_nestloop = off
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
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are
as $$
#variable_conflict use_column
declare
  tenant constant uuid := app_public.current_tenant_id();
  acting_user constant uuid := app_public.current_user_id();
  problems jsonb;
  ids uuid[];
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
  ids := array(select app_private.new_execution_id() from unnest(inputs));
  if not exists (select from unnest(inputs) as input where input.idempotency_key is not null) then
    -- as most are: no care for conflicts, and the rows come back in the order in which they are written
    return query
      insert into app_public.executions (id, tenant_id, user_id, workflow_id, workflow_version_id, initial_state, is_test, priority)
      select input.id, tenant, acting_user, workflows.id, versions.id, input.initial_state, workflows.status = 'draft', coalesce(input.priority, 0)
      from unnest(inputs, ids) with ordinality as input (workflow_id, initial_state, idempotency_key, priority, id, place)
      join app_public.workflows on workflows.tenant_id = tenant and workflows.id = input.workflow_id
      join app_public.workflow_versions as versions
        on versions.tenant_id = tenant and versions.workflow_id = workflows.id and versions.version = workflows.version
      order by input.place
      returning *;
    return;
  end if;

  insert into app_public.executions (id, tenant_id, user_id, workflow_id, workflow_version_id, initial_state, idempotency_key, is_test, priority)
  select input.id, tenant, acting_user, workflows.id, versions.id, input.initial_state, input.idempotency_key, workflows.status = 'draft', coalesce(input.priority, 0)
  from unnest(inputs, ids) with ordinality as input (workflow_id, initial_state, idempotency_key, priority, id, place)
  join app_public.workflows on workflows.tenant_id = tenant and workflows.id = input.workflow_id
  join app_public.workflow_versions as versions
    on versions.tenant_id = tenant and versions.workflow_id = workflows.id and versions.version = workflows.version
  order by input.place
  on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing;

  return query
    select answer.*
    from unnest(inputs, ids) with ordinality as input (workflow_id, initial_state, idempotency_key, priority, id, place)
    cross join lateral (
      select * from app_public.executions where executions.id = input.id and input.idempotency_key is null
      union all
      select * from app_public.executions where executions.tenant_id = tenant and executions.idempotency_key = input.idempotency_key
    ) as answer
    order by input.place;
end $$;

comment on function app_public.execute_workflows(app_public.workflow_start[]) is E'@resultFieldName executions\nStarts up to 1,000 executions at once, all of them or none; what is wrong with the inputs is told for all of them. The answer is in the order of the inputs.';
grant execute on function app_public.execute_workflows(app_public.workflow_start[]) to agentflow_user;
--! EndIncluded app_public/functions/execute_workflows.sql
--! Included app_private/functions/audit/names_secrets.sql
-- The names of has_inline_secret before a text, and the columns of hashes.
create or replace function app_private.names_secrets(document text) returns boolean
  language sql immutable parallel safe
  return document ~* '(key|secret|password|passwd|token|authorization|credentials|string|dsn|cookie)": "|hash": ';

comment on function app_private.names_secrets(text) is
  'Can JSON, as text, hold something that the audit log must not? No means no; yes is for redact_row to find out, which looks far longer.';
--! EndIncluded app_private/functions/audit/names_secrets.sql
--! Included app_private/functions/audit/redact_row.sql
create or replace function app_private.redact_row(value jsonb) returns jsonb
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when not app_private.names_secrets(value::text) then value
    when value ?| array['password_hash', 'key_hash', 'token_hash'] then app_private.redact_hashes(value)
    else app_private.redact(value)
  end;
end $$;

comment on function app_private.redact_row(jsonb) is 'A row for the audit log: no hashes, and no secrets inside JSON columns.';
--! EndIncluded app_private/functions/audit/redact_row.sql
--! Included app_private/functions/audit/audit_context.sql
-- Without a search path of its own, which would cost as much as the rest: everything in it is named in full.
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
  api_key_id := app_private.current_api_key_id();
  ip_address := case when pg_catalog.current_setting('request.ip', true) <> '' then app_private.current_request_ip() else pg_catalog.inet_client_addr() end;
  user_agent := coalesce(nullif(pg_catalog.current_setting('request.user_agent', true), ''), 'database role ' || session_user);
  request_id := pg_catalog.left(nullif(pg_catalog.current_setting('request.id', true), ''), 100);
end $$;

comment on function app_private.audit_context() is
  'Who acts and from where, for the audit log. The user may be gone, erased in this very transaction: what writes a row asks users.';
--! EndIncluded app_private/functions/audit/audit_context.sql
--! Included app_private/functions/audit/audit_action.sql
-- In PL/pgSQL, so that a statement that calls it now and then makes ready a call, and not all that stands in it.
create or replace function app_private.audit_action(old_row jsonb, new_row jsonb) returns text
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
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
end $$;

comment on function app_private.audit_action(jsonb, jsonb) is 'The name in the audit log for a change of a row.';
--! EndIncluded app_private/functions/audit/audit_action.sql
--! Included app_private/functions/audit/uuid_of.sql
-- LIKE says how long it is and where the hyphens stand, the pattern that nothing else stands between them. A pattern that counts would cost five times as much.
create or replace function app_private.uuid_of(value text) returns uuid
  language sql immutable parallel safe
  return case
    when value like '________-____-____-____-____________' and value ~ '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$'
    then value::pg_catalog.uuid
  end;

comment on function app_private.uuid_of(text) is 'The id of an audited row where it is a UUID; null for others: the slug of a flow.';
--! EndIncluded app_private/functions/audit/uuid_of.sql
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
    select app_private.audited_tenant(pair.new_row), (select users.id from app_public.users where users.id = context.user_id),
      case
        when difference.new_value ?| array['status', 'deleted_at', 'is_active']
        then app_private.audit_action(difference.old_value, difference.new_value)
        else 'update'
      end,
      tg_argv[0], app_private.uuid_of(pair.id), case when app_private.uuid_of(pair.id) is null then pair.id end,
      case when difference.is_suspect then app_private.redact_row(difference.old_value) else difference.old_value end,
      case when difference.is_suspect then app_private.redact_row(difference.new_value) else difference.new_value end,
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (
      select to_jsonb(old_rows) as old_row, to_jsonb(new_rows) as new_row, new_rows.id::text as id
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
    select app_private.audited_tenant(changed.new_row), (select users.id from app_public.users where users.id = context.user_id), 'create', tg_argv[0],
      app_private.uuid_of(changed.id), case when app_private.uuid_of(changed.id) is null then changed.id end, app_private.redact_row(changed.new_row),
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (select to_jsonb(new_rows) as new_row, new_rows.id::text as id from new_rows offset 0) as changed;
  else
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, entity_key, old_value,
      api_key_id, ip_address, user_agent, request_id)
    select app_private.audited_tenant(changed.old_row), (select users.id from app_public.users where users.id = context.user_id), 'erase', tg_argv[0],
      app_private.uuid_of(changed.id), case when app_private.uuid_of(changed.id) is null then changed.id end, app_private.redact_row(changed.old_row),
      context.api_key_id, context.ip_address, context.user_agent, context.request_id
    from (select to_jsonb(old_rows) as old_row, old_rows.id::text as id from old_rows offset 0) as changed;
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
  select new_rows.tenant_id, (select users.id from app_public.users where users.id = context.user_id), 'execute', 'execution', new_rows.id,
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
  select old_rows.tenant_id, (select users.id from app_public.users where users.id = context.user_id), 'erase', 'execution', old_rows.id,
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
  select new_rows.tenant_id, (select users.id from app_public.users where users.id = context.user_id), 'execute', 'flow_execution', new_rows.id::text,
    jsonb_strip_nulls(jsonb_build_object('flow_id', new_rows.flow_id, 'flow_version', new_rows.flow_version,
      'user_id', new_rows.user_id, 'status', new_rows.status,
      'idempotency_key', new_rows.idempotency_key, 'retry_of_flow_execution_id', new_rows.retry_of_flow_execution_id)),
    context.api_key_id, context.ip_address, context.user_agent, context.request_id
  from new_rows;
  return null;
end $$;

comment on function app_private.audit_flow_executions() is 'Writes an audit row for each flow execution that somebody starts, without its context.';
--! EndIncluded app_private/functions/audit/audit_flow_executions.sql
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
set plan_cache_mode = force_generic_plan -- rows are reached by their keys, however many there are; a plan for few looked cheaper, and was made anew each time
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

-- Behind all that concerns tables which the engine locks first: whoever holds those and waits for these would be waited for.
-- ids and hashes are as good as random: trying to compress them is a tenth of sealing, for nothing
-- undo: alter table app_private.audit_seals alter column row_ids set storage extended, alter column row_hashes set storage extended
alter table app_private.audit_seals alter column row_ids set storage external, alter column row_hashes set storage external;

-- leases: one index less to write; who asks for one names its execution, and who resumes a tenant reads the small table
-- undo: create index idx_execution_leases_tenant_id on app_private.execution_leases (tenant_id, execution_id)
-- the table holds what is in flight, and nothing else: nobody waits long
-- squawk-ignore require-concurrent-index-deletion
drop index if exists app_private.idx_execution_leases_tenant_id;
