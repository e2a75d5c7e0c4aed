--! Previous: sha1:770ef0f362098d00e40e734a25d6ff983a00b001
--! Hash: sha1:b3a6f6745adf3d78c73e04dfb2b534a9a0a3e0d0
--! Message: priorities of flows are checked

-- In a migration of its own: nobody waits while every row is looked at.
alter table app_public.flow_executions validate constraint chk_flow_executions_priority;
