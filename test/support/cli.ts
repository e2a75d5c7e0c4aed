/** Runs the command line as people do, in processes of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerFile } from '../../src/cli/server-file.ts';
import { identifyProcess } from '../../src/embedded/processes.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');
const launcher = path.join(projectFolder, 'bin', 'agentflow.mjs');

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export type Environment = Record<string, string>;

/** Nothing of this process's environment but what finds programs: a test says what it sets. */
function environment(extra: Environment): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: process.env['HOME'], ...extra };
}

export function runCli(words: string[], extra: Environment = {}, cwd: string = projectFolder): Promise<Finished> {
  return finish(spawn(process.execPath, [launcher, ...words], { cwd, env: environment(extra), stdio: ['ignore', 'pipe', 'pipe'] }));
}

export function finish(child: ChildProcess): Promise<Finished> {
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => { stdout += chunk.toString('utf8'); });
  child.stderr!.on('data', (chunk: Buffer) => { stderr += chunk.toString('utf8'); });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export interface Service {
  /** The launcher's process; `info.pid` is the service itself, which may be the same. */
  launcher: ChildProcess;
  info: ServerFile;
  finished: Promise<Finished>;
}

/** A command that serves (`start`, `server`), once `server.json` is there and it has answered: everything is up. Throws what it said when it ends before. */
export async function startService(words: string[], dataDir: string, extra: Environment = {}): Promise<Service> {
  const child = spawn(process.execPath, [launcher, ...words], {
    cwd: projectFolder, env: environment({ PORT: '0', AGENTFLOW_DATA_DIR: dataDir, ...extra }), stdio: ['ignore', 'pipe', 'pipe'],
  });
  const finished = finish(child);
  let hasAnswered = false;
  child.stdout.once('data', () => { hasAnswered = true; });
  let over: Finished | null = null;
  void finished.then((result) => { over = result; });
  const file = path.join(dataDir, 'server.json');
  // What a killed process left names one that is gone.
  for (;;) {
    const info = readServerFile(file);
    if (hasAnswered && info !== null && identifyProcess(info.pid) !== null) return { launcher: child, info, finished };
    if (over) throw new Error(`${words.join(' ')} ended: ${JSON.stringify(over)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** `worker --json`: its first answer comes when it is ready. */
export function startWorker(dataDir: string, extra: Environment = {}): { process: ChildProcess; firstAnswer: Promise<string>; finished: Promise<Finished> } {
  const child = spawn(process.execPath, [launcher, 'worker', '--json'], {
    cwd: projectFolder, env: environment({ AGENTFLOW_DATA_DIR: dataDir, ...extra }), stdio: ['ignore', 'pipe', 'pipe'],
  });
  const finished = finish(child);
  const firstAnswer = new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
    void finished.then((result) => reject(new Error(`worker ended: ${JSON.stringify(result)}`)));
  });
  return { process: child, firstAnswer, finished };
}

/** Null while there is none: a start takes away what a killed process left, at any moment. */
function readServerFile(file: string): ServerFile | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ServerFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A folder for one test, and its end. */
export function temporaryDataDir(): { dataDir: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-cli-'));
  return { dataDir: path.join(folder, 'data'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export async function graphql(url: string, query: string, headers: Record<string, string> = {}): Promise<{ data?: unknown; errors?: unknown }> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query }) });
  return await response.json() as { data?: unknown; errors?: unknown };
}
