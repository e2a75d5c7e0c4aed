import { spawn } from 'node:child_process';
import { cpSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { finish, type Finished } from '../support/cli.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');

/** The DBA's loop, in a checkout of its own: current.sql is edited, run, committed, taken back. */
describe('current.sql', () => {
  const db = useTestDatabase();
  let checkout: string;
  beforeAll(() => {
    checkout = mkdtempSync(path.join(os.tmpdir(), 'agentflow-checkout-'));
    for (const name of ['bin', 'src', 'tasks', 'migrations', 'current.sql', 'package.json', '.gmrc']) {
      cpSync(path.join(projectFolder, name), path.join(checkout, name), { recursive: true, verbatimSymlinks: true });
    }
    symlinkSync(path.join(projectFolder, 'node_modules'), path.join(checkout, 'node_modules'));
  });
  afterAll(async () => {
    rmSync(checkout, { recursive: true });
    await withClient(clusterUrl(testCluster(), 'postgres', 'postgres'), (client) => client.query(`drop database if exists ${db.name}_shadow with (force)`));
  });

  const launch = (words: string[]): ReturnType<typeof spawn> => {
    const root = clusterUrl(testCluster(), 'postgres', 'postgres');
    return spawn(process.execPath, [path.join(checkout, 'bin', 'agentflow.mjs'), ...words], {
      cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'], HOME: process.env['HOME'], DATABASE_URL: db.url('agentflow_owner'), ROOT_DATABASE_URL: root,
        SHADOW_DATABASE_URL: clusterUrl(testCluster(), 'agentflow_owner', `${db.name}_shadow`),
      },
    });
  };
  const run = (...words: string[]): Promise<Finished> => finish(launch(words));
  const current = (content?: string): string => {
    if (content !== undefined) writeFileSync(path.join(checkout, 'current.sql'), content);
    return readFileSync(path.join(checkout, 'current.sql'), 'utf8');
  };
  const columns = async (table: string): Promise<string[]> =>
    (await db.owner.query<{ name: string }>('select attname::text as name from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum', [table]))
      .rows.map(({ name }) => name);
  const committed = (): string[] => readdirSync(path.join(checkout, 'migrations', 'committed')).toSorted();
  const colours = (...extra: string[]): string => `drop table if exists app_private.colours;\ncreate table app_private.colours (${['name text', ...extra].join(', ')});\n`;

  test('is run once, and again while it is watched and changes', async () => {
    current(colours());
    expect(await run('db', 'watch', '--once')).toMatchObject({ code: 0, stdout: 'current.sql ran.\n' });
    expect(await columns('app_private.colours')).toEqual(['name']);
    const watching = launch(['db', 'watch']);
    const finished = finish(watching);
    await new Promise<void>((resolve) => {
      watching.stderr!.on('data', (chunk: Buffer) => { if (chunk.toString('utf8').includes('Watching current.sql')) resolve(); });
    });
    current(colours('hex text'));
    while ((await columns('app_private.colours')).length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    watching.kill('SIGINT');
    expect((await finished).code).toBe(0);
    expect(await columns('app_private.colours')).toEqual(['name', 'hex']);
  });

  test('becomes a committed migration, and is taken back', async () => {
    const before = committed();
    const content = current(colours('hex text'));
    const commit = await run('db', 'commit', '-m', 'Colours for all', '--json');
    expect(commit).toMatchObject({ code: 0 });
    const { committed: file } = JSON.parse(commit.stdout) as { committed: string };
    expect(file).toMatch(/^\d{6}-colours-for-all\.sql$/);
    expect(committed()).toEqual([...before, file]);
    expect(current()).toMatch(/^--.*\n$/);
    expect(readlinkSync(path.join(checkout, 'migrations', 'current.sql'))).toBe('../current.sql');
    expect(lstatSync(path.join(checkout, 'current.sql')).isFile()).toBe(true);
    const history = JSON.parse((await run('db', 'history', '--json')).stdout) as object[];
    expect(history.at(-1)).toMatchObject({ filename: `${file.slice(0, 6)}.sql`, state: 'APPLIED', message: 'Colours for all' });

    expect(JSON.parse((await run('db', 'uncommit', '--json')).stdout)).toEqual({ uncommitted: file });
    expect(committed()).toEqual(before);
    expect(current()).toBe(`--! Message: Colours for all\n\n${content}`);
    expect(await run('db', 'uncommit')).toMatchObject({ code: 1, stderr: expect.stringContaining('current.sql holds statements') });
  });

  test('with a fault is told with its place, and nothing is half-done', async () => {
    const before = committed();
    current('create table app_private.half (id int);\ncreate tabel app_private.done (id int);\n');
    for (const words of [['db', 'watch', '--once'], ['db', 'commit', '-m', 'Never']]) {
      expect(await run(...words)).toMatchObject({ code: 1, stderr: expect.stringMatching(/MIGRATION_FAILED[^]*current\.sql:2/) });
      expect([await columns('app_private.half'), committed()]).toEqual([[], before]);
    }
  });

  test('needs a shadow, and says which variables name it', async () => {
    const { code, stderr } = await finish(spawn(process.execPath, [path.join(checkout, 'bin', 'agentflow.mjs'), 'db', 'commit'], {
      cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], DATABASE_URL: db.url('agentflow_owner') },
    }));
    expect(code).toBe(3);
    expect(stderr).toMatch(/ROOT_DATABASE_URL and SHADOW_DATABASE_URL/);
  });
});
