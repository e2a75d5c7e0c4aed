/**
 * Does the audit log say what happened, neither more nor less? Sixteen clients change rows of one tenant, roll back, break rules and have their connections
 * killed. Then the log is played from its beginning: every change must begin where the one before it ended, and the last must leave the row as it is.
 */
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import type { OwnCluster } from '../support/own-cluster.ts';
import type { TableRow } from '../support/table.ts';
import { connectAs } from './audit.ts';
import { makeTenant, type BenchTenant } from './tenant.ts';

const clients = 16;
const killEveryMs = 100;
/** What the log leaves out. */
const unlogged = new Set(['updated_at', 'updated_by', 'last_used_at']);

interface Counts {
  committed: number;
  'rolled back': number;
  refused: number;
  killed: number;
}

export async function auditedChanges(cluster: OwnCluster, changes: number): Promise<TableRow[]> {
  const superuser = new pg.Client({ connectionString: cluster.url('postgres', 'agentflow') });
  await superuser.connect();
  const tenant = await makeTenant(superuser, 40);
  const counts: Counts = { committed: 0, 'rolled back': 0, refused: 0, killed: 0 };
  let isOver = false;
  const killing = (async () => {
    while (!isOver) {
      await superuser.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'agentflow_authenticator' order by random() limit 1`);
      await new Promise((resolve) => setTimeout(resolve, killEveryMs));
    }
  })();
  await Promise.all(Array.from({ length: clients }, () => changeRows(cluster, tenant, counts, changes)));
  isOver = true;
  await killing;
  const faults = [...await faultsOf(superuser, tenant, 'sources', 'source'), ...await faultsOf(superuser, tenant, 'workflows', 'workflow')];
  const { rows: [logged] } = await superuser.query<{ count: string }>('select count(*) from app_public.audit_logs where tenant_id = $1', [tenant.id]);
  await superuser.end();
  if (faults.length > 0) process.stderr.write(`${faults.slice(0, 10).join('\n')}\n`);
  return [{ clients, ...counts, 'audit rows': Number(logged!.count), mismatches: faults.length }];
}

/** Until there are enough changes; with a new connection whenever the last was killed. */
async function changeRows(cluster: OwnCluster, tenant: BenchTenant, counts: Counts, enough: number): Promise<void> {
  while (counts.committed < enough) {
    let client: pg.Client | null = null;
    try {
      client = await connectAs(cluster, tenant);
      client.on('error', () => undefined); // it is told to who uses it
      while (counts.committed < enough) await change(client, tenant, counts);
    } catch (error) {
      if (!isKilled(error)) throw error;
      counts.killed += 1;
    } finally {
      await client?.end().catch(() => undefined);
    }
  }
}

function isKilled(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  return code === '57P01' || code === 'ECONNRESET' || /Connection terminated|not queryable/.test(message);
}

/** One to three statements in a transaction, each of which may be refused. */
async function change(client: pg.Client, tenant: BenchTenant, counts: Counts): Promise<void> {
  const own = randomInt(1, 4);
  await client.query('begin');
  let rows = 0;
  try {
    for (let turn = 0; turn < own; turn += 1) rows += (await client.query(statements[randomInt(statements.length)]!, [tenant.sourceIds[randomInt(tenant.sourceIds.length)]])).rowCount ?? 0;
  } catch (error) {
    if (isKilled(error)) throw error;
    await client.query('rollback');
    counts.refused += 1;
    return;
  }
  const isKept = randomInt(4) > 0;
  await client.query(isKept ? 'commit' : 'rollback');
  if (isKept) counts.committed += rows;
  else counts['rolled back'] += rows;
}

const document = `'{"nodes": [{"id": "input", "type": "input"}], "start_node": "input"}'`;
const statements = [
  'update app_public.sources set name = gen_random_uuid()::text where id = $1',
  `update app_public.sources set config = config || jsonb_build_object('temperature', round(random()::numeric, 4)) where id = $1`,
  `update app_public.sources set status = case status when 'active' then 'inactive' else 'active' end where id = $1`,
  `update app_public.sources set name = repeat('x', 400) where id = $1`,
  `insert into app_public.workflows (name, spec) select gen_random_uuid()::text, ${document} from generate_series(1, 3) where $1::uuid is not null`,
  `update app_public.workflows set description = gen_random_uuid()::text where id in (select id from app_public.workflows where $1::uuid is not null order by name limit 2 for no key update)`,
  `select app_public.delete_workflow(id) from (select id from app_public.workflows where $1::uuid is not null order by created_at limit 1) as oldest`,
];

type Json = Record<string, unknown>;

/** Where the log of a table's rows does not lead to the rows, in words. */
async function faultsOf(client: pg.Client, tenant: BenchTenant, table: string, type: string): Promise<string[]> {
  const { rows: log } = await client.query<{ entity_id: string; action: string; old_value: Json | null; new_value: Json | null }>(
    'select entity_id, action, old_value, new_value from app_public.audit_logs where tenant_id = $1 and entity_type = $2 order by log_number', [tenant.id, type]);
  const { rows } = await client.query<{ id: string; row: Json }>(`select id, to_jsonb(one) as row from app_public.${table} as one where tenant_id = $1`, [tenant.id]);
  const faults: string[] = [];
  const played = new Map<string, Json>();
  for (const { entity_id: id, action, old_value: before, new_value: after } of log) {
    const known = played.get(id);
    if ((action === 'create') !== (known === undefined)) faults.push(`${type} ${id}: ${action} of one that ${known === undefined ? 'has no beginning' : 'is there'}`);
    for (const [column, value] of Object.entries(before ?? {})) {
      if (!isDeepStrictEqual(known?.[column], value)) faults.push(`${type} ${id}: ${action} begins with another ${column}`);
    }
    played.set(id, { ...known, ...after });
  }
  for (const { id, row } of rows) {
    const end = played.get(id);
    for (const [column, value] of Object.entries(row)) if (!unlogged.has(column) && !isDeepStrictEqual(end?.[column], value)) faults.push(`${type} ${id}: ${column} is not what the log says`);
    played.delete(id);
  }
  return [...faults, ...[...played.keys()].map((id) => `${type} ${id}: in the log, and not there`)];
}
