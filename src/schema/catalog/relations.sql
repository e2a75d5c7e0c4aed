-- Tables, views, sequences, composite types. Partitions are left out: which ones there are depends on the month.
with relation as (
  select c.*, format('%s.%s', n.nspname, c.relname) as name,
    case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
      when 'S' then 'sequence' when 'f' then 'foreign table' when 'c' then 'composite type' end as kind
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1) and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c') and not c.relispartition
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
)
select kind, name, 0 as place, concat_ws(', ',
    format('owner %s', pg_get_userbyid(relowner)),
    case relpersistence when 'u' then 'unlogged' end,
    case when relkind = 'p' then format('partition by %s', pg_get_partkeydef(oid)) end,
    case when relkind in ('r', 'p') then format('row security %s%s', case when relrowsecurity then 'on' else 'off' end,
      case when relforcerowsecurity then ', forced' else ', not forced' end) end,
    (select 'inherits ' || string_agg(inhparent::regclass::text, ', ' order by inhseqno) from pg_inherits where inhrelid = oid),
    case when relreplident <> 'd' and relkind in ('r', 'p') then format('replica identity %s', relreplident) end,
    case when reloptions is not null then format('with (%s)', array_to_string(reloptions, ', ')) end) as text
from relation
union all
select kind, name, 1, format('grant %s to %s', g.privileges, g.grantee)
from relation
cross join lateral (
  select string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type) as privileges,
    case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as grantee
  from aclexplode(coalesce(relation.relacl, acldefault(case relation.relkind when 'S' then 's' else 'r' end::"char", relation.relowner))) a
  group by a.grantee
) g
where relkind <> 'c'
union all
select kind, name, 2, pg_get_viewdef(oid) from relation where relkind in ('v', 'm')
union all
select kind, name, 2, format('as %s start %s minvalue %s maxvalue %s increment %s%s', format_type(s.seqtypid, null), s.seqstart, s.seqmin, s.seqmax,
    s.seqincrement, case when s.seqcycle then ' cycle' else '' end) || coalesce((select format(', owned by %s.%s', d.refobjid::regclass, a.attname)
      from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.objid = relation.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')), '')
from relation
join pg_sequence s on s.seqrelid = relation.oid
union all
select kind, name, 3, format('comment %L', obj_description(oid, 'pg_class')) from relation where obj_description(oid, 'pg_class') is not null
