with routine as (
  select p.*, p.oid::regprocedure::text as name, case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = any ($1)
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
)
select kind, name, 0 as place, format('owner %s', pg_get_userbyid(proowner)) as text from routine
union all
select kind, name, 1, case prokind when 'a' then format('(%s) returns %s', pg_get_function_arguments(oid), pg_get_function_result(oid)) else pg_get_functiondef(oid) end
from routine
union all
select kind, name, 2, format('grant execute%s to %s', case when a.is_grantable then ' with grant option' else '' end,
    case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end)
from routine
cross join lateral aclexplode(coalesce(routine.proacl, acldefault('f', routine.proowner))) a
union all
select kind, name, 3, format('comment %L', obj_description(oid, 'pg_proc')) from routine where obj_description(oid, 'pg_proc') is not null
