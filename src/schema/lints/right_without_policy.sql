-- A right that no policy goes with meets no row: the API offers what never works.
select 'error' as level, format('%s for %s', c.oid::regclass, lower(command)) as object, 'agentflow_user has the right and no policy that lets a row through' as message,
  format('create policy %s_tenant on %s for %1$s to agentflow_user ...; or take the right away', lower(command), c.oid::regclass) as remedy
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as command
where n.nspname = 'app_public' and c.relkind in ('r', 'p') and not c.relispartition
  and case command when 'DELETE' then has_table_privilege('agentflow_user', c.oid, command) else has_any_column_privilege('agentflow_user', c.oid, command) end
  and not exists (
    select from pg_policies p
    where p.schemaname = n.nspname and p.tablename = c.relname and p.cmd in (command, 'ALL') and p.roles && '{agentflow_user,public}' and p.permissive = 'PERMISSIVE')
