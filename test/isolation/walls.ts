/**
 * The rules that no tenant's data may break, whoever asks: tried with the rights as they are, and again with everything
 * granted and the triggers off, so that the policies stand alone.
 */
import type pg from 'pg';
import { become, probe } from '../sql/support/probe.ts';
import { apiRoles, askers } from './askers.ts';
import type { Garden } from './plant.ts';
import { freshLike } from './plant.ts';
import type { Column, Subject } from './subjects.ts';

export interface Tally {
  cases: number;
  problems: string[];
}

/** `client` may become every role; it acts as agentflow_owner again afterwards. */
export async function tryWalls(client: pg.ClientBase, subject: Subject, garden: Garden): Promise<Tally> {
  const tally: Tally = { cases: 0, problems: [] };
  for (const wall of ['rights as they are', 'policies alone'] as const) {
    await client.query('savepoint wall');
    if (wall === 'policies alone') {
      await client.query(`grant all on ${subject.name} to ${apiRoles.join(', ')}; alter table ${subject.name} disable trigger user`);
    }
    const insert = await insertForOther(client, subject, garden);
    for (const asker of askers(garden)) {
      await become(client, asker.role, asker.claims);
      const told = (what: string): string => `${subject.name}, ${wall}, ${asker.who}: ${what}`;
      await tryOne(client, subject, garden, { isTenant: asker.isTenant, byPolicy: wall === 'policies alone' && asker.isTenant }, insert, (what, isKept) => {
        tally.cases += 1;
        if (!isKept) tally.problems.push(told(what));
      });
      await client.query('set local role agentflow_owner');
    }
    await client.query('rollback to savepoint wall');
  }
  return tally;
}

interface Asking {
  /** A signed-in user with a tenant, who sees rows of it. */
  isTenant: boolean;
  /** It must be a policy that refuses, not whatever stands behind it. */
  byPolicy: boolean;
}

async function tryOne(client: pg.ClientBase, subject: Subject, { own, other }: Garden, { isTenant, byPolicy }: Asking, insert: Statement, tell: (what: string, isKept: boolean) => void): Promise<void> {
  const { name, tenantColumn: tenant } = subject;
  const expectNothing = async (what: string, sql: string, values: unknown[]): Promise<void> => {
    const { rows, refused } = await probe(client, sql, values);
    const isKept = rows === 0 && (!byPolicy || refused === null || refused === '42501');
    tell(`${what} met ${refused ?? `${rows} rows`}`, isKept);
  };
  await expectNothing('select of another tenant\'s rows', `select ${tenant} from ${name} where ${tenant} = $1`, [other.id]);
  await expectNothing('select of all but own rows', `select ${tenant} from ${name} where ${tenant} <> $1`, [own.id]);
  await expectNothing('update of another tenant\'s rows', `update ${name} set ${tenant} = ${tenant} where ${tenant} = $1`, [other.id]);
  await expectNothing('delete of another tenant\'s rows', `delete from ${name} where ${tenant} = $1`, [other.id]);
  await expectNothing('moving own rows away', `update ${name} set ${tenant} = $2 where ${tenant} = $1`, [own.id, other.id]);
  await expectNothing('moving rows away without reading them', `update ${name} set ${tenant} = $1`, [other.id]);
  const blind = blindUpdate(subject);
  if (blind !== null) {
    const [{ rows, refused }, { rows: seen }] = [await probe(client, blind), await probe(client, `select ${tenant} from ${name}`)];
    tell(`a blind update met ${refused ?? rows} of ${seen} rows`, rows <= seen && !(byPolicy && refused === '42501'));
  }
  if (!isTenant) await expectNothing('select of anything', `select ${tenant} from ${name}`, []);
  await expectNothing('insert for another tenant', insert.sql, insert.values);
}

interface Statement { sql: string; values: unknown[] }

/** A row of the other tenant once more, with fresh keys: the owner may write it, nobody else. */
export async function insertForOther(client: pg.ClientBase, subject: Subject, { other }: Garden): Promise<Statement> {
  const { rows: [row] } = await client.query<{ row: Record<string, unknown> }>(`select to_jsonb(t) as row from ${subject.name} t where ${subject.tenantColumn} = $1 order by t.ctid limit 1`, [other.id]);
  if (row === undefined) return { sql: `insert into ${subject.name} default values`, values: [] };
  const columns = subject.columns.filter(({ name, filled }) => row.row[name] !== null && !(filled && subject.key.includes(name)));
  const values = columns.map((column) => {
    const value = row.row[column.name];
    if (column.isUnique && column.reference === null && column.name !== subject.tenantColumn) return freshLike(value, column.type);
    return typeof value === 'object' ? JSON.stringify(value) : value;
  });
  return { sql: `insert into ${subject.name} (${columns.map(({ name }) => name).join(', ')}) values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`, values };
}

/** Reads no column, so that no policy for SELECT stands in its way. */
function blindUpdate({ name, columns, key }: Subject): string | null {
  const isFree = (column: Column): boolean => !key.includes(column.name) && column.reference === null && !column.isUnique;
  const stamp = columns.find((column) => isFree(column) && column.type.startsWith('timestamp') && ['updated_at', 'heartbeat_at'].includes(column.name));
  if (stamp) return `update ${name} set ${stamp.name} = now()`;
  const text = columns.find((column) => isFree(column) && !column.required && column.values === null && ['text', 'jsonb', 'character varying'].includes(column.type));
  return text ? `update ${name} set ${text.name} = null` : null;
}

/** `app_private` shows nothing to anybody, even when somebody grants it. */
export async function tryPrivate(client: pg.ClientBase, garden: Garden, tables: string[]): Promise<Tally> {
  const tally: Tally = { cases: 0, problems: [] };
  for (const table of tables) {
    for (const wall of ['rights as they are', 'policies alone'] as const) {
      await client.query('savepoint wall');
      if (wall === 'policies alone') await client.query(`grant usage on schema app_private to ${apiRoles.join(', ')}; grant all on ${table} to ${apiRoles.join(', ')}`);
      for (const asker of askers(garden)) {
        await become(client, asker.role, asker.claims);
        for (const sql of [`select from ${table}`, `delete from ${table}`, `insert into ${table} default values`, `truncate ${table}`]) {
          if (sql.startsWith('truncate') && wall === 'policies alone') continue; // not a matter of rows
          const { rows, refused } = await probe(client, sql);
          tally.cases += 1;
          const mustBeRefused = wall === 'rights as they are' || sql.startsWith('insert');
          if (rows > 0 || (mustBeRefused && refused !== '42501')) tally.problems.push(`${table}, ${wall}, ${asker.who}: ${sql} met ${refused ?? `${rows} rows`}`);
        }
        await client.query('set local role agentflow_owner');
      }
      await client.query('rollback to savepoint wall');
    }
  }
  return tally;
}
