-- Tables: plural, snake_case. Columns: snake_case. idx_, fk_ and chk_ with the table's name; {table}_pkey.
select 'warning' as level, c.oid::regclass::text as object, 'tables have plural names in snake_case' as message, 'alter table ... rename to ...;' as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v') and not c.relispartition
  and (c.relname !~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*$' or c.relname !~ '(s|children|people)$')
union all
select 'warning', format('%s.%s', c.oid::regclass, a.attname), 'columns have names in snake_case', 'alter table ... rename column ...;'
from pg_attribute a
join pg_class c on c.oid = a.attrelid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v') and not c.relispartition
  and a.attnum > 0 and not a.attisdropped and a.attname !~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*$'
union all
select 'warning', format('%s on %s', k.conname, k.conrelid::regclass), 'constraints are named fk_, chk_ or idx_ with their table''s name, and {table}_pkey', 'alter table ... rename constraint ...;'
from pg_constraint k
join pg_class c on c.oid = k.conrelid
where k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and k.conparentid = 0 and not c.relispartition and k.contype in ('f', 'c', 'u', 'p')
  and k.conname !~ (case k.contype when 'f' then '^fk_' || c.relname || '_' when 'c' then '^chk_' || c.relname || '_' when 'u' then '^idx_' || c.relname || '_' else '^' || c.relname || '_pkey$' end)
union all
select 'warning', i.indexrelid::regclass::text, 'indexes are named idx_{table}_{columns}', 'alter index ... rename to ...;'
from pg_index i
join pg_class x on x.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not c.relispartition and not i.indisprimary
  and x.relname !~ ('^idx_' || c.relname || '_')
