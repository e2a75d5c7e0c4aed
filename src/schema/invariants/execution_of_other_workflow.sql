-- An execution runs a version of its own workflow.
select format('execution %s', e.id) as object, 'it pins a version of another workflow' as message
from app_public.executions e
join app_public.workflow_versions v on v.tenant_id = e.tenant_id and v.id = e.workflow_version_id
where v.workflow_id <> e.workflow_id
