import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { catalogHash, readCatalog } from '../../src/schema/fingerprint.ts';
import { commitCurrent, migrateDatabase, resetDatabase, runCurrent, type DatabaseUrls } from '../../src/schema/migrate.ts';
import { useScratch, writeHistory } from '../support/migrations.ts';

const scratch = useScratch();
const table = 'create schema if not exists app_public;\ncreate table if not exists app_public.things (id integer primary key);\n';

async function stateOf({ databaseUrl }: DatabaseUrls): Promise<string> {
  return withClient(databaseUrl, async (client) => catalogHash(await readCatalog(client)));
}

test('a syntax error at the 40th line is told with file, line and caret, and nothing was done', async () => {
  const urls = await scratch.make({ committed: [table] });
  await migrateDatabase(urls.databaseUrl, { migrationsFolder: urls.migrationsFolder });
  const before = await stateOf(urls);
  const lines = Array.from({ length: 39 }, (_, index) => `alter table app_public.things add column if not exists c${index} text; -- Grüße 🦊`);
  writeHistory(urls.migrationsFolder, { committed: [table], current: [...lines, 'alter tabel app_public.things add column late text;'].join('\n') });
  await expect(runCurrent(urls)).rejects.toMatchObject({
    code: 'MIGRATION_FAILED',
    message: [
      'current.sql:40:7: syntax error at or near "tabel"',
      '  40 | alter tabel app_public.things add column late text;',
      '             ^',
    ].join('\n'),
    details: { file: 'current.sql', line: 40, column: 7, sqlstate: '42601' },
  });
  expect(await stateOf(urls)).toBe(before);
});

test('an error in an included fixture is told at its place in that file', async () => {
  const urls = await scratch.make({
    current: '--! Message: more\n\n--!include one.sql\nselect 1;\n--!include two.sql\n',
    fixtures: { 'one.sql': '\n\nselect 1;\n--!include inner/deep.sql\nselect 2;\n', 'inner/deep.sql': '-- deep\nselect 3;\n', 'two.sql': 'select 4;\n\n  select no_such_column;\n' },
  });
  await expect(runCurrent(urls)).rejects.toMatchObject({ code: 'MIGRATION_FAILED', details: { file: 'fixtures/two.sql', line: 3, column: 10 } });
  writeFileSync(path.join(urls.migrationsFolder, 'fixtures/inner/deep.sql'), '-- deep\nselect 3 +;\n');
  await expect(runCurrent(urls)).rejects.toMatchObject({ details: { file: 'fixtures/inner/deep.sql', line: 2 } });
  writeFileSync(path.join(urls.migrationsFolder, 'fixtures/inner/deep.sql'), '-- deep\n');
  writeFileSync(path.join(urls.migrationsFolder, 'fixtures/one.sql'), '\n\nselect 1;\n--!include inner/deep.sql\nselect none_such;\n');
  await expect(runCurrent(urls)).rejects.toMatchObject({ details: { file: 'fixtures/one.sql', line: 5 } });
});

test('an error for which PostgreSQL gives no position is found by trying statement after statement', async () => {
  const urls = await scratch.make({ current: `${table}\n-- twice:\nalter table app_public.things add column a text;\nalter table app_public.things add column a text;\n` });
  await expect(runCurrent(urls)).rejects.toMatchObject({
    code: 'MIGRATION_FAILED', message: expect.stringContaining('column "a" of relation "things" already exists'), details: { file: 'current.sql', line: 6, column: 1 },
  });
});

test('the bodies of functions are checked in a new database, too, unless they are trusted', async () => {
  const wrong = `${table}create or replace function app_public.nothing() returns integer language sql return (select count(*)::integer from app_public.things);\n`
    + `create or replace function app_public.wrong() returns integer language sql as $$ select 1 from app_public.no_such_table $$;\n`;
  const urls = await scratch.make({ committed: [wrong] });
  const { migrationsFolder } = urls;
  await expect(migrateDatabase(urls.databaseUrl, { migrationsFolder })).rejects.toMatchObject({ code: 'MIGRATION_FAILED', message: expect.stringContaining('no_such_table') });
  expect(await migrateDatabase(urls.databaseUrl, { migrationsFolder, trustsBodies: true })).toEqual(['000001.sql']);
});

test('a committed migration that fails names its own line, and those before it stay', async () => {
  const urls = await scratch.make({ committed: [table, 'select 1;\nalter table app_public.things add column b wrong_type;\n'] });
  await expect(migrateDatabase(urls.databaseUrl, { migrationsFolder: urls.migrationsFolder })).rejects.toMatchObject({
    code: 'MIGRATION_FAILED', details: { file: 'committed/000002.sql', line: 5 },
  });
  const applied = await withClient(urls.databaseUrl, (client) => client.query('select filename from graphile_migrate.migrations'));
  expect(applied.rows).toEqual([{ filename: '000001.sql' }]);
});

test('an edited migration that was applied is refused before anything runs', async () => {
  const urls = await scratch.make({ committed: [table] });
  await migrateDatabase(urls.databaseUrl, { migrationsFolder: urls.migrationsFolder });
  const file = path.join(urls.migrationsFolder, 'committed/000001.sql');
  chmodSync(file, 0o640);
  writeFileSync(file, `${readFileSync(file, 'utf8')}drop table app_public.things;\n`);
  await expect(migrateDatabase(urls.databaseUrl, { migrationsFolder: urls.migrationsFolder })).rejects.toMatchObject({
    code: 'MIGRATION_EDITED', message: expect.stringContaining('000001.sql'), remedy: expect.stringContaining('version control'),
  });
});

test('a shadow that is the main database is refused, also under another name of its host', async () => {
  const urls = await scratch.make({ current: table });
  for (const shadowUrl of [urls.databaseUrl, urls.databaseUrl.replace('127.0.0.1', 'localhost'), urls.rootUrl]) {
    await expect(commitCurrent({ ...urls, shadowUrl }, undefined)).rejects.toMatchObject({
      code: 'CONFIG_INVALID', message: expect.stringContaining('SHADOW_DATABASE_URL'), remedy: expect.stringContaining('a database of its own'),
    });
  }
});

test('somebody connected to the database that is to be made anew is named', async () => {
  const urls = await scratch.make({ committed: [table] });
  await migrateDatabase(urls.databaseUrl, { migrationsFolder: urls.migrationsFolder });
  await withClient(`${urls.databaseUrl}?application_name=report`, async (client) => {
    await client.query(`set application_name = 'a report'`);
    await expect(resetDatabase(urls, { shadow: false })).rejects.toMatchObject({
      code: 'DATABASE_IN_USE', message: expect.stringMatching(/agentflow_owner \(a report, process \d+\)/), remedy: expect.stringContaining('pg_terminate_backend'),
    });
    await client.query('select from app_public.things');
  });
});
