import { withClient } from '../../src/schema/connection.ts';
import { databaseName } from '../../src/schema/databases.ts';
import { allFixtures, fixtureDrift, fixtureDriftIn, liveDrift } from '../../src/schema/drift.ts';
import { describeDifference } from '../../src/schema/fingerprint.ts';
import { migrateDatabase, migrationsFolder, runCurrent } from '../../src/schema/migrate.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';
import { useScratch, writeHistory } from '../support/migrations.ts';

const scratch = useScratch();
const table = 'create schema if not exists app_public;\ncreate table if not exists app_public.things (id integer primary key);\n';
const fixture = 'create or replace function app_public.answer() returns integer language sql immutable return 42;\n';

describe('of the project', () => {
  const db = useTestDatabase();

  test('fixtures and migrations agree: running all fixtures again changes nothing', async () => {
    const client = await db.owner.connect();
    const drift = await fixtureDriftIn(client, await allFixtures(migrationsFolder));
    client.release();
    expect(drift.map(describeDifference)).toEqual([]);
  });

  /** Statements that somebody ran by hand, and what must be named for each. */
  const byHand: Record<string, [sql: string, named: string[]][]> = {
    table: [
      ['create table app_public.left_over (id integer)', ['unexpected table app_public.left_over']],
      ['alter table app_public.flows no force row level security', ['different table app_public.flows']],
      ['create table public.copies as select * from app_public.users', ['unexpected table public.copies']],
      ['create schema elsewhere; create table elsewhere.copies (id integer)', ['unexpected schema elsewhere', 'unexpected table elsewhere.copies']],
    ],
    column: [
      ['alter table app_public.workflows add column colour text', ['unexpected column app_public.workflows.colour', 'different column order of app_public.workflows']],
      ['alter table app_public.users alter column name type varchar(300)', ['different column app_public.users.name']],
      [`alter table app_public.users alter column role set default 'admin'`, ['different column app_public.users.role']],
    ],
    constraint: [
      ['alter table app_public.users drop constraint chk_users_role', ['missing constraint chk_users_role on app_public.users']],
      [`alter table app_public.sources add constraint chk_sources_more check (name <> 'x') not valid`, ['unexpected constraint chk_sources_more on app_public.sources']],
      ['alter table app_public.executions drop constraint fk_executions_user_id', ['missing constraint fk_executions_user_id on app_public.executions']],
    ],
    index: [
      ['drop index app_public.idx_users_status', ['missing index app_public.idx_users_status']],
      ['create index idx_users_left_over on app_public.users (name)', ['unexpected index app_public.idx_users_left_over']],
    ],
    policy: [
      ['drop policy select_tenant on app_public.workflows', ['missing policy select_tenant on app_public.workflows']],
      ['alter policy select_tenant on app_public.sources using (true)', ['different policy select_tenant on app_public.sources']],
      ['create policy everybody on app_public.executions for select using (true)', ['unexpected policy everybody on app_public.executions']],
    ],
    grant: [
      ['grant delete on app_public.sources to agentflow_user', ['different table app_public.sources']],
      ['grant select (key_hash) on app_public.api_keys to agentflow_user', ['different column app_public.api_keys.key_hash']],
      ['grant execute on function app_private.may(text) to public', ['different function app_private.may(text)']],
      ['grant usage on schema app_private to agentflow_visitor', ['different schema app_private']],
      ['alter default privileges in schema app_public grant select on tables to public', ['unexpected default privileges tables of agentflow_owner in app_public']],
    ],
    'function body': [
      [`create or replace function app_private.is_json_object(value jsonb, max_bytes integer) returns boolean language sql immutable parallel safe return true`, ['different function app_private.is_json_object(jsonb,integer)']],
      [`alter function app_public.current_tenant_id() volatile`, ['different function app_public.current_tenant_id()']],
    ],
    trigger: [
      ['drop trigger _200_keep_identity on app_public.workflows', ['missing trigger _200_keep_identity on app_public.workflows']],
      ['alter table app_public.sources disable trigger _200_keep_identity', ['different trigger _200_keep_identity on app_public.sources']],
    ],
    comment: [
      [`comment on column app_public.executions.status is 'other'`, ['different column app_public.executions.status']],
      [`comment on table app_public.tenants is null`, ['different table app_public.tenants']],
    ],
    enum: [
      [`alter type app_public.flow_execution_status add value 'PAUSED'`, ['different type app_public.flow_execution_status']],
      [`alter type app_public.task_execution_status rename value 'PENDING' to 'WAITING'`, ['different type app_public.task_execution_status', 'different column app_public.task_executions.status']],
    ],
  };

  test('what somebody did by hand to a living database is named, object by object, and nothing else', async () => {
    const urls = await scratch.make();
    const statements = Object.values(byHand).flat();
    for (const [sql] of statements) await db.owner.query(sql); // not in one transaction: an enum's new value wants its own
    const { differences, roles } = await liveDrift(db.url('agentflow_owner'), { databaseUrl: db.url('agentflow_owner'), shadowUrl: urls.shadowUrl, rootUrl: urls.rootUrl });
    expect(differences.map(({ change, object }) => `${change} ${object}`).sort()).toEqual([...new Set(statements.flatMap(([, named]) => named))].sort());
    expect(roles).toEqual([]);
  }, 180_000);
});

