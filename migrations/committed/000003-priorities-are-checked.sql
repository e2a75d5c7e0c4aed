--! Previous: sha1:2fbcd287be014993e3b462397f4233ec55b40c75
--! Hash: sha1:32ad76be270869c81d6c87267bfc2db9fb6d2dc6
--! Message: priorities are checked

-- In a migration of its own: nobody waits while every row is looked at.
alter table app_public.executions validate constraint chk_executions_priority;
