/**
 * What waiting costs, and how well queues keep their limits. Starts a PostgreSQL of its own; prints one table a measurement.
 *
 *     node bench/waiting.ts [limits|approvals|cancel|overhead]     all of them when none is named
 */
import './support/only-own-databases.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { clusterVariable, startTestCluster } from '../test/support/cluster.ts';
import { insertExecution, insertWorkflow, sampleTenant, sampleUser } from '../test/support/executions.ts';
import { startModelServer } from '../test/support/model-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../test/support/worker-processes.ts';
import { namesIn } from './support/words.ts';

const acting = { tenant_id: sampleTenant, user_id: sampleUser, role: 'admin' };
const source = { id: 'm', kind: 'llm', config: { model: 'gpt-4' } };

interface Bench { database: TestDatabase; arrivals: number[]; gatewayUrl: string; aborted(): number; onAsk: (prompt: string) => Promise<void> }

const loads = [{ rate: 10, burst: 1, seconds: 30 }, { rate: 50, burst: 50, seconds: 20 }, { rate: 100, burst: 10, seconds: 20 }];
const measurements: Record<string, (bench: Bench) => Promise<void>> = { limits, approvals, cancel, overhead };

const wanted = namesIn(process.argv.slice(2), Object.keys(measurements));
const cluster = await startTestCluster();
process.env[clusterVariable] = JSON.stringify(cluster.info);
try {
  for (const name of wanted) await withBench(measurements[name]!);
} finally {
  await cluster.stop();
}

async function withBench(measure: (bench: Bench) => Promise<void>): Promise<void> {
  const database = await createTestDatabase({ samples: true });
  const bench: Bench = { database, arrivals: [], gatewayUrl: '', aborted: () => 0, onAsk: async () => undefined };
  const server = await startModelServer(async ({ prompt }) => {
    bench.arrivals.push(performance.now());
    await bench.onAsk(prompt);
    return 'answer';
  });
  Object.assign(bench, { gatewayUrl: server.url, aborted: server.aborted });
  try {
    await measure(bench);
  } finally {
    await server.close();
    await database.drop();
  }
}

async function withWorkers(bench: Bench, count: number, use: () => Promise<void>): Promise<void> {
  const workers: WorkerProcess[] = [];
  for (let index = 0; index < count; index += 1) workers.push(await startWorkerProcess(bench.database, bench.gatewayUrl, { settings: { workerConcurrency: 50 } }));
  try {
    await use();
  } finally {
    for (const worker of workers) worker.kill('SIGTERM');
    await Promise.all(workers.map(({ exited }) => exited));
  }
}

async function startMany(database: TestDatabase, spec: object, count: number): Promise<string> {
  const { id } = await insertWorkflow(database.owner, spec);
  for (let left = count; left > 0; left -= 1_000) {
    await database.asRole('agentflow_user', acting, (client) => client.query(
      `select count(*) from app_public.execute_workflows(array(select row($1, jsonb_build_object('user_input', i), null, null)::app_public.workflow_start from generate_series(1, $2) as i))`,
      [id, Math.min(left, 1_000)]), { commit: true });
  }
  return id;
}

async function count(database: TestDatabase, condition: string, values: unknown[] = []): Promise<number> {
  const { rows } = await database.owner.query<{ count: number }>(`select count(*)::integer as count from ${condition}`, values);
  return rows[0]!.count;
}

/** Four workers, one queue, more to do than it lets through: the most in any window, and how much of the limit was used. */
async function limits(bench: Bench): Promise<void> {
  const asking = { id: 'a', type: 'llm', metadata: { source: 'm', prompt: '{user_input}' } };
  const free = { nodes: [asking], edges: [], sources: [source], start_node: 'a' };
  await withWorkers(bench, 4, async () => {
    await startMany(bench.database, free, 200);
    while (bench.arrivals.length < 200) await sleep(50);
    for (const { rate, burst, seconds } of loads) {
      await sleep(1_000);
      bench.arrivals.length = 0;
      await startMany(bench.database, {
        nodes: [{ id: 'input', type: 'input' }, asking], sources: [source], start_node: 'input',
        edges: [{ from: 'input', to: 'a', queue: 'q' }], queues: [{ id: 'q', from: 'input', to: 'a', bandwidth: { max_messages_per_second: rate, burst_size: burst } }],
      }, rate * seconds + burst);
      while (await count(bench.database, `executions where status in ('pending', 'running')`) > 0) await sleep(200);
      tellLimits(bench.arrivals, { rate, burst });
    }
  });
}

function tellLimits(arrivals: readonly number[], { rate, burst }: { rate: number; burst: number }): void {
  const took = (arrivals.at(-1)! - arrivals[0]!) / 1_000;
  tell(`${rate}/s, burst ${burst}, 4 workers, ${took.toFixed(1)} s`, {
    arrived: arrivals.length, 'most in 1 s': mostWithin(arrivals, 1_000), 'limit + burst': rate + burst, 'most in 5 s': mostWithin(arrivals, 5_000), '5 x limit + burst': 5 * rate + burst,
    utilisation: `${((arrivals.length / (burst + rate * took)) * 100).toFixed(1)} %`,
  });
}

