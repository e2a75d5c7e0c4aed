/**
 * What the schema does today, table by table, as a value that two runs can be compared by: who may do what to own rows,
 * and what every kind of write is answered with and brings about. Ids and times are left out.
 */
import type pg from 'pg';
import { become } from '../sql/support/probe.ts';
import type { PlantedTenant } from '../sql/support/plant.ts';
import { everybodyOf } from './askers.ts';
import { freshLike, madeUp, type Garden } from './plant.ts';
import { columnOf, type Column, type Subject } from './subjects.ts';

export type Lines = Record<string, string>;

const loginsAndRoles = ['agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_worker', 'agentflow_authenticator'];

/** Every right of every role: schemas, tables, columns, functions. */
export async function rightsRecord(client: pg.ClientBase): Promise<Lines> {
  const { rows } = await client.query<{ object: string; rights: string }>(`
    select format('%s, schema %s', role, n.nspname) as object, concat_ws(' ', case when has_schema_privilege(role, n.oid, 'usage') then 'usage' end, case when has_schema_privilege(role, n.oid, 'create') then 'create' end) as rights
    from pg_namespace n, unnest($1::text[]) role where n.nspname in ('app_public', 'app_private', 'public', 'graphile_worker')
    union all
    select format('%s, %s', role, c.oid::regclass), (select string_agg(lower(p), ' ') from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p where has_table_privilege(role, c.oid, p))
    from pg_class c, unnest($1::text[]) role where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    union all
    select format('%s, %s.%s', role, c.oid::regclass, a.attname), (select string_agg(lower(p), ' ') from unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p where has_column_privilege(role, c.oid, a.attnum, p))
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped, unnest($1::text[]) role
    where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    union all
    select format('%s, %s', role, p.oid::regprocedure), case when has_function_privilege(role, p.oid, 'execute') then 'execute' end
    from pg_proc p, unnest($1::text[]) role where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
    order by 1`, [loginsAndRoles]);
  return Object.fromEntries(rows.filter(({ rights }) => rights !== null && rights !== '').map(({ object, rights }) => [object, rights]));
}

/** Which own rows each role, and an admin's key with each permission, sees and may write, with the rights as they are. */
export async function reachRecord(client: pg.ClientBase, subject: Subject, { own }: Garden): Promise<Lines> {
  const asking = everybodyOf(own);
  const { rows: [grants] } = await client.query<{ updatable: string[]; insertable: string[] }>(`
    select array(select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and has_column_privilege('agentflow_user', attrelid, attnum, 'update')) as updatable,
      array(select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and has_column_privilege('agentflow_user', attrelid, attnum, 'insert')) as insertable`, [subject.name]);
  const insert = grants!.insertable.length === 0 ? null : await insertOf(client, subject, own.id, grants!.insertable);
  const lines: Lines = {};
  for (const [who, claims] of asking) {
    await become(client, 'agentflow_user', claims);
    lines[`${who} sees`] = await outcome(client, `select ${subject.tenantColumn} from ${subject.name}`);
    if (grants!.updatable.length > 0) lines[`${who} updates`] = await outcome(client, `update ${subject.name} set ${grants!.updatable.map((name) => `${name} = ${name}`).join(', ')}`);
    if (insert) lines[`${who} inserts`] = await outcome(client, insert.sql, insert.values);
    await client.query('set local role agentflow_owner');
  }
  return lines;
}

/** The answer to a write of each column of rows in each state, by the owner: alone, and in the name of an admin. */
export async function writesRecord(client: pg.ClientBase, subject: Subject, garden: Garden): Promise<Lines> {
  const lines: Lines = {};
  const admin = { tenant_id: garden.own.id, user_id: garden.own.users.admin, role: 'admin' };
  for (const row of await rowsInStates(client, subject, garden.own)) {
    for (const column of subject.columns) {
      for (const value of otherValues(column, row.values[column.name])) {
        const sql = `update ${subject.name} set ${column.name} = $1 where ${row.where}`;
        lines[`${row.state}: ${column.name} := ${column.values?.includes(String(value)) ? String(value) : 'other'}`] = await effect(client, subject, row.where, sql, [value], admin);
      }
    }
    for (const { name, value, sql } of endings(subject, row)) lines[`${row.state}: ${name}`] = await effect(client, subject, row.where, sql, [value], admin);
    if (subject.columns.some(({ name }) => name === 'config')) {
      const sql = `update ${subject.name} set config = config || '{"read_only": false}' where ${row.where}`;
      lines[`${row.state}: config may write, by an architect`] = await effect(client, subject, row.where, sql, [], { ...admin, user_id: garden.own.users.architect, role: 'architect' });
    }
    lines[`${row.state}: delete`] = await effect(client, subject, row.where, `delete from ${subject.name} where ${row.where}`, [], {});
  }
  lines['truncate'] = await outcome(client, `truncate ${subject.name} cascade`);
  for (const { state, values: model } of await rowsInStates(client, subject, garden.own)) {
    const developer = { ...admin, user_id: garden.own.users.developer, role: 'developer' };
    for (const [who, claims] of [['nobody', {}], ['admin', admin], ['developer', developer]] as const) {
      const insert = insertLike(subject, model, subject.columns.filter((column) => !isFilledByTrigger(column, who !== 'nobody')).map(({ name }) => name));
      lines[`insert by ${who}, ${state}`] = await effect(client, subject, null, insert.sql, insert.values, claims);
    }
  }
  return lines;
}

