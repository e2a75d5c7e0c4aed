/** The API as it is installed, and its hand-written peer: each a process of its own. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/embedded/index.ts';

export interface Serving {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

const projectFolder = path.resolve(import.meta.dirname, '../..');

/** `agentflow <command>` on the cluster, with the settings of production. */
export async function startCommand(embedded: EmbeddedPostgres, command: 'server' | 'start', environment: Record<string, string> = {}): Promise<Serving> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'agentflow-bench-api-'));
  const child = fork(path.join(projectFolder, 'src/cli/main.ts'), [command], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning', ...(process.env['BENCH_PROFILE'] ? ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROFILE']}`] : [])],
    env: {
      PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', AGENTFLOW_DATA_DIR: dataDir, LOG_LEVEL: 'warn', LOG_FORMAT: 'json',
      DATABASE_URL: embedded.url('agentflow_owner'), DATABASE_AUTHENTICATOR_URL: embedded.url('agentflow_authenticator'), DATABASE_WORKER_URL: embedded.url('agentflow_worker'),
      JWT_SECRET: embedded.secrets.jwtSecret, AGENTFLOW_SECRET_KEY: embedded.secrets.secretKey, ...environment,
    },
  });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(dataDir, { recursive: true, force: true });
  };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`agentflow ${command} ended with ${child.exitCode}`);
    try {
      const { url } = JSON.parse(readFileSync(path.join(dataDir, 'server.json'), 'utf8')) as { url: string };
      return { url, pid: child.pid!, stop };
    } catch {
      await sleep(50);
    }
  }
}

export async function startHandWritten(embedded: EmbeddedPostgres): Promise<Serving> {
  const settings = { guardedUrl: embedded.url('agentflow_authenticator'), bareUrl: embedded.url('agentflow_owner'), jwtSecret: embedded.secrets.jwtSecret };
  const child = fork(path.join(import.meta.dirname, 'hand-written.ts'), { env: { ...process.env, HAND_WRITTEN: JSON.stringify(settings) }, execArgv: ['--disable-warning=ExperimentalWarning'] });
  const [{ port }] = await once(child, 'message') as [{ port: number }];
  return { url: `http://127.0.0.1:${port}`, pid: child.pid!, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  if (child.connected) child.disconnect();
  await ended;
}
