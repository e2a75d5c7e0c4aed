-- What lies outside of app_public and app_private is looked at by no other lint, by no proof, and by nobody.
with ours as (select oid from pg_roles where rolname in ('agentflow_owner', 'agentflow_authenticator', 'agentflow_visitor', 'agentflow_user', 'agentflow_operator')),
  elsewhere as (
    select oid, nspname, nspowner, nspacl from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('app_public', 'app_private', 'graphile_worker', 'graphile_migrate', 'information_schema'))
select 'error' as level, format('schema %I', nspname) as object, 'tables of AgentFlow live in app_public and app_private, and no other schema is watched' as message,
  'Put what it holds into app_private, and drop it.' as remedy
from elsewhere where nspowner in (select oid from ours) and nspname <> 'public'
union all
select 'error', c.oid::regclass::text, 'it lies outside of app_public and app_private', format('alter table %s set schema app_private;', c.oid::regclass)
from pg_class c join elsewhere n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and (c.relowner in (select oid from ours)
  or exists (select from unnest(array['agentflow_visitor', 'agentflow_user', 'agentflow_operator']) role where n.nspname <> 'public' and c.relkind <> 'S' and has_any_column_privilege(role, c.oid, 'select')))
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'a', 'i'))
union all
select 'error', p.oid::regprocedure::text, 'it lies outside of app_public and app_private', format('alter routine %s set schema app_private;', p.oid::regprocedure)
from pg_proc p join elsewhere n on n.oid = p.pronamespace
where p.proowner in (select oid from ours) and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
