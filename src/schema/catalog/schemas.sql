select 'schema' as kind, n.nspname::text as name, 0 as place,
  format('owner %s', pg_get_userbyid(n.nspowner)) as text
from pg_namespace n
where n.nspname = any ($1)
union all
select 'schema', n.nspname, 1, format('grant %s to %s', g.privilege, g.grantee)
from pg_namespace n
cross join lateral (
  select lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end as privilege,
    case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as grantee
  from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
) g
where n.nspname = any ($1)
union all
select 'schema', n.nspname, 2, format('comment %L', obj_description(n.oid, 'pg_namespace'))
from pg_namespace n
where n.nspname = any ($1) and obj_description(n.oid, 'pg_namespace') is not null
