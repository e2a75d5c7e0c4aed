/**
 * Figures of sources: what the guard and the redaction add to a call, artifacts kept and read per second, rows per second through a db node.
 * Starts a PostgreSQL and HTTP servers of its own.
 *
 *     node bench/sources.ts [guard|redaction|artifacts|rows]     all of them when none is named
 */
import './support/only-own-databases.ts';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { pathToFileURL } from 'node:url';
import pino from 'pino';
import { Agent, fetch as plainFetch } from 'undici';
import { loadWorkflowTools } from '../src/cli/workflow-tools.ts';
import { hashApiKey } from '../src/keys.ts';
import { SourceCall } from '../src/sources/call.ts';
import { createGuardedFetch } from '../src/sources/guard/fetch.ts';
import { checkingLookup } from '../src/sources/guard/lookup.ts';
import { redactor } from '../src/runtime/node-log.ts';
import { withClient } from '../src/schema/connection.ts';
import { startServer } from '../src/server/index.ts';
import { clusterVariable, startTestCluster } from '../test/support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { startTestWorker } from '../test/support/worker.ts';
import { measured } from './support/figures.ts';
import { printJson, printTable, type TableRow } from './support/table.ts';
import { namesIn } from './support/words.ts';

const seconds = 2;
const measurements: Record<string, () => Promise<TableRow[]>> = { guard, redaction, artifacts, rows };

export async function run(args: readonly string[]): Promise<void> {
  const lines: TableRow[] = [];
  for (const name of namesIn(args.filter((arg) => arg !== '--json'), Object.keys(measurements))) lines.push(...await measurements[name]!());
  if (args.includes('--json')) printJson(lines);
  else printTable(lines);
}

const round = (value: number, places = 1): number => Math.round(value * 10 ** places) / 10 ** places;

/** The same call of a service next door, plain and guarded, in turns; and the checks alone. */
async function guard(): Promise<TableRow[]> {
  const server = http.createServer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const dispatcher = new Agent();
  const guarded = createGuardedFetch({ allowHosts: [host], maxBytes: 1_000_000 });
  const url = `http://${host}/`;
  const ways = {
    plain: async () => void await (await plainFetch(url, { dispatcher })).text(),
    guarded: async () => void await (await guarded.fetch(url)).text(),
  };
  const medians: Record<string, number[]> = { plain: [], guarded: [] };
  for (let turn = 0; turn < 3; turn += 1) for (const [name, call] of Object.entries(ways)) medians[name]!.push((await measured(seconds / 2, call)).median);
  const least = (name: string): number => Math.min(...medians[name]!);
  const addresses = ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '1.1.1.1', '2606:4700:4700::1111'].map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  const lookup = checkingLookup(((_name: string, _options: object, found: (error: null, all: typeof addresses) => void) => found(null, addresses)) as never);
  const checks = await measured(0.5, () => lookup('service.example', { all: true }, () => undefined));
  await Promise.all([guarded.close(), dispatcher.close()]);
  server.close();
  return [
    { figure: 'HTTP call without the guard', value: round(least('plain') * 1_000, 0), unit: 'us, median' },
    { figure: 'the same with the guard', value: round(least('guarded') * 1_000, 0), unit: 'us, median' },
    { figure: 'added by the guard', value: round((least('guarded') - least('plain')) * 1_000, 0), unit: 'us a call' },
    { figure: 'checking four addresses of a name', value: round(checks.median * 1_000, 2), unit: 'us a connection' },
  ];
}

async function redaction(): Promise<TableRow[]> {
  const binding = { nodeId: 'n', tenantSlug: 't', sourceName: 's', config: {}, signal: new AbortController().signal, idempotencyKey: 'k', costUnits: () => 0, imageCostUnits: () => 0 };
  const call = new SourceCall(binding, { sourceVariables: [], sourceValues: {}, allowHosts: [], llmGateway: null, mockLlm: null });
  for (let each = 0; each < 3; each += 1) call.keepSecret(`a secret of a usual length ${each}`);
  const lines: TableRow[] = [];
  for (const kilobytes of [4, 100, 1_000]) {
    const text = 'words of an answer, '.repeat(kilobytes * 51).slice(0, kilobytes * 1_024);
    lines.push({ figure: `redaction of an answer of ${kilobytes} KiB, three secrets`, value: round((await measured(0.5, () => call.redact(text))).median * 1_000, 1), unit: 'us' });
  }
  const all = redactor(Array.from({ length: 1_000 }, (_, each) => `remembered secret number ${each}`));
  const line = 'a line of a log or an error, as they usually are; '.repeat(6);
  lines.push({ figure: 'redaction of a log line, 1,000 remembered secrets', value: round((await measured(0.5, () => all(line))).median * 1_000, 1), unit: 'us' });
  return lines;
}

