-- What new functions get without being asked, and what new tables must not get.
select 'error' as level, 'default privileges of agentflow_owner' as object, 'everybody may execute functions that are made from now on' as message,
  'alter default privileges revoke execute on functions from public;' as remedy
where not exists (
  select from pg_default_acl d
  where d.defaclrole = 'agentflow_owner'::regrole and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
    and not exists (select from aclexplode(d.defaclacl) as acl where acl.grantee = 0))
union all
select 'error', 'default privileges of agentflow_owner',
  format('%s may %s on %s that are made from now on', case acl.grantee when 0 then 'everybody' else acl.grantee::regrole::text end, lower(acl.privilege_type),
    case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas' end),
  'Take it back (alter default privileges ... revoke ...), and grant for each object what it needs.'
from pg_default_acl d
cross join lateral aclexplode(d.defaclacl) as acl
where d.defaclrole = 'agentflow_owner'::regrole and acl.grantee <> d.defaclrole and not (d.defaclobjtype = 'T' and acl.grantee = 0)
