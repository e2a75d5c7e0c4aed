import { catalogHash, compareCatalogs, readCatalog, readCatalogHere, summarise } from '../../src/schema/fingerprint.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase();

/** What the statements change, read before and after them in one transaction that is taken back. */
async function changedBy(sql: string): Promise<string[]> {
  const client = await db.owner.connect();
  try {
    const before = await readCatalog(client);
    await client.query('begin');
    await client.query(sql);
    const after = await readCatalogHere(client);
    return summarise(compareCatalogs(before, after)).map(({ change, object }) => `${change} ${object}`);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('two readings of one database are equal', async () => {
  const client = await db.owner.connect();
  const [one, other] = [await readCatalog(client), await readCatalog(client)];
  client.release();
  expect(one.size).toBeGreaterThan(400);
  expect(catalogHash(one)).toBe(catalogHash(other));
  expect(compareCatalogs(one, other)).toEqual([]);
});

test('partitions are no part of it: which ones there are depends on the month', async () => {
  expect(await changedBy(`create table app_private.audit_logs_old partition of app_public.audit_logs for values from ('2001-01-01') to ('2001-02-01')`)).toEqual([]);
});

test.each([
  ['a policy', 'drop policy select_tenant on app_public.workflows', ['missing policy select_tenant on app_public.workflows']],
  ['what a policy says', 'alter policy select_tenant on app_public.workflows using (true)', ['different policy select_tenant on app_public.workflows']],
  ['row security', 'alter table app_public.workflows no force row level security', ['different table app_public.workflows']],
  ['a right on a table', 'grant delete on app_public.workflows to agentflow_user', ['different table app_public.workflows']],
  ['a right on a column', 'grant select (password_hash) on app_public.users to agentflow_user', ['different column app_public.users.password_hash']],
  ['a right to call', 'grant execute on function app_private.fail to public', ['different function app_private.fail(text,text,text,text,jsonb)']],
  ['a function', `create or replace function app_private.is_json_object(value jsonb, max_bytes integer) returns boolean language sql immutable parallel safe return true`,
    ['different function app_private.is_json_object(jsonb,integer)']],
  ['a column\'s type', 'alter table app_private.workers alter column host type varchar(300)', ['different column app_private.workers.host']],
  ['a default', `alter table app_public.users alter column role set default 'admin'`, ['different column app_public.users.role']],
  ['a comment', `comment on table app_public.users is 'other'`, ['different table app_public.users']],
  ['an index', 'drop index app_public.idx_users_status', ['missing index app_public.idx_users_status']],
  ['a check', 'alter table app_public.users drop constraint chk_users_role', ['missing constraint chk_users_role on app_public.users']],
  ['an enum value', `alter type app_public.task_execution_status rename value 'PENDING' to 'WAITING'`, ['different type app_public.task_execution_status', 'different column app_public.task_executions.status']],
  ['default privileges', 'alter default privileges grant execute on functions to public', ['missing default privileges functions of agentflow_owner']],
  ['a schema more, with what is in it', 'create schema reports; create table reports.copies (id integer)', ['unexpected schema reports', 'unexpected table reports.copies']],
  ['an extension', 'create schema extensions; create extension citext schema extensions', ['unexpected schema extensions', 'unexpected extension citext']],
  ['a publication', 'create publication everything for table app_public.flows', ['unexpected publication everything']],
  ['a view', 'create view app_private.names as select name from app_public.users', ['unexpected view app_private.names']],
  ['a rule', 'create rule silent as on delete to app_public.flows do instead nothing', ['unexpected rule silent on app_public.flows']],
  ['a domain', `create domain app_private.colour as text check (value <> '')`, ['unexpected constraint colour_check on app_private.colour', 'unexpected type app_private.colour']],
  ['how a column is stored', 'alter table app_public.flows alter column definition set storage external', ['different column app_public.flows.definition']],
  ['what is counted of a column', 'alter table app_public.flows alter column name set statistics 500', ['different column app_public.flows.name']],
  ['a row type', 'create type app_private.pair as (one text, other text)',
    ['unexpected column app_private.pair.one', 'unexpected column app_private.pair.other', 'unexpected composite type app_private.pair']],
  ['a table\'s parent', 'create table app_private.flows_of_old () inherits (app_public.flows); comment on table app_private.flows_of_old is \'Old.\'', ['unexpected table app_private.flows_of_old']],
  ['a sequence', 'create sequence app_private.numbers', ['unexpected sequence app_private.numbers']],
  ['a trigger', 'drop trigger _200_keep_identity on app_public.workflows', ['missing trigger _200_keep_identity on app_public.workflows']],
  ['a reference that no longer carries the tenant', 'alter table app_public.executions drop constraint fk_executions_user_id', ['missing constraint fk_executions_user_id on app_public.executions']],
  ['a right on a schema', 'grant usage on schema app_private to agentflow_visitor', ['different schema app_private']],
  ['a new table, told once', 'create table app_public.extras (id uuid primary key, tenant_id uuid references app_public.tenants)',
    ['unexpected table app_public.extras', 'unexpected index app_public.extras_pkey']],
])('sees a change of %s', async (_what, sql, expected) => {
  expect((await changedBy(sql)).sort()).toEqual(expected.sort());
});

test('sees a trigger that is switched off', async () => {
  const { rows: [trigger] } = await db.owner.query<{ name: string }>(`
    select tgname as name from pg_trigger where tgrelid = 'app_public.workflows'::regclass and not tgisinternal order by 1 limit 1`);
  expect(await changedBy(`alter table app_public.workflows disable trigger ${trigger!.name}`)).toEqual([`different trigger ${trigger!.name} on app_public.workflows`]);
});
