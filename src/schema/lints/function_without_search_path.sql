-- A body that is read at run time looks its names up in the caller's search_path. Those that only the owner calls are spared.
select 'error' as level, p.oid::regprocedure::text as object, 'others may call it, and it has no search_path of its own' as message,
  format('alter function %s set search_path = pg_catalog, pg_temp;', p.oid::regprocedure) as remedy
from pg_proc p
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and p.prosqlbody is null and not p.prosecdef
  and (p.prorettype = 'trigger'::regtype or exists (select from aclexplode(p.proacl) as acl where acl.grantee <> p.proowner))
  and not exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*pg_temp$')
