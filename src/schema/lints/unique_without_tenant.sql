-- A unique key, or an exclusion, over all tenants tells one tenant what another has. Keys of random values tell nothing.
select 'error' as level, i.indexrelid::regclass::text as object, format('unique over all tenants: %s', pg_get_indexdef(i.indexrelid)) as message,
  'Begin the key with tenant_id.' as remedy
from pg_index i
join pg_class c on c.oid = i.indrelid
where c.relnamespace = 'app_public'::regnamespace and (i.indisunique or i.indisexclusion) and not c.relispartition
  and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')
  and not exists (
    select from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum = any (i.indkey)
      and (a.attname in ('tenant_id', 'execution_id') or a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) = 'gen_random_uuid()'))
