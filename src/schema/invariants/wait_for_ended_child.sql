-- Whoever waits for a child is told its end when it ends.
select format('execution %s', n.execution_id) as object, format('its node %s waits for execution %s, which is %s', n.node_id, c.id, c.status) as message
from app_public.executions c
join app_public.node_executions n on n.tenant_id = c.tenant_id and n.execution_id = c.parent_execution_id and n.node_id = c.parent_node_id
where c.status in ('completed', 'failed', 'cancelled') and n.status = 'waiting' and not coalesce(n.wait_details, '{}') ? 'result'
