import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { EmbeddedOptions } from '../../../src/embedded/index.ts';

export interface StartedProcess {
  process: ChildProcessByStdio<Writable, Readable, null>;
  /** What it said: it is up, or why not. */
  said: { pid: number; postgres: number; url: string; error?: undefined } | { error: { code: string; message: string } };
  /** Closes it in order and waits for its end. */
  close(): Promise<void>;
}

export async function startInProcess(options: EmbeddedOptions, user: { uid: number; gid: number } | null = null): Promise<StartedProcess> {
  const script = path.join(import.meta.dirname, 'start-embedded.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, JSON.stringify({ options, user })], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = await new Promise<StartedProcess['said']>((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line) as StartedProcess['said']));
    child.once('exit', (code, signal) => reject(new Error(`The process ended (${code ?? signal}) without a word.`)));
  });
  return {
    process: child,
    said,
    close: () => new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once('exit', () => resolve());
      child.stdin.end();
    }),
  };
}

export function temporaryFolder(): string {
  return mkdtempSync(path.join(os.tmpdir(), 'agentflow-embedded-'));
}

export const isRoot = process.getuid?.() === 0;
