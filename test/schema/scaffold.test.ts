import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { commitCurrent, runCurrent } from '../../src/schema/migrate.ts';
import { manifestProblems } from '../../src/schema/manifest.ts';
import { proveRollback } from '../../src/schema/rollback.ts';
import { newMigration } from '../../src/schema/scaffold.ts';
import { useScratch } from '../support/migrations.ts';

const scratch = useScratch();
const first = 'create schema app_public;\ncreate table app_public.things (id integer primary key);\n';

test('from db new to a committed migration with a proved rollback', async () => {
  const urls = await scratch.make({ committed: [first], rollback: { 1: 'drop schema app_public cascade;' } });
  const { filename, current, rollback } = newMigration(urls.migrationsFolder, 'give things a colour');
  expect(filename).toBe('000002.sql');
  await runCurrent(urls); // the template alone is no migration, and no error
  await expect(proveRollback(urls)).resolves.toMatchObject({ filename: '000002.sql' });

  writeFileSync(current, `${readFileSync(current, 'utf8')}\nalter table app_public.things add column if not exists colour text;\n`);
  await expect(proveRollback(urls)).rejects.toMatchObject({ code: 'ROLLBACK_REFUSED', message: expect.stringContaining('column app_public.things.colour is not expected') });
  writeFileSync(rollback, 'alter table app_public.things drop column colour;\n');
  await expect(proveRollback(urls)).resolves.toMatchObject({ filename: '000002.sql', losses: ['column app_public.things.colour is dropped with what is in it'] });

  await runCurrent(urls);
  expect(await commitCurrent(urls, undefined)).toBe('000002-give-things-a-colour.sql');
  expect(existsSync(path.join(urls.migrationsFolder, 'committed', '000002-give-things-a-colour.sql'))).toBe(true);
  expect(manifestProblems(urls.migrationsFolder)).toEqual([]);
});

test('work in current.sql is never overwritten', async () => {
  const { migrationsFolder: folder } = await scratch.make({ current: '--! Message: old\n\n--!include a.sql\n' });
  expect(() => newMigration(folder, 'new')).toThrow(expect.objectContaining({ code: 'MIGRATION_INVALID', remedy: expect.stringContaining('agentflow db commit') }));
  expect(readFileSync(path.join(folder, 'current.sql'), 'utf8')).toBe('--! Message: old\n\n--!include a.sql\n');
});

test.each(['', '  ', 'two\nlines', 'x'.repeat(513)])('a message that graphile-migrate would refuse is refused at once (%#)', async (message) => {
  const { migrationsFolder: folder } = await scratch.make();
  expect(() => newMigration(folder, message)).toThrow(expect.objectContaining({ code: 'INVALID_VALUE' }));
});
