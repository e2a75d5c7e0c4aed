-- Comments are the documentation: of the API for what it shows, of the schema for everything else.
select 'warning' as level, c.oid::regclass::text as object, 'this table has no comment' as message, format('comment on table %s is ''...'';', c.oid::regclass) as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
  and obj_description(c.oid, 'pg_class') is null
union all
select 'warning', format('%s.%s', a.attrelid::regclass, a.attname), 'this column has no comment', format('comment on column %s.%I is ''...'';', a.attrelid::regclass, a.attname)
from pg_attribute a
join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and a.attnum > 0 and not a.attisdropped
  and col_description(a.attrelid, a.attnum) is null
union all
select 'warning', p.oid::regprocedure::text, 'this function has no comment', format('comment on function %s is ''...'';', p.oid::regprocedure)
from pg_proc p
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and obj_description(p.oid, 'pg_proc') is null
union all
select 'warning', t.oid::regtype::text, 'this type has no comment', format('comment on type %s is ''...'';', t.oid::regtype)
from pg_type t
where t.typnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and t.typtype in ('e', 'd') and obj_description(t.oid, 'pg_type') is null