function mostWithin(arrivals: readonly number[], windowMs: number): number {
  const sorted = [...arrivals].sort((a, b) => a - b);
  let most = 0;
  for (let end = 0, begin = 0; end < sorted.length; end += 1) {
    while (sorted[end]! - sorted[begin]! >= windowMs) begin += 1;
    most = Math.max(most, end - begin + 1);
  }
  return most;
}

/** Ten thousand executions that wait for a decision: what they hold, and how soon some go on. */
async function approvals(bench: Bench): Promise<void> {
  const { database } = bench;
  const spec = {
    nodes: [{ id: 'ok', type: 'approval', metadata: { message: 'go on?' } }, { id: 'after', type: 'transform', metadata: { expression: 'approval.decision' } }],
    edges: [{ from: 'ok', to: 'after' }], sources: [], start_node: 'ok',
  };
  const total = 10_000;
  await withWorkers(bench, 1, async () => {
    const workflowId = await startMany(database, spec, total);
    while (await count(database, `app_private.execution_leases where waits`) < total) await sleep(200);
    await sleep(1_000);
    const jobs = await count(database, 'graphile_worker._private_jobs');
    const statements = async (): Promise<number> => count(database, `pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`);
    const active = await statements();
    const took: number[] = [];
    const { rows } = await database.owner.query<{ id: string }>('select id from executions where workflow_id = $1 order by random() limit 100', [workflowId]);
    for (const { id } of rows) {
      const began = performance.now();
      await database.asRole('agentflow_user', acting, (client) => client.query(`select app_public.decide_approval($1, 'ok', 'approved')`, [id]), { commit: true });
      while (await count(database, `executions where id = $1 and status = 'completed'`, [id]) === 0) await sleep(2);
      took.push(performance.now() - began);
    }
    tell(`${total} waiting approvals`, { jobs, 'statements under way': active, 'decision to end, p50 ms': percentile(took, 50), 'p99 ms': percentile(took, 99) });
  });
}

/** From the cancelling statement to the end of the model call that it reaches. */
async function cancel(bench: Bench): Promise<void> {
  bench.onAsk = () => sleep(60_000);
  const { database } = bench;
  const workflow = await insertWorkflow(database.owner, { nodes: [{ id: 'a', type: 'llm', metadata: { source: 'm', prompt: 'x' } }], edges: [], sources: [source], start_node: 'a' });
  const took: number[] = [];
  await withWorkers(bench, 2, async () => {
    for (let round = 0; round < 50; round += 1) {
      const [asked, aborted] = [bench.arrivals.length, bench.aborted()];
      const id = await insertExecution(database.owner, workflow, {});
      while (bench.arrivals.length === asked) await sleep(1);
      const began = performance.now();
      await database.asRole('agentflow_user', acting, (client) => client.query('select app_public.cancel_execution($1)', [id]), { commit: true });
      while (bench.aborted() === aborted) await sleep(1);
      took.push(performance.now() - began);
    }
  });
  tell('cancelling 50 running calls', { 'p50 ms': percentile(took, 50), 'p99 ms': percentile(took, 99), 'max ms': percentile(took, 100) });
}

/** Five nodes without any effect, in one process: what an execution costs beyond its nodes. */
async function overhead(bench: Bench): Promise<void> {
  const { database } = bench;
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const spec = {
    nodes: ids.map((id) => ({ id, type: 'transform', metadata: { expression: '1', output_key: id } })),
    edges: ids.slice(1).map((id, index) => ({ from: ids[index], to: id })), sources: [], start_node: 'a',
  };
  await withWorkers(bench, 1, async () => {
    await startMany(database, spec, 500);
    while (await count(database, `executions where status in ('pending', 'running')`) > 0) await sleep(50);
    const began = performance.now();
    await startMany(database, spec, 5_000);
    while (await count(database, `executions where status in ('pending', 'running')`) > 0) await sleep(20);
    const many = (performance.now() - began) / 5_000;
    const single: number[] = [];
    const workflow = await insertWorkflow(database.owner, spec);
    for (let round = 0; round < 100; round += 1) {
      const start = performance.now();
      const id = await insertExecution(database.owner, workflow, {});
      while (await count(database, `executions where id = $1 and status = 'completed'`, [id]) === 0) await sleep(1);
      single.push(performance.now() - start);
    }
    tell('five nodes without effect', { 'ms each of 5,000 at once': many.toFixed(2), 'one at a time, p50 ms': percentile(single, 50), 'p99 ms': percentile(single, 99) });
  });
}

function percentile(values: readonly number[], at: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * at) / 100))]!.toFixed(1);
}

function tell(what: string, figures: Record<string, string | number>): void {
  process.stdout.write(`${what}\n${Object.entries(figures).map(([name, value]) => `  ${name}: ${value}\n`).join('')}`);
}
