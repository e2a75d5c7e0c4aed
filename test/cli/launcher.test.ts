import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { finish, runCli, type Finished } from '../support/cli.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');

describe('the launcher', () => {
  test('runs a command with this Node and the project\'s tools first in PATH, and returns its exit code', async () => {
    const program = `process.stdout.write(process.env.PATH.split(':')[0] + ' ' + process.argv[1]); process.exit(7)`;
    expect(await runCli(['exec', 'node', '-e', program, 'word'])).toEqual({ code: 7, stdout: `${path.join(projectFolder, 'node_modules', '.bin')} word`, stderr: '' });
  });

  test('says so when there is no such command', async () => {
    expect(await runCli(['exec', 'no-such-program-here'])).toMatchObject({ code: 127, stderr: expect.stringContaining('no-such-program-here') });
    expect(await runCli(['exec'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no command given') });
  });

  test('returns 128 and the signal\'s number for a command that a signal ended', async () => {
    expect(await runCli(['exec', 'node', '-e', 'process.kill(process.pid, "SIGTERM")'])).toMatchObject({ code: 143 });
  });

  test('passes signals on, each of them, and waits for the command to end', async () => {
    const program = `let count = 0; process.on('SIGTERM', () => { count += 1; process.stdout.write('[' + count + ']'); if (count === 2) process.exit(5); }); process.stdout.write('up'); setInterval(() => {}, 1000)`;
    const child = spawn(process.execPath, [path.join(projectFolder, 'bin', 'agentflow.mjs'), 'exec', 'node', '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
    const finished = finish(child);
    child.stdout.on('data', (chunk: Buffer) => {
      const text = chunk.toString('utf8');
      if (text.includes('up') || text.includes('[1]')) child.kill('SIGTERM');
    });
    expect(await finished).toEqual({ code: 5, stdout: 'up[1][2]', stderr: '' });
  });

  test('run by npx, ends its command when npx and its shell are gone', async () => {
    const program = `process.on('SIGTERM', () => { process.stdout.write('[told]'); process.exit(0); }); process.stdout.write('up'); setInterval(() => {}, 1000)`;
    const shell = spawn('sh', ['-c', '"$@"; true', 'sh', process.execPath, path.join(projectFolder, 'bin', 'agentflow.mjs'), 'exec', 'node', '-e', program], {
      stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, npm_command: 'exec' },
    });
    shell.stdout.once('data', () => shell.kill('SIGKILL'));
    expect(await finish(shell)).toEqual({ code: null, stdout: 'up[told]', stderr: '' });
  });

  describe('in a checkout', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-checkout-'));
      mkdirSync(path.join(folder, 'bin'));
      cpSync(path.join(projectFolder, 'bin', 'agentflow.mjs'), path.join(folder, 'bin', 'agentflow.mjs'));
      write('package-lock.json', '{"lockfileVersion": 3}');
      // npm as it matters here: it makes node_modules, and leaves a line of what it was called with.
      write('fake/npm', `#!/bin/sh\nmkdir -p "$PWD/node_modules"\necho "$@" >> "$PWD/npm-calls"\n[ ! -e "$PWD/npm-fails" ]\n`);
      chmodSync(path.join(folder, 'fake', 'npm'), 0o755);
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const write = (file: string, content: string): void => {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), content);
    };
    const launch = (words: string[], preload?: string): Promise<Finished> => finish(spawn(process.execPath, [
      ...(preload ? ['--import', `data:text/javascript,${encodeURIComponent(preload)}`] : []), path.join(folder, 'bin', 'agentflow.mjs'), ...words,
    ], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: `${folder}/fake:${process.env['PATH']}` } }));
    const calls = (): number => (existsSync(path.join(folder, 'npm-calls')) ? readFileSync(path.join(folder, 'npm-calls'), 'utf8').trim().split('\n').length : 0);
    const echo = ['exec', 'node', '-e', 'process.stdout.write("ran")'];

    test('without packages installs the locked ones first, once, and leaves standard output to the command', async () => {
      expect(await launch(echo)).toMatchObject({ code: 0, stdout: 'ran', stderr: expect.stringMatching(/installing the locked packages[^]*installed in \d+ s/) });
      expect(readFileSync(path.join(folder, 'npm-calls'), 'utf8')).toMatch(/^ci /);
      expect(await launch(echo)).toEqual({ code: 0, stdout: 'ran', stderr: '' });
      expect(calls()).toBe(1);
    });

    test('installs again when the lock has changed, not when only its time has', async () => {
      await launch(echo);
      utimesSync(path.join(folder, 'package-lock.json'), new Date(), new Date(Date.now() + 60_000));
      await launch(echo);
      expect(calls()).toBe(1);
      write('package-lock.json', '{"lockfileVersion": 3, "packages": {}}');
      await launch(echo);
      expect(calls()).toBe(2);
    });

    test('takes an install by hand as it is when it is newer than the lock', async () => {
      write('node_modules/.package-lock.json', '{}');
      expect(await launch(echo)).toEqual({ code: 0, stdout: 'ran', stderr: '' });
      expect(calls()).toBe(0);
    });

    test('ends with a remedy when the install fails, and tries again the next time', async () => {
      write('npm-fails', '');
      expect(await launch(echo)).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('npm ci failed') });
      rmSync(path.join(folder, 'npm-fails'));
      expect(await launch(echo)).toMatchObject({ code: 0, stdout: 'ran' });
    });

    const oldNode = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })`;
    test('on an old Node hands over to the packaged one', async () => {
      const packaged = path.join('node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
      write('node_modules/.package-lock.json', '{}');
      write(packaged, '#!/bin/sh\necho "packaged $2 $3"\n');
      chmodSync(path.join(folder, packaged), 0o755);
      expect(await launch(['db', 'status'], oldNode)).toMatchObject({ code: 0, stdout: `packaged ${path.join(folder, 'src', 'cli', 'main.ts')} db\n` });
    });

    test('on an old Node without a packaged one says what to install', async () => {
      write('node_modules/.package-lock.json', '{}');
      expect(await launch(['db', 'status'], oldNode)).toMatchObject({ code: 3, stderr: expect.stringMatching(/Node 20\.11\.0 is too old[^]*Install Node 22\.18/) });
    });
  });
});
