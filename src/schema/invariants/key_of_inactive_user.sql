-- Disabling or deleting a user revokes the keys.
select format('API key %s', k.id) as object, format('it is active, and its user is %s', u.status) as message
from app_public.api_keys k
join app_public.users u on u.tenant_id = k.tenant_id and u.id = k.user_id
where k.status = 'active' and u.status <> 'active'
