-- app_private shows nothing: its tables are reached through functions.
select 'error' as level, c.oid::regclass::text as object, format('%s may %s it', case acl.grantee when 0 then 'everybody' else acl.grantee::regrole::text end, lower(acl.privilege_type)) as message,
  format('revoke all on %s from %s;', c.oid::regclass, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end) as remedy
from pg_class c
cross join lateral aclexplode(c.relacl) as acl
where c.relnamespace = 'app_private'::regnamespace and not c.relispartition and acl.grantee <> c.relowner
