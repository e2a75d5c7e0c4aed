-- Write the next migration here; see it run with: agentflow db watch
-- Quotas are asked for where the jobs are added (app_private.demand_quotas).
drop trigger if exists _450_keep_quotas on app_public.executions;
-- undo: create trigger _450_keep_quotas after insert on app_public.executions referencing new table as inserted for each statement when (current_setting('jwt.claims.tenant_id', true) <> '') execute function app_private.keep_quotas();
drop trigger if exists _450_keep_quotas on app_public.flow_executions;
-- undo: create trigger _450_keep_quotas after insert on app_public.flow_executions referencing new table as inserted for each statement when (current_setting('jwt.claims.tenant_id', true) <> '') execute function app_private.keep_quotas();
drop function if exists app_private.keep_quotas();

--!include app_private/functions/is_json_object.sql
--!include app_private/functions/is_metrics.sql
--!include app_private/functions/tenants/demand_quotas.sql
--!include app_private/functions/engine/add_execution_task.sql
--!include app_private/functions/engine/tg_enqueue_executions.sql
--!include app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--!include app_public/functions/execute_workflow.sql
--!include app_private/functions/engine/free_jobs.sql
--!include app_private/functions/engine/notify_executions.sql
--!include app_private/functions/engine/checkpoint_executions.sql
--!include app_private/functions/engine/write_nodes.sql
--!include app_private/functions/audit/uuid_of.sql
--!include app_private/functions/audit/audit_rows.sql
