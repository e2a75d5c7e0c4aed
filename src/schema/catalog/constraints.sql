-- NOT NULL is said at the column: only PostgreSQL 18 and later have it as a constraint too.
select 'constraint' as kind, format('%s on %s', k.conname, coalesce(c.oid::regclass::text, k.contypid::regtype::text)) as name, 0 as place,
  concat_ws(', ', pg_get_constraintdef(k.oid), case when not k.convalidated then 'not validated' end,
    'comment ' || quote_literal(obj_description(k.oid, 'pg_constraint'))) as text
from pg_constraint k
join pg_namespace n on n.oid = k.connamespace
left join pg_class c on c.oid = k.conrelid
where n.nspname = any ($1) and k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and not coalesce(c.relispartition, false)
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
