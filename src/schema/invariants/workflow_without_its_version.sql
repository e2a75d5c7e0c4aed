-- Every change of a spec makes a version, and the newest one is what the workflow says.
select format('workflow %s', w.id) as object, format('version %s is missing, or says something else', w.version) as message
from app_public.workflows w
where not exists (
  select from app_public.workflow_versions v
  where v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.version = w.version and v.spec = w.spec)
