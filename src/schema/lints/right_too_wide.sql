-- Only agentflow_user has rights on tables: SELECT, and INSERT and UPDATE of named columns; agentflow_operator may SELECT. Deleting is a function.
-- Nobody may hand a right on, and sequences, which count every tenant's rows, are nobody's.
with rights as (
  select c.oid, c.relkind, null::name as col, acl.grantee, acl.privilege_type, acl.is_grantable
  from pg_class c cross join lateral aclexplode(c.relacl) as acl
  where c.relnamespace = 'app_public'::regnamespace and not c.relispartition and acl.grantee <> c.relowner
  union all
  select c.oid, c.relkind, a.attname, acl.grantee, acl.privilege_type, acl.is_grantable
  from pg_class c join pg_attribute a on a.attrelid = c.oid cross join lateral aclexplode(a.attacl) as acl
  where c.relnamespace = 'app_public'::regnamespace and not c.relispartition and acl.grantee <> c.relowner
)
select 'error' as level, concat_ws('.', oid::regclass, col) as object,
  format('%s may %s%s', case grantee when 0 then 'everybody' else grantee::regrole::text end, lower(privilege_type), case when is_grantable then ', and hand it on' else '' end) as message,
  case when privilege_type in ('INSERT', 'UPDATE') and grantee = 'agentflow_user'::regrole and not is_grantable then format('grant %s (columns) on %s to agentflow_user;', lower(privilege_type), oid::regclass)
    else format('revoke %s%s on %s from %s;', lower(privilege_type), ' (' || col || ')', oid::regclass, case grantee when 0 then 'public' else grantee::regrole::text end) end as remedy
from rights
where is_grantable or relkind = 'S'
  or not (privilege_type = 'SELECT' and grantee in ('agentflow_user'::regrole, 'agentflow_operator'::regrole)
    or col is not null and privilege_type in ('INSERT', 'UPDATE') and grantee = 'agentflow_user'::regrole)
