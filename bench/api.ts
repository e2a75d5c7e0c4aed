/**
 * Requests a second of three queries, through the API and by hand-written SQL over plain node:http, in turns: A B A B in one run, medians
 * and ratios. `guarded` does by hand what the API does for each request (token, session, role and claims, row-level security); `bare` does
 * none of it.
 */
import { parseArgs } from 'node:util';
import { signToken } from '../src/server/tokens.ts';
import { startCommand, startHandWritten } from './support/api-processes.ts';
import { apiQueries, type ApiQuery } from './support/api-queries.ts';
import { idOf, loadBigData, type Size } from './support/big-data.ts';
import { cpuSeconds, cpuSecondsWithChildren } from './support/cpu-time.ts';
import { type OwnCluster, withOwnCluster } from './support/own-cluster.ts';
import { type Load, type LoadFigures, median, underLoad } from './support/requests.ts';
import { printJson, printTable } from './support/table.ts';

export const sizes: Record<string, Size> = {
  full: { tenants: 200, users: 5, workflows: 100, executions: 1_000_000 },
  small: { tenants: 20, users: 5, workflows: 100, executions: 100_000 },
};

const peers = ['api', 'guarded', 'bare'] as const;
type Peer = (typeof peers)[number];

export interface ApiResult {
  query: string;
  /** Medians over the rounds. */
  perSecond: Record<Peer, number>;
  p50: Record<Peer, number>;
  p99: Record<Peer, number>;
  /** CPU time of a request in the server and in PostgreSQL together, microseconds: what is left when the machine has other work. Null where the kernel does not tell. */
  cpu: Record<Peer, number | null>;
  ofGuarded: number;
  ofBare: number;
}

export const usage = `bench api [--small] [--rounds 5] [--seconds 3] [--connections 16] [--query N] [--folder DIR] [--json]
  --small   20 tenants and 100,000 executions in place of 200 and 1,000,000
  --folder  keep the data there for the next run`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({
    args,
    options: {
      small: { type: 'boolean', default: false }, rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '16' }, query: { type: 'string' }, folder: { type: 'string' }, json: { type: 'boolean', default: false },
    },
  });
  const size = sizes[options.small ? 'small' : 'full']!;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const results = await withOwnCluster(options.folder === undefined ? {} : { folder: options.folder }, async (cluster) => {
    await ensureData(cluster, size, say);
    const queries = options.query === undefined ? apiQueries : [apiQueries[Number(options.query)]!];
    return await compare(cluster, size, queries, { rounds: Number(options.rounds), seconds: Number(options.seconds), connections: Number(options.connections), say });
  });
  if (options.json) printJson({ size, results });
  else print(results);
}

/** Loads the data unless an earlier run left the same. */
export async function ensureData(cluster: OwnCluster, size: Size, say: (line: string) => void): Promise<void> {
  const wanted = JSON.stringify(size);
  if (cluster.noted === wanted) return;
  if (cluster.noted !== null) throw new Error(`${cluster.folder} holds other data: ${cluster.noted}. Name another folder.`);
  await loadBigData(cluster, size, say);
  cluster.note(wanted);
}

interface Plan {
  rounds: number;
  seconds: number;
  connections: number;
  say: (line: string) => void;
}

async function compare(cluster: OwnCluster, size: Size, queries: readonly ApiQuery[], plan: Plan): Promise<ApiResult[]> {
  const tokens = await tokensOf(cluster, size);
  const api = await startCommand(cluster, 'server');
  const hand = await startHandWritten(cluster);
  const results: ApiResult[] = [];
  try {
    for (const query of queries) {
      const loads: Record<Peer, Load> = {
        api: apiLoad(api.url, query, size, tokens), guarded: handLoad(hand.url, 'guarded', query, size, tokens), bare: handLoad(hand.url, 'bare', query, size, tokens),
      };
      const figures: Record<Peer, Figures[]> = { api: [], guarded: [], bare: [] };
      for (const peer of peers) await warm(loads[peer], plan.connections);
      for (let round = 0; round < plan.rounds; round += 1) {
        for (const peer of peers) figures[peer].push(await measured(loads[peer], plan, cluster.pid, (peer === 'api' ? api : hand).pid));
        plan.say(`${query.name}, round ${round + 1}: ${peers.map((peer) => `${peer} ${Math.round(figures[peer].at(-1)!.rate)}/s`).join(', ')}`);
      }
      results.push(summary(query, figures));
    }
  } finally {
    await Promise.all([api.stop(), hand.stop()]);
  }
  return results;
}

