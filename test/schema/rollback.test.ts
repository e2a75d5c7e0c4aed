import { withClient } from '../../src/schema/connection.ts';
import { catalogHash, readCatalog } from '../../src/schema/fingerprint.ts';
import { migrateDatabase, type DatabaseUrls } from '../../src/schema/migrate.ts';
import { proveRollback, rollbackLast } from '../../src/schema/rollback.ts';
import { useScratch, writeHistory, type History, type ScratchUrls } from '../support/migrations.ts';

const scratch = useScratch();
const first = 'create schema app_public;\ncreate table app_public.things (id integer primary key, name text);\n';
const second = `alter table app_public.things add column colour text not null default 'red';
alter table app_public.things enable row level security;
create policy only_red on app_public.things using (colour = 'red');
create table app_public.colours (name text primary key);`;
const inverse = `drop policy only_red on app_public.things;
alter table app_public.things disable row level security;
alter table app_public.things drop column colour;
drop table app_public.colours;`;

async function migrated(history: History): Promise<ScratchUrls> {
  const urls = await scratch.make(history);
  await migrateDatabase(urls.databaseUrl, urls);
  await withClient(urls.databaseUrl, (client) => client.query(`insert into app_public.things (id, name) values (1, 'one'), (2, 'two')`));
  return urls;
}

async function hashOf({ databaseUrl }: DatabaseUrls): Promise<string> {
  return withClient(databaseUrl, async (client) => catalogHash(await readCatalog(client)));
}

test('an exact inverse takes the migration back, with its row, once the loss is accepted', async () => {
  const urls = await migrated({ committed: [first, second], rollback: { 2: inverse } });
  await expect(rollbackLast(urls, { acceptLoss: false })).rejects.toMatchObject({
    code: 'DATA_LOSS',
    details: { losses: ['table app_public.colours is dropped with 0 rows in it', 'column app_public.things.colour is dropped with 2 values in it'] },
  });
  expect(await rollbackLast(urls, { acceptLoss: true })).toMatchObject({ filename: '000002.sql', reordered: [] });
  const fresh = await migrated({ committed: [first] });
  expect(await hashOf(urls)).toBe(await hashOf(fresh));
  await withClient(urls.databaseUrl, async (client) => {
    expect((await client.query('select filename from graphile_migrate.migrations')).rows).toEqual([{ filename: '000001.sql' }]);
    expect((await client.query('select count(*)::int as rows from app_public.things')).rows).toEqual([{ rows: 2 }]);
  });
  expect(await migrateDatabase(urls.databaseUrl, urls)).toEqual(['000002.sql']);
});

test('a rollback that leaves something behind, or takes more, is refused with what would differ; nothing is run', async () => {
  const urls = await migrated({ committed: [first, second], rollback: { 2: `${inverse.replace('drop table app_public.colours;', '')}\nalter table app_public.things drop column name;` } });
  const before = await hashOf(urls);
  const refused = { code: 'ROLLBACK_REFUSED', message: expect.stringMatching(/column app_public\.things\.name is missing[\s\S]*table app_public\.colours is not expected/) };
  await expect(proveRollback(urls)).rejects.toMatchObject(refused);
  await expect(rollbackLast(urls, { acceptLoss: true })).rejects.toMatchObject(refused);
  expect(await hashOf(urls)).toBe(before);
});

test('a rollback that drops a policy too much is refused with that policy named', async () => {
  const extra = 'alter table app_public.things enable row level security;\ncreate policy everyone on app_public.things using (true);';
  const urls = await migrated({ committed: [first + extra, 'comment on table app_public.things is \'Things.\';'], rollback: { 2: 'comment on table app_public.things is null;\ndrop policy everyone on app_public.things;' } });
  await expect(rollbackLast(urls, { acceptLoss: true })).rejects.toMatchObject({ code: 'ROLLBACK_REFUSED', message: expect.stringContaining('policy everyone on app_public.things is missing') });
});

test('data of a dropped column does not come back, and that is said', async () => {
  const urls = await migrated({ committed: [first], rollback: { 2: 'alter table app_public.things add column name text;' } });
  writeHistory(urls.migrationsFolder, { committed: [first, 'alter table app_public.things drop column name;'], rollback: { 2: 'alter table app_public.things add column name text;' } });
  await migrateDatabase(urls.databaseUrl, urls);
  await expect(rollbackLast(urls, { acceptLoss: false })).rejects.toMatchObject({ details: { losses: ['column app_public.things.name comes back without what was in it'] } });
});

