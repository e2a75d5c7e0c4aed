-- Write the next migration here; see it run with: agentflow db watch

-- undo: the texts of audited_id.sql and audited_key.sql
drop function if exists app_private.audited_key(jsonb);
drop function if exists app_private.audited_id(jsonb);

alter table app_private.long_queues add column if not exists empty_since timestamptz;
-- undo: alter table app_private.long_queues drop column empty_since

--!include app_private/functions/flow_engine/flow_id_of_run.sql
--!include app_private/functions/engine/longest_waiting.sql
--!include app_private/functions/engine/start_priority.sql
--!include app_private/functions/engine/tg_enqueue_executions.sql
--!include app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--!include app_private/functions/flow_engine/claim_flows.sql
--!include app_private/functions/engine/free_jobs.sql
--!include app_private/functions/engine/requeue_orphans.sql
--!include app_private/functions/engine/share_turns.sql
--!include app_private/functions/engine/take_jobs.sql
--!include app_private/functions/engine/take_executions.sql
--!include app_private/functions/engine/forget_leases.sql
--!include app_private/functions/registered_errors.sql
--!include app_private/functions/validation/is_email.sql
--!include app_public/functions/create_user.sql
--!include app_private/functions/tenants/create_tenant.sql
--!include app_private/functions/tenants/erase_tenant.sql
--!include app_public/functions/create_api_key.sql
--!include app_public/functions/revoke_api_key.sql
--!include app_public/functions/current_tenant_id.sql
--!include app_public/functions/current_user_id.sql
--!include app_private/functions/roles_with.sql
--!include app_private/functions/key_may.sql
--!include app_private/functions/may.sql
--!include app_private/functions/may_restore.sql
--!include app_private/functions/tenant_if_may.sql
--!include app_private/functions/current_api_key_id.sql
--!include app_private/functions/tenant_tables/secure_tenant_table.sql
--!include policies/access_links.sql
--!include policies/api_keys.sql
--!include policies/audit_logs.sql
--!include policies/executions.sql
--!include policies/flow_executions.sql
--!include policies/flow_versions.sql
--!include policies/flows.sql
--!include policies/node_executions.sql
--!include policies/sources.sql
--!include policies/task_executions.sql
--!include policies/tenants.sql
--!include policies/users.sql
--!include policies/workflow_versions.sql
--!include policies/workflows.sql
--!include comments/long_queues.sql
--!include app_private/functions/engine/claim_executions.sql
--!include app_public/functions/execute_workflows.sql
--!include app_private/functions/audit/names_secrets.sql
--!include app_private/functions/audit/redact_row.sql
--!include app_private/functions/audit/audit_context.sql
--!include app_private/functions/audit/audit_action.sql
--!include app_private/functions/audit/uuid_of.sql
--!include app_private/functions/audit/audit_rows.sql
--!include app_private/functions/audit/audit_executions.sql
--!include app_private/functions/audit/audit_erased_executions.sql
--!include app_private/functions/audit/audit_flow_executions.sql
--!include app_private/functions/engine/finish_executions.sql
--!include app_private/functions/engine/checkpoint_executions.sql
--!include app_private/functions/engine/release_executions.sql

-- Behind all that concerns tables which the engine locks first: whoever holds those and waits for these would be waited for.
-- ids and hashes are as good as random: trying to compress them is a tenth of sealing, for nothing
-- undo: alter table app_private.audit_seals alter column row_ids set storage extended, alter column row_hashes set storage extended
alter table app_private.audit_seals alter column row_ids set storage external, alter column row_hashes set storage external;

-- leases: one index less to write; who asks for one names its execution, and who resumes a tenant reads the small table
-- undo: create index idx_execution_leases_tenant_id on app_private.execution_leases (tenant_id, execution_id)
-- the table holds what is in flight, and nothing else: nobody waits long
-- squawk-ignore require-concurrent-index-deletion
drop index if exists app_private.idx_execution_leases_tenant_id;
