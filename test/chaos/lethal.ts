/** Executions and flows that kill the process of every worker that runs them: each may do so fourteen times, and no execution beside it may be given up with it. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mostLosses } from '../../src/runtime/suspects.ts';
import { insertWorkflow, sampleTenant, sampleUser } from '../support/executions.ts';
import { persistently } from './asking.ts';
import { ways } from './lethal/nodes/lethal.ts';
import { accept, type Scene } from './scene.ts';

export const lethalScript = path.resolve(import.meta.dirname, 'lethal/worker-process.ts');

const flowId = 'lethal';
const deadlineSeconds = 300;

/** `ofEach`: executions that kill in each way, and flows. Returns how many workers died. */
export async function lethal(scene: Scene, ofEach: number): Promise<number> {
  const { owner, workers, problems } = scene;
  const ids: string[] = [];
  for (const way of ways) {
    const { id } = await insertWorkflow(owner, { nodes: [{ id: 'only', type: 'lethal', metadata: { way } }], edges: [], start_node: 'only' });
    await accept(owner, id, ofEach, 0, 10);
    ids.push(id);
  }
  await acceptLethalFlows(scene, ofEach);
  const count = ofEach * (ways.length + 1);
  for (const deadline = performance.now() + deadlineSeconds * 1_000; ;) {
    const [row] = await persistently<{ open: number; wrong: number; said: string | null }>(owner, `
      select count(*) filter (where completed_at is null)::int as open, count(*) filter (where completed_at is not null and error_code is distinct from 'WORKER_LOST')::int as wrong,
        string_agg(distinct error_code, ', ') as said
        from (select completed_at, error_code from executions where workflow_id = any ($1::uuid[]) union all select completed_at, error_code from flow_executions where flow_id = $2) as run`, [ids, flowId]);
    if (row!.open > 0 && performance.now() < deadline) {
      await sleep(500);
      continue;
    }
    if (row!.open > 0) problems.push(`${row!.open} executions that kill their workers were not given up`);
    if (row!.wrong > 0) problems.push(`${row!.wrong} executions that kill their workers ended without saying so (${row!.said})`);
    break;
  }
  if (workers.deaths > count * mostLosses) problems.push(`${workers.deaths} workers died of ${count} executions`);
  return workers.deaths;
}

async function acceptLethalFlows({ owner }: Scene, count: number): Promise<void> {
  const definition = { id: flowId, name: flowId, start_task: 'lethal', tasks: [{ name: 'lethal' }], conditions: [] };
  await owner.query('insert into flows (tenant_id, id, name, start_task, definition) values ($1, $2, $2, $3, $4)', [sampleTenant, flowId, 'lethal', definition]);
  await owner.query(`insert into flow_executions (tenant_id, user_id, flow_id, definition, input_context) select $1, $2, $3, $4, '{}' from generate_series(1, $5::int)`,
    [sampleTenant, sampleUser, flowId, definition, count]);
}
