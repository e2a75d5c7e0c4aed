-- Write the next migration here; see it run with: agentflow db watch

--!include app_private/functions/engine/checkpoint_executions.sql
--!include app_private/functions/flow_engine/checkpoint_flow_executions.sql
