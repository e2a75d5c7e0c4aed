-- Each function names who may call it.
select 'error' as level, p.oid::regprocedure::text as object, 'everybody may execute it' as message,
  format('revoke execute on function %s from public;', p.oid::regprocedure) as remedy
from pg_proc p
cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as acl
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and acl.grantee = 0
