/** Runs every command of docs/how-to/migrations.md, in an order in which each has something to do. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { useProjectCopy } from '../support/project-copy.ts';

const project = useProjectCopy();
const page = readFileSync(path.join(projectFolder, 'docs', 'how-to', 'migrations.md'), 'utf8');
const commands = [...page.matchAll(/^\|[^|]*\| `npx agentflow ([^`]+)` \|/gm)].map(([, command]) => command!);
const ran: string[] = [];

async function run(command: string, code = 0): Promise<string> {
  ran.push(command);
  const finished = await project.run(command.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', '')));
  expect([command, finished]).toEqual([command, expect.objectContaining({ code })]);
  return finished.stdout + finished.stderr;
}

test('the table has the schema document\'s five commands, and ours', () => {
  for (const theirs of ['alembic revision', 'alembic upgrade head', 'alembic downgrade -1', 'alembic current', 'alembic history']) expect(page).toContain(`| \`${theirs}`);
  expect(commands.length).toBeGreaterThanOrEqual(14);
});

test('a migration from its beginning to its end, and back', async () => {
  const file = (name: string): string => path.join(project.folder, name);
  expect(await run('db new "add workflows table"')).toContain('migrations/rollback/');
  const rollback = /migrations\/rollback\/(\d{6}\.sql)/.exec(await run('db new "add workflows table"'))![1]!;
  writeFileSync(file(`migrations/rollback/${rollback}`), 'alter table app_public.workflows drop column colour;\n');
  appendFileSync(file('current.sql'), '\nalter table app_public.workflows add colum if not exists colour text;\n');
  expect(await run('db watch --once', 1)).toMatch(/MIGRATION_FAILED: current\.sql:\d+:51: syntax error at or near "exists"/);
  writeFileSync(file('current.sql'), readFileSync(file('current.sql'), 'utf8').replace('add colum ', 'add column '));
  appendFileSync(file('current.sql'), `comment on column app_public.workflows.colour is 'What it is shown in.';\n`);
  await run('db watch --once');
  expect(await run('db rollback --prove')).toContain('is the exact inverse');
  expect(await run('db commit')).toContain(`Committed: ${rollback.replace('.sql', '-add-workflows-table.sql')}`);
  expect(await run('db status')).toContain('all committed migrations');
  expect(await run('db lint')).toContain('0 findings');
  expect(await run('db drift')).toContain('No drift');
  expect(await run('db snapshot')).toContain('tables.md');
  expect(readFileSync(file('migrations/snapshot/tables.md'), 'utf8')).toContain('What it is shown in.');
  expect(await run('db current')).toContain(rollback);
  expect(await run('db rollback', 1)).toMatch(/DATA_LOSS[\s\S]*column app_public\.workflows\.colour is dropped with 0 values in it/);
  expect(await run('db rollback --accept-loss')).toContain(`Taken back: ${rollback}`);
  expect(await run('db history')).toMatch(new RegExp(`${rollback}\\s+PENDING`));
  expect(await run('db migrate')).toContain(`Migrated: ${rollback}`);
  expect(await run('db uncommit')).toContain('is current.sql again');
  writeFileSync(file('current.sql'), '');
  expect(await run('db reset --erase')).toContain('The database is new.');
}, 180_000);

test('none was left out but the watching itself, and breaks, which needs a repository: they have tests of their own', () => {
  const left = commands.filter((command) => !ran.includes(command));
  expect(left.sort()).toEqual(['db breaks', 'db watch']);
});
