-- Every query is a tenant's: without such an index each one reads all tenants' rows.
select 'error' as level, c.oid::regclass::text as object, 'no index begins with tenant_id' as message,
  format('create index idx_%s_tenant_id on %s (tenant_id);', c.relname, c.oid::regclass) as remedy
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p') and not c.relispartition
  and not exists (select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indpred is null and i.indisvalid)
