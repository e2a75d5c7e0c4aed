-- A policy that never mentions the tenant shows every tenant's rows, or leaves it to the policies of other tables.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object, 'it does not compare the tenant' as message,
  'Begin with: tenant_id = (select app_public.current_tenant_id())' as remedy
from pg_policies
where schemaname = 'app_public' and policyname <> 'owner_all' and not (roles = '{agentflow_operator}' and cmd = 'SELECT' and qual ~ '\moperator_tenants\(\)')
  and ((qual is not null and qual !~ '\mcurrent_tenant_id\(\)') or (with_check is not null and with_check !~ '\mcurrent_tenant_id\(\)'))
