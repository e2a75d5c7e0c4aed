--! Previous: sha1:bf8e27ff278d5c2f57247b017d00cd68d8bdef74
--! Hash: sha1:6b54dcccef2004869ee7870f679aac00a0c2eb12
--! Message: priorities are checked

-- In a migration of its own: nobody waits while every row is looked at.
alter table app_public.executions validate constraint chk_executions_priority;
