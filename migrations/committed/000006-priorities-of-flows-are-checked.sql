--! Previous: sha1:4e36f382c93299ea470f0c5d97d1c7356ffcbf1c
--! Hash: sha1:2242868f3517213c4f819e586e399f52f1893467
--! Message: priorities of flows are checked

-- In a migration of its own: nobody waits while every row is looked at.
alter table app_public.flow_executions validate constraint chk_flow_executions_priority;
