-- A key that leaves the tenant out lets one tenant point at another's row, and learn that it is there.
select 'error' as level, format('%s on %s', k.conname, k.conrelid::regclass) as object, 'this reference does not carry the tenant' as message,
  format('foreign key (tenant_id, ...) references %s (tenant_id, id)', k.confrelid::regclass) as remedy
from pg_constraint k
join pg_class target on target.oid = k.confrelid
where k.contype = 'f' and k.conparentid = 0 and k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
  and target.oid <> 'app_public.tenants'::regclass
  and exists (select from pg_attribute a where a.attrelid = target.oid and a.attname = 'tenant_id')
  and not exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and a.attname = 'tenant_id')
