/** AgentFlow's own processes on a data folder of the benchmark's, as a person starts them: through the launcher, with an empty environment. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readServerFile, type ServerFile } from '../../src/cli/server-file.ts';
import { refuseForeignDatabase } from './own-cluster.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');
const launcher = path.join(projectFolder, 'bin', 'agentflow.mjs');

export interface OwnFolder {
  dataDir: string;
  remove(): void;
}

export function ownFolder(): OwnFolder {
  refuseForeignDatabase();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-bench-'));
  return { dataDir: path.join(folder, 'data'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface OwnProcess {
  /** What people would end: it passes the signal on. */
  launcher: ChildProcess;
  /** What it answers with --json once it is up. */
  answer: Promise<{ pid: number }>;
  stop(): Promise<void>;
}

/** `program`: what comes before the command, `npm start`'s way or the launcher's. */
export function spawnCommand(words: readonly string[], dataDir: string, program: readonly string[] = [process.execPath, launcher]): OwnProcess {
  const child = spawn(program[0]!, [...program.slice(1), ...words, '--json'], {
    cwd: projectFolder, stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], AGENTFLOW_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'error' },
  });
  const ended = once(child, 'exit');
  let said = '';
  const answer = new Promise<{ pid: number }>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (said.trimEnd().endsWith('}')) resolve(JSON.parse(said) as { pid: number });
    });
  });
  return {
    launcher: child,
    answer,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      if (code !== 0) throw new Error(`agentflow ${words.join(' ')} ended with ${code}`);
    },
  };
}

/** Looks for `server.json` without a pause to speak of. */
export async function untilServing({ launcher: child }: OwnProcess, dataDir: string): Promise<ServerFile> {
  for (;;) {
    const file = readServerFile(dataDir);
    if (file !== null) return file;
    if (child.exitCode !== null) throw new Error(`agentflow ended with ${child.exitCode}`);
    await sleep(2);
  }
}

/** Resident memory in MB of a process; null where the system does not tell. */
export function residentMb(pid: number): number | null {
  try {
    const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? null : Math.round(Number(kb) / 1_024);
  } catch {
    const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
    return stdout.trim() === '' ? null : Math.round(Number(stdout) / 1_024);
  }
}
