/**
 * Fairness: how long executions of one tenant wait for a worker, alone and while another tenant has many thousands waiting. One worker process, on a
 * PostgreSQL of its own.
 *
 *     npm run bench -- fairness [--flood 50000] [--seconds 15] [--only WORDS] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { loadSamples, makeSampleCredentials } from '../src/schema/samples.ts';
import { openOutside, type Outside } from '../test/chaos/outside.ts';
import { Workers } from '../test/chaos/workers.ts';
import { insertWorkflow, sampleTenant, sampleUser, type TestWorkflow } from '../test/support/executions.ts';
import { positive } from './support/options.ts';
import { withOwnCluster, type OwnCluster } from './support/own-cluster.ts';
import { printJson, printTable } from './support/table.ts';

export const usage = 'bench fairness [--flood 50000] [--seconds 15] [--only WORDS] [--json]     waits of one tenant, alone and beside another that floods';

interface Setting {
  name: string;
  /** Of an execution of either tenant: nothing but pure nodes, or a call of 100 ms. */
  kind: 'pure' | 'call';
  /** What the other tenant starts at once, and how often. */
  burst: number;
  everyMs: number;
  concurrency: number;
}

const settings: readonly Setting[] = [
  { name: 'pure nodes, one at a time', kind: 'pure', burst: 1, everyMs: 50, concurrency: 100 },
  { name: 'pure nodes, 500 at once', kind: 'pure', burst: 500, everyMs: 3_000, concurrency: 100 },
  { name: 'calls of 100 ms, 100 at once, 20 slots', kind: 'call', burst: 100, everyMs: 2_500, concurrency: 20 },
  { name: 'calls of 100 ms, one at a time, 20 slots', kind: 'call', burst: 1, everyMs: 50, concurrency: 20 },
];

interface Waits { runs: number; p50: number; p95: number }
interface Result { setting: string; alone: Waits; flooded: Waits; ratio: number; left: number }

interface Scene {
  owner: pg.Pool;
  cluster: OwnCluster;
  outside: Outside;
  flooder: Record<Setting['kind'], TestWorkflow>;
  other: Record<Setting['kind'], TestWorkflow>;
}

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { flood: { type: 'string', default: '50000' }, seconds: { type: 'string', default: '15' }, only: { type: 'string', default: '' }, json: { type: 'boolean', default: false } } });
  const flood = positive('flood', options.flood);
  const seconds = positive('seconds', options.seconds);
  await withOwnCluster({}, async (cluster) => {
    await loadSamples(cluster.url('agentflow_owner'), await makeSampleCredentials(), () => 'none');
    const outside = await openOutside(100);
    const owner = new pg.Pool({ connectionString: cluster.url('agentflow_owner'), max: 3 });
    // A connection that is closing may hear that the server stops.
    owner.on('error', (error) => process.stderr.write(`${error.message}\n`));
    try {
      const scene: Scene = { owner, cluster, outside, flooder: await workflowsOf(owner, outside, { tenantId: sampleTenant, userId: sampleUser }), other: await workflowsOf(owner, outside, await newTenant(owner)) };
      const results: Result[] = [];
      for (const setting of settings.filter(({ name }) => name.includes(options.only))) results.push(await compare(scene, setting, flood, seconds));
      if (options.json) printJson({ flood, seconds, results });
      else printTable(results.map(({ setting, alone, flooded, ratio, left }) => ({ setting, 'alone: p50, p95 ms': `${alone.p50}, ${alone.p95}`, 'beside the flood: p50, p95 ms': `${flooded.p50}, ${flooded.p95}`, 'ratio of p95': ratio, 'executions measured': flooded.runs, 'of the flood still waiting': left })));
    } finally {
      await owner.end();
      await outside.close();
    }
  });
}

async function newTenant(owner: pg.Pool): Promise<{ tenantId: string; userId: string }> {
  const { rows: [tenant] } = await owner.query<{ id: string }>(`insert into tenants (name, slug) values ('Other', 'other') returning id`);
  const { rows: [user] } = await owner.query<{ id: string }>(
    `insert into users (tenant_id, email, name, password_hash, role) select $1, 'other@example.com', 'Other', password_hash, 'admin' from users where id = $2 returning id`, [tenant!.id, sampleUser]);
  return { tenantId: tenant!.id, userId: user!.id };
}

