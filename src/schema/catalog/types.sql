-- Enums, domains, ranges. Row types and array types come with what they belong to.
with type as (
  select t.*, format('%s.%s', n.nspname, t.typname) as name
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  where n.nspname = any ($1) and t.typtype in ('e', 'd', 'r')
    and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
)
select 'type' as kind, name, 0 as place, format('owner %s, %s', pg_get_userbyid(typowner), case typtype
    when 'e' then 'enum ' || (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = type.oid)
    when 'd' then concat_ws(' ', 'domain over', format_type(typbasetype, typtypmod), case when typnotnull then 'not null' end, 'default ' || typdefault)
    when 'r' then 'range of ' || (select format_type(rngsubtype, null) from pg_range where rngtypid = type.oid) end) as text
from type
union all
select 'type', name, 1, format('grant usage to %s', case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end)
from type
cross join lateral aclexplode(coalesce(type.typacl, acldefault('T', type.typowner))) a
union all
select 'type', name, 2, format('comment %L', obj_description(oid, 'pg_type')) from type where obj_description(oid, 'pg_type') is not null
