-- What new objects get without being asked, and what the database itself is set to.
select 'default privileges' as kind,
  format('%s of %s%s', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end,
    pg_get_userbyid(d.defaclrole), coalesce(' in ' || n.nspname, '')) as name,
  0 as place,
  coalesce(format('grant %s to %s', lower(a.privilege_type), case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end), 'nothing to anybody') as text
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
left join lateral aclexplode(d.defaclacl) a on true
where pg_get_userbyid(d.defaclrole) like 'agentflow\_%' and (n.nspname is null or n.nspname = any ($1))
union all
select 'setting', 'search_path of the database', 0, setting
from pg_db_role_setting s
join pg_database d on d.oid = s.setdatabase
cross join lateral unnest(s.setconfig) setting
where d.datname = current_database() and s.setrole = 0 and setting like 'search_path=%'
union all
select 'setting', format('%s of %s in the database', split_part(setting, '=', 1), r.rolname), 0, setting
from pg_db_role_setting s
join pg_database d on d.oid = s.setdatabase
join pg_roles r on r.oid = s.setrole
cross join lateral unnest(s.setconfig) setting
where d.datname = current_database() and r.rolname like 'agentflow\_%'
