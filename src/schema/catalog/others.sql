-- Kinds that we do not use: should one appear, at least its name is compared.
select (pg_identify_object(o.classid, o.objid, 0)).type as kind, (pg_identify_object(o.classid, o.objid, 0)).identity as name, 0 as place, 'is there' as text
from (
  select 'pg_operator'::regclass as classid, oid as objid, oprnamespace as namespace from pg_operator
  union all select 'pg_opclass'::regclass, oid, opcnamespace from pg_opclass
  union all select 'pg_opfamily'::regclass, oid, opfnamespace from pg_opfamily
  union all select 'pg_collation'::regclass, oid, collnamespace from pg_collation
  union all select 'pg_conversion'::regclass, oid, connamespace from pg_conversion
  union all select 'pg_ts_config'::regclass, oid, cfgnamespace from pg_ts_config
  union all select 'pg_ts_dict'::regclass, oid, dictnamespace from pg_ts_dict
  union all select 'pg_statistic_ext'::regclass, oid, stxnamespace from pg_statistic_ext
) o
join pg_namespace n on n.oid = o.namespace
where n.nspname = any ($1)
  and not exists (select from pg_depend d where d.classid = o.classid and d.objid = o.objid and d.deptype = 'e')
union all
select 'extension', e.extname, 0, format('in %I', n.nspname)
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where e.extname <> 'plpgsql'
union all
select 'publication', p.pubname, 0, concat_ws(', ', case when p.puballtables then 'all tables' end,
  (select 'of ' || string_agg(r.prrelid::regclass::text, ', ' order by r.prrelid::regclass::text) from pg_publication_rel r where r.prpubid = p.oid), 'owner ' || pg_get_userbyid(p.pubowner))
from pg_publication p
where pg_get_userbyid(p.pubowner) like 'agentflow\_%'
