-- A view reads with its owner's rights, past every policy, unless it is told otherwise (from PostgreSQL 15 on).
select 'error' as level, c.oid::regclass::text as object, 'it shows rows with the rights of its owner' as message,
  case c.relkind when 'm' then 'Row security cannot reach a materialized view: keep it in app_private.'
    else format('alter view %s set (security_invoker = true); before PostgreSQL 15 write a function instead', c.oid::regclass) end as remedy
from pg_class c
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('v', 'm')
  and not (c.relkind = 'v' and coalesce(c.reloptions, '{}') && '{security_invoker=true,security_invoker=on,security_invoker=1}')
