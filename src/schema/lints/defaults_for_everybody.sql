-- What new functions get without being asked.
select 'error' as level, 'default privileges of agentflow_owner' as object, 'everybody may execute functions that are made from now on' as message,
  'alter default privileges revoke execute on functions from public;' as remedy
where not exists (
  select from pg_default_acl d
  where d.defaclrole = 'agentflow_owner'::regrole and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
    and not exists (select from aclexplode(d.defaclacl) as acl where acl.grantee = 0))
