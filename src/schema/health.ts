/** Is a database as AgentFlow needs it? Looks only; each finding with what to do about it. */
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { migrationHistory } from './history.ts';
import { migrationsFolder } from './migrate.ts';
import { checkServerVersion } from './prepare.ts';
import { missingRoleStatements } from './roles.ts';

export interface Finding {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  message: string;
  /** Only when there is something to do. */
  remedy?: string;
}

/** `client` is the owner's. */
export async function databaseFindings(client: pg.Client): Promise<Finding[]> {
  const findings = [await serverVersion(client), await roles(client), await migrations(client), await workerSchema(client)];
  return [...findings, await rowLevelSecurity(client), await ownerBypass(client)];
}

async function serverVersion(client: pg.Client): Promise<Finding> {
  const { rows: [row] } = await client.query<{ number: number; text: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as text`);
  try {
    checkServerVersion(row!.number);
    return { name: 'postgres', status: 'ok', message: `PostgreSQL ${row!.text}` };
  } catch (error) {
    if (!(error instanceof AgentFlowError)) throw error;
    return { name: 'postgres', status: 'fail', message: error.message, remedy: error.remedy };
  }
}

async function roles(client: pg.Client): Promise<Finding> {
  const missing = await missingRoleStatements(client);
  if (missing.length === 0) return { name: 'roles', status: 'ok', message: 'all roles and memberships are there' };
  return { name: 'roles', status: 'fail', message: `${missing.length} statements are needed`, remedy: `Run: agentflow db migrate; or, as a superuser: ${missing.join('; ')};` };
}

async function migrations(client: pg.Client): Promise<Finding> {
  const differing = (await migrationHistory(client, migrationsFolder)).filter(({ state }) => state !== 'APPLIED');
  if (differing.length === 0) return { name: 'migrations', status: 'ok', message: 'the database has all committed migrations' };
  const message = differing.map(({ filename, state }) => `${filename} ${state}`).join(', ');
  const onlyPending = differing.every(({ state }) => state === 'PENDING');
  return { name: 'migrations', status: 'fail', message, remedy: onlyPending ? 'Run: agentflow db migrate' : 'Use the AgentFlow version whose migrations these are; see agentflow db history.' };
}

async function workerSchema(client: pg.Client): Promise<Finding> {
  const { rows: [row] } = await client.query<{ owner: string | null }>(
    `select (select r.rolname from pg_namespace n join pg_roles r on r.oid = n.nspowner where n.nspname = 'graphile_worker') as owner`);
  if (row!.owner === 'agentflow_worker') return { name: 'worker schema', status: 'ok', message: 'graphile_worker is there and the worker\'s' };
  const message = row!.owner === null ? 'the schema graphile_worker is missing' : `the schema graphile_worker belongs to ${row!.owner}`;
  return { name: 'worker schema', status: 'fail', message, remedy: row!.owner === null ? 'Run: agentflow db migrate' : 'Run: alter schema graphile_worker owner to agentflow_worker' };
}

async function rowLevelSecurity(client: pg.Client): Promise<Finding> {
  const { rows } = await client.query<{ name: string }>(`
    select c.oid::regclass::text as name
    from pg_class c
    where c.relnamespace in (to_regnamespace('app_public'), to_regnamespace('app_private'))
      and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
    order by 1`);
  if (rows.length === 0) return { name: 'row-level security', status: 'ok', message: 'forced on every table' };
  return { name: 'row-level security', status: 'fail', message: `not forced on ${rows.map(({ name }) => name).join(', ')}`, remedy: 'alter table ... enable row level security, force row level security; and find out who changed it.' };
}

async function ownerBypass(client: pg.Client): Promise<Finding> {
  const { rows: [row] } = await client.query<{ bypasses: boolean }>(
    `select coalesce(bool_or(rolbypassrls or rolsuper), false) as bypasses from pg_roles where rolname = 'agentflow_owner'`);
  if (row!.bypasses) return { name: 'owner', status: 'ok', message: 'agentflow_owner has BYPASSRLS' };
  return { name: 'owner', status: 'warn', message: 'agentflow_owner has no BYPASSRLS: pg_dump needs --enable-row-security', remedy: 'As a superuser: alter role agentflow_owner bypassrls' };
}
