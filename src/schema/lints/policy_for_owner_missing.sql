-- Forced row security binds the owner too: without its policy, definer functions and audit triggers see nothing.
select 'error' as level, c.oid::regclass::text as object, 'the owner has no policy here' as message,
  format('create policy owner_all on %s to agentflow_owner using (true) with check (true);', c.oid::regclass) as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p')
  and not exists (
    select from pg_policies p
    where p.schemaname::regnamespace = c.relnamespace and p.tablename = c.relname and p.policyname = 'owner_all'
      and p.roles = '{agentflow_owner}' and p.cmd = 'ALL' and p.qual = 'true' and p.with_check = 'true')
