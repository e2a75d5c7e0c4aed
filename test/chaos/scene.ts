/** Where a fault happens: a PostgreSQL of its own, workers, the world outside, and many executions of six nodes of which four have an effect. */
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnCluster } from '../../bench/support/own-cluster.ts';
import { insertWorkflow, sampleTenant, sampleUser } from '../support/executions.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { acceptFlows, flowsLeft, taskPattern } from './flows.ts';
import { persistently } from './asking.ts';
import { openOutside, type Outside } from './outside.ts';
import { acceptParents, parentsLeft } from './parents.ts';
import { Recoveries } from './recoveries.ts';
import { Workers, type WorkersOptions } from './workers.ts';

export const effects = ['first', 'second', 'third', 'fourth'] as const;

export interface SceneOptions {
  workers: number;
  executions: number;
  clockOffsetMs?: WorkersOptions['clockOffsetMs'];
  script?: WorkersOptions['script'];
}

export interface Scene {
  cluster: OwnCluster;
  owner: pg.Pool;
  outside: Outside;
  workers: Workers;
  /** Between the workers and PostgreSQL. */
  proxy: Proxy;
  options: SceneOptions;
  /** Whose executions are judged. */
  workflowId: string;
  /** Of the executions that wait for a child. */
  parentsId: string;
  recoveries: Recoveries;
  /** Longest time until the API answered again, seconds; null where nobody asked it. */
  apiBack: number | null;
  /** What a fault itself has found wrong. */
  problems: string[];
  close(): Promise<void>;
}

/** Slow enough that there is something to break. */
const callMs = 150;
const workerConcurrency = 20;
/** So many flows, and so many executions that wait for a child, for each execution. */
const flowShare = 0.1;
const parentShare = 0.05;

/** The executions are accepted before any worker starts. */
export async function openScene(cluster: OwnCluster, options: SceneOptions): Promise<Scene> {
  const outside = await openOutside(callMs);
  const owner = new pg.Pool({ connectionString: cluster.url('agentflow_owner'), max: 3 });
  owner.on('error', () => undefined); // PostgreSQL goes away here on purpose; `persistently` tries again
  owner.on('connect', (client) => client.on('error', () => undefined));
  const proxy = await startProxy(cluster.url('agentflow_worker'));
  const settings = { workerConcurrency, allowHosts: [outside.address], testTasks: { pattern: taskPattern } };
  const workers = new Workers({ workerUrl: proxy.through(cluster.url('agentflow_worker')), settings, ...(options.clockOffsetMs ? { clockOffsetMs: options.clockOffsetMs } : {}), ...(options.script ? { script: options.script } : {}) });
  const { id: workflowId } = await insertWorkflow(owner, workflowOf(outside.address));
  await accept(owner, workflowId, options.executions);
  await acceptFlows(owner, Math.ceil(options.executions * flowShare));
  const parentsId = await acceptParents(owner, Math.ceil(options.executions * parentShare));
  for (let index = 0; index < options.workers; index += 1) workers.start();
  const close = async (): Promise<void> => {
    await workers.close();
    await proxy.shut();
    await outside.close();
    await owner.end();
  };
  return { cluster, owner, outside, workers, proxy, options, workflowId, parentsId, recoveries: new Recoveries(owner), apiBack: null, problems: [], close };
}

function workflowOf(address: string): object {
  const call = (id: string): object => ({ id, type: 'api', metadata: { source: 'outside', method: 'POST', path: `/{run}/${id}`, output_key: id } });
  return {
    nodes: [{ id: 'input', type: 'input' }, ...effects.map(call), { id: 'last', type: 'aggregator', metadata: { source_keys: [...effects], include_metadata: false } }],
    edges: ['input', ...effects, 'last'].slice(1).map((to, index) => ({ from: ['input', ...effects][index], to })),
    queues: [], sources: [{ id: 'outside', kind: 'api', config: { base_url: `http://${address}` } }], start_node: 'input',
  };
}

/** Runs are numbered from 0. `priority`: above 0 they begin before those that wait. */
export async function accept(owner: pg.Pool, workflowId: string, count: number, from = 0, priority = 0): Promise<void> {
  await owner.query(`
    insert into executions (workflow_id, workflow_version_id, tenant_id, user_id, initial_state, priority)
    select $1, version.id, $2, $3, jsonb_build_object('run', 'run-' || n), $6 from workflow_versions as version, generate_series($4::int, $4::int + $5::int - 1) as n
     where version.workflow_id = $1`, [workflowId, sampleTenant, sampleUser, from, count, priority]);
}

/** How many, executions and flows, are not over when all are, or when the time is. */
export async function untilOver({ owner, workflowId, parentsId }: Scene, seconds: number): Promise<number> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const [row] = await persistently<{ left: number }>(owner, 'select count(*)::int as left from executions where workflow_id = $1 and completed_at is null', [workflowId]);
    const left = row!.left + await flowsLeft(owner) + await parentsLeft(owner, parentsId);
    if (left === 0 || performance.now() > deadline) return left;
    await sleep(300);
  }
}
