/**
 * What the limits of the API cost: requests a second and p99 of servers with and without rate limits, a closed face and trusted documents, in turn; and
 * the microseconds that a request spends on each part, by itself.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { buildSchema } from 'postgraphile/graphql';
import { openFace } from '../src/config.ts';
import { Face } from '../src/server/face.ts';
import { visitor } from '../src/server/identity.ts';
import { RateLimits } from '../src/server/rate-limits.ts';
import { TrustedDocuments } from '../src/server/trusted-documents.ts';
import { signToken } from '../src/server/tokens.ts';
import { makeTenant } from './identity/tenant.ts';
import { startCommand } from './support/api-processes.ts';
import { type OwnCluster, withOwnCluster } from './support/own-cluster.ts';
import { median, underLoad, type LoadFigures } from './support/requests.ts';
import { printJson, printTable, type TableRow } from './support/table.ts';

export const usage = 'npm run bench -- limits [--rounds 3] [--seconds 3] [--json]';

const connections = 16;
const query = 'query ($first: Int!) { workflows(first: $first) { nodes { id name executions(first: $first) { nodes { id status } } } } }';
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export async function run(args: string[]): Promise<void> {
  const numberOf = (name: string, otherwise: number): number => Number(args[args.indexOf(name) + 1] ?? otherwise) || otherwise;
  const [rounds, seconds] = [args.includes('--rounds') ? numberOf('--rounds', 3) : 3, args.includes('--seconds') ? numberOf('--seconds', 3) : 3];
  const parts = await partByPart();
  const servers = await withOwnCluster({}, (cluster) => serverByServer(cluster, rounds, seconds));
  if (args.includes('--json')) printJson({ servers, parts });
  else {
    printTable(servers);
    process.stdout.write('\n');
    printTable(parts);
  }
}

async function serverByServer(cluster: OwnCluster, rounds: number, seconds: number): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const { id: tenantId, userId } = await makeTenant(owner, 1);
  const expiresAt = new Date(Date.now() + 3_600_000);
  const { rows: [session] } = await owner.query<{ id: string }>('insert into app_private.sessions (tenant_id, user_id, expires_at) values ($1, $2, $3) returning id', [tenantId, userId, expiresAt]);
  await owner.end();
  const jwt = await signToken({ userId, tenantId, role: 'admin', sessionId: session!.id, expiresAt }, cluster.secrets.jwtSecret);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-bench-documents-'));
  writeFileSync(path.join(folder, 'list.graphql'), query);
  const none = { AGENTFLOW_FACE: 'open', AGENTFLOW_RATE_TENANT: '0', AGENTFLOW_RATE_ADDRESS: '0' };
  const rates = { ...none, AGENTFLOW_RATE_TENANT: '100000/9000000', AGENTFLOW_RATE_ADDRESS: '100/1000' };
  const faces: Record<string, Record<string, string>> = { 'no rates': none, rates, 'rates, closed face, trusted documents': { ...rates, AGENTFLOW_FACE: 'closed', AGENTFLOW_TRUSTED_DOCUMENTS: folder } };
  const servers = await Promise.all(Object.values(faces).map((environment) => startCommand(cluster, 'server', environment)));
  const figures: LoadFigures[][] = servers.map(() => []);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [index, { url }] of servers.entries()) {
        const body = JSON.stringify({ query, variables: { first: 10 } });
        const one = await underLoad({
          url, next: () => ({ path: '/graphql', method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${jwt}` }, body }),
          check(text) {
            if (!text.includes('"workflows"') || text.includes('"errors"')) throw new Error(`Unexpected answer: ${text}`);
          },
        }, connections, seconds);
        if (round > 0) figures[index]!.push(one); // the first round warms up
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
  const rateOf = (ones: LoadFigures[]): number => median(ones.map(({ rate }) => rate));
  return Object.keys(faces).map((name, index) => ({
    server: name, 'requests/s': Math.round(rateOf(figures[index]!)), 'of no rates': (rateOf(figures[index]!) / rateOf(figures[0]!)).toFixed(2), 'p50 ms': median(figures[index]!.map(({ p50 }) => p50)), 'p99 ms': median(figures[index]!.map(({ p99 }) => p99)),
  }));
}

/** Microseconds a request, of each part alone. */
async function partByPart(): Promise<TableRow[]> {
  const schema = buildSchema(readFileSync(path.resolve(import.meta.dirname, '../migrations/snapshot/schema.graphql'), 'utf8'));
  const scope = { requestId: 'bench', ip: null, userAgent: null, identity: visitor };
  const operation = { query, variables: { first: 10 }, operationName: undefined };
  const [open, trusted] = [new Face(openFace, null), new Face(openFace, new TrustedDocuments([{ id: 'list', query }]))];
  const limits = new RateLimits({ limits: { tenant: { perSecond: 100_000, burst: 10_000_000 }, address: null }, take: (asks) => Promise.resolve(asks.map(({ wanted }) => ({ granted: wanted, waitMs: 0 }))), log: quiet });
  let fresh = 0;
  const parts: [string, number, () => unknown][] = [
    ['depth, aliases, directives, cost of a known document', 200_000, () => open.admit(schema, operation, scope)],
    ['the same of a new document (parsed and validated anyway)', 2_000, () => { fresh += 1; return open.admit(schema, { ...operation, query: `${query} #${fresh}` }, scope); }],
    ['a trusted document', 200_000, () => trusted.admit(schema, operation, scope)],
    ['a request counted from its lease', 200_000, () => limits.charge('tenant', 'bench')],
  ];
  const rows: TableRow[] = [];
  for (const [part, count, once] of parts) {
    for (let index = 0; index < count / 10; index += 1) await once();
    const started = performance.now();
    for (let index = 0; index < count; index += 1) await once();
    rows.push({ part, 'us a request': (((performance.now() - started) / count) * 1_000).toFixed(2) });
  }
  return rows;
}
