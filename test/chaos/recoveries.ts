/** How long what a killed worker drove stays without one that goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { persistently } from './asking.ts';

interface Lost {
  ids: string[];
  attempts: number[];
  atMs: number;
}

const lookEveryMs = 200;

export class Recoveries {
  readonly #owner: pg.Pool;
  readonly #seconds: number[] = [];
  #open: Lost[] = [];
  #looking: Promise<void> | null = null;
  #isClosed = false;

  constructor(owner: pg.Pool) {
    this.#owner = owner;
  }

  /** Call it right before the worker is killed. */
  async lost(processId: number): Promise<void> {
    const rows = await persistently<{ id: string; attempt: number }>(this.#owner,
      'select lease.execution_id as id, lease.attempt from app_private.execution_leases as lease join app_private.workers as known on known.id = lease.worker_id where known.process_id = $1', [processId]);
    if (rows.length > 0) this.#open.push({ ids: rows.map(({ id }) => id), attempts: rows.map(({ attempt }) => attempt), atMs: performance.now() });
    this.#looking ??= this.#look();
  }

  /** Seconds; null when nothing was lost. */
  async p99(): Promise<number | null> {
    this.#isClosed = true;
    await this.#looking;
    const sorted = this.#seconds.toSorted((a, b) => a - b);
    return sorted.length === 0 ? null : Number(sorted[Math.ceil(sorted.length * 0.99) - 1]!.toFixed(1));
  }

  async #look(): Promise<void> {
    while (this.#open.length > 0 || !this.#isClosed) {
      const now = performance.now();
      for (const lost of this.#open) {
        const rows = await persistently<{ place: number }>(this.#owner, `
          select (given.place - 1)::int as place from unnest($1::uuid[], $2::int[]) with ordinality as given (id, attempt, place) left join app_private.execution_leases as lease on lease.execution_id = given.id
           where lease.execution_id is null or (lease.worker_id is not null and lease.attempt > given.attempt)`, [lost.ids, lost.attempts]);
        this.#seconds.push(...rows.map(() => (now - lost.atMs) / 1_000));
        const gone = new Set(rows.map(({ place }) => place));
        lost.ids = lost.ids.filter((_, index) => !gone.has(index));
        lost.attempts = lost.attempts.filter((_, index) => !gone.has(index));
      }
      this.#open = this.#open.filter(({ ids }) => ids.length > 0);
      await sleep(lookEveryMs);
    }
  }
}
