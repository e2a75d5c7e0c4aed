-- Tenant, owner, identity, history and hashes are filled by triggers and functions.
select 'error' as level, format('%s.%s', c.oid::regclass, a.attname) as object, 'agentflow_user may write it' as message,
  format('revoke insert (%2$I), update (%2$I) on %1$s from agentflow_user;', c.oid::regclass, a.attname) as remedy
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p', 'v')
  and a.attname in ('tenant_id', 'user_id', 'created_at', 'updated_at', 'deleted_at', 'created_by', 'updated_by', 'deleted_by', 'password_hash', 'key_hash')
  and (has_column_privilege('agentflow_user', c.oid, a.attnum, 'insert') or has_column_privilege('agentflow_user', c.oid, a.attnum, 'update'))
