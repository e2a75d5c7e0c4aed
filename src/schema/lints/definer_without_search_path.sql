-- With a caller's search_path, whoever can make a temporary table runs his own code with the owner's rights.
select 'error' as level, p.oid::regprocedure::text as object, 'it runs with the owner''s rights and the caller''s search_path' as message,
  format('alter function %s set search_path = pg_catalog, pg_temp;', p.oid::regprocedure) as remedy
from pg_proc p
where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and p.prosecdef
  and not exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*pg_temp$')
