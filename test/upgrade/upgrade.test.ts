import path from 'node:path';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { sampleStatements } from '../support/samples.ts';
import { useScratch } from '../support/migrations.ts';
import { proveBrokenOff } from './broken-off.ts';
import { dataFor, proveUpgrades } from './upgrade.ts';

const scratch = useScratch();
const first = 'create schema app_public;\ncreate table app_public.things (id integer primary key, name text);\n';
const fill = () => `insert into app_public.things values (1, 'one'), (2, null)`;

describe('of the project', () => {
  test('from every committed migration with data in it: the catalog of a fresh install, and every row', async () => {
    const urls = await scratch.make();
    const reports = await proveUpgrades({ ...urls, migrationsFolder }, (filename) => dataFor(path.join(import.meta.dirname, 'data'), filename) ?? sampleStatements());
    expect(reports.flatMap(({ problems }) => problems)).toEqual([]);
    for (const { rows } of reports) expect(rows).toBeGreaterThan(10);
  }, 180_000);

  test('a migration broken off at any statement leaves the schema as it was (all places: npm run test:upgrade)', async () => {
    const urls = await scratch.make();
    const results = await proveBrokenOff({ ...urls, migrationsFolder }, { every: 200 });
    expect(results.flatMap(({ traces }) => traces)).toEqual([]);
    for (const { tried } of results) expect(tried).toBeGreaterThanOrEqual(1);
  }, 180_000);
});

test('a later migration that keeps every row passes', async () => {
  const urls = await scratch.make({ committed: [first, 'alter table app_public.things add column size integer default 1;'] });
  expect(await proveUpgrades(urls, (filename) => (filename === '000001.sql' ? fill() : 'select 1'))).toEqual([{ from: '000001.sql', rows: 2, problems: [] }, { from: '000002.sql', rows: 0, problems: [] }]);
});

test.each([
  ['loses rows', 'delete from app_public.things where name is null;', ['app_public.things lost the row [2]']],
  ['changes values without saying so', `update app_public.things set name = upper(name);`, ['app_public.things.name of [1] was "one" and is "ONE"']],
  ['drops a table with rows', 'drop table app_public.things;', ['app_public.things is gone with 2 rows']],
  ['makes another schema where there is data', `do $$ begin if exists (select from app_public.things) then alter table app_public.things alter column name set default 'x'; end if; end $$;`,
    [expect.stringContaining('column app_public.things.name differs')]],
])('a migration that %s is noticed', async (_what, second, problems) => {
  const urls = await scratch.make({ committed: [first, second] });
  const [report] = await proveUpgrades(urls, (filename) => (filename === '000001.sql' ? fill() : 'select 1'));
  expect(report!.problems).toEqual(problems);
});

test('a change of values that the header declares is accepted', async () => {
  const urls = await scratch.make({ committed: [first, { body: 'update app_public.things set name = upper(name);', headers: ['--! Rewrites: app_public.things.name'] }] });
  const [report] = await proveUpgrades(urls, (filename) => (filename === '000001.sql' ? fill() : 'select 1'));
  expect(report!.problems).toEqual([]);
});

test('a migration that ends its own transaction leaves traces, and they are found', async () => {
  const urls = await scratch.make({ committed: [first, 'alter table app_public.things add column a text;\ncommit;\nbegin;\nalter table app_public.things add column b text;'] });
  const results = await proveBrokenOff(urls, { every: 1 });
  expect(results[0]).toMatchObject({ statements: 2, tried: 2, traces: [] });
  expect(results[1]!.traces).toContainEqual(expect.stringContaining('column app_public.things.a is not expected'));
  expect(results[1]!.traces).toContain('000002.sql: "commit" ends or divides its transaction');
});
