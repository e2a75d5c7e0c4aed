import { migrationsFolder } from '../../src/schema/migrate.ts';
import { demandManifest, describeProblem, manifestProblems } from '../../src/schema/manifest.ts';
import { useScratch } from '../support/migrations.ts';

const scratch = useScratch();

test('every fixture of the project is listed once, every include is followed, every migration has a rollback', () => {
  expect(manifestProblems(migrationsFolder).map(describeProblem)).toEqual([]);
});

test('every kind of problem is told at its place, all at once', async () => {
  const { migrationsFolder: folder } = await scratch.make({
    committed: ['select 1;'],
    current: '--!include all.sql\n  --!include a.sql\n-- !include a.sql\n--!include "a.sql"\n--!include gone.sql\nselect 1;\ncommit;\n',
    fixtures: { 'all.sql': '--!include a.sql\n--!include b.sql\n--!include a.sql\n', 'a.sql': 'select 1;', 'b.sql': '--!include b.sql\n', 'deep/forgotten.sql': 'select 1;' },
  });
  expect(manifestProblems(folder).map(describeProblem)).toEqual([
    expect.stringMatching(/^current\.sql:2: an indented include is ignored\. Write --!include /),
    expect.stringMatching(/^current\.sql:3: this include is ignored\. /),
    expect.stringMatching(/^current\.sql:4: this include is ignored\. /),
    expect.stringMatching(/^current\.sql:5: fixtures\/gone\.sql does not exist\. Correct the path/),
    expect.stringMatching(/^current\.sql:7: "commit" ends or divides the transaction of the migration\. /),
    expect.stringMatching(/^fixtures\/b\.sql:1: fixtures\/b\.sql includes itself\. /),
    expect.stringMatching(/^fixtures\/all\.sql:3: fixtures\/a\.sql is listed a second time \(first in fixtures\/all\.sql\)\. /),
    expect.stringMatching(/^fixtures\/deep\/forgotten\.sql: no manifest lists this fixture, so it never runs\. Add it to fixtures\/after\.sql/),
    expect.stringMatching(/^rollback\/000001\.sql: this migration has no rollback\. /),
  ]);
  expect(() => demandManifest(folder)).toThrow(expect.objectContaining({ code: 'MIGRATION_INVALID', message: expect.stringContaining('forgotten.sql') }));
});
