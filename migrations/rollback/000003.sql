alter table app_public.executions drop constraint chk_executions_priority;
alter table app_public.executions add constraint chk_executions_priority check (priority between -10 and 10) not valid;
comment on constraint chk_executions_priority on app_public.executions is 'A priority is a whole number from -10 to 10.';
