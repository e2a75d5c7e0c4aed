-- Write the next migration here; see it run with: agentflow db watch

-- flows: priorities, as executions have them; the CHECK is validated in a migration of its own
-- undo: alter table app_public.flow_executions drop column priority
alter table app_public.flow_executions add column if not exists priority smallint not null default 0;
alter table app_public.flow_executions drop constraint if exists chk_flow_executions_priority;
alter table app_public.flow_executions add constraint chk_flow_executions_priority check (priority between -10 and 10) not valid;
-- undo: drop type app_public.flow_start_by_priority
do $$ begin
  if to_regtype('app_public.flow_start_by_priority') is null then
    create type app_public.flow_start_by_priority as (flow_id text, input_context jsonb, idempotency_key text, priority integer);
  end if;
end $$;
-- undo: alter table app_private.execution_leases drop column on_trial
alter table app_private.execution_leases add column if not exists on_trial boolean not null default false;
-- undo: drop function app_private.begin_trial(uuid, uuid, integer)
-- undo: drop function app_private.give_up_claim(uuid, uuid, integer, text, text), and the text of give_up_execution.sql before
drop function if exists app_private.give_up_execution(uuid);
drop function if exists app_private.demand_priority(integer);
drop function if exists app_private.flow_start_problems(app_public.flow_start[], boolean);
drop function if exists app_public.execute_flow(text, jsonb, text);

--!include app_private/functions/audit/audit_context.sql
--!include app_private/functions/audit/audit_rows.sql
--!include app_private/functions/audit/audit_executions.sql
--!include app_private/functions/audit/audit_erased_executions.sql
--!include app_private/functions/audit/audit_flow_executions.sql
--!include app_private/functions/engine/checkpoint_executions.sql
--!include app_private/functions/flow_engine/checkpoint_flow_executions.sql
--!include app_private/functions/engine/free_leases.sql
--!include app_private/functions/engine/begin_trial.sql
--!include app_private/functions/engine/release_executions.sql
--!include app_private/functions/engine/record_fault.sql
--!include app_private/functions/engine/give_up_execution.sql
--!include app_private/functions/engine/give_up_claim.sql
--!include app_private/functions/priority_problem.sql
--!include app_private/functions/demand_priority.sql
--!include app_private/functions/start_problems.sql
--!include app_public/functions/execute_workflow.sql
--!include app_private/functions/flows/flow_start_problems.sql
--!include app_public/functions/execute_flow.sql
--!include app_public/functions/execute_flows_by_priority.sql
--!include app_public/functions/execute_flows.sql
--!include app_private/functions/flow_engine/tg_enqueue_flow_executions.sql
--!include comments/flow_executions.sql
