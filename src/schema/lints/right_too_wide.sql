-- Only agentflow_user has rights on tables: SELECT, and INSERT and UPDATE of named columns; agentflow_operator may SELECT. Deleting is a function.
select 'error' as level, c.oid::regclass::text as object,
  format('%s may %s', case acl.grantee when 0 then 'everybody' else acl.grantee::regrole::text end, lower(acl.privilege_type)) as message,
  case when acl.privilege_type in ('INSERT', 'UPDATE') then format('grant %s (columns) on %s to agentflow_user;', lower(acl.privilege_type), c.oid::regclass)
    else format('revoke %s on %s from %s;', lower(acl.privilege_type), c.oid::regclass, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end) end as remedy
from pg_class c
cross join lateral aclexplode(c.relacl) as acl
where c.relnamespace = 'app_public'::regnamespace and not c.relispartition and acl.grantee <> c.relowner
  and not (acl.grantee in ('agentflow_user'::regrole, 'agentflow_operator'::regrole) and acl.privilege_type = 'SELECT')
