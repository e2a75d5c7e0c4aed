-- Policies are for agentflow_user, one command each; agentflow_operator may read within its grants; only the owner has one for everything, and
-- app_private has no other.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object,
  case when schemaname = 'app_private' then 'app_private has policies for its owner only'
    when roles = '{agentflow_operator}' and cmd = 'SELECT' and coalesce(qual, '') !~ '\moperator_tenants\(\)' then 'it does not ask for the grants of the operator'
    when roles <> '{agentflow_user}' then format('it is for %s', array_to_string(roles, ', '))
    when cmd = 'ALL' then 'it is for all commands at once'
    else 'it lets everything through' end as message,
  'Write one policy a command, to agentflow_user, that names the tenant.' as remedy
from pg_policies
where schemaname in ('app_public', 'app_private') and not (roles = '{agentflow_owner}' and policyname = 'owner_all')
  and not (schemaname = 'app_public' and roles = '{agentflow_operator}' and cmd = 'SELECT' and qual ~ '= ANY \(.*\moperator_tenants\(\)')
  and (schemaname = 'app_private' or roles <> '{agentflow_user}' or cmd = 'ALL' or qual = 'true' or with_check = 'true')
