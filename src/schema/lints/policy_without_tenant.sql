-- A policy begins with the tenant and narrows it by AND: with an OR beside it, other tenants' rows are shown by whatever it says, and with
-- nothing of the kind it is left to the policies of other tables.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object, 'it does not begin with the tenant, or an OR stands beside it' as message,
  'Begin with: tenant_id = (select app_private.tenant_if_may(''...'')) and ..., or with current_tenant_id() where no right is needed.' as remedy
from pg_policies
cross join lateral (select format('%s = \( SELECT (app_public\.current_tenant_id\(\) AS current_tenant_id|app_private\.tenant_if_may\(''[a-z:]+''::text\) AS tenant_if_may)\)\)', case tablename when 'tenants' then 'id' else 'tenant_id' end) as text) tenant
where schemaname = 'app_public' and permissive = 'PERMISSIVE' and policyname <> 'owner_all'
  and not (roles = '{agentflow_operator}' and cmd = 'SELECT' and qual ~ '\moperator_tenants\(\)')
  and exists (select from unnest(array[qual, with_check]) as said where said is not null and said !~ format('^(\(%1$s$|\(\(%1$s AND )', tenant.text))
