/** Flows beside the executions: three tasks, each kept before the next begins. */
import type pg from 'pg';
import { sampleTenant, sampleUser } from '../support/executions.ts';
import { persistently } from './asking.ts';

const flowId = 'chaos';
const tasks = ['chaos_1', 'chaos_2', 'chaos_3'];
const taskMs = 150;

/** The workers answer for these tasks from scripts. */
export const taskPattern = '^chaos_';

export async function acceptFlows(owner: pg.Pool, count: number): Promise<void> {
  const definition = {
    id: flowId, name: flowId, start_task: tasks[0], tasks: tasks.map((name) => ({ name })),
    conditions: tasks.slice(1).map((to, index) => ({ name: to, source_task: tasks[index], outcome: 'success', target_task_success: to, target_task_failure: 'end' })),
  };
  await owner.query(`insert into flows (tenant_id, id, name, start_task, definition) values ($1, $2, $2, $3, $4) on conflict (tenant_id, id) do nothing`, [sampleTenant, flowId, tasks[0], definition]);
  await owner.query(`
    with made as (
      insert into flow_executions (tenant_id, user_id, flow_id, definition, input_context)
      select $1, $2, $3, $4, jsonb_build_object('n', n) from generate_series(1, $5::int) as n returning id, tenant_id)
    insert into app_private.flow_scripts (flow_execution_id, tenant_id, script) select id, tenant_id, $6 from made`,
  [sampleTenant, sampleUser, flowId, definition, count, Object.fromEntries(tasks.map((name) => [name, { delay_ms: taskMs, data: name }]))]);
}

export async function flowsLeft(owner: pg.Pool): Promise<number> {
  const [row] = await persistently<{ left: number }>(owner, 'select count(*)::int as left from flow_executions where flow_id = $1 and completed_at is null', [flowId]);
  return row!.left;
}

/** What is wrong with flows, once all are over. */
export async function judgeFlows(owner: pg.Pool): Promise<string[]> {
  const [row] = await persistently<Record<'wrong' | 'rows' | 'leases', number>>(owner, `
    with mine as materialized (select * from flow_executions where flow_id = $1)
    select count(*) filter (where status <> 'COMPLETED' or total_tasks_executed <> cardinality($2::text[]) or not output_data ?& $2)::int as wrong,
      count(*) filter (where $2::text[] is distinct from (
        select array_agg(task.task_name::text order by task.sequence_number) from task_executions as task
         where task.tenant_id = mine.tenant_id and task.flow_execution_id = mine.id and task.status = 'SUCCESS' and task.output_data = to_jsonb(task.task_name)))::int as rows,
      (select count(*) from app_private.execution_leases as lease where lease.execution_id in (select app_private.flow_run_id(mine.id) from mine))::int as leases
      from mine`, [flowId, tasks]);
  return [
    row!.wrong > 0 ? `${row!.wrong} flows did not complete with all of their results` : null,
    row!.rows > 0 ? `${row!.rows} flows have more or fewer tasks than their definition` : null,
    row!.leases > 0 ? `${row!.leases} flows that are over are still leased` : null,
  ].filter((problem) => problem !== null);
}
