/**
 * What growth costs: the API's three queries with 1 M and with 10 M executions of 1,000 tenants (the bar: p99 within 1.5 x); what row-level
 * security costs beside an explicit `where` (it keeps 0.95), and what the audit log costs those who write (0.75 of single rows, 0.5 of 1,000 at once).
 */
import pg from 'pg';
import { parseArgs } from 'node:util';
import { callerPlanner } from '../src/store/caller-planner.ts';
import { querySettled, settingsStatement } from '../src/store/settled-query.ts';
import { apiLoad, tokensOf } from './api.ts';
import { startCommand } from './support/api-processes.ts';
import { apiQueries } from './support/api-queries.ts';
import { idOf, loadBigData, type Size } from './support/big-data.ts';
import { type OwnCluster, withOwnCluster } from './support/own-cluster.ts';
import { type LoadFigures, median, underLoad } from './support/requests.ts';
import { printJson, printTable } from './support/table.ts';

const sizes: Record<'full' | 'small', [Size, Size]> = {
  full: [{ tenants: 1_000, users: 5, workflows: 20, executions: 1_000_000 }, { tenants: 1_000, users: 5, workflows: 20, executions: 10_000_000 }],
  small: [{ tenants: 40, users: 5, workflows: 20, executions: 20_000 }, { tenants: 40, users: 5, workflows: 20, executions: 200_000 }],
};

interface Cost {
  what: string;
  /** Medians, microseconds. */
  with: number;
  without: number;
  /** Of the speed: of policies by these medians, of the audit log by the fastest turn of each. */
  kept: number;
}

interface Latency extends LoadFigures {
  /** Of a request: pages that were not in PostgreSQL's own memory. A p99 that grows without them is the machine's, not the data's. */
  pagesRead: number;
}

/** Of each query, with policies and without. */
const requestsOfARound = 150;

export const usage = `bench growth [--small] [--seconds 10] [--rounds 7] [--json]
  --small   40 tenants with 20,000 and 200,000 executions`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({
    args, options: { small: { type: 'boolean', default: false }, seconds: { type: 'string', default: '10' }, rounds: { type: 'string', default: '7' }, json: { type: 'boolean', default: false } },
  });
  const [before, after] = sizes[options.small ? 'small' : 'full'];
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const result = await withOwnCluster({}, async (cluster) => {
    await loadBigData(cluster, before, say);
    const young = await latencies(cluster, before, Number(options.seconds), say);
    await loadBigData(cluster, after, say, before.executions);
    const grown = await latencies(cluster, after, Number(options.seconds), say);
    say('what policies and the audit log cost');
    return { before, after, growth: young.map((figures, index) => ({ query: apiQueries[index]!.name, before: figures, after: grown[index]! })), policies: await costOfPolicies(cluster, after, Number(options.rounds)), audit: await costOfAudit(cluster, Number(options.rounds)) };
  });
  if (options.json) return printJson(result);
  printTable(result.growth.map(({ query, before: small, after: large }) => ({
    query, [`p50 ms, ${before.executions}`]: small.p50, [`p50 ms, ${after.executions}`]: large.p50, [`p99 ms, ${before.executions}`]: small.p99, [`p99 ms, ${after.executions}`]: large.p99, 'p99 grows': Number((large.p99 / small.p99).toFixed(2)),
    requests: `${small.requests}, ${large.requests}`, 'pages read a request': `${small.pagesRead}, ${large.pagesRead}`,
  })));
  process.stdout.write('\n');
  printTable([...result.policies, ...result.audit].map(({ what, with: withIt, without, kept }) => ({ what, 'with, us': Math.round(withIt), 'without, us': Math.round(without), kept })));
}

/** Few clients: what a request takes, not what the machine can take. */
async function latencies(cluster: OwnCluster, size: Size, seconds: number, say: (line: string) => void): Promise<Latency[]> {
  const tokens = await tokensOf(cluster, size);
  const api = await startCommand(cluster, 'server');
  const figures: Latency[] = [];
  const watcher = new pg.Client({ connectionString: cluster.url('postgres') });
  try {
    await watcher.connect();
    for (const query of apiQueries) {
      const load = apiLoad(api.url, query, size, tokens);
      await underLoad(load, 2, seconds / 2);
      const before = await pagesRead(watcher);
      const measured = await underLoad(load, 2, seconds);
      const pages = Number(((await pagesRead(watcher) - before) / measured.requests).toFixed(1));
      say(`${query.name}: p50 ${measured.p50} ms, p99 ${measured.p99} ms of ${measured.requests} requests, ${pages} pages read a request`);
      figures.push({ ...measured, pagesRead: pages });
    }
  } finally {
    await watcher.end();
    await api.stop();
  }
  return figures;
}

/** So far, in all sessions; these tell of it once a second at most. */
async function pagesRead(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pages: string }>('select blks_read as pages from pg_stat_database where datname = current_database()');
  return Number(rows[0]!.pages);
}