interface Figures extends LoadFigures {
  cpu: number;
}

/** Both servers are compiled by what they do: a few thousand requests, or as many as half a minute gives. */
async function warm(load: Load, connections: number): Promise<void> {
  const until = performance.now() + 30_000;
  for (let sent = 0; sent < 5_000 && performance.now() < until;) sent += (await underLoad(load, connections, 1)).requests;
}

async function measured(load: Load, { connections, seconds }: Plan, postmaster: number, server: number): Promise<Figures> {
  const used = (): number => (cpuSecondsWithChildren(postmaster) ?? Number.NaN) + (cpuSeconds(server) ?? Number.NaN);
  const before = used();
  const figures = await underLoad(load, connections, seconds);
  return { ...figures, cpu: (used() - before) / figures.requests * 1_000_000 };
}

function summary(query: ApiQuery, figures: Record<Peer, Figures[]>): ApiResult {
  const cpuOf = (peer: Peer): number | null => {
    const cpu = Math.round(median(figures[peer].map((figure) => figure.cpu)));
    return Number.isNaN(cpu) ? null : cpu;
  };
  const of = (field: keyof LoadFigures): Record<Peer, number> =>
    Object.fromEntries(peers.map((peer) => [peer, median(figures[peer].map((figure) => figure[field]))])) as Record<Peer, number>;
  // Rounds vary with the machine; the two halves of one round much less.
  const ratio = (peer: Peer): number => Number(median(figures.api.map(({ rate }, round) => rate / figures[peer][round]!.rate)).toFixed(3));
  return { query: query.name, perSecond: of('rate'), p50: of('p50'), p99: of('p99'), cpu: { api: cpuOf('api'), guarded: cpuOf('guarded'), bare: cpuOf('bare') }, ofGuarded: ratio('guarded'), ofBare: ratio('bare') };
}

/** One session a tenant. */
export function tokensOf(cluster: OwnCluster, size: Size): Promise<string[]> {
  const expiresAt = new Date(Date.now() + 86_400_000);
  return Promise.all(Array.from({ length: size.tenants }, (_, tenant) =>
    signToken({ userId: idOf.user(tenant, 0), tenantId: idOf.tenant(tenant), role: 'admin', sessionId: idOf.session(tenant), expiresAt }, cluster.secrets.jwtSecret)));
}

export function apiLoad(url: string, query: ApiQuery, size: Size, tokens: string[]): Load {
  let n = 0;
  return {
    url,
    next: () => {
      const tenant = (n += 1) % size.tenants;
      const body = JSON.stringify({ query: query.graphql, variables: query.values(size, tenant, Math.floor(n / size.tenants)) });
      return { path: '/graphql', method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${tokens[tenant]}` }, body };
    },
    check: (text) => demandRows(text, query),
  };
}

export function handLoad(url: string, kind: 'guarded' | 'bare', query: ApiQuery, size: Size, tokens: string[]): Load {
  let n = 0;
  const index = apiQueries.indexOf(query);
  return {
    url,
    next: () => {
      const tenant = (n += 1) % size.tenants;
      const body = JSON.stringify({ tenant: idOf.tenant(tenant), values: query.values(size, tenant, Math.floor(n / size.tenants)) });
      return { path: `/${kind}/${index}`, method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[tenant]}` }, body };
    },
    check: (text) => demandRows(text, query),
  };
}

function demandRows(text: string, { name, rows }: ApiQuery): void {
  const { data } = JSON.parse(text) as { data: Record<string, { nodes?: unknown[] } | null> };
  const [field] = Object.values(data ?? {});
  const found = field?.nodes === undefined ? Number(field != null) : field.nodes.length;
  if (found !== rows) throw new Error(`${name}: ${found} rows in place of ${rows}: ${text.slice(0, 300)}`);
}

function print(results: ApiResult[]): void {
  printTable(results.map(({ query, perSecond, p50, p99, cpu, ofGuarded, ofBare }) => ({
    query, 'api/s': Math.round(perSecond.api), 'by hand/s': Math.round(perSecond.guarded), 'bare/s': Math.round(perSecond.bare),
    'of by hand': ofGuarded, 'of bare': ofBare, 'p50 ms': p50.api, 'p99 ms': p99.api, 'CPU us': cpu.api, 'by hand CPU us': cpu.guarded, 'bare CPU us': cpu.bare,
  })));
}
