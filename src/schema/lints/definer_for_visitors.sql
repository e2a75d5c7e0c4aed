-- Who is not signed in should not lend the owner's rights: each such function is looked at one by one.
select 'warning' as level, p.oid::regprocedure::text as object, 'it runs with the owner''s rights for everybody who is not signed in' as message,
  format('revoke execute on function %s from agentflow_visitor;', p.oid::regprocedure) as remedy
from pg_proc p
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and p.prosecdef and has_function_privilege('agentflow_visitor', p.oid, 'execute')