async function workflowsOf(owner: pg.Pool, { address }: Outside, at: { tenantId: string; userId: string }): Promise<Record<Setting['kind'], TestWorkflow>> {
  const input = { id: 'input', type: 'input' };
  return {
    pure: await insertWorkflow(owner, { nodes: [input, { id: 'last', type: 'transform', metadata: { values: { said: '{run}' } } }], edges: [{ from: 'input', to: 'last' }], start_node: 'input' }, at),
    call: await insertWorkflow(owner, {
      nodes: [input, { id: 'call', type: 'api', metadata: { source: 'outside', method: 'POST', path: '/{run}' } }], edges: [{ from: 'input', to: 'call' }],
      sources: [{ id: 'outside', kind: 'api', config: { base_url: `http://${address}` } }], start_node: 'input',
    }, at),
  };
}

/** As executeWorkflows writes them. */
async function start(owner: pg.Pool, { id, tenantId, userId }: TestWorkflow, count: number): Promise<void> {
  await owner.query(`insert into executions (id, workflow_id, tenant_id, user_id, initial_state) select app_private.new_execution_id(), $1, $2, $3, jsonb_build_object('run', 'r' || n) from generate_series(1, $4::int) as n`,
    [id, tenantId, userId, count]);
}

async function compare(scene: Scene, setting: Setting, flood: number, seconds: number): Promise<Result> {
  const alone = await waitsOf(scene, setting, 0, seconds);
  const flooded = await waitsOf(scene, setting, flood, seconds);
  return { setting: setting.name, alone: alone.waits, flooded: flooded.waits, ratio: Number((flooded.waits.p95 / alone.waits.p95).toFixed(1)), left: flooded.left };
}

/** The other tenant begins when the flood has come in, and the worker has been at it all the while. */
async function waitsOf({ owner, cluster, outside, flooder, other }: Scene, { kind, burst, everyMs, concurrency }: Setting, flood: number, seconds: number): Promise<{ waits: Waits; left: number }> {
  await owner.query('truncate executions cascade');
  await owner.query('select graphile_worker.remove_job(key) from graphile_worker.jobs where key is not null');
  await owner.query('vacuum analyze executions');
  const workers = new Workers({ workerUrl: cluster.url('agentflow_worker'), settings: { workerConcurrency: concurrency, allowHosts: [outside.address] } });
  try {
    workers.start();
    while (workers.ready.length === 0) await sleep(20);
    await start(owner, other[kind], 50); // warm
    await sleep(1_500);
    const warm = (await owner.query<{ at: string }>('select clock_timestamp()::text as at')).rows[0]!.at;
    for (let done = 0; done < flood; done += 1_000) await start(owner, flooder[kind], Math.min(1_000, flood - done));
    const deadline = performance.now() + seconds * 1_000;
    for (let next = performance.now(); next < deadline; next += everyMs) {
      await sleep(Math.max(0, next - performance.now()));
      await start(owner, other[kind], burst);
    }
    const left = Number((await owner.query<{ left: string }>(`select count(*) as left from executions where tenant_id = $1 and status = 'pending'`, [flooder[kind].tenantId])).rows[0]!.left);
    return { waits: await readWaits(owner, other[kind], warm), left };
  } finally {
    await workers.close();
  }
}

/** Until all have been begun: from accepted to taken. */
async function readWaits(owner: pg.Pool, { id }: TestWorkflow, since: string): Promise<Waits> {
  for (;;) {
    const { rows: [row] } = await owner.query<{ runs: number; open: number; p50: number; p95: number }>(`
      select count(*)::int as runs, count(*) filter (where completed_at is null)::int as open,
        percentile_cont(0.5) within group (order by extract(epoch from started_at - created_at)) * 1000 as p50, percentile_cont(0.95) within group (order by extract(epoch from started_at - created_at)) * 1000 as p95
        from executions where workflow_id = $1 and created_at > $2`, [id, since]);
    if (row!.open === 0) return { runs: row!.runs, p50: Number(row!.p50.toFixed(1)), p95: Number(row!.p95.toFixed(1)) };
    await sleep(200);
  }
}
