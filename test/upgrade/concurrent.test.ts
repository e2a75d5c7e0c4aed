import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { compareCatalogs, describeDifference, readCatalog } from '../../src/schema/fingerprint.ts';
import { committedMigrations } from '../../src/schema/history.ts';
import { migrateDatabase, migrationsFolder } from '../../src/schema/migrate.ts';
import { startApi, type TestApi } from '../support/api.ts';
import { runCli } from '../support/cli.ts';
import { appendMigration, useScratch } from '../support/migrations.ts';

const scratch = useScratch();
const names = committedMigrations(migrationsFolder).map(({ filename }) => filename);

test('eight migrators at once: one works, all succeed', async () => {
  const { databaseUrl } = await scratch.make();
  const results = await Promise.all(Array.from({ length: 8 }, () => runCli(['db', 'migrate', '--json'], { DATABASE_URL: databaseUrl })));
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']));
  const migrated = results.map(({ stdout }) => (JSON.parse(stdout) as { migrations: string[] }).migrations);
  expect(migrated.filter((list) => list.length > 0)).toEqual([names]);
}, 180_000);

test('a migrator killed at its work leaves nothing half-done, and the next one does all of it', async () => {
  const [killed, whole] = [await scratch.make(), await scratch.make()];
  await migrateDatabase(whole.databaseUrl);
  const catalogOf = ({ databaseUrl }: { databaseUrl: string }) => withClient(databaseUrl, readCatalog);
  await withClient(killed.databaseUrl, async (client) => {
    const launcher = path.resolve(import.meta.dirname, '../../bin/agentflow.mjs');
    const child = spawn(process.execPath, [launcher, 'exec', process.execPath, path.resolve(import.meta.dirname, '../../src/cli/main.ts'), 'db', 'migrate'], { env: { PATH: process.env['PATH'], DATABASE_URL: killed.databaseUrl }, stdio: 'ignore', detached: true });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const isAtWork = async (): Promise<boolean> => (await client.query(
      `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and length(query) > 1000 and state = 'active'`)).rowCount! > 0;
    while (!(await isAtWork())) {
      if (child.exitCode !== null) throw new Error(`The migrator ended with ${child.exitCode} before it could be killed.`);
      await sleep(2);
    }
    process.kill(-child.pid!, 'SIGKILL');
    await ended;
  });
  expect(await migrateDatabase(killed.databaseUrl)).toEqual(names);
  expect(compareCatalogs(await catalogOf(whole), await catalogOf(killed)).map(describeDifference)).toEqual([]);
}, 180_000);

describe('while the API answers 50 requests a second', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  }, 180_000);
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('a migration makes none of them fail', async () => {
    const next = `${String(names.length + 1).padStart(6, '0')}.sql`;
    const history = appendMigration(migrationsFolder, `
      alter table app_public.workflows add column colour text default 'red';
      alter table app_public.workflows add constraint chk_workflows_colour check (colour <> '') not valid;
      alter table app_public.workflows validate constraint chk_workflows_colour;
      create index idx_executions_made_under_way on app_public.executions (tenant_id, started_at, id);
      alter policy select_tenant on app_public.sources using (tenant_id = (select app_public.current_tenant_id()) and deleted_at is null);
      create table app_private.more (id bigint primary key);
      comment on table app_public.workflows is 'Changed.';`);
    const operations = [
      'query { workflows(first: 5) { nodes { id name status } } }',
      'query { executions(first: 5) { nodes { id status } } }',
      'query { sources { nodes { id name } } currentUser { email } }',
      'mutation { createWorkflow(input: {workflow: {name: "made under way", spec: {}}}) { workflow { id } } }',
    ];
    const answers: Promise<unknown>[] = [];
    let migrated: Promise<string[]> | null = null;
    try {
      for (let number = 0; number < 150; number += 1) {
        answers.push(api.query('john@example.com', operations[number % operations.length]!).then(({ status, errors }) => (status === 200 && errors === undefined ? null : { status, errors })));
        if (number === 50) migrated = migrateDatabase(api.db.url('agentflow_owner'), { migrationsFolder: history.folder });
        await sleep(20);
      }
      expect(await migrated).toEqual([next]);
    } finally {
      history.remove();
    }
    const failed = (await Promise.all(answers)).filter((answer) => answer !== null);
    expect(answers).toHaveLength(150);
    expect(failed).toEqual([]);
  }, 180_000);
});
