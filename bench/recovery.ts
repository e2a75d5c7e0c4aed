/**
 * Figures of flows: executions per second, latency of one at a time, statements per execution, recovery after a kill. Starts a PostgreSQL of its own.
 *
 *     npm run bench -- recovery [throughput|latency|recovery]     all of them when none is named
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { flowRunId } from '../src/store/flow-run-id.ts';
import { clusterVariable, startTestCluster } from '../test/support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { sampleTenant, sampleUser } from '../test/support/executions.ts';
import { startWorkerProcess, type WorkerProcess } from '../test/support/worker-processes.ts';

const acting = { tenant_id: sampleTenant, user_id: sampleUser, role: 'admin' };
const measurements: Record<string, (database: TestDatabase) => Promise<object>> = { throughput, latency, recovery };

export const usage = `bench recovery [${Object.keys(measurements).join('|')}]     all of them when none is named`;

export async function run(args: string[]): Promise<void> {
  const cluster = await startTestCluster();
  process.env[clusterVariable] = JSON.stringify(cluster.info);
  try {
    const figures: Record<string, object> = {};
    for (const [name, measure] of Object.entries(measurements)) {
      if (args.length > 0 && !args.includes(name)) continue;
      const database = await createTestDatabase({ samples: true });
      figures[name] = await measure(database);
      await database.drop();
    }
    process.stdout.write(`${JSON.stringify({ node: process.versions.node, ...figures }, null, 2)}\n`);
  } finally {
    await cluster.stop();
  }
}

/** Three tasks, each answered from an empty script: written down one by one. */
async function createFlow(database: TestDatabase): Promise<void> {
  const tasks = ['one', 'two', 'three'];
  const definition = {
    id: 'bench', name: 'bench', start_task: 'one', tasks: tasks.map((name) => ({ name })),
    conditions: [['one', 'two'], ['two', 'three']].map(([from, to]) => ({ name: from, source_task: from, outcome: 'success', target_task_success: to, target_task_failure: 'end' })),
  };
  // What a worker has stays known when it is gone.
  await stop(await startWorker(database));
  await asAdmin(database, `select app_public.create_flow('bench', 'bench', null, 'one', $1)`, [JSON.stringify(definition)]);
}

function startWorker(database: TestDatabase): Promise<WorkerProcess> {
  return startWorkerProcess(database, 'http://127.0.0.1:1', { settings: { workerConcurrency: 500, testTasks: { pattern: null } } });
}

async function stop(worker: WorkerProcess): Promise<void> {
  worker.kill('SIGTERM');
  await worker.exited;
}

async function asAdmin<Row extends object>(database: TestDatabase, sql: string, values: unknown[] = []): Promise<Row[]> {
  return database.asRole('agentflow_user', acting, async (client) => (await client.query<Row>(sql, values)).rows, { commit: true });
}

async function throughput(database: TestDatabase): Promise<object> {
  await createFlow(database);
  const runs: { perSecond: number; transactions: number }[] = [];
  for (let round = 0; round < 5; round += 1) runs.push(await saturated(database, 5_000, round));
  runs.sort((a, b) => a.perSecond - b.perSecond);
  const middle = runs[2]!;
  return { 'flow executions per second, 3 tasks, median of 5': Math.round(middle.perSecond), 'statements per execution (each a transaction of its own)': Number(middle.transactions.toFixed(3)), rounds: runs.map(({ perSecond }) => Math.round(perSecond)) };
}

