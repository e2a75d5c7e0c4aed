import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startEmbedded, type EmbeddedPostgres, type LoginRole } from '../../src/embedded/index.ts';
import { identifyProcess } from '../../src/embedded/processes.ts';
import { withClient } from '../../src/schema/connection.ts';
import { temporaryFolder } from './support/starting.ts';

const ask = async (embedded: EmbeddedPostgres, sql: string, role: LoginRole = 'agentflow_owner'): Promise<unknown[]> =>
  withClient(embedded.url(role), async (client) => (await client.query(sql)).rows);

const eventually = async <T>(act: () => Promise<T>): Promise<T> => {
  for (let tries = 0; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
};

describe('the embedded PostgreSQL', () => {
  let dataDir: string;
  let running: EmbeddedPostgres | null;
  const start = async (): Promise<EmbeddedPostgres> => {
    running = await startEmbedded({ dataDir });
    return running;
  };
  beforeEach(() => {
    dataDir = temporaryFolder();
    running = null;
  });
  afterEach(async () => {
    await running?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('keeps what was written, over restarts', async () => {
    const first = await start();
    expect(first.isNew).toBe(true);
    await ask(first, 'create table kept as select 42 as answer');
    await first.close();
    const second = await start();
    expect(second.isNew).toBe(false);
    expect(await ask(second, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  test('is durable, listens on loopback only, has no unix socket, and compares texts by their bytes', async () => {
    const embedded = await start();
    expect(await ask(embedded, `
      select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits, current_setting('full_page_writes') as pages,
             current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets, 'Z' < 'a' as by_bytes`, 'postgres'))
      .toEqual([{ fsync: 'on', commits: 'on', pages: 'on', addresses: '127.0.0.1', sockets: '', by_bytes: true }]);
  });

  test('lets nobody in without the password, which only its owner reads', async () => {
    const embedded = await start();
    const wrong = embedded.url('agentflow_owner').replace(/:[^:@/]+@/, ':wrong@');
    await expect(withClient(wrong, async () => undefined)).rejects.toMatchObject({ code: '28P01' });
    for (const file of ['secrets.json', 'postgres.log']) expect(statSync(path.join(dataDir, file)).mode & 0o777).toBe(0o600);
    expect(statSync(path.join(dataDir, 'postgres')).mode & 0o777).toBe(0o700);
  });

  test('gives the owner its rights and no more than that', async () => {
    const embedded = await start();
    expect(await ask(embedded, `
      select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, has_schema_privilege('public', 'public', 'create') as public_may_create
      from pg_roles where rolname = current_user`))
      .toEqual([{ rolsuper: false, rolcreaterole: true, rolcreatedb: true, rolbypassrls: true, public_may_create: false }]);
  });

  test('finishes a first start that was broken off in initdb', async () => {
    mkdirSync(path.join(dataDir, 'postgres.tmp', 'base'), { recursive: true });
    writeFileSync(path.join(dataDir, 'postgres.tmp', 'PG_VERSION'), '18\n');
    const embedded = await start();
    expect(await ask(embedded, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(existsSync(path.join(dataDir, 'postgres.tmp'))).toBe(false);
  });

  test('finishes a first start that was broken off before the database was there', async () => {
    const first = await start();
    await withClient(first.url('postgres', 'postgres'), (client) => client.query('drop database agentflow'));
    await first.close();
    const second = await start();
    expect(await ask(second, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts although the lock file of a lost server names a process that is another program\'s now', async () => {
    const first = await start();
    await first.close();
    writeFileSync(path.join(dataDir, 'postgres', 'postmaster.pid'), `${process.pid}\n${dataDir}/postgres\n0\n5432\n\n127.0.0.1\n`);
    expect(await ask(await start(), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('is started again, on its port and with its data, when it ends by itself', async () => {
    const embedded = await start();
    await ask(embedded, 'create table kept as select 42 as answer');
    const before = embedded.pid;
    process.kill(before, 'SIGKILL');
    await expect(eventually(() => ask(embedded, 'select answer from kept'))).resolves.toEqual([{ answer: 42 }]);
    expect(embedded.pid).not.toBe(before);
    await embedded.close();
    expect(identifyProcess(embedded.pid)).toBeNull();
  });

  test('refuses a folder of another major version and leaves it as it was', async () => {
    const first = await start();
    await first.close();
    const versionFile = path.join(dataDir, 'postgres', 'PG_VERSION');
    chmodSync(versionFile, 0o600);
    writeFileSync(versionFile, '13\n');
    await expect(start()).rejects.toMatchObject({ code: 'DATA_DIR_VERSION', details: { found: '13', expected: '18' }, message: expect.stringContaining(dataDir) });
    expect(readFileSync(versionFile, 'utf8')).toBe('13\n');
    expect(existsSync(path.join(dataDir, 'holder.json'))).toBe(false);
  });

  test('says what the server said when it cannot start, and gives the folder back', async () => {
    const options = { dataDir, settings: { shared_buffers: 'plenty' } };
    await expect(startEmbedded(options)).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES',
      message: expect.stringContaining('shared_buffers'),
      remedy: expect.stringContaining(path.join(dataDir, 'postgres.log')),
    });
    expect(existsSync(path.join(dataDir, 'holder.json'))).toBe(false);
  });

  test('refuses torn secrets instead of making new ones that open nothing', async () => {
    const first = await start();
    await first.close();
    writeFileSync(path.join(dataDir, 'secrets.json'), '{"passwords":');
    await expect(start()).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES', message: expect.stringContaining('secrets.json') });
  });
});
