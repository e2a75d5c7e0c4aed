-- What belongs to somebody else is out of reach for migrations, and escapes the owner's policies.
select 'error' as level, c.oid::regclass::text as object, format('it belongs to %s', c.relowner::regrole) as message,
  format('alter %s %s owner to agentflow_owner;', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, c.oid::regclass) as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'S') and c.relowner <> 'agentflow_owner'::regrole
union all
select 'error', p.oid::regprocedure::text, format('it belongs to %s', p.proowner::regrole), format('alter function %s owner to agentflow_owner;', p.oid::regprocedure)
from pg_proc p
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and p.proowner <> 'agentflow_owner'::regrole