/** As the schema document writes it: the log outlives its users. Nobody but its trigger writes there. */
const withoutTenant = ['app_public.audit_logs.user_id'];

/** What the references alone refuse: another tenant's id and an unknown one, the triggers being off. */
export async function referencesRecord(client: pg.ClientBase, subject: Subject, { own, other }: Garden): Promise<{ lines: Lines; problems: string[] }> {
  const lines: Lines = {};
  const problems: string[] = [];
  const row = async (tenant: string) => (await client.query<{ row: Record<string, unknown> }>(`select to_jsonb(t) as row from ${subject.name} t where ${subject.tenantColumn} = $1 order by t.tableoid, t.ctid limit 1`, [tenant])).rows[0]?.row;
  const foreignRow = await row(other.id);
  const [oneRow] = await rowsInStates(client, subject, own);
  for (const column of subject.columns.filter(({ name }) => name.endsWith('_id') || name === subject.tenantColumn)) {
    await client.query('savepoint alone');
    await client.query(`alter table ${subject.name} disable trigger user`);
    await dropOtherReferences(client, subject, column.name);
    const foreign = await foreignValue(client, subject, column, foreignRow, other.id);
    const sql = `update ${subject.name} set ${column.name} = $1 where ${oneRow!.where}`;
    const isTenant = column.name === subject.tenantColumn;
    const met = foreign === null || isTenant ? 'not tried' : await outcome(client, sql, [foreign]);
    const missed = isTenant ? await insertForUnknownTenant(client, subject, own.id) : await outcome(client, sql, [unknownId(column.type)]);
    await client.query('rollback to savepoint alone');
    lines[`${column.name}: another tenant's ${met}, unknown ${missed}`] = '';
    const isAccepted = withoutTenant.includes(`${subject.name}.${column.name}`);
    if (column.reference !== null && !isAccepted && met !== 'not tried' && met !== missed) problems.push(`${subject.name}.${column.name}: another tenant's id is answered with ${met}, an unknown one with ${missed}`);
  }
  return { lines, problems };
}

function unknownId(type: string): unknown {
  if (type === 'uuid') return '00000000-0000-4000-8000-ffffffffffff';
  return type === 'bigint' || type === 'integer' ? 999_999_999 : 'no-such-id';
}

/** A new row: the rows that there are may be held in their tenant by those that refer to them. */
async function insertForUnknownTenant(client: pg.ClientBase, subject: Subject, own: string): Promise<string> {
  const names = subject.columns.map(({ name }) => name).filter((name) => !(subject.key.includes(name) && columnOf(subject, name).filled));
  const { sql, values } = await insertOf(client, subject, own, names);
  return outcome(client, sql, values.map((value) => (value === own ? unknownId('uuid') : value)));
}

/** What is unique, and within what. */
export async function uniqueRecord(client: pg.ClientBase, subject: Subject): Promise<Lines> {
  const { rows } = await client.query<{ columns: string[]; predicate: string | null }>(`
    select array(select a.attname::text from unnest(i.indkey::int2[]) number join pg_attribute a on a.attrelid = i.indrelid and a.attnum = number) as columns, pg_get_expr(i.indpred, i.indrelid) as predicate
    from pg_index i where i.indrelid = $1::regclass and i.indisunique order by 1`, [subject.name]);
  return Object.fromEntries(rows.map(({ columns, predicate }) => [`unique: ${columns.join(', ')}`, predicate === null ? 'always' : `where ${predicate}`]));
}

interface StateRow { state: string; where: string; values: Record<string, unknown> }

