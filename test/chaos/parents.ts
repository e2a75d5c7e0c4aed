/** Executions beside the others whose one node waits for a child while another waits for a moment: what comes of a wait that is held in memory. */
import type pg from 'pg';
import { insertWorkflow, sampleTenant, sampleUser } from '../support/executions.ts';
import { persistently } from './asking.ts';

/** Shorter than what a worker gives an execution back for. */
const momentSeconds = 0.8;

/** Gives the id of their workflow. */
export async function acceptParents(owner: pg.Pool, count: number): Promise<string> {
  const child = await insertWorkflow(owner, { nodes: [{ id: 'input', type: 'input' }], edges: [], queues: [], sources: [], start_node: 'input' });
  const beside = ['child', 'moment'];
  const parent = await insertWorkflow(owner, {
    nodes: [
      { id: 'input', type: 'input' }, { id: 'child', type: 'workflow', metadata: { workflow_id: child.id, output_key: 'child' } }, { id: 'moment', type: 'delay', metadata: { seconds: momentSeconds } },
      { id: 'last', type: 'aggregator', metadata: { source_keys: ['child'], include_metadata: false } },
    ],
    edges: beside.flatMap((id) => [{ from: 'input', to: id }, { from: id, to: 'last' }]),
    queues: [], sources: [], start_node: 'input',
  });
  // As tests: those may run a child that is not published.
  await owner.query(`
    insert into executions (workflow_id, workflow_version_id, tenant_id, user_id, initial_state, is_test)
    select $1, version.id, $2, $3, jsonb_build_object('user_input', 'parent ' || n), true from workflow_versions as version, generate_series(1, $4::int) as n
     where version.workflow_id = $1`, [parent.id, sampleTenant, sampleUser, count]);
  return parent.id;
}

/** Parents that are not over; children end before them. */
export async function parentsLeft(owner: pg.Pool, workflowId: string): Promise<number> {
  const [row] = await persistently<{ left: number }>(owner, 'select count(*)::int as left from executions where workflow_id = $1 and completed_at is null', [workflowId]);
  return row!.left;
}

/** What is wrong with them, once all are over. */
export async function judgeParents(owner: pg.Pool, workflowId: string): Promise<string[]> {
  const [row] = await persistently<Record<'wrong' | 'children' | 'nodes', number>>(owner, `
    with mine as materialized (select * from executions where workflow_id = $1)
    select count(*) filter (where status <> 'completed' or not final_state ? 'child')::int as wrong,
      count(*) filter (where 1 <> (
        select count(*) filter (where child.status = 'completed') from executions as child where child.tenant_id = mine.tenant_id and child.parent_execution_id = mine.id))::int as children,
      count(*) filter (where 4 <> (select count(*) filter (where node.status = 'completed') from node_executions as node where node.execution_id = mine.id))::int as nodes
      from mine`, [workflowId]);
  return [
    row!.wrong > 0 ? `${row!.wrong} executions with a child did not complete with its result` : null,
    row!.children > 0 ? `${row!.children} executions have not just one child that completed` : null,
    row!.nodes > 0 ? `${row!.nodes} executions with a child have more or fewer nodes than their workflow` : null,
  ].filter((problem) => problem !== null);
}
