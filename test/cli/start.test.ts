import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { mocksByDefault } from '../../src/cli/start.ts';
import { readConfig } from '../../src/config.ts';
import { attachEmbedded, currentHolder } from '../../src/embedded/index.ts';
import { identifyProcess, waitForEnd } from '../../src/embedded/processes.ts';
import { withClient } from '../../src/schema/connection.ts';
import { graphql, runCli, startService, startWorker, temporaryDataDir, type Service } from '../support/cli.ts';

const count = async (url: string, sql: string): Promise<number> =>
  withClient(url, async (client) => (await client.query<{ count: number }>(`select count(*)::int as count from ${sql}`)).rows[0]!.count);

describe('agentflow start, without a database', () => {
  let place: ReturnType<typeof temporaryDataDir>;
  let services: Service[];
  const start = async (extra: Record<string, string> = {}): Promise<Service> => {
    const service = await startService(['start'], place.dataDir, extra);
    services.push(service);
    return service;
  };
  beforeEach(() => {
    place = temporaryDataDir();
    services = [];
  });
  afterEach(async () => {
    for (const { info, finished } of services) {
      if (identifyProcess(info.pid)) process.kill(info.pid, 'SIGTERM');
      await finished;
    }
    place.remove();
  });

  test('serves, tells scripts where, and stops without a trace of it when told twice', async () => {
    const { info, launcher, finished } = await start();
    expect(statSync(path.join(place.dataDir, 'server.json')).mode & 0o777).toBe(0o600);
    expect(info).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), graphqlUrl: `${info.url}/graphql`, graphiqlUrl: `${info.url}/graphiql`, pid: expect.any(Number),
      databaseUrl: expect.stringMatching(/^postgres:\/\/agentflow_owner:/), authenticatorUrl: expect.stringMatching(/^postgres:\/\/agentflow_authenticator:/),
      samples: { users: expect.any(Array), apiKey: expect.stringMatching(/^sk_live_/) },
    });
    expect(info.samples!.users[0]).toMatchObject({ email: 'john@example.com', role: 'admin', tenantId: '123e4567-e89b-12d3-a456-426614174000' });
    expect(new Set(info.samples!.users.map(({ role }) => role))).toEqual(new Set(['admin', 'architect', 'developer', 'operator', 'viewer']));
    expect(await graphql(info.graphqlUrl, '{ __typename }')).toEqual({ data: { __typename: 'Query' } });
    expect(await count(info.databaseUrl, 'users')).toBe(info.samples!.users.length);
    const postgres = attachEmbedded(place.dataDir)!.pid;

    launcher.kill('SIGTERM');
    launcher.kill('SIGTERM');
    process.kill(info.pid, 'SIGINT');
    const { code, stdout } = await finished;
    expect(code).toBe(0);
    for (const line of [info.graphqlUrl, info.graphiqlUrl, 'john@example.com', info.samples!.users[0]!.password, info.samples!.apiKey, 'MOCKED', 'Try first']) expect(stdout).toContain(line);
    expect([existsSync(path.join(place.dataDir, 'server.json')), identifyProcess(postgres), currentHolder(place.dataDir)]).toEqual([false, null, null]);
  });

  test('keeps data, logins and key over a restart, and loads the samples once', async () => {
    const first = await start();
    await withClient(first.info.databaseUrl, (client) => client.query(`update tenants set name = 'Changed' where slug = 'example'`));
    first.launcher.kill('SIGTERM');
    await first.finished;
    const second = await start();
    expect(second.info.samples).toEqual(first.info.samples);
    expect(await count(second.info.databaseUrl, `tenants where name = 'Changed'`)).toBe(1);
  });

  test('a second start on the folder is refused, naming the first, which goes on', async () => {
    const { info } = await start();
    const second = await runCli(['start'], { AGENTFLOW_DATA_DIR: place.dataDir, PORT: '0' });
    expect(second).toMatchObject({ code: 3, stderr: expect.stringMatching(new RegExp(`DATA_DIR_IN_USE: .*process ${info.pid}`)) });
    expect(await graphql(info.graphqlUrl, '{ __typename }')).toEqual({ data: { __typename: 'Query' } });
    expect(existsSync(path.join(place.dataDir, 'server.json'))).toBe(true);
  });

  test('killed with -9, it leaves no server behind and starts again on the same data', async () => {
    const { info, finished } = await start();
    const postgres = attachEmbedded(place.dataDir)!.pid;
    process.kill(info.pid, 'SIGKILL');
    expect([null, 137]).toContain((await finished).code);
    expect(await waitForEnd(postgres, 20_000)).toBe(true);
    const next = await start();
    expect(next.info.pid).not.toBe(info.pid);
    expect(next.info.samples).toEqual(info.samples);
  });

  test('whose launcher needed another Node and is killed with -9 stops in order', async () => {
    const oldNode = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })`;
    const { info, launcher } = await start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(oldNode)}` });
    expect(info.pid).not.toBe(launcher.pid);
    const postgres = attachEmbedded(place.dataDir)!.pid;
    launcher.kill('SIGKILL');
    expect([await waitForEnd(info.pid, 20_000), await waitForEnd(postgres, 20_000)]).toEqual([true, true]);
    expect(existsSync(path.join(place.dataDir, 'server.json'))).toBe(false);
  });

  test('whose extension is broken ends before anybody is told of it', async () => {
    const first = await start();
    first.launcher.kill('SIGTERM');
    await first.finished;
    const project = mkdtempSync(path.join(os.tmpdir(), 'agentflow-broken-'));
    try {
      mkdirSync(path.join(project, 'ext/nodes'), { recursive: true });
      writeFileSync(path.join(project, 'package.json'), '{"agentflow": {"extensions": ["./ext"]}}');
      writeFileSync(path.join(project, 'ext/nodes/bad.ts'), `throw new Error('broken');`);
      let wasAnnounced = false;
      const looking = watch(place.dataDir, (_event, name) => { wasAnnounced ||= name === 'server.json'; });
      expect(await runCli(['start'], { AGENTFLOW_DATA_DIR: place.dataDir, PORT: '0' }, project)).toMatchObject({ code: 3, stderr: expect.stringMatching(/EXTENSION_INVALID[^]*bad\.ts/) });
      looking.close();
      expect(wasAnnounced).toBe(false);
    } finally {
      rmSync(project, { recursive: true });
    }
  });

  test('lets the database commands work on its database while it runs', async () => {
    await start();
    const { code, stdout } = await runCli(['doctor', '--json'], { AGENTFLOW_DATA_DIR: place.dataDir, PORT: '0' });
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { isHealthy: true }]);
    expect(await runCli(['db', 'status'], { AGENTFLOW_DATA_DIR: place.dataDir })).toMatchObject({ code: 0 });
  });

  test.each(['json', 'pretty'])('goes on, and stops in order, when nobody reads its log any more (%s)', async (format) => {
    const { info, launcher, finished } = await start({ LOG_FORMAT: format, LOG_LEVEL: 'debug' });
    launcher.stdout!.destroy();
    launcher.stderr!.destroy();
    expect(await graphql(info.graphqlUrl, '{ __typename }')).toEqual({ data: { __typename: 'Query' } });
    launcher.kill('SIGTERM');
    expect((await finished).code).toBe(0);
    expect(existsSync(path.join(place.dataDir, 'server.json'))).toBe(false);
  });

  test('as two processes, server and worker share one folder and its database', async () => {
    await runCli(['db', 'migrate'], { AGENTFLOW_DATA_DIR: place.dataDir });
    const server = await startService(['server'], place.dataDir);
    services.push(server);
    const worker = startWorker(place.dataDir);
    expect(JSON.parse(await worker.firstAnswer)).toEqual({ pid: expect.any(Number) });
    expect(await count(server.info.databaseUrl, `pg_stat_activity where usename = 'agentflow_worker'`)).toBeGreaterThan(0);
    expect(await runCli(['server'], { AGENTFLOW_DATA_DIR: place.dataDir, PORT: '0' })).toMatchObject({ code: 3, stderr: expect.stringContaining('DATA_DIR_IN_USE') });
    worker.process.kill('SIGTERM');
    expect((await worker.finished).code).toBe(0);
    expect(await graphql(server.info.graphqlUrl, '{ __typename }')).toEqual({ data: { __typename: 'Query' } });
  });

  test('keeps every secret out of the log', async () => {
    const { info, launcher, finished } = await start({ LOG_LEVEL: 'trace' });
    await graphql(info.graphqlUrl, '{ __typename }', { authorization: 'Bearer planted-token', 'x-api-key': '' });
    launcher.kill('SIGTERM');
    const { stderr } = await finished;
    const secrets = JSON.parse(readFileSync(path.join(place.dataDir, 'secrets.json'), 'utf8')) as { passwords: Record<string, string>; jwtSecret: string; secretKey: string };
    for (const secret of [...Object.values(secrets.passwords), secrets.jwtSecret, secrets.secretKey, info.samples!.apiKey, info.samples!.users[0]!.password, 'planted-token']) expect(stderr).not.toContain(secret);
  });
});

test('models are mocked only where nothing else could answer', () => {
  const mocks = (env: Record<string, string>): boolean => mocksByDefault(readConfig(env));
  expect(mocks({})).toBe(true);
  expect(mocks({ OPENAI_API_KEY: 'sk' })).toBe(false);
  expect(mocks({ ANTHROPIC_API_KEY: 'sk' })).toBe(false);
  expect(mocks({ AGENTFLOW_LLM_GATEWAY_URL: 'http://127.0.0.1:1/v1' })).toBe(false);
  expect(mocks({ DATABASE_URL: 'postgres://o@db/agentflow' })).toBe(false);
});
