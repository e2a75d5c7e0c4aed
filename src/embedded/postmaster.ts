/** Starts and stops the server process. It never outlives ours, however ours ends. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import { openCluster, serverEnvironment } from './cluster.ts';
import { identifyProcess, isAtWorkIn, waitForEnd } from './processes.ts';

/** What ends the server when our process is killed: the kernel's parent-death signal, or a small process that waits for our end of a pipe to close. */
export type Lifeline = 'pdeathsig' | 'watchdog';

export interface LaunchOptions {
  /** The cluster's folder. */
  folder: string;
  logFile: string;
  binaries: Binaries;
  account: Account | null;
  settings: Record<string, string>;
  lifeline: Lifeline;
  /** Default: a free one. */
  port?: number;
}

export interface Postmaster {
  pid: number;
  port: number;
  /** Settles when the process has ended, for whatever reason. */
  ended: Promise<void>;
  /** Ends sessions, writes everything, stops; after `graceMs` the server is stopped at once and recovers at the next start. */
  stop(graceMs: number): Promise<void>;
}

const startSeconds = 60;
const remainsSeconds = 10;
const maxLogBytes = 10 * 1024 * 1024;

export function bestLifeline(): Lifeline {
  return process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'INT', '--', 'true'], { env: serverEnvironment() }).status === 0 ? 'pdeathsig' : 'watchdog';
}

export async function launch(options: LaunchOptions): Promise<Postmaster> {
  await clearRemains(options.folder);
  const deadline = Date.now() + remainsSeconds * 1000;
  for (let attempt = 1; ; attempt += 1) {
    const postmaster = spawnPostmaster(options, options.port ?? await freePort());
    const problem = await untilReady(options, postmaster);
    if (problem === null) return postmaster;
    // Between our look and the server's bind, somebody else may have taken the port.
    const mayPass = /could not bind|Address already in use/.test(problem) ? attempt < 3
      // Sessions of a killed server notice its death within moments.
      : /pre-existing shared memory block/.test(problem) && Date.now() < deadline;
    if (!mayPass) {
      throw new AgentFlowError('EMBEDDED_POSTGRES', `The embedded PostgreSQL did not start: ${problem}`, {
        remedy: `See ${options.logFile}.`,
        details: { log: options.logFile },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The server that has this cluster open and answers, or null. */
export function runningPostmaster(folder: string): { pid: number; port: number } | null {
  const state = readPidFile(path.join(folder, 'postmaster.pid'));
  return state?.isReady && serves(state.pid, folder) ? { pid: state.pid, port: state.port } : null;
}

/** Is that process a server on this cluster? Its id may be any other program's by now, even another server's. */
function serves(pid: number, folder: string): boolean {
  return identifyProcess(pid)?.program === 'postgres' && isAtWorkIn(pid, folder);
}

/** A server left by a killed process may still be shutting down; and its lock file may name a process id that is another program's now. */
async function clearRemains(folder: string): Promise<void> {
  const file = path.join(folder, 'postmaster.pid');
  const pid = readPidFile(file)?.pid;
  if (pid === undefined) return;
  if (serves(pid, folder)) {
    if (!(await waitForEnd(pid, 5_000))) {
      process.kill(pid, 'SIGINT');
      if (!(await waitForEnd(pid, 10_000))) {
        throw new AgentFlowError('DATA_DIR_IN_USE', `A PostgreSQL left from an earlier start (process ${pid}) still has the folder ${folder}.`, {
          remedy: `Stop it: kill -INT ${pid}`,
          details: { folder, pid },
        });
      }
    }
  }
  rmSync(file, { force: true });
}

function spawnPostmaster(options: LaunchOptions, port: number): Postmaster {
  const { binaries, account, lifeline } = options;
  const cluster = openCluster(options.folder, account);
  const log = openLog(options.logFile);
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...options.settings };
  const command = [
    ...(lifeline === 'pdeathsig' ? ['setpriv', '--pdeathsig', 'INT', '--'] : []),
    binaries.postgres, '-D', cluster.name, '-p', String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const asAccount = account ? { uid: account.uid, gid: account.gid } : {};
  const child = spawn(command[0]!, command.slice(1), {
    cwd: '/',
    env: serverEnvironment(),
    detached: true, // its own session: Ctrl-C is for us, and we stop it in order
    stdio: ['ignore', log, log, ...(cluster.descriptor === null ? [] : [cluster.descriptor])],
    ...asAccount,
  });
  closeSync(log);
  cluster.close();
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const watchdog = lifeline === 'watchdog' && child.pid !== undefined ? spawnWatchdog(child.pid, asAccount) : null;
  void ended.then(() => watchdog?.kill('SIGKILL'));
  return { pid: child.pid ?? 0, port, ended, stop: (graceMs) => stop(child, ended, graceMs) };
}

/** Its standard input is a pipe from us: it reads its end when we are gone, however we went. */
function spawnWatchdog(postmasterPid: number, asAccount: { uid?: number; gid?: number }): ChildProcess {
  const script = 'trap "" INT TERM HUP; read _; kill -INT "$1"';
  const watchdog = spawn('/bin/sh', ['-c', script, 'agentflow-watchdog', String(postmasterPid)], {
    cwd: '/', env: serverEnvironment(), detached: true, stdio: ['pipe', 'ignore', 'ignore'], ...asAccount,
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

async function stop(child: ChildProcess, ended: Promise<void>, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), graceMs);
  await ended;
  clearTimeout(timer);
}

/** Null when the server answers; otherwise what its log says. */
async function untilReady(options: LaunchOptions, postmaster: Postmaster): Promise<string | null> {
  const logStart = statSync(options.logFile).size;
  let over = false;
  void postmaster.ended.then(() => { over = true; });
  const deadline = Date.now() + startSeconds * 1000;
  while (Date.now() < deadline) {
    const state = readPidFile(path.join(options.folder, 'postmaster.pid'));
    if (state?.pid === postmaster.pid && state.isReady) return null;
    if (over) return lastLines(options.logFile, logStart);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await postmaster.stop(0);
  return `it was not ready after ${startSeconds} s. ${lastLines(options.logFile, logStart)}`;
}

/** postmaster.pid: the process id in line 1, the port in line 4, the state in line 8. */
function readPidFile(file: string): { pid: number; port: number; isReady: boolean } | null {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const pid = Number.parseInt(lines[0] ?? '', 10);
  return Number.isNaN(pid) ? null : { pid, port: Number(lines[3]), isReady: lines[7]?.trim() === 'ready' };
}

function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > maxLogBytes) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

function lastLines(file: string, from: number): string {
  const text = readFileSync(file).subarray(from).toString('utf8').trim();
  return text.split('\n').slice(-5).join(' | ') || 'it said nothing.';
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
