-- Write the next migration here; see it run with: agentflow db watch

-- flows: bulk start; a run is written when it ends
-- undo: drop type app_public.flow_start
do $$ begin
  if to_regtype('app_public.flow_start') is null then
    create type app_public.flow_start as (flow_id text, input_context jsonb, idempotency_key text);
  end if;
end $$;
drop function if exists app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json);
drop function if exists app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json);
drop function if exists app_private.write_tasks(uuid, json);

-- executions: priorities, and tenants with long queues
-- undo: alter table app_public.executions drop column priority
alter table app_public.executions add column if not exists priority smallint not null default 0;
alter table app_public.executions drop constraint if exists chk_executions_priority;
alter table app_public.executions add constraint chk_executions_priority check (priority between -10 and 10) not valid;
-- undo: alter type app_public.workflow_start drop attribute priority
do $$ begin
  if not exists (select from pg_attribute where attrelid = 'app_public.workflow_start'::regclass and attname = 'priority' and not attisdropped) then
    alter type app_public.workflow_start add attribute priority integer;
  end if;
end $$;
-- undo: drop table app_private.long_queues
create table if not exists app_private.long_queues (
  tenant_id uuid primary key,
  since timestamptz not null default now(),
  constraint fk_long_queues_tenant_id foreign key (tenant_id) references app_public.tenants (id) on delete cascade
);
drop function if exists app_public.execute_workflow(uuid, jsonb, text);

-- pictures count for the storage of their tenant
drop function if exists app_private.demand_storage(uuid, numeric);

-- leases: one index less to write; who looks for those of a worker, every few seconds, reads the small table
-- undo: create index idx_execution_leases_worker_id on app_private.execution_leases (worker_id)
-- the table holds what is in flight, and nothing else: nobody waits long
-- squawk-ignore require-concurrent-index-deletion
drop index if exists app_private.idx_execution_leases_worker_id;
drop function if exists app_private.write_nodes(uuid, uuid[], json);

--!include app_private/functions/fail_starts.sql
--!include app_private/functions/flow_engine/claim_flows.sql
--!include app_private/functions/flow_engine/claim_flow_executions.sql
--!include app_private/functions/flow_engine/write_tasks.sql
--!include app_private/functions/flow_engine/checkpoint_flow_executions.sql
--!include app_private/functions/flow_engine/release_flow_executions.sql
--!include app_private/functions/flow_engine/finish_flow_executions.sql
--!include app_private/functions/flows/told_context.sql
--!include app_private/functions/flows/flow_start_problems.sql
--!include app_public/functions/execute_flow.sql
--!include app_public/functions/execute_flows.sql
--!include triggers/flow_executions.sql
--!include policies/long_queues.sql
--!include comments/long_queues.sql
--!include app_private/functions/engine/start_priority.sql
--!include app_private/functions/engine/tg_enqueue_executions.sql
--!include app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--!include app_private/functions/engine/longest_waiting.sql
--!include app_private/functions/engine/share_turns.sql
--!include app_private/functions/start_problems.sql
--!include app_private/functions/demand_priority.sql
--!include app_public/functions/execute_workflow.sql
--!include app_public/functions/execute_workflows.sql
--!include comments/executions.sql
--!include app_public/functions/copy_workflow.sql
--!include app_private/functions/tenants/demand_storage.sql
--!include app_private/functions/engine/save_artifact.sql
--!include app_private/functions/engine/claim_executions.sql
--!include app_private/functions/engine/write_nodes.sql
--!include app_private/functions/engine/checkpoint_executions.sql
--!include app_private/functions/engine/finish_executions.sql
--!include app_private/functions/identity/origin_name.sql
--!include app_private/functions/identity/begin_sign_in.sql
--!include app_private/functions/identity/open_session.sql
--!include app_private/functions/tenants/create_tenant.sql
--!include app_private/functions/server/operating_figures.sql
--!include app_private/functions/audit/redact_hashes.sql
--!include app_private/functions/audit/redact_row.sql
--!include app_private/functions/audit/audit_rows.sql
--!include app_private/functions/is_permissions.sql
--!include app_public/functions/save_secret.sql
