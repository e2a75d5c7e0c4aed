--! Previous: sha1:46615766e27b19a9a932389e8d69d0a00f22ec2a
--! Hash: sha1:dcf9251416eadf89fbe2a196f73e58e011517569
--! Message: priorities of flows are checked

-- In a migration of its own: nobody waits while every row is looked at.
alter table app_public.flow_executions validate constraint chk_flow_executions_priority;
