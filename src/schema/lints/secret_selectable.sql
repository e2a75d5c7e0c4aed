-- Hiding a field from the API does not protect its column: a right that is not given does.
select 'error' as level, format('%s.%s', c.oid::regclass, a.attname) as object, format('%s may read it, and its name says that it is a secret', role) as message,
  'Grant select on the other columns only.' as remedy
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
cross join unnest(array['agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_worker', 'agentflow_authenticator']) as role
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
  and a.attname ~ '(^|_)(password|passwd|secret|token|hash|traceback|private_key|credentials?|ciphertext|nonce)(_|$)'
  and has_column_privilege(role, c.oid, a.attnum, 'select')
