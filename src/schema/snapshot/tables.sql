-- One row a table of app_public and app_private (partitions apart), with all that hangs on it.
select n.nspname as schema, c.relname as name, obj_description(c.oid, 'pg_class') as comment,
  c.relrowsecurity as secured, c.relforcerowsecurity as forced, pg_get_partkeydef(c.oid) as partitioned_by,
  (select json_agg(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
      'default', case when a.attidentity <> '' then 'identity' else pg_get_expr(d.adbin, d.adrelid) end,
      'comment', col_description(c.oid, a.attnum),
      'isKey', exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any (k.conkey)),
      'isReference', exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any (k.conkey)),
      'rights', array(
        select privilege from unnest(array['select', 'insert', 'update']) privilege
        where c.relnamespace = 'app_public'::regnamespace and has_column_privilege('agentflow_user', c.oid, a.attnum, privilege))
    ) order by a.attnum)
   from pg_attribute a
   left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(json_agg(json_build_object('name', k.conname, 'kind', k.contype, 'definition', pg_get_constraintdef(k.oid),
      'target', target.relname, 'columns', array(
        select a.attname from unnest(k.conkey) with ordinality as key (number, place) join pg_attribute a on a.attrelid = c.oid and a.attnum = key.number order by key.place)
    ) order by k.contype, k.conname), '[]')
   from pg_constraint k
   left join pg_class target on target.oid = k.confrelid
   where k.conrelid = c.oid and k.conparentid = 0 and k.contype in ('p', 'u', 'f', 'c', 'x')) as constraints,
  (select coalesce(json_agg(json_build_object('name', x.relname, 'definition', pg_get_indexdef(i.indexrelid)) order by x.relname), '[]')
   from pg_index i
   join pg_class x on x.oid = i.indexrelid
   where i.indrelid = c.oid) as indexes,
  (select coalesce(json_agg(json_build_object('name', p.policyname, 'command', lower(p.cmd), 'roles', array_to_string(p.roles, ', '), 'using', p.qual, 'check', p.with_check)
      order by p.policyname), '[]')
   from pg_policies p
   where p.schemaname = n.nspname and p.tablename = c.relname) as policies,
  (select coalesce(json_agg(json_build_object('name', t.tgname, 'definition', pg_get_triggerdef(t.oid), 'comment', obj_description(t.tgfoid, 'pg_proc')) order by t.tgname), '[]')
   from pg_trigger t
   where t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0) as triggers,
  (select coalesce(json_agg(json_build_object('role', acl.grantee::regrole, 'privilege', lower(acl.privilege_type)) order by acl.grantee::regrole::text, acl.privilege_type), '[]')
   from aclexplode(c.relacl) as acl
   where acl.grantee <> c.relowner) as rights
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('app_public', 'app_private') and c.relkind in ('r', 'p') and not c.relispartition
order by n.nspname desc, c.relname
