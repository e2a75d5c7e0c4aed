import { createServer, type AddressInfo, type Server } from 'node:net';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Finding } from '../../src/schema/health.ts';
import { graphql, runCli, startService, temporaryDataDir } from '../support/cli.ts';
import { useTestDatabase } from '../support/database.ts';

const longEnough = 'x'.repeat(32);

describe('the command line', () => {
  test('has help for every command, and it ends well', async () => {
    const seen: string[] = [];
    const visit = async (words: string[]): Promise<void> => {
      const { code, stdout } = await runCli([...words, '--help']);
      expect([words, code]).toEqual([words, 0]);
      expect(stdout).toContain(`Usage: agentflow${words.map((word) => ` ${word}`).join('')}`);
      seen.push(words.join(' '));
      const list = /^Commands:\n([^]*?)(?:\n\n|(?![^]))/m.exec(stdout)?.[1] ?? '';
      const names = [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
      if (words.length === 0) for (const name of names) await visit([name]);
      else await Promise.all(names.map((name) => visit([...words, name])));
    };
    await visit([]);
    expect(seen).toEqual(expect.arrayContaining(['start', 'server', 'worker', 'doctor', 'db migrate', 'db status', 'db current', 'db history', 'db watch', 'db commit', 'db uncommit', 'db reset',
      'workflow validate', 'workflow apply', 'workflow pull', 'workflow run', 'workflow list', 'workflow show', 'workflow diagram', 'workflow diff', 'workflow restore',
      'execution list', 'execution show', 'execution follow', 'execution cancel', 'execution retry', 'execution decide']));
  }, 180_000);

  test.each([
    [['nonsense'], 'unknown command'],
    [['db', 'nonsense'], 'unknown command'],
    [['db', 'migrate', '--sideways'], 'unknown option'],
    [['db', 'migrate', 'superfluous'], 'too many arguments'],
    [['db', 'reset'], '--erase'],
    [['execution', 'follow', 'abc'], 'an id such as'],
    [['execution', 'list', '--status', 'nonsense'], 'Allowed choices are pending'],
  ])('called wrongly (%j) says how it is meant and ends with 2', async (words, message) => {
    expect(await runCli(words)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });

  test('with a wrong environment ends with 3, all problems told at once, in JSON where asked', async () => {
    const { code, stdout, stderr } = await runCli(['db', 'status', '--json'], { DATABASE_URL: 'mysql://x', PORT: '-1', LOG_LEVEL: 'loud' });
    expect([code, stdout]).toEqual([3, '']);
    expect(JSON.parse(stderr)).toEqual({ error: {
      code: 'CONFIG_INVALID', message: expect.any(String), remedy: expect.any(String),
      details: { problems: [{ variable: 'DATABASE_URL', message: expect.any(String) }, { variable: 'PORT', message: expect.any(String) }, { variable: 'LOG_LEVEL', message: expect.any(String) }] },
    } });
  });

  test('start with DATABASE_URL alone refuses, naming everything else that it needs, before it touches anything', async () => {
    const { code, stderr } = await runCli(['start'], { DATABASE_URL: 'postgres://agentflow_owner@127.0.0.1:1/agentflow' });
    expect(code).toBe(3);
    for (const name of ['DATABASE_AUTHENTICATOR_URL', 'DATABASE_WORKER_URL', 'JWT_SECRET (or JWKS_URL)', 'AGENTFLOW_SECRET_KEY']) expect(stderr).toContain(name);
  });

  test('with a database that does not answer ends with 3', async () => {
    expect(await runCli(['db', 'history'], { DATABASE_URL: 'postgres://agentflow_owner@127.0.0.1:1/agentflow' }))
      .toMatchObject({ code: 3, stderr: expect.stringContaining('DATABASE_UNREACHABLE') });
  });

  test('with one that hangs up, too', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.end()).resume());
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const { port } = server.address() as AddressInfo;
    expect(await runCli(['db', 'history'], { DATABASE_URL: `postgres://agentflow_owner@127.0.0.1:${port}/agentflow` }))
      .toMatchObject({ code: 3, stderr: expect.stringContaining('DATABASE_UNREACHABLE') });
    server.close();
  });
});

