-- What every policy stands on: the roles that clients act as can bypass nothing, make nobody, and be nobody else.
select 'error' as level, format('role %s', rolname) as object,
  format('it has %s', concat_ws(', ', case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypassrls' end, case when rolcreaterole then 'createrole' end,
    case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end, case when rolcanlogin then 'login' end)) as message,
  format('alter role %I nosuperuser nobypassrls nocreaterole nocreatedb noreplication nologin;', rolname) as remedy
from pg_roles
where rolname in ('agentflow_visitor', 'agentflow_user', 'agentflow_operator') and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolcanlogin)
union all
select 'error', format('role %s', m.rolname), format('it is a member of %s', r.rolname), format('revoke %I from %I;', r.rolname, m.rolname)
from pg_auth_members a
join pg_roles r on r.oid = a.roleid
join pg_roles m on m.oid = a.member
where m.rolname in ('agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_worker')
  or (m.rolname = 'agentflow_authenticator' and r.rolname not in ('agentflow_visitor', 'agentflow_user', 'agentflow_operator'))
