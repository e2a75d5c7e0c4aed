/** The executions that this process has: each from before it is claimed until it is over or given back. */
import type { Claim } from '../store/take-store.ts';
import type { Execution, StopReason } from './execution.ts';
import type { WorkerLog } from './log.ts';

/** What is told of an execution before its end. */
export interface Told {
  /** It is ours. */
  claimed(): void;
  /** It goes on by itself, and needs no place meanwhile. */
  free(): void;
}

export interface LivesOptions {
  /** Drives one until it is over or given back; `claim` null: it is to be claimed first. Rejects when even that it went wrong cannot be written. */
  drive(executionId: string, claim: Claim | null, told: Told): Promise<void>;
  isStopping(): boolean;
  log: WorkerLog;
}

export class Lives {
  readonly #options: LivesOptions;
  /** By id; null until it is claimed. */
  readonly #executions = new Map<string, Execution | null>();
  readonly #all = new Set<Promise<void>>();
  /** Those for which another job came meanwhile. */
  readonly #again = new Set<string>();

  constructor(options: LivesOptions) {
    this.#options = options;
  }

  get ids(): string[] {
    return [...this.#executions.keys()];
  }

  /** Those that are claimed. */
  get driven(): Execution[] {
    return [...this.#executions.values()].filter((execution) => execution !== null);
  }

  has(executionId: string): boolean {
    return this.#executions.has(executionId);
  }

  get(executionId: string): Execution | null {
    return this.#executions.get(executionId) ?? null;
  }

  set(execution: Execution): void {
    this.#executions.set(execution.claim.executionId, execution);
  }

  stop(executionIds: string[], reason: StopReason): void {
    for (const id of executionIds) this.get(id)?.stop(reason);
  }

  /** Resolves when all that began so far are over. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#all);
  }

  /** Resolves when it needs no place any more. `claimed`: told when it is ours. Rejects when it was to be claimed, and nothing can be written of it: then its job must stay. */
  async begin(executionId: string, claim: Claim | null, claimed: () => void = () => undefined): Promise<void> {
    if (this.#executions.has(executionId)) {
      // What it waits for may have come after the last look.
      this.#again.add(executionId);
      return;
    }
    const freed = Promise.withResolvers<void>();
    const life = this.#live(executionId, claim, { claimed, free: () => freed.resolve() });
    const over = life.catch((error: Error) => this.#options.log.warn({ error: error.message, executionId }, 'an execution was not driven to its end; a heartbeat gives it back'));
    this.#all.add(over);
    void over.then(() => this.#all.delete(over));
    await Promise.race([claim === null ? life : over, freed.promise]);
  }

  async #live(executionId: string, first: Claim | null, told: Told): Promise<void> {
    const { drive, isStopping } = this.#options;
    this.#executions.set(executionId, null);
    let claim = first;
    try {
      do {
        this.#again.delete(executionId);
        await drive(executionId, claim, told);
        claim = null;
      } while (this.#again.has(executionId) && !isStopping());
    } finally {
      this.#executions.delete(executionId);
      this.#again.delete(executionId);
    }
  }
}