describe('on a database', () => {
  const db = useTestDatabase();
  const place = temporaryDataDir();
  afterAll(() => place.remove());
  const urls = (): Record<string, string> => ({
    DATABASE_URL: db.url('agentflow_owner'), DATABASE_AUTHENTICATOR_URL: db.url('agentflow_authenticator'), DATABASE_WORKER_URL: db.url('agentflow_worker'),
    JWT_SECRET: longEnough, AGENTFLOW_SECRET_KEY: longEnough, PORT: '0', AGENTFLOW_DATA_DIR: place.dataDir,
  });
  const json = async (words: string[], extra: Record<string, string> = {}): Promise<{ code: number | null; answer: unknown }> => {
    const { code, stdout } = await runCli([...words, '--json'], { ...urls(), ...extra });
    return { code, answer: JSON.parse(stdout) };
  };
  const history = async (): Promise<{ filename: string; state: string }[]> => (await json(['db', 'history'])).answer as { filename: string; state: string }[];

  afterEach(async () => {
    await db.owner.query(`delete from graphile_migrate.migrations where filename = '999999.sql'`);
  });

  test('migrated: status, current and history agree that it is', async () => {
    expect(await json(['db', 'migrate'])).toEqual({ code: 0, answer: { migrations: [] } });
    const all = await history();
    expect(all.map(({ state }) => state)).toEqual(all.map(() => 'APPLIED'));
    expect(await json(['db', 'status'])).toMatchObject({ code: 0, answer: { isUpToDate: true, differing: [] } });
    expect((await json(['db', 'current'])).answer).toEqual(all.at(-1));
  });

  test('of a later version: everything that would write or serve refuses', async () => {
    await db.owner.query(`
      insert into graphile_migrate.migrations (hash, previous_hash, filename)
      select 'sha1:0', (select hash from graphile_migrate.migrations order by filename desc limit 1), '999999.sql'`);
    expect((await history()).at(-1)).toMatchObject({ filename: '999999.sql', state: 'MISSING' });
    expect(await json(['db', 'status'])).toMatchObject({ code: 1, answer: { isUpToDate: false, differing: [{ filename: '999999.sql', state: 'MISSING' }] } });
    for (const words of [['db', 'migrate'], ['start'], ['server'], ['worker']]) {
      expect(await runCli(words, urls())).toMatchObject({ code: 3, stderr: expect.stringMatching(/DATABASE_AHEAD: .*999999\.sql/) });
    }
  });

  test('not migrated: server and worker by themselves refuse and say what to run', async () => {
    const [last] = (await db.owner.query<{ hash: string; previous_hash: string | null; filename: string }>('select * from graphile_migrate.migrations order by filename desc limit 1')).rows;
    await db.owner.query('delete from graphile_migrate.migrations where filename = $1', [last!.filename]);
    for (const words of [['server'], ['worker']]) {
      expect(await runCli(words, urls())).toMatchObject({ code: 3, stderr: expect.stringMatching(new RegExp(`DATABASE_BEHIND: .*${last!.filename}[^]*agentflow db migrate`)) });
    }
    await db.owner.query('insert into graphile_migrate.migrations (hash, previous_hash, filename) values ($1, $2, $3)', [last!.hash, last!.previous_hash, last!.filename]);
  });

  test('start serves and works on it, with nothing embedded and no samples', async () => {
    const { info, launcher, finished } = await startService(['start'], place.dataDir, urls());
    expect(info).toMatchObject({ databaseUrl: db.url('agentflow_owner'), authenticatorUrl: db.url('agentflow_authenticator') });
    expect(info.samples).toBeUndefined();
    expect(existsSync(path.join(place.dataDir, 'postgres'))).toBe(false);
    expect(await graphql(info.graphqlUrl, '{ __typename }')).toEqual({ data: { __typename: 'Query' } });
    const second = await runCli(['start'], urls());
    expect(second).toMatchObject({ code: 3, stderr: expect.stringMatching(new RegExp(`DATA_DIR_IN_USE: .*process ${info.pid}`)) });
    launcher.kill('SIGTERM');
    expect((await finished).code).toBe(0);
  });

  test('a port that is taken: says so, with what to do, and nothing stays running', async () => {
    const taken = await listening();
    const port = String((taken.address() as AddressInfo).port);
    const result = await runCli(['start'], { ...urls(), PORT: port });
    const fresh = path.join(place.dataDir, 'fresh');
    expect(await runCli(['start'], { AGENTFLOW_DATA_DIR: fresh, PORT: port })).toMatchObject({ code: 3, stderr: expect.stringContaining('PORT_IN_USE') });
    expect(existsSync(fresh)).toBe(false);
    taken.close();
    expect(result).toMatchObject({ code: 3, stderr: expect.stringMatching(new RegExp(`PORT_IN_USE: .*${port}[^]*Set PORT`)) });
    expect((await db.owner.query(`select from pg_stat_activity where datname = current_database() and usename in ('agentflow_authenticator', 'agentflow_worker')`)).rowCount).toBe(0);
  });

  test('doctor finds it healthy, and names what is not', async () => {
    const findings = async (): Promise<Finding[]> => ((await json(['doctor'])).answer as { findings: Finding[] }).findings;
    expect((await findings()).filter(({ status }) => status !== 'ok')).toEqual([]);
    await db.owner.query('alter table app_public.workflows no force row level security');
    expect(await json(['doctor'])).toMatchObject({ code: 1, answer: { isHealthy: false } });
    expect((await findings()).filter(({ status }) => status === 'fail')).toEqual([{
      name: 'row-level security', status: 'fail', message: expect.stringContaining('workflows'), remedy: expect.any(String),
    }]);
    await db.owner.query('alter table app_public.workflows force row level security');
  });

  test('doctor takes a wrong environment as a finding', async () => {
    const { code, answer } = await json(['doctor'], { LOG_LEVEL: 'loud' });
    expect(code).toBe(1);
    expect((answer as { findings: Finding[] }).findings).toContainEqual({ name: 'environment', status: 'fail', message: expect.stringContaining('LOG_LEVEL'), remedy: expect.any(String) });
  });
});

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
