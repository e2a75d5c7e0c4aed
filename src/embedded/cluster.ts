/** The cluster's folder on disk: made by initdb as a whole or not at all. */
import { spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { canReach, type Account } from './account.ts';
import type { Binaries } from './binaries.ts';

/**
 * How to name the cluster's folder to a process of the server's account. Where that account may not enter a folder above
 * it (a checkout in root's home), the process inherits the open folder and names it by that: nothing has to be moved or opened up.
 */
export interface ClusterHandle {
  /** What to give as `-D`. */
  name: string;
  /** Goes to the child as file descriptor 3; null when the path itself does. */
  descriptor: number | null;
  close(): void;
}

export function openCluster(folder: string, account: Account | null): ClusterHandle {
  if (canReach(path.dirname(folder), account)) return { name: folder, descriptor: null, close: () => undefined };
  if (process.platform !== 'linux') {
    throw new AgentFlowError('EMBEDDED_POSTGRES', `The user ${account?.name} cannot reach the data folder ${folder}.`, {
      remedy: 'Set AGENTFLOW_DATA_DIR to a folder that every user may enter.',
    });
  }
  const descriptor = openSync(folder, 'r');
  return { name: '/proc/self/fd/3', descriptor, close: () => closeSync(descriptor) };
}

/** Throws DATA_DIR_VERSION when the cluster is another major version's. */
export function checkVersion(folder: string, binaries: Binaries): void {
  const found = clusterVersion(folder);
  if (found === String(binaries.major)) return;
  throw new AgentFlowError('DATA_DIR_VERSION', `The data folder ${folder} was made by PostgreSQL ${found}; this is PostgreSQL ${binaries.major}.`, {
    remedy: `Start the AgentFlow version that has PostgreSQL ${found}, dump with pg_dump and restore here; or set AGENTFLOW_DATA_DIR to a new folder.`,
    details: { folder, found, expected: String(binaries.major) },
  });
}

/** Runs initdb beside `folder` and renames: a folder of that name is always a whole cluster. */
export async function createCluster(folder: string, binaries: Binaries, account: Account | null, superuserPassword: string, durable: boolean): Promise<void> {
  const draft = `${folder}.tmp`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  if (account) chownSync(draft, account.uid, account.gid);
  const cluster = openCluster(draft, account);
  try {
    await withPasswordFile(superuserPassword, account, (passwordFile) => runInitdb(binaries, account, cluster, [
      '--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--no-instructions', '--no-sync', ...localeOptions(binaries.major),
    ]));
    if (durable) await runInitdb(binaries, account, cluster, ['--sync-only', ...syncOptions(binaries.major)]);
  } finally {
    cluster.close();
  }
  renameSync(draft, folder);
}

/** Every byte order and case rule the same on every machine, whatever its locales. */
function localeOptions(major: number): string[] {
  return major >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C.UTF-8'];
}

/** The file system at once, in place of a thousand files one after the other. Linux tells of a failure of that from 5.8 on. */
function syncOptions(major: number): string[] {
  const [linux, minor] = process.platform === 'linux' ? os.release().split('.').map(Number) : [];
  return major >= 17 && linux !== undefined && (linux > 5 || (linux === 5 && minor! >= 8)) ? ['--sync-method=syncfs'] : [];
}

async function runInitdb(binaries: Binaries, account: Account | null, cluster: ClusterHandle, options: string[]): Promise<void> {
  const child = spawn(binaries.initdb, ['-D', cluster.name, ...options], {
    cwd: '/',
    env: serverEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe', ...(cluster.descriptor === null ? [] : [cluster.descriptor])],
    ...(account ? { uid: account.uid, gid: account.gid } : {}),
  });
  const said: Buffer[] = [];
  child.stderr!.on('data', (chunk: Buffer) => said.push(chunk));
  const failure = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? null : Buffer.concat(said).toString('utf8').trim()));
  });
  if (failure !== null) throw new AgentFlowError('EMBEDDED_POSTGRES', `initdb failed: ${failure}`);
}

async function withPasswordFile(password: string, account: Account | null, use: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-'));
  const file = path.join(folder, 'password');
  try {
    writeFileSync(file, password, { mode: 0o600 });
    if (account) for (const name of [folder, file]) chownSync(name, account.uid, account.gid);
    await use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Nothing of our environment is the server's business: it holds keys. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

/** The major version, as the cluster itself says: `18`. */
export function clusterVersion(folder: string): string {
  return readFileSync(path.join(folder, 'PG_VERSION'), 'utf8').trim();
}

export function clusterExists(folder: string): boolean {
  return existsSync(path.join(folder, 'PG_VERSION'));
}