/**
 * The same statement under the policies, and by the owner, whom they do not bind, with the tenant in the statement. Request by request in turns,
 * on one connection: of two connections one may take twice as long for the same as the other, by where the kernel puts their processes.
 */
async function costOfPolicies(cluster: OwnCluster, size: Size, rounds: number): Promise<Cost[]> {
  const pool = new pg.Pool({ connectionString: cluster.url('agentflow_owner'), max: 1, pipeline: true });
  const client = await pool.connect();
  const costs: Cost[] = [];
  try {
    await client.query(callerPlanner);
    for (const [index, query] of apiQueries.entries()) {
      const times = { underPolicies: [] as number[], bare: [] as number[] };
      for (let count = 0; count < (rounds + 1) * requestsOfARound; count += 1) {
        const n = count % requestsOfARound;
        const tenant = n % size.tenants;
        // Who comes first fetches the pages for the other.
        for (const kind of count % 2 === 0 ? ['underPolicies', 'bare'] as const : ['bare', 'underPolicies'] as const) {
          const values = [...kind === 'bare' ? [idOf.tenant(tenant)] : [], ...Object.values(query.values(size, tenant, n))];
          const started = performance.now();
          await querySettled(client, settingsStatement(claimsOf(kind, tenant)), { name: `${kind} ${index}`, text: query.sql[kind], values });
          // The first ones make the plans and fill the caches.
          if (count >= requestsOfARound) times[kind].push((performance.now() - started) * 1_000);
        }
      }
      const [withThem, without] = [median(times.underPolicies), median(times.bare)];
      costs.push({ what: `row-level security: ${query.name}`, with: withThem, without, kept: Number((without / withThem).toFixed(2)) });
    }
  } finally {
    client.release();
    await pool.end();
  }
  return costs;
}

function claimsOf(kind: 'underPolicies' | 'bare', tenant: number): Record<string, string> {
  return {
    role: kind === 'bare' ? 'agentflow_owner' : 'agentflow_user', 'jwt.claims.tenant_id': idOf.tenant(tenant), 'jwt.claims.user_id': idOf.user(tenant, 0),
    'jwt.claims.role': 'admin', 'jwt.claims.api_key_id': '', 'jwt.claims.permissions': '',
  };
}

async function costOfAudit(cluster: OwnCluster, rounds: number): Promise<Cost[]> {
  const client = new pg.Client({ connectionString: cluster.url('postgres') });
  await client.connect();
  const { rows: triggers } = await client.query<{ name: string }>(`select quote_ident(tgname) as name from pg_trigger where tgrelid = 'app_public.workflows'::regclass and not tgisinternal and tgfoid::regproc::text ~ 'audit'`);
  if (triggers.length === 0) throw new Error('workflows has no audit trigger');
  const audit = async (isOn: boolean): Promise<void> => {
    for (const { name } of triggers) await client.query(`alter table app_public.workflows ${isOn ? 'enable' : 'disable'} trigger ${name}`);
  };
  const change = (rows: number) => (n: number): Promise<unknown> =>
    client.query('update app_public.workflows set description = $1 where id in (select id from app_public.workflows order by id offset $2 limit $3)', [`changed ${n}`, n % 500, rows]);
  try {
    await client.query(`select set_config('jwt.claims.tenant_id', $1, false), set_config('jwt.claims.user_id', $2, false), set_config('jwt.claims.role', 'admin', false)`, [idOf.tenant(0), idOf.user(0, 0)]);
    const turns = (rows: number, each: number): Turns => ({ rounds, each, before: audit, withIt: change(rows), without: change(rows) });
    return [await inTurns('audit: one row', turns(1, 100)), await inTurns('audit: 1,000 rows at once', turns(1_000, 3))];
  } finally {
    await audit(true);
    await client.end();
  }
}

interface Turns {
  rounds: number;
  /** Runs a turn. */
  each: number;
  before: (isWith: boolean) => Promise<void>;
  withIt: (n: number) => Promise<unknown>;
  without: (n: number) => Promise<unknown>;
}

/** Times with and without, in turns: A B A B. */
async function inTurns(what: string, { rounds, each, before, withIt, without }: Turns): Promise<Cost> {
  const time = async (isWith: boolean, round: number): Promise<number> => {
    const work = isWith ? withIt : without;
    await before(isWith);
    await work(round * each);
    const started = performance.now();
    for (let n = 0; n < each; n += 1) await work(round * each + n);
    return (performance.now() - started) / each * 1_000;
  };
  const times: { with: number; without: number }[] = [];
  for (let round = 0; round <= rounds; round += 1) times.push({ with: await time(true, round), without: await time(false, round) });
  times.shift(); // made the plans, filled the caches
  // Of the turns that other work disturbed least.
  const kept = Math.min(...times.map((turn) => turn.without)) / Math.min(...times.map((turn) => turn.with));
  return { what, with: median(times.map((turn) => turn.with)), without: median(times.map((turn) => turn.without)), kept: Number(kept.toFixed(2)) };
}
