-- A volatile function in a policy runs for every row, whatever is wrapped around it.
select distinct 'error' as level, format('%s on %s', p.polname, p.polrelid::regclass) as object, format('it calls the volatile function %s', f.oid::regprocedure) as message,
  'Declare the function stable, or decide without it.' as remedy
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
join pg_proc f on f.oid = d.refobjid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and f.provolatile = 'v'
