-- Without a primary key a row has no name: neither the API nor replication can point at it.
select 'error' as level, c.oid::regclass::text as object, 'it has no primary key' as message, 'id uuid primary key default gen_random_uuid()' as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p') and not c.relispartition
  and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')
