-- "no tenant, or the right one" shows everything to whoever is not signed in; so does an OR that is always true.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object, 'it lets somebody through whose tenant is not compared' as message,
  'Compare the tenant by =, which nothing is equal to while there is none, and join the rest by AND.' as remedy
from pg_policies
cross join lateral (select regexp_replace(concat_ws(' ; ', qual, with_check), '\s+', ' ', 'g') as text) said
where schemaname in ('app_public', 'app_private') and policyname <> 'owner_all'
  and (text ~ '((current_tenant_id|tenant_if_may)\([^()]*\)( AS \w+)?\)* IS NULL|IS DISTINCT FROM .*(current_tenant_id|tenant_if_may)\()' or text ~* '\mor \(?(true\M|\(?1 = 1)' or text ~* '(^|\()true OR\M')
