-- A job runs something: one that waits for its turn for long has an execution that is not over.
select format('job %s', j.key) as object, 'it has waited for a minute, and there is no execution for it to run' as message
from graphile_worker.jobs j
where j.task_identifier = 'run_execution' and j.locked_at is null and j.run_at < now() - interval '1 minute'
  and not exists (select from app_public.executions e where e.id::text = j.key and e.completed_at is null)
  and not exists (select from app_public.flow_executions e where app_private.flow_run_id(e.id)::text = j.key and e.completed_at is null)
