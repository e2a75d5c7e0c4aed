-- What a CHECK calls must give the same answer for ever, and be executable for whoever writes.
select distinct 'error' as level, p.oid::regprocedure::text as object,
  case when p.provolatile <> 'i' then format('%s calls it and it is not immutable', k.conname) else format('%s calls it and agentflow_user may not', k.conname) end as message,
  format('Declare it immutable; grant execute on function %s to agentflow_user, agentflow_worker;', p.oid::regprocedure) as remedy
from pg_constraint k
join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = k.oid and d.refclassid = 'pg_proc'::regclass
join pg_proc p on p.oid = d.refobjid
where k.contype = 'c' and p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
  and (p.provolatile <> 'i' or not has_function_privilege('agentflow_user', p.oid, 'execute'))
