/** What the audit log costs: writes with its triggers on and off, in turn, single rows and a thousand at a time, by one client and by sixteen of one tenant, in SQL and through the API. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { startCommand } from '../support/api-processes.ts';
import type { OwnCluster } from '../support/own-cluster.ts';
import { median, underLoad } from '../support/requests.ts';
import type { TableRow } from '../support/table.ts';
import { makeTenant, tokenOf, type BenchTenant } from './tenant.ts';

interface Measured {
  name: string;
  clients: number;
  /** Rows a statement. */
  rows: number;
}

interface Rates {
  on: number[];
  off: number[];
}

interface Case extends Measured {
  sql: string;
}

const document = `'{"nodes": [{"id": "input", "type": "input"}], "start_node": "input"}'`;
const cases: Case[] = [
  { name: 'update of a source', clients: 1, rows: 1, sql: `update app_public.sources set name = gen_random_uuid()::text where id = $1` },
  { name: 'insert of a workflow', clients: 1, rows: 1, sql: `insert into app_public.workflows (name, spec) select gen_random_uuid()::text, ${document} where $1::uuid is not null` },
  { name: 'update of a source', clients: 16, rows: 1, sql: `update app_public.sources set name = gen_random_uuid()::text where id = $1` },
  { name: 'insert of a workflow', clients: 16, rows: 1, sql: `insert into app_public.workflows (name, spec) select gen_random_uuid()::text, ${document} where $1::uuid is not null` },
  { name: 'update of 1,000 sources', clients: 1, rows: 1_000, sql: `update app_public.sources set name = gen_random_uuid()::text where $1::uuid is not null and id in (select id from app_public.sources order by id limit 1000)` },
  { name: 'insert of 1,000 workflows', clients: 1, rows: 1_000, sql: `insert into app_public.workflows (name, spec) select gen_random_uuid()::text, ${document} from generate_series(1, 1000) where $1::uuid is not null` },
];

export async function auditCost(cluster: OwnCluster, { rounds, seconds }: { rounds: number; seconds: number }): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const tenant = await makeTenant(owner, 1_016);
  const table: TableRow[] = [];
  try {
    for (const one of cases) {
      const clients = await Promise.all(Array.from({ length: one.clients }, () => connectAs(cluster, tenant)));
      table.push(rowOf(one, await inTurns(owner, rounds, () => rateOf(clients, one, tenant, seconds))));
      await Promise.all(clients.map((client) => client.end()));
    }
    table.push(await throughTheApi(cluster, owner, tenant, { rounds, seconds }));
  } finally {
    await owner.end();
  }
  return table;
}

async function inTurns(owner: pg.Client, rounds: number, rate: () => Promise<number>): Promise<Rates> {
  const rates: Rates = { on: [], off: [] };
  for (let round = 0; round < rounds * 2; round += 1) {
    const isOn = round % 2 === 0;
    await setAudit(owner, isOn);
    await owner.query('vacuum analyze app_public.sources');
    rates[isOn ? 'on' : 'off'].push(await rate());
  }
  await setAudit(owner, true);
  return rates;
}

function rowOf({ name, clients, rows }: Measured, { on, off }: Rates): TableRow {
  const [withAudit, without] = [median(on), median(off)];
  return { write: name, clients, 'rows/s with audit': Math.round(withAudit), 'without': Math.round(without), kept: (withAudit / without).toFixed(2), bar: rows === 1 ? '0.75' : '0.50' };
}

/** What a client of the API notices of it. */
async function throughTheApi(cluster: OwnCluster, owner: pg.Client, tenant: BenchTenant, { rounds, seconds }: { rounds: number; seconds: number }): Promise<TableRow> {
  const clients = 16;
  const authorization = `Bearer ${await tokenOf(owner, tenant, cluster)}`;
  const server = await startCommand(cluster, 'server', { AGENTFLOW_RATE_TENANT: '0', AGENTFLOW_RATE_ADDRESS: '0' });
  let count = 0;
  const query = 'mutation ($id: UUID!, $name: String!) { updateSource(input: { id: $id, patch: { name: $name } }) { source { name } } }';
  const load = {
    url: server.url,
    next: () => {
      count += 1;
      const variables = { id: tenant.sourceIds[1_000 + count % clients], name: randomUUID() };
      return { path: '/graphql', method: 'POST' as const, headers: { 'content-type': 'application/json', authorization }, body: JSON.stringify({ query, variables }) };
    },
    check: (text: string) => {
      if (!text.includes('"source":{"name"')) throw new Error(`Unexpected answer: ${text.slice(0, 500)}`);
    },
  };
  try {
    await underLoad(load, clients, seconds); // warms up
    return rowOf({ name: 'updateSource through the API', clients, rows: 1 }, await inTurns(owner, rounds, async () => (await underLoad(load, clients, seconds)).rate));
  } finally {
    await server.stop();
  }
}

async function setAudit(owner: pg.Client, isOn: boolean): Promise<void> {
  for (const table of ['sources', 'workflows']) {
    for (const event of ['insert', 'update', 'delete']) await owner.query(`alter table app_public.${table} ${isOn ? 'enable' : 'disable'} trigger _500_audit_${event}`);
  }
}

/** A connection that acts as the tenant's architect: role and claims once, so that only the write is measured. */
export async function connectAs(cluster: OwnCluster, { id, userId }: BenchTenant): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: cluster.url('agentflow_authenticator') });
  await client.connect();
  await client.query(`select set_config('role', 'agentflow_user', false), set_config('jwt.claims.tenant_id', $1, false), set_config('jwt.claims.user_id', $2, false), set_config('jwt.claims.role', 'admin', false)`, [id, userId]);
  return client;
}

async function rateOf(clients: readonly pg.Client[], { rows, sql }: Case, { sourceIds }: BenchTenant, seconds: number): Promise<number> {
  const started = performance.now();
  const end = started + seconds * 1_000;
  let done = 0;
  await Promise.all(clients.map(async (client, index) => {
    while (performance.now() < end) {
      await client.query({ name: sql.slice(0, 60), text: sql, values: [sourceIds[1_000 + index]] });
      done += rows;
    }
  }));
  return done / ((performance.now() - started) / 1_000);
}
