-- Takes 000006 back: the constraint is as new as it was, and not validated.
alter table app_public.flow_executions drop constraint chk_flow_executions_priority;
alter table app_public.flow_executions add constraint chk_flow_executions_priority check (priority between -10 and 10) not valid;
comment on constraint chk_flow_executions_priority on app_public.flow_executions is 'A priority is a whole number from -10 to 10.';
