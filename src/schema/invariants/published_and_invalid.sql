-- What is published is valid, whoever wrote it.
select format('workflow %s', w.id) as object, format('it is published, and %s', app_private.workflow_problems(w.spec, w.tenant_id) -> 'errors' -> 0 ->> 'message') as message
from app_public.workflows w
where w.status = 'published' and jsonb_array_length(app_private.workflow_problems(w.spec, w.tenant_id) -> 'errors') > 0
