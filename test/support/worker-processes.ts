/** Starts and kills worker processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { WorkerSettings } from '../../src/runtime/index.ts';
import type { TestDatabase } from './database.ts';

const script = path.resolve('test/support/worker-process.ts');

export interface WorkerProcess {
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Exit code; null when a signal ended it. */
  exited: Promise<number | null>;
}

/** Resolves when it takes jobs. `cwd`: the folder that it runs in, whose package.json may name extensions. */
export async function startWorkerProcess(database: TestDatabase, gatewayUrl: string, { settings = {}, cwd }: { settings?: Partial<WorkerSettings>; cwd?: string } = {}): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [script, database.url('agentflow_worker'), gatewayUrl, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'], cwd });
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  await ready(child, exited);
  return { pid: child.pid!, exited, kill: (signal) => void child.kill(signal) };
}

async function ready(child: ChildProcess, exited: Promise<number | null>): Promise<void> {
  const said = new Promise<true>((resolve) => {
    child.stdout!.on('data', (data: Buffer) => data.toString().includes('ready') && resolve(true));
  });
  const result = await Promise.race([said, exited]);
  if (result !== true) throw new Error(`The worker process ended with ${String(result)} before it was ready.`);
}
