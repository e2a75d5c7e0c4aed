/**
 * How many executions of one tenant, and of one workflow, this process drives at a time. One beyond that waits here, and leaves
 * the worker's place that it was taken for to others; when too many wait, it is given back until its turn may come.
 */

export interface PlaceLimits {
  /** Null: as many as there are. */
  perTenant: number | null;
  perWorkflow: number | null;
}

/** Who wants a place. */
export interface Guest {
  tenantId: string;
  workflowId: string;
}

interface Waiting {
  guest: Guest;
  enter(place: Place): void;
}

/** Waiting in memory for each place that there may be: enough that no place stays empty. */
const waitingForEach = 2;
/** However many are before it. */
const longestAwayMs = 600_000;
const firstGuessMs = 200;

export class Places {
  readonly #limits: PlaceLimits;
  readonly #concurrency: number;
  readonly #driven = new Map<string, number>();
  readonly #waiting = new Set<Waiting>();
  /** By what is full: when the next one that is given back may come again. */
  readonly #returns = new Map<string, number>();
  /** Those that have waited, and hold none of the worker's places. */
  #besideJobs = 0;
  #averageMs = firstGuessMs;

  /** `concurrency`: places of the worker. As many again may go on beside those who hold them. */
  constructor(limits: PlaceLimits, concurrency: number) {
    this.#limits = limits;
    this.#concurrency = concurrency;
  }

  /** A place at once; else a wait for one; else milliseconds after which to come again. */
  ask(guest: Guest): Place | { wait(signal: AbortSignal): Promise<Place | null> } | { againInMs: number } {
    if (this.#limits.perTenant === null && this.#limits.perWorkflow === null) return unlimited;
    const full = this.#fullFor(guest);
    if (full === null) return this.#take(guest, false);
    if (this.#waitingFor(full) < full.limit * waitingForEach) return { wait: (signal) => this.#wait(guest, signal) };
    return { againInMs: this.#comeAgain(full) };
  }

  /** Null: the signal was aborted before there was one. */
  #wait(guest: Guest, signal: AbortSignal): Promise<Place | null> {
    return new Promise((resolve) => {
      const left = (): void => {
        this.#waiting.delete(waiting);
        resolve(null);
      };
      const waiting: Waiting = {
        guest,
        enter: (place) => {
          signal.removeEventListener('abort', left);
          resolve(place);
        },
      };
      if (signal.aborted) return resolve(null);
      signal.addEventListener('abort', left, { once: true });
      this.#waiting.add(waiting);
    });
  }

  #take(guest: Guest, isBesideJobs: boolean): Place {
    for (const key of keysOf(guest)) this.#driven.set(key, (this.#driven.get(key) ?? 0) + 1);
    this.#besideJobs += Number(isBesideJobs);
    const startedMs = performance.now();
    return new Place(() => {
      for (const key of keysOf(guest)) {
        const left = this.#driven.get(key)! - 1;
        if (left > 0) this.#driven.set(key, left);
        else this.#driven.delete(key);
      }
      this.#besideJobs -= Number(isBesideJobs);
      this.#averageMs += (performance.now() - startedMs - this.#averageMs) / 10;
      this.#next();
    });
  }

  /** Whoever has waited longest and may. */
  #next(): void {
    for (const waiting of this.#waiting) {
      if (this.#besideJobs >= this.#concurrency) return;
      if (this.#fullFor(waiting.guest) !== null) continue;
      this.#waiting.delete(waiting);
      waiting.enter(this.#take(waiting.guest, true));
    }
  }

  #fullFor(guest: Guest): { key: string; limit: number } | null {
    const [tenant, workflow] = keysOf(guest) as [string, string];
    const { perTenant, perWorkflow } = this.#limits;
    if (perTenant !== null && (this.#driven.get(tenant) ?? 0) >= perTenant) return { key: tenant, limit: perTenant };
    return perWorkflow !== null && (this.#driven.get(workflow) ?? 0) >= perWorkflow ? { key: workflow, limit: perWorkflow } : null;
  }

  #waitingFor({ key }: { key: string }): number {
    let count = 0;
    for (const { guest } of this.#waiting) count += Number(keysOf(guest).includes(key));
    return count;
  }

  /** Each is told a moment of its own, one after the other as places come free: together they would only be given back together. */
  #comeAgain({ key, limit }: { key: string; limit: number }): number {
    const now = performance.now();
    const soonest = now + this.#averageMs * waitingForEach;
    const at = Math.min(now + longestAwayMs * (0.9 + Math.random() / 10), Math.max(soonest, this.#returns.get(key) ?? 0));
    this.#returns.set(key, at + this.#averageMs / limit);
    if (this.#returns.size > 1_000) for (const [other, then] of this.#returns) if (then < now) this.#returns.delete(other);
    return Math.ceil(at - now);
  }
}

export class Place {
  readonly #leave: () => void;
  #isLeft = false;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#leave();
  }
}

const unlimited = new Place(() => undefined);

function keysOf({ tenantId, workflowId }: Guest): string[] {
  return [tenantId, `${tenantId} ${workflowId}`];
}
