-- Row-level security is on and forced on every table, and on every partition: a partition does not inherit it.
select 'error' as level, c.oid::regclass::text as object,
  case when c.relrowsecurity then 'row-level security is not forced' else 'row-level security is off' end as message,
  format('alter table %1$s enable row level security; alter table %1$s force row level security;', c.oid::regclass) as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p')
  and not (c.relrowsecurity and c.relforcerowsecurity)