test('a fixture that was edited and that no migration includes is named', async () => {
  const urls = await scratch.make({ committed: [table + fixture], fixtures: { 'all.sql': '--!include answer.sql\n', 'answer.sql': fixture } });
  expect(await fixtureDrift(urls)).toEqual([]);
  writeHistory(urls.migrationsFolder, { committed: [table + fixture], fixtures: { 'all.sql': '--!include answer.sql\n', 'answer.sql': fixture.replace('42', '43') } });
  expect((await fixtureDrift(urls)).map(({ object, change }) => [change, object])).toEqual([['different', 'function app_public.answer()']]);
});

test('a living database is compared with the migrations that it has, and is not written to', async () => {
  const urls = await scratch.make({ committed: [table, 'alter table app_public.things add column name text;'] });
  await migrateDatabase(urls.databaseUrl, urls);
  expect(await liveDrift(urls.databaseUrl, urls)).toEqual({ differences: [], history: [], roles: [], withCurrent: false });

  await withClient(urls.databaseUrl, (client) => client.query(`
    alter table app_public.things alter column name set default 'x';
    create table app_public.left_over (id integer primary key)`));
  await withClient(clusterUrl(testCluster(), 'postgres', databaseName(urls.databaseUrl)), (client) => client.query(`create function public.trap() returns void language sql as ''`));
  const { differences } = await liveDrift(urls.databaseUrl, urls);
  expect(differences.map(describeDifference)).toEqual([
    'column app_public.things.name differs\n  expected: text\n  found:    text default \'x\'::text',
    'function public.trap() is not expected',
    'index app_public.left_over_pkey is not expected',
    'table app_public.left_over is not expected',
  ]);
});

test('migrations that a database lacks are told as pending and are no drift of what it has', async () => {
  const urls = await scratch.make({ committed: [table] });
  await migrateDatabase(urls.databaseUrl, urls);
  writeHistory(urls.migrationsFolder, { committed: [table, 'alter table app_public.things add column name text;'] });
  const { differences, history } = await liveDrift(urls.databaseUrl, urls);
  expect(differences).toEqual([]);
  expect(history).toMatchObject([{ filename: '000002.sql', state: 'PENDING' }]);
});

test('a database that current.sql ran on is compared with it too', async () => {
  const urls = await scratch.make({ committed: [table], current: 'alter table app_public.things add column if not exists name text;' });
  await runCurrent(urls);
  expect(await liveDrift(urls.databaseUrl, urls)).toMatchObject({ differences: [], withCurrent: true });
});

test('no shadow given: the variables are named', async () => {
  const { databaseUrl, migrationsFolder: folder } = await scratch.make();
  await expect(fixtureDrift({ databaseUrl, migrationsFolder: folder })).rejects.toMatchObject({
    code: 'CONFIG_INVALID', message: expect.stringContaining('SHADOW_DATABASE_URL'), remedy: expect.stringContaining('ROOT_DATABASE_URL'),
  });
});
