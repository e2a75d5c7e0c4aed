-- Whoever reaches the worker's tables makes jobs in any tenant's name, or reads them; migrations are nobody's business but the owner's.
select 'error' as level, format('schema %s', n.nspname) as object, format('%s may use it', role) as message, format('revoke usage on schema %I from public, %s;', n.nspname, role) as remedy
from pg_namespace n
cross join unnest(array['agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_authenticator']) as role
where n.nspname in ('graphile_worker', 'graphile_migrate') and has_schema_privilege(role, n.oid, 'usage')
