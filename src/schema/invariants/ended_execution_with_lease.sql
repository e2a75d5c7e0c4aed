-- Who has ended is driven by nobody.
select format('execution %s', l.execution_id) as object, format('it is %s, and a lease says that it is driven', e.status) as message
from app_private.execution_leases l
join app_public.executions e on e.id = l.execution_id
where e.status in ('completed', 'failed', 'cancelled')