/** All are accepted first; then a worker starts, and the database's clock tells from the first claim to the last end. */
async function saturated(database: TestDatabase, count: number, round: number): Promise<{ perSecond: number; transactions: number }> {
  await asAdmin(database, `select count(app_public.execute_flow('bench', jsonb_build_object('round', $2::int, 'i', i))) from generate_series(1, $1) as i`, [count, round]);
  const committed = async (): Promise<number> => Number((await database.owner.query<{ n: string }>('select xact_commit as n from pg_stat_database where datname = current_database()')).rows[0]!.n);
  const before = await committed();
  const worker = await startWorker(database);
  while ((await database.owner.query(`select from flow_executions where completed_at is null limit 1`)).rowCount! > 0) await sleep(250);
  await sleep(1_100); // statistics come in with a delay
  const after = await committed();
  await stop(worker);
  const { rows } = await database.owner.query<{ seconds: number; failed: number }>(`
    select extract(epoch from max(completed_at) - min(started_at))::float8 as seconds, count(*) filter (where status <> 'COMPLETED' or total_tasks_executed <> 3)::int as failed
      from flow_executions where (input_context ->> 'round')::int = $1`, [round]);
  if (rows[0]!.failed > 0) throw new Error(`${rows[0]!.failed} flow executions did not complete`);
  return { perSecond: count / rows[0]!.seconds, transactions: (after - before) / count };
}

async function latency(database: TestDatabase): Promise<object> {
  await createFlow(database);
  const worker = await startWorker(database);
  const listener = await database.owner.connect();
  await listener.query('listen agentflow');
  const times: number[] = [];
  for (let index = 0; index < 550; index += 1) {
    const started = performance.now();
    const [row] = await asAdmin<{ id: string }>(database, `select id::text from app_public.execute_flow('bench', '{}')`);
    await over(listener, row!.id);
    if (index >= 50) times.push(performance.now() - started);
  }
  listener.release(true);
  await stop(worker);
  times.sort((a, b) => a - b);
  const at = (share: number): number => Number(times[Math.floor(share * times.length)]!.toFixed(2));
  return { 'one at a time, from the call to the last write told, ms': { p50: at(0.5), p99: at(0.99) }, count: times.length };
}

async function over(listener: pg.PoolClient, id: string): Promise<void> {
  const runId = flowRunId(id);
  for (;;) {
    const told = Promise.withResolvers<void>();
    const hear = ({ payload = '' }: { payload?: string }): void => { if (payload.includes(runId)) told.resolve(); };
    listener.on('notification', hear);
    const { rowCount } = await listener.query('select from flow_executions where id = $1 and completed_at is not null', [id]);
    if (rowCount === 0) await told.promise;
    listener.off('notification', hear);
    if (rowCount === 1) return;
  }
}

/** Of two workers the one that runs a slow task is killed: until another has claimed the flow, by the database's clock. */
async function recovery(database: TestDatabase): Promise<object> {
  await createFlow(database);
  const seconds: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const workers = [await startWorker(database), await startWorker(database)];
    const [row] = await asAdmin<{ id: string }>(database, `select id::text from app_public.execute_flow('bench', '{"__script": {"two": {"delay_ms": 2000}}}')`);
    const lease = async (): Promise<{ attempt: number; pid: number; claimed_at: string; now: string } | undefined> => (await database.owner.query<{ attempt: number; pid: number; claimed_at: string; now: string }>(`
      select lease.attempt, worker.process_id as pid, lease.claimed_at::text, clock_timestamp()::text as now from app_private.execution_leases as lease
        join app_private.workers as worker on worker.id = lease.worker_id where lease.execution_id = app_private.flow_run_id($1)`, [row!.id])).rows[0];
    let held = await lease();
    while (held === undefined) held = await lease();
    await sleep(300 + round * 100);
    workers.find(({ pid }) => pid === held.pid)!.kill('SIGKILL');
    const killedAt = Date.parse((await lease())!.now);
    let again = await lease();
    while (again === undefined || again.attempt === 1) {
      await sleep(20);
      again = await lease();
    }
    seconds.push((Date.parse(again.claimed_at) - killedAt) / 1_000);
    for (const worker of workers) worker.kill('SIGKILL');
    await Promise.all(workers.map(({ exited }) => exited));
  }
  seconds.sort((a, b) => a - b);
  return { 'from kill -9 to the next claim, s': { median: seconds[Math.floor(seconds.length / 2)], most: seconds.at(-1) }, count: seconds.length };
}