async function artifacts(): Promise<TableRow[]> {
  return withDatabase(async (db) => {
    const worker = crypto.randomUUID();
    const { rows: [execution] } = await db.owner.query<{ id: string; tenant_id: string }>(`
      insert into executions (workflow_id, user_id, tenant_id, initial_state)
      select w.id, w.user_id, w.tenant_id, '{}' from workflows w where w.tenant_id = (select tenant_id from api_keys where key_hash = $1) limit 1 returning id, tenant_id`, [hashApiKey(db.samples.apiKey, db.secretKey)]);
    await db.owner.query(`update api_keys set permissions = '{"executions": ["read"]}'`);
    await db.owner.query('insert into app_private.workers (id, lock_key, host, process_id) values ($1, 1, $2, 1)', [worker, 'bench']);
    await db.owner.query('insert into app_private.execution_leases (execution_id, tenant_id, worker_id) values ($1, $2, $3)', [execution!.id, execution!.tenant_id, worker]);
    const server = await startServer({
      config: { host: '127.0.0.1', port: 0, jwtSecret: db.jwtSecret, secretKey: db.secretKey, environment: 'production' },
      authenticatorUrl: db.url('agentflow_authenticator'), log: pino({ level: 'silent' }), workflowTools: loadWorkflowTools,
    });
    const lines: TableRow[] = [];
    for (const kilobytes of [100, 1_000]) {
      const bytes = Buffer.alloc(kilobytes * 1_024, 7);
      const ids: string[] = [];
      const kept = await perSecond(4, async () => {
        const { rows: [row] } = await db.owner.query<{ id: string }>("select app_private.save_artifact($1, $2, 1, 'n', 'image/png', $3) as id", [worker, execution!.id, bytes]);
        ids.push(row!.id);
      });
      const read = await perSecond(4, async (index) => {
        const response = await fetch(`${server.url}/artifacts/${ids[index % ids.length]}`, { headers: { 'x-api-key': db.samples.apiKey } });
        if ((await response.arrayBuffer()).byteLength !== bytes.length) throw new Error(`The artifact came back as ${response.status}`);
      });
      lines.push({ figure: `artifacts of ${kilobytes} KiB kept`, value: round(kept, 0), unit: 'a second' }, { figure: `artifacts of ${kilobytes} KiB read over HTTP`, value: round(read, 0), unit: 'a second' });
    }
    await server.close(1_000);
    return lines;
  });
}

async function perSecond(parallel: number, work: (index: number) => Promise<void>): Promise<number> {
  let count = 0;
  const end = performance.now() + seconds * 1_000;
  const started = performance.now();
  await Promise.all(Array.from({ length: parallel }, async () => {
    while (performance.now() < end) await work(count++);
  }));
  return count / ((performance.now() - started) / 1_000);
}

/** Whole executions of one db node: asked, read, redacted, stored as the node's output. */
async function rows(): Promise<TableRow[]> {
  return withDatabase(async (db) => {
    const shop = new URL('/postgres', db.url('postgres'));
    await withClient(shop.href, (client) => client.query("create table if not exists public.bench_rows as select n as id, 'product ' || n as name, n * 1.5 as price from generate_series(1, 10000) as n"));
    const worker = await startTestWorker(db, { allowHosts: [shop.host], sourceVariables: [{ name: 'SHOP_URL', tenant: null, hosts: ['127.0.0.1'] }], sourceValues: { SHOP_URL: shop.href } });
    const lines: TableRow[] = [];
    for (const limit of [100, 10_000]) {
      const spec = { nodes: [{ id: 'read', type: 'db', metadata: { source: 'shop', query: 'select id, name, price from bench_rows order by id', limit } }], edges: [], start_node: 'read', sources: [{ id: 'shop', kind: 'db', config: { connection_string_env: 'SHOP_URL' } }] };
      const { rows: [workflow] } = await db.owner.query<{ id: string }>("insert into workflows (name, spec, user_id, tenant_id) select $1, $2, id, tenant_id from users where role = 'admin' order by created_at limit 1 returning id", [`rows ${limit}`, JSON.stringify(spec)]);
      const once = async (): Promise<void> => {
        const { rows: [execution] } = await db.owner.query<{ id: string }>("insert into executions (workflow_id, user_id, tenant_id, initial_state) select id, user_id, tenant_id, '{}' from workflows where id = $1 returning id", [workflow!.id]);
        await untilCompleted(db, execution!.id);
      };
      await once();
      const executions = await perSecond(4, once);
      lines.push({ figure: `rows through a db node, ${limit} an execution`, value: round(executions * limit, 0), unit: 'a second' });
    }
    await worker.close(2_000);
    return lines;
  });
}

/** Looks at the status alone: the rows themselves would be read again and again. */
async function untilCompleted(db: TestDatabase, id: string): Promise<void> {
  for (;;) {
    const { rows: [row] } = await db.owner.query<{ status: string; error_message: string | null }>('select status, error_message from executions where id = $1', [id]);
    if (row!.status === 'completed') return;
    if (row!.status === 'failed') throw new Error(row!.error_message ?? 'failed');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function withDatabase(use: (db: TestDatabase) => Promise<TableRow[]>): Promise<TableRow[]> {
  const cluster = await startTestCluster();
  process.env[clusterVariable] = JSON.stringify(cluster.info);
  try {
    const db = await createTestDatabase({ samples: true });
    try {
      return await use(db);
    } finally {
      await db.drop();
    }
  } finally {
    await cluster.stop();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await run(process.argv.slice(2));
