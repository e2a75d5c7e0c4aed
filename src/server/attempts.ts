/** Counts failures by a name within a window of time, and refuses when there were too many. */
import { AgentFlowError } from '../errors.ts';

interface Entry {
  failures: number;
  startedAt: number;
}

/** Names kept at most; the oldest are forgotten first, so that made-up names cannot fill the memory. */
const maxNames = 50_000;

export class AttemptCounter {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(options: { limit: number; windowMs: number; now?: () => number }) {
    this.#limit = options.limit;
    this.#windowMs = options.windowMs;
    this.#now = options.now ?? Date.now;
  }

  /** Throws TOO_MANY_ATTEMPTS when the limit is reached within the window. */
  demand(name: string): void {
    const entry = this.#current(name);
    if (entry && entry.failures >= this.#limit) throw new AgentFlowError('TOO_MANY_ATTEMPTS');
  }

  count(name: string): void {
    const entry = this.#current(name);
    if (entry) {
      entry.failures += 1;
      return;
    }
    if (this.#entries.size >= maxNames) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.set(name, { failures: 1, startedAt: this.#now() });
  }

  forget(name: string): void {
    this.#entries.delete(name);
  }

  #current(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    if (this.#now() - entry.startedAt < this.#windowMs) return entry;
    this.#entries.delete(name);
    return undefined;
  }
}