/** One row in each state. Tenants in other states than the own one's have its slug and more. */
async function rowsInStates(client: pg.ClientBase, subject: Subject, own: PlantedTenant): Promise<StateRow[]> {
  const stateColumns = subject.columns.filter(({ name }) => ['status', 'role', 'is_active', 'deleted_at'].includes(name)).map(({ name }) => (name === 'deleted_at' ? 'deleted_at is null' : name));
  const state = stateColumns.length === 0 ? `'row'` : `concat_ws(' ', ${stateColumns.map((column) => (column.includes(' ') ? `case when not (${column}) then 'deleted' end` : column)).join(', ')})`;
  const where = subject.key.map((name) => `format('%I = %L', '${name}', ${name})`).join(` || ' and ' || `);
  const { rows } = await client.query<StateRow>(`
    select distinct on (state) * from (select ${state} as state, ${where} as where, to_jsonb(t) as values, t.tableoid as part, t.ctid as place from ${subject.name} t where ${subject.tenantColumn === 'id' ? `slug like $1 || '%'` : `${subject.tenantColumn} = $1`}) rows order by state, part, place`,
  [subject.tenantColumn === 'id' ? own.slug : own.id]);
  return rows;
}

/** A status that needs a time, and perhaps a reason, beside it. */
function endings(subject: Subject, row: StateRow): { name: string; value: string; sql: string }[] {
  const [status, ended] = ['status', 'completed_at'].map((name) => subject.columns.find((column) => column.name === name));
  if (!status?.values || !ended) return [];
  const hasCode = subject.columns.some(({ name }) => name === 'error_code');
  const hasReason = subject.columns.some(({ name }) => name === 'error_message');
  return status.values.flatMap((value) => (value === row.values['status'] ? [] : [
    { name: `status := ${value}, with its time`, value, sql: `update ${subject.name} set status = $1, completed_at = now() where ${row.where}` },
    ...(hasReason ? [{ name: `status := ${value}, with its time, cancelled`, value, sql: `update ${subject.name} set status = $1, completed_at = now(), error_message = 'cancelled'${hasCode ? `, error_code = 'CANCELLED'` : ''} where ${row.where}` }] : []),
  ]));
}

function otherValues(column: Column, present: unknown): unknown[] {
  if (column.values !== null) return column.values.filter((value) => value !== present);
  if (typeof present === 'boolean') return [!present];
  return [madeUp(column.type), ...(column.required || present === null ? [] : [null])];
}

/** A statement by the owner under these claims: refused with which code, or what it changed beside what it says. */
async function effect(client: pg.ClientBase, subject: Subject, where: string | null, sql: string, values: unknown[], claims: Record<string, string>): Promise<string> {
  await client.query('savepoint effect');
  try {
    const before = await stateOf(client, subject, where);
    await become(client, 'agentflow_owner', claims);
    const { rows } = await client.query<{ row: Record<string, unknown> }>(`${sql} returning to_jsonb(${subject.name.split('.').at(-1)}.*) as row`, values);
    await become(client, 'agentflow_owner', {});
    const after = await stateOf(client, subject, where);
    const inserted = where === null ? filledIn(rows[0]!.row, claims) : '';
    return [changedColumns(before.row, after.row), inserted, changedTables(before.tables, after.tables)].filter((text) => text !== '').join('; ') || 'nothing';
  } catch (error) {
    const { code = 'unknown', constraint, column } = error as { code?: string; constraint?: string; column?: string };
    return `refused ${code}${column ? ` ${column}` : ''}${constraint ? ` ${constraint.replace(/_\d{4}_\d{2}(_|$)/, '$1')}` : ''}`;
  } finally {
    await client.query('rollback to savepoint effect');
  }
}

interface DatabaseState { row: Record<string, unknown> | null; tables: Record<string, { rows: number; updates: number }> }

/** Rows written so far in this transaction, by table; partitions count for their parent. */
async function stateOf(client: pg.ClientBase, subject: Subject, where: string | null): Promise<DatabaseState> {
  const { rows } = await client.query<{ name: string; rows: number; updates: number }>(`
    select coalesce(h.inhparent, s.relid)::regclass::text as name, sum(n_tup_ins - n_tup_del)::int as rows, sum(n_tup_upd)::int as updates
    from pg_stat_xact_user_tables s left join pg_inherits h on h.inhrelid = s.relid
    where s.schemaname in ('app_public', 'app_private') or s.relid = to_regclass('graphile_worker._private_jobs')
    group by 1 order by 1`);
  const row = where === null ? null : (await client.query<{ row: Record<string, unknown> }>(`select to_jsonb(t) as row from ${subject.name} t where ${where}`)).rows[0]?.row ?? null;
  return { row, tables: Object.fromEntries(rows.filter(({ name }) => name !== subject.name).map(({ name, rows: count, updates }) => [name, { rows: count, updates }])) };
}

function changedColumns(before: Record<string, unknown> | null, after: Record<string, unknown> | null): string {
  if (before === null || after === null) return before === after ? '' : 'the row is gone';
  return Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => `${name}${after[name] === null ? ' = null' : ''}`).join(' ');
}

