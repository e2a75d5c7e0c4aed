/**
 * What the first migration stands on and no migration can hold: the roles, the database's own settings and grants, and
 * the schema of graphile-worker, which belongs to the worker's role.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { actingAs, withClient, withSchemaLock } from './connection.ts';
import { ensureRoles, type Passwords } from './roles.ts';

/** Lowest minor of each major without the bug of CVE-2024-10976: plans made for one role were used for another. */
const lowestMinor: Record<number, number> = { 14: 14, 15: 9, 16: 5, 17: 1 };
const lowestMajor = 14;

/** `server_version_num`, e.g. 180004. Throws POSTGRES_UNSUPPORTED. */
export function checkServerVersion(versionNumber: number): void {
  const [major, minor] = [Math.floor(versionNumber / 10_000), versionNumber % 10_000];
  if (major >= lowestMajor && minor >= (lowestMinor[major] ?? 0)) return;
  throw new AgentFlowError('POSTGRES_UNSUPPORTED', `PostgreSQL ${major}.${minor} is not supported.`, { details: { version: `${major}.${minor}` } });
}

/** Idempotent. Returns the connection string that acts as agentflow_owner. `passwords` go to the roles that it creates. */
export async function prepareDatabase(connectionString: string, passwords: Passwords = {}): Promise<string> {
  return withClient(connectionString, (client) => withSchemaLock(client, () => prepareWith(client, connectionString, passwords)));
}

/** On a connection to that database, for who has the lock of the schema. */
export async function prepareWith(client: pg.Client, connectionString: string, passwords: Passwords = {}): Promise<string> {
  const { rows: [row] } = await client.query<{ version: number; name: string }>(
    `select current_setting('server_version_num')::int as version, current_user::text as name`);
  checkServerVersion(row!.version);
  await ensureRoles(client, passwords);
  await ensureDatabaseSettings(client);
  await ensureWorkerSchema(client, connectionString);
  return row!.name === 'agentflow_owner' ? connectionString : actingAs(connectionString, 'agentflow_owner');
}

/** What a copy of a database does not take along. `search_path` lets a DBA, and the seed's own statements, name tables as they are written. */
export async function ensureDatabaseSettings(client: pg.Client): Promise<void> {
  const { rows: [state] } = await client.query<{ name: string; connect: boolean; create: boolean; path: boolean }>(`
    select current_database()::text as name,
           bool_and(has_database_privilege(role, current_database(), 'connect')) as connect,
           has_database_privilege('agentflow_owner', current_database(), 'create') as create,
           exists (select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
                   where d.datname = current_database() and s.setrole = 0 and 'search_path=app_public, public' = any (s.setconfig)) as path
    from unnest(array['agentflow_owner', 'agentflow_authenticator', 'agentflow_worker']) as role`);
  const database = client.escapeIdentifier(state!.name);
  if (!state!.connect) await client.query(`grant connect on database ${database} to agentflow_owner, agentflow_authenticator, agentflow_worker`);
  if (!state!.create) await client.query(`grant create on database ${database} to agentflow_owner`);
  if (!state!.path) await client.query(`alter database ${database} set search_path = app_public, public`);
}

/** graphile-worker's own migrations. It is loaded when it has some to run. */
async function ensureWorkerSchema(client: pg.Client, connectionString: string): Promise<void> {
  const { rows: [row] } = await client.query<{ name: string; is_new: boolean }>(
    `select current_database()::text as name, to_regclass('graphile_worker.migrations') is null as is_new`);
  if (!row!.is_new && await newestWorkerMigration(client) >= newestPackagedMigration()) return;
  const database = client.escapeIdentifier(row!.name);
  if (row!.is_new) await client.query(`grant create on database ${database} to agentflow_worker`);
  try {
    const { Logger, runMigrations } = await import('graphile-worker');
    const silentUnlessWrong = new Logger(() => (level, message) => {
      if (level === 'error' || level === 'warning') process.stderr.write(`graphile-worker: ${message}\n`);
    });
    await runMigrations({ connectionString: actingAs(connectionString, 'agentflow_worker'), logger: silentUnlessWrong });
  } finally {
    if (row!.is_new) await client.query(`revoke create on database ${database} from agentflow_worker`);
  }
}

/** Only the worker's role may read it. */
async function newestWorkerMigration(client: pg.Client): Promise<number> {
  const results = await client.query('begin; set local role agentflow_worker; select coalesce(max(id), 0) as newest from graphile_worker.migrations; commit') as unknown as pg.QueryResult<{ newest: number }>[];
  return results[2]!.rows[0]!.newest;
}

function newestPackagedMigration(): number {
  const folder = path.resolve(createRequire(import.meta.url).resolve('graphile-worker'), '../../sql');
  return Math.max(...readdirSync(folder).map((name) => Number(/^(\d+)\.sql$/.exec(name)?.[1] ?? 0)));
}
