-- Whatever is not over is driven by somebody, waits for an event, or has a job that will wake it.
select format('execution %s', e.id) as object, 'it is not over, and nobody drives it, waits for it or will wake it' as message
from (
  select id from app_public.executions where status in ('pending', 'running')
  union all
  select app_private.flow_run_id(id) from app_public.flow_executions where status in ('PENDING', 'RUNNING')
) e
where not exists (select from app_private.execution_leases l where l.execution_id = e.id and (l.worker_id is not null or l.waits))
  and not exists (select from graphile_worker.jobs j where j.key = e.id::text)