test('a rollback whose catalog is the right one, but which writes rows, is stopped with their number, and nothing is done', async () => {
  const history = { committed: [first, `comment on table app_public.things is 'Things.';`] };
  const urls = await migrated(history);
  const rows = () => withClient(urls.databaseUrl, async (client) => (await client.query('select * from app_public.things order by id')).rows);
  const [before, hash] = [await rows(), await hashOf(urls)];
  const refusalOf = async (rollback: string): Promise<unknown> => {
    writeHistory(urls.migrationsFolder, { ...history, rollback: { 2: `${rollback}; comment on table app_public.things is null;` } });
    return rollbackLast(urls, { acceptLoss: false }).catch((error: unknown) => error);
  };
  for (const [statement, loss] of [
    ['do $$ begin delete from app_public.things where id = 1; end $$', '1 rows of app_public.things are deleted'],
    ['truncate app_public.things', '2 rows of app_public.things are deleted'],
    [`update app_public.things set name = 'other'`, '2 rows of app_public.things are changed'],
  ] as const) {
    expect([statement, await refusalOf(statement)]).toEqual([statement, expect.objectContaining({ code: 'DATA_LOSS', details: { losses: [loss] } })]);
  }
  expect([await rows(), await hashOf(urls)]).toEqual([before, hash]);
}, 180_000);

test('what the migration did to values is said, and what a conversion took; a "commit" in a rollback is refused at its line', async () => {
  const committed = [first, { body: 'update app_public.things set name = upper(name); alter table app_public.things alter column name type varchar(2) using left(name, 2);', headers: ['--! Rewrites: app_public.things.name'] }];
  const urls = await scratch.make({ committed, rollback: { 2: 'alter table app_public.things alter column name type text; delete from app_public.things where false;' } });
  expect((await proveRollback(urls)).losses).toEqual([
    'column app_public.things.name goes back from character varying(2) to text: what the first conversion took from its values does not come back',
    'column app_public.things.name keeps the values that the migration gave it',
    'it deletes rows of app_public.things',
  ]);
  writeHistory(urls.migrationsFolder, { committed, rollback: { 2: '-- back\nalter table app_public.things alter column name type text;\ncommit;\n' } });
  await expect(proveRollback(urls)).rejects.toMatchObject({ code: 'ROLLBACK_REFUSED', message: expect.stringContaining('rollback/000002.sql:3: commit ') });
});

test('a column that comes back at another place is told and no reason to refuse', async () => {
  const history = { committed: [first, 'alter table app_public.things add column size integer;\nalter table app_public.things drop column name;'], rollback: { 2: 'alter table app_public.things add column name text;\nalter table app_public.things drop column size;' } };
  const urls = await scratch.make({ ...history, committed: ['create schema app_public;\ncreate table app_public.things (name text, id integer primary key);', history.committed[1]!] });
  expect(await proveRollback(urls)).toMatchObject({ reordered: ['app_public.things'] });
});

test('an error in the rollback is told with its place', async () => {
  const urls = await migrated({ committed: [first, second], rollback: { 2: '-- back\n\ndrop tabel app_public.colours;' } });
  await expect(rollbackLast(urls, { acceptLoss: true })).rejects.toMatchObject({ code: 'MIGRATION_FAILED', details: { file: 'rollback/000002.sql', line: 3, column: 6 } });
});

test('without the file, and without any migration, it says what to do', async () => {
  const urls = await migrated({ committed: [first] });
  await expect(rollbackLast(urls, { acceptLoss: true })).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('rollback/000001.sql'), remedy: expect.stringContaining('--prove') });
  const empty = await scratch.make();
  await migrateDatabase(empty.databaseUrl, empty);
  await expect(proveRollback(empty)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('the rollback of the project\'s last migration is its exact inverse', async () => {
  const urls = await scratch.make();
  const { filename, reordered } = await proveRollback({ databaseUrl: urls.databaseUrl, shadowUrl: urls.shadowUrl, rootUrl: urls.rootUrl });
  expect(filename).toMatch(/^\d{6}\.sql$/);
  expect(reordered).toEqual([]);
});
