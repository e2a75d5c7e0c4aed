-- Write the next migration here; see it run with: agentflow db watch

-- flows: bulk start; a run is written when it ends
-- undo: drop type app_public.flow_start
do $$ begin
  if to_regtype('app_public.flow_start') is null then
    create type app_public.flow_start as (flow_id text, input_context jsonb, idempotency_key text);
  end if;
end $$;
drop function if exists app_private.claim_flow_executions(uuid, uuid[]);
drop function if exists app_private.checkpoint_flow_executions(uuid, uuid[], integer[], json);
drop function if exists app_private.release_flow_executions(uuid, uuid[], integer[], timestamptz[], json);

--!include app_private/functions/fail_starts.sql
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
