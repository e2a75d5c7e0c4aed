/** Does a database hold together: migrations, roles, settings, the lints' errors, the audit chain, every reference and check, and what no constraint can say? Writes nothing but seals. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { auditChain, type AuditHead } from './audit-chain.ts';
import { inReadOnly } from './fingerprint.ts';
import { migrationHistory } from './history.ts';
import { applyBaseline, readBaseline, runLints } from './lint.ts';
import { roleProblems } from './roles.ts';

export interface Check {
  name: string;
  /** A sentence each; none when it holds. */
  problems: string[];
  /** Of the audit chain: the last seal of each tenant, and how many rows wait for one. */
  heads?: AuditHead[];
  unsealed?: number;
}

/** At most so many of one kind are named. */
const mostNamed = 20;
const folder = path.join(import.meta.dirname, 'invariants');

export async function verifyDatabase(client: pg.Client, migrationsFolder: string): Promise<Check[]> {
  const history = await migrationHistory(client, migrationsFolder);
  const lints = applyBaseline(await runLints(client), readBaseline(migrationsFolder)).findings.filter(({ level }) => level === 'error');
  return [
    { name: 'migrations', problems: history.filter(({ state }) => state !== 'APPLIED').map(({ filename, state }) => `${filename} is ${state}`) },
    { name: 'roles', problems: await roleProblems(client) },
    { name: 'settings of the database', problems: await settingProblems(client) },
    { name: 'lints', problems: lints.map(({ object, message }) => `${object}: ${message}`) },
    { name: 'audit chain', ...await auditChain(client, mostNamed) },
    ...await inReadOnly(client, async () => [await brokenReferences(client), await brokenChecks(client), ...await invariants(client)]),
  ];
}

/** What a dump of one database does not hold. */
async function settingProblems(client: pg.Client): Promise<string[]> {
  const { rows: [state] } = await client.query<{ path: boolean; locked_out: string[]; worker: boolean }>(`
    select exists (select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
        where d.datname = current_database() and s.setrole = 0 and 'search_path=app_public, public' = any (s.setconfig)) as path,
      array(select role from unnest(array['agentflow_owner', 'agentflow_authenticator', 'agentflow_worker']) role
        where to_regrole(role) is not null and not has_database_privilege(role, current_database(), 'connect')) as locked_out,
      to_regnamespace('graphile_worker') is not null as worker`);
  return [
    ...(state!.path ? [] : ['search_path is not app_public, public: run agentflow db prepare']),
    ...state!.locked_out.map((role) => `${role} may not connect: run agentflow db prepare`),
    ...(state!.worker ? [] : ['the schema graphile_worker is missing: run agentflow db prepare']),
  ];
}

/** A restore that switched triggers off may have brought rows whose parents it did not bring. */
async function brokenReferences(client: pg.ClientBase): Promise<Check> {
  const { rows } = await client.query<{ name: string; table: string; parent: string; own: string[]; foreign: string[] }>(`
    select k.conname as name, format('%I.%I', n.nspname, c.relname) as "table", format('%I.%I', pn.nspname, p.relname) as parent,
      array(select quote_ident(a.attname) from unnest(k.conkey) with ordinality as part (number, place) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = part.number order by place) as own,
      array(select quote_ident(a.attname) from unnest(k.confkey) with ordinality as part (number, place) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = part.number order by place) as foreign
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and n.nspname in ('app_public', 'app_private')`);
  const problems = [];
  for (const { name, table, parent, own, foreign } of rows) {
    const { rows: [found] } = await client.query<{ count: string }>(`
      select count(*) as count from ${table} t
      where ${own.map((column) => `t.${column} is not null`).join(' and ')}
        and not exists (select from ${parent} p where ${own.map((column, index) => `p.${foreign[index]} = t.${column}`).join(' and ')})`);
    if (found!.count !== '0') problems.push(`${found!.count} rows of ${table} refer to a row of ${parent} that is not there (${name})`);
  }
  return { name: 'references', problems };
}

async function brokenChecks(client: pg.ClientBase): Promise<Check> {
  const { rows } = await client.query<{ name: string; table: string; definition: string }>(`
    select k.conname as name, format('%I.%I', n.nspname, c.relname) as "table", pg_get_expr(k.conbin, k.conrelid) as definition
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'c' and n.nspname in ('app_public', 'app_private') and not c.relispartition`);
  const problems = [];
  for (const { name, table, definition } of rows) {
    const { rows: [found] } = await client.query<{ count: string }>(`select count(*) as count from ${table} where not (${definition})`);
    if (found!.count !== '0') problems.push(`${found!.count} rows of ${table} break ${name}`);
  }
  return { name: 'checks', problems };
}

/** Each file of the folder gives what breaks it. */
export async function invariants(client: pg.ClientBase): Promise<Check[]> {
  const checks: Check[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.sql')).sort()) {
    const { rows } = await client.query<{ object: string; message: string }>(readFileSync(path.join(folder, file), 'utf8'));
    const named = rows.slice(0, mostNamed).map(({ object, message }) => `${object}: ${message}`);
    checks.push({ name: path.basename(file, '.sql').replaceAll('_', ' '), problems: rows.length > mostNamed ? [...named, `and ${rows.length - mostNamed} more`] : named });
  }
  return checks;
}
