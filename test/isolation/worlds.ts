/**
 * Two worlds that differ in the other tenant alone: one in which it is there, one in which it never was. What functions and views
 * answer must be the same in both: a count, an order or a refusal would tell of it as well as a row does.
 */
import type pg from 'pg';
import { become } from '../sql/support/probe.ts';
import { askers } from './askers.ts';
import { call, idsOf, publicRoutines } from './functions.ts';
import type { Garden } from './plant.ts';
import { privateTables, publicSubjects } from './subjects.ts';
import type { Tally } from './walls.ts';

/** `client` is a superuser that acts as agentflow_owner. */
export async function tryWorlds(client: pg.ClientBase, garden: Garden, named: string | null): Promise<Tally> {
  const [both, alone] = [await answersOf(client, garden, named), await withoutTheOther(client, garden, () => answersOf(client, garden, named))];
  const problems = [...both].filter(([asked, answer]) => alone.get(asked) !== answer)
    .map(([asked, answer]) => `${asked}: the answer depends on another tenant (${answer.slice(0, 120)} / ${alone.get(asked)!.slice(0, 120)})`);
  return { cases: both.size, problems };
}

async function answersOf(client: pg.ClientBase, garden: Garden, named: string | null): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  const routines = await publicRoutines(client, named);
  const views = (await publicViews(client)).filter((name) => named === null || name === `app_public.${named}`);
  for (const { who, role, claims } of askers(garden).filter((asker) => asker.role === 'agentflow_user')) {
    await client.query('savepoint asking');
    await become(client, role, claims);
    for (const routine of routines) {
      const ids = routine.arguments.length === 0 ? [''] : idsOf(garden.own);
      for (const [index, { code, text }] of (await call(client, routine, ids)).entries()) answers.set(`${routine.name}, ${who}, asked for ${ids[index]}`, `${code} ${withoutChance(text)}`);
    }
    for (const view of views) answers.set(`${view}, ${who}`, await rowsOf(client, view));
    await client.query('rollback to savepoint asking');
  }
  return answers;
}

/** What every call makes anew: ids, times, numbers. */
function withoutChance(text: string): string {
  return text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'U').replace(/\d{4}-\d\d-\d\d[T ][\d:.+Z]+/g, 'T').replace(/"\w*id"\s*:\s*"?\d+"?/g, 'N');
}

async function publicViews(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`select oid::regclass::text as name from pg_class where relnamespace = 'app_public'::regnamespace and relkind in ('v', 'm', 'f') order by 1`);
  return rows.map(({ name }) => name);
}

async function rowsOf(client: pg.ClientBase, view: string): Promise<string> {
  await client.query('savepoint reading');
  try {
    const { rows: [row] } = await client.query<{ content: string }>(`select coalesce(string_agg(v::text, ' ' order by v::text), 'nothing') as content from ${view} v`);
    return row!.content;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown';
  } finally {
    await client.query('rollback to savepoint reading');
  }
}

/** Past every trigger and reference: nothing is left that could tell that it was there. */
async function withoutTheOther<T>(client: pg.ClientBase, { other }: Garden, use: () => Promise<T>): Promise<T> {
  await client.query('savepoint world');
  const subjects = (await publicSubjects(client)).map(({ name, tenantColumn }) => ({ name, column: tenantColumn }));
  const { rows } = await client.query<{ name: string; column: string }>(
    `select attrelid::regclass::text as name, attname::text as column from pg_attribute where attrelid = any ($1::regclass[]) and attname = 'tenant_id' and not attisdropped`, [await privateTables(client)]);
  await client.query('reset role; set local session_replication_role = replica');
  for (const { name, column } of [...subjects, ...rows]) await client.query(`delete from ${name} where ${column} = $1`, [other.id]);
  for (const { name } of await materializedViews(client)) await client.query(`refresh materialized view ${name}`);
  await client.query('set local session_replication_role = origin; set local role agentflow_owner');
  const result = await use();
  await client.query('rollback to savepoint world; set local role agentflow_owner');
  return result;
}

async function materializedViews(client: pg.ClientBase): Promise<{ name: string }[]> {
  return (await client.query<{ name: string }>(`select oid::regclass::text as name from pg_class where relkind = 'm' and relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)`)).rows;
}
