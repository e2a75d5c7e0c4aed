select 'index' as kind, format('%s.%s', n.nspname, c.relname) as name, 0 as place,
  concat_ws(', ', pg_get_indexdef(i.indexrelid), case when not i.indisvalid then 'not valid' end, case when i.indisclustered then 'clustered' end,
    case when c.reloptions is not null then format('with (%s)', array_to_string(c.reloptions, ', ')) end,
    'comment ' || quote_literal(obj_description(c.oid, 'pg_class'))) as text
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and not t.relispartition and not c.relispartition
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e')