function changedTables(before: DatabaseState['tables'], after: DatabaseState['tables']): string {
  return Object.entries(after).flatMap(([name, { rows, updates }]) => {
    const earlier = before[name] ?? { rows: 0, updates: 0 };
    const more = rows - earlier.rows;
    if (more !== 0) return [`${name} ${more > 0 ? '+' : ''}${more}`];
    return updates === earlier.updates ? [] : [`${name} changed`];
  }).join(' ');
}

/** Which columns of a new row hold the tenant, the user or the time, without having been given. */
function filledIn(row: Record<string, unknown>, claims: Record<string, string>): string {
  return Object.entries(row).filter(([, value]) => value !== null).map(([name, value]) =>
    (value === claims['tenant_id'] ? `${name} = tenant` : value === claims['user_id'] ? `${name} = user` : value === 0 ? `${name} = 0` : name)).join(' ');
}

function isFilledByTrigger({ name, filled, values }: Column, hasClaims: boolean): boolean {
  if (/^(created|updated|deleted)_(at|by)$/.test(name) || (filled && values === null)) return true;
  return hasClaims && ['tenant_id', 'user_id', 'workflow_version_id'].includes(name);
}

async function insertOf(client: pg.ClientBase, subject: Subject, tenantId: string, names: string[]): Promise<{ sql: string; values: unknown[] }> {
  const { rows: [found] } = await client.query<{ row: Record<string, unknown> }>(`select to_jsonb(t) as row from ${subject.name} t where ${subject.tenantColumn} = $1 order by t.tableoid, t.ctid limit 1`, [tenantId]);
  return insertLike(subject, found!.row, names);
}

/** A row like another one in these columns, with fresh values where they are unique. */
function insertLike(subject: Subject, model: Record<string, unknown>, names: string[]): { sql: string; values: unknown[] } {
  const columns = names.map((name) => columnOf(subject, name)).filter(({ name, required, values }) => (required || values !== null) && model[name] !== null);
  const isFresh = (column: Column): boolean => column.isUnique && column.reference === null && column.name !== subject.tenantColumn;
  const fresh = new Map(columns.filter(isFresh).map(({ name, type }) => [name, freshLike(model[name], type)]));
  const values = columns.map(({ name }) => {
    if (fresh.has(name)) return fresh.get(name);
    // Documents and other columns may repeat the key of their row.
    const repeated = [...fresh].filter(([key]) => typeof model[key] === 'string').reduce((text, [key, now]) => text.replaceAll(JSON.stringify(model[key]), JSON.stringify(now)), JSON.stringify(model[name]));
    return typeof model[name] === 'object' ? repeated : JSON.parse(repeated) as unknown;
  });
  if (columns.length === 0) return { sql: `insert into ${subject.name} default values`, values };
  return { sql: `insert into ${subject.name} (${columns.map(({ name }) => name).join(', ')}) values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`, values };
}

/** Checks too: they are looked at before references. */
async function dropOtherReferences(client: pg.ClientBase, subject: Subject, column: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(`
    select k.conname as name from pg_constraint k
    where k.conrelid = $1::regclass and k.contype in ('f', 'c') and k.conparentid = 0
      and not case when k.contype = 'c' then false when $2 = $3 then k.conkey = array(select attnum from pg_attribute where attrelid = k.conrelid and attname = $2)
        else exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attname = $2 and a.attnum = any (k.conkey)) end`, [subject.name, column, subject.tenantColumn]);
  for (const { name } of rows) await client.query(`alter table ${subject.name} drop constraint ${name}`);
}

async function foreignValue(client: pg.ClientBase, subject: Subject, column: Column, row: Record<string, unknown> | undefined, otherTenant: string): Promise<unknown> {
  if (column.reference === null) return row?.[column.name] ?? null;
  const { table, column: key } = column.reference;
  if (key === 'tenant_id' || table.endsWith('tenants')) return null;
  const { rows: [found] } = await client.query<{ value: unknown }>(`select ${key} as value from ${table} parent where tenant_id = $1 and not exists (select from ${subject.name} t where t.${column.name} = parent.${key})
    and not exists (select from ${table} own where own.tenant_id <> $1 and own.${key} = parent.${key}) order by parent.tableoid, parent.ctid limit 1`, [otherTenant]);
  return found?.value ?? row?.[column.name] ?? null;
}

async function outcome(client: pg.ClientBase, sql: string, values: unknown[] = []): Promise<string> {
  await client.query('savepoint outcome');
  try {
    const { rowCount } = await client.query(sql, values);
    return `${rowCount ?? 0}`;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown';
  } finally {
    await client.query('rollback to savepoint outcome');
  }
}
