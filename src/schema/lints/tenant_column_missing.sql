-- Every row carries its tenant.
select 'error' as level, c.oid::regclass::text as object, 'it has no column tenant_id that is never null' as message,
  format('alter table %s add column tenant_id uuid not null references app_public.tenants (id) on delete cascade;', c.oid::regclass) as remedy
from pg_class c
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'tenants'
  and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull and not a.attisdropped)
