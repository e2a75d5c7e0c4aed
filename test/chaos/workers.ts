/** Worker processes of their own, which end in every way that there is. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerSettings } from '../../src/runtime/index.ts';

export interface WorkersOptions {
  workerUrl: string;
  settings: Partial<WorkerSettings>;
  /** Shifts what the process believes the time to be. */
  clockOffsetMs?: (index: number) => number;
  /** The program of each, where it is another's code. */
  script?: (index: number) => string;
}

const ownScript = path.resolve(import.meta.dirname, '../support/worker-process.ts');
const shiftedClock = path.resolve(import.meta.dirname, 'shifted-clock.mjs');

export class Workers {
  readonly #options: WorkersOptions;
  readonly #living = new Set<ChildProcess>();
  readonly #ready = new Set<ChildProcess>();
  readonly #replaced = new WeakSet<ChildProcess>();
  #started = 0;
  #deaths = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /** Those that take jobs. */
  get ready(): ChildProcess[] {
    return [...this.#ready];
  }

  /** Those that ended and were not told to. */
  get deaths(): number {
    return this.#deaths;
  }

  /** Does not wait until it works: it may come up in the middle of a fault. One that ends by itself is started again. */
  start(): ChildProcess {
    const { workerUrl, settings, clockOffsetMs, script } = this.#options;
    const program = script?.(this.#started) ?? ownScript;
    const offset = clockOffsetMs?.(this.#started) ?? 0;
    this.#started += 1;
    const child = spawn(process.execPath, [
      ...(offset === 0 ? [] : ['--import', shiftedClock]), '--disable-warning=ExperimentalWarning', program, workerUrl, 'http://127.0.0.1:1', JSON.stringify(settings),
    ], { cwd: path.resolve(path.dirname(program), '../..'), stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, CLOCK_OFFSET_MS: String(offset) } });
    this.#living.add(child);
    child.stdout.on('data', (said: Buffer) => said.includes('ready') && this.#ready.add(child));
    child.on('exit', () => {
      this.#living.delete(child);
      this.#ready.delete(child);
      if (this.#replaced.has(child) || this.#isClosing) return;
      this.#deaths += 1;
      void sleep(500).then(() => (this.#isClosing ? undefined : this.start()));
    });
    return child;
  }

  #isClosing = false;

  /** Ends one and starts another in its place. */
  replace(child: ChildProcess, signal: NodeJS.Signals): void {
    this.#ready.delete(child);
    this.#replaced.add(child);
    child.kill(signal);
    this.start();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const ended = [...this.#living].map((child) => new Promise<void>((resolve) => {
      child.on('exit', () => resolve());
      child.kill('SIGKILL');
    }));
    await Promise.all(ended);
  }
}
