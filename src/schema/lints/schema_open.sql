-- Who may create in a schema that functions name can put something of his own in the way.
select 'error' as level, format('schema %s', n.nspname) as object,
  format('%s may create in it', case acl.grantee when 0 then 'everybody' else acl.grantee::regrole::text end) as message,
  format('revoke create on schema %I from %s;', n.nspname, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end) as remedy
from pg_namespace n
cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as acl
where n.nspname in ('app_public', 'app_private', 'public') and acl.privilege_type = 'CREATE'
  and acl.grantee not in (n.nspowner, 'agentflow_owner'::regrole)
