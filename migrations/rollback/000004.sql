-- Takes 000004 back: what it made goes, what it replaced returns as it was.
drop function if exists app_private.start_priority(boolean, smallint);

create or replace function app_private.audited_id(row_value jsonb) returns uuid
  language sql immutable parallel safe
  return case
    when row_value ->> 'id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    then (row_value ->> 'id')::pg_catalog.uuid
  end;

comment on function app_private.audited_id(jsonb) is 'The id of an audited row where it is a UUID.';

create or replace function app_private.audited_key(row_value jsonb) returns text
  language sql immutable parallel safe
  return case when app_private.audited_id(row_value) is null then row_value ->> 'id' end;

comment on function app_private.audited_key(jsonb) is 'The id of an audited row where it is no UUID: the slug of a flow.';

create or replace function app_private.flow_id_of_run(run_id uuid)
returns bigint
language sql immutable strict parallel safe
return case when run_id::text ~ '^00000000-[0-9a-f]{4}-8000-8000-[0-9a-f]{12}$'
    then ('x' || substr(run_id::text, 10, 4) || substr(run_id::text, 25))::bit(64)::bigint end;

comment on function app_private.flow_id_of_run(uuid) is 'The flow execution that the engine knows by this UUID; null when it is none of a flow.';

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

create or replace function app_private.current_api_key_id() returns uuid
  language sql stable parallel safe
  return case
    when pg_catalog.current_setting('jwt.claims.api_key_id', true)
      ~ '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
    then pg_catalog.current_setting('jwt.claims.api_key_id', true)::pg_catalog.uuid
  end;

comment on function app_private.current_api_key_id() is 'The API key that this transaction acts by, or null.';
grant execute on function app_private.current_api_key_id() to agentflow_user;

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

comment on table app_private.long_queues is 'Tenants of which more executions wait than are taken at once: what they start waits behind what others start. Empty most of the time.';

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

create or replace function app_private.redact_row(value jsonb) returns jsonb
  language sql immutable parallel safe
  return case when value ?| array['password_hash', 'key_hash', 'token_hash'] then app_private.redact_hashes(value) else app_private.redact(value) end;

comment on function app_private.redact_row(jsonb) is 'A row for the audit log: no hashes, and no secrets inside JSON columns.';

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

drop function if exists app_private.uuid_of(text);
drop function if exists app_private.names_secrets(text);
drop function if exists app_private.tenant_if_may(text);
drop function if exists app_private.may_restore(text);
drop function if exists app_private.key_may(text);
drop function if exists app_private.roles_with(text);
drop function if exists app_private.is_email(text);
drop function if exists app_private.forget_leases(uuid, uuid[]);
drop function if exists app_private.take_executions(uuid, integer, integer);
drop function if exists app_private.take_jobs(integer, integer);
alter table app_private.long_queues drop column empty_since;
alter table app_private.audit_seals alter column row_ids set storage extended, alter column row_hashes set storage extended;
create index idx_execution_leases_tenant_id on app_private.execution_leases (tenant_id, execution_id);
