/**
 * Do settings of one request ever reach another one? Many clients of many tenants share five connections, in transactions as the server makes
 * them; each asks, writes, fails and is cut off in a mixed order, and every row that comes back must be its own tenant's.
 */
import { randomInt } from 'node:crypto';
import pg from 'pg';
import { makeWithCallerClient } from '../../src/store/caller-transactions.ts';
import { PooledClient } from '../../src/store/pooled-client.ts';
import type { TableRow } from '../support/table.ts';
import { throughPgbouncer } from './pgbouncer.ts';
import { makeTenant, type BenchTenant } from './tenant.ts';

/** A database, by its logins. */
export interface BleedTarget {
  url(role: 'agentflow_owner' | 'agentflow_authenticator'): string;
}

export interface BleedOptions {
  clients: number;
  tenants: number;
  requests: number;
  /** The program, for a second run through it in transaction mode; null: none. */
  pgbouncer: string | null;
}

const connections = 5;

/** Straight, and through pgbouncer where its program is named. */
export async function bleed(cluster: BleedTarget, options: BleedOptions): Promise<TableRow[]> {
  const straight = await bleedThrough(cluster, options, null);
  const { pgbouncer } = options;
  return pgbouncer === null ? [straight] : [straight, await throughPgbouncer(cluster, pgbouncer, connections, (address) => bleedThrough(cluster, options, address))];
}

async function bleedThrough(cluster: BleedTarget, { clients, tenants: count, requests }: BleedOptions, pooler: string | null): Promise<TableRow> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const tenants: BenchTenant[] = [];
  for (let turn = 0; turn < count; turn += 1) tenants.push(await makeTenant(owner, 3));
  await owner.end();
  const url = new URL(cluster.url('agentflow_authenticator'));
  if (pooler !== null) url.host = pooler;
  if (pooler !== null) url.searchParams.set('pgbouncer', 'true');
  // A pooler hands its few connections on after each transaction, so there may be more before it.
  const pool = new pg.Pool({ connectionString: url.toString(), max: pooler === null ? connections : connections * 8, pipeline: true, ...(pooler === null ? {} : { Client: PooledClient }) });
  pool.on('error', () => undefined); // a connection that was cut off
  const asCaller = makeWithCallerClient(pool);
  const counts = { answered: 0, refused: 0, foreign: 0 };
  const begun = performance.now();
  let left = requests;
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    while (left > 0) {
      left -= 1;
      const tenant = tenants[(client + randomInt(count)) % count]!;
      const kind = randomInt(10);
      const settings = kind === 0 ? visitorSettings : settingsOf(tenant);
      try {
        const rows = await asCaller(settings, async (one) => (await one.query<{ tenant_id: string }>({ text: statements[kind % statements.length]!(tenant) })).rows);
        counts.answered += 1;
        counts.foreign += rows.filter(({ tenant_id: id }) => kind === 0 || id !== tenant.id).length;
      } catch {
        counts.refused += 1;
      }
    }
  }));
  const seconds = (performance.now() - begun) / 1_000;
  await pool.end();
  return { clients, tenants: count, connections, through: pooler === null ? 'straight' : 'pgbouncer', requests, answered: counts.answered, refused: counts.refused, 'requests/s': Math.round(requests / seconds), 'foreign rows': counts.foreign };
}

const own = (tenant: BenchTenant): Record<string, string> => ({ 'jwt.claims.tenant_id': tenant.id, 'jwt.claims.user_id': tenant.userId, 'jwt.claims.role': 'admin' });
const empty = { 'jwt.claims.api_key_id': '', 'jwt.claims.permissions': '', 'request.id': '', 'request.ip': '', 'request.user_agent': '' };
const settingsOf = (tenant: BenchTenant): Record<string, string> => ({ role: 'agentflow_user', ...own(tenant), ...empty });
const visitorSettings: Record<string, string> = { role: 'agentflow_visitor', 'jwt.claims.tenant_id': '', 'jwt.claims.user_id': '', 'jwt.claims.role': '', ...empty };

/** Reads, a write, and what fails inside the transaction; the first is the visitor's. */
const statements: ((tenant: BenchTenant) => string)[] = [
  () => 'select tenant_id from app_public.signed_in_user() where tenant_id is not null',
  () => 'select tenant_id from app_public.sources',
  () => 'select tenant_id from app_public.users',
  ({ sourceIds }) => `update app_public.sources set name = gen_random_uuid()::text where id = '${sourceIds[randomInt(sourceIds.length)]}' returning tenant_id`,
  () => `select tenant_id, 1 / (select count(*) - count(*) from app_public.users) from app_public.sources`,
  () => 'select id as tenant_id from app_public.tenants',
  () => 'select tenant_id from app_public.audit_logs order by created_at desc limit 20',
  () => `select set_config('jwt.claims.tenant_id', '', true), set_config('role', 'agentflow_visitor', true), app_public.current_tenant_id() as tenant_id from app_public.nothing_of_this_name`,
];
