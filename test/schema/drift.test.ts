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
