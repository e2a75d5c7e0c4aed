-- When an execution is over, so are its nodes.
select format('execution %s', e.id) as object, format('it is %s, and its node %s is %s', e.status, n.node_id, n.status) as message
from app_public.executions e
join app_public.node_executions n on n.tenant_id = e.tenant_id and n.execution_id = e.id and n.execution_created_at = e.created_at
where e.completed_at is not null and n.finish_order is null
