/** Rate limits: what may pass a queue now, asked for by all executions of a process in one statement. */
import type pg from 'pg';
import { Lane } from './lane.ts';
import type { StoreLog } from './pool.ts';
import { retryingQuery, type Query } from './query.ts';

/** The bucket of one queue and how it fills. */
export interface Bucket {
  tenantId: string;
  workflowId: string;
  queueId: string;
  perSecond: number | null;
  perMinute: number | null;
  tokensPerMinute: number | null;
  burst: number | null;
}

export interface Ask extends Bucket {
  /** Was told to come back before: goes before newcomers. */
  returns: boolean;
  /** Seconds by which the caller may begin after the moment that it is given. */
  lateness: number;
}

/** Granted: may begin after so many seconds. Not granted: asks again after them. */
export interface Permit {
  isGranted: boolean;
  seconds: number;
  /** The same as a moment of this process's monotonic clock, in milliseconds. */
  at: number;
}

const maxItems = 500;

export class PermitStore {
  readonly #closing = new AbortController();
  readonly #query: Query;
  readonly #asks: Lane<Ask, Permit>;
  /** The database's clock minus ours. An answer is never heard before it is given, so the largest difference seen is the nearest to the truth. */
  #offsetMs = -Infinity;
  readonly #charges: Lane<{ bucket: Bucket; tokens: number }, undefined>;

  constructor(pool: pg.Pool, log: StoreLog) {
    this.#query = retryingQuery(pool, this.#closing.signal, log);
    this.#asks = new Lane({ maxItems, maxWeight: Infinity, send: (asks) => this.#acquire(asks) });
    this.#charges = new Lane({ maxItems, maxWeight: Infinity, send: (charges) => this.#charge(charges) });
  }

  acquire(ask: Ask): Promise<Permit> {
    return this.#asks.add(ask);
  }

  /** Takes tokens that a call has used, into debt if need be. */
  async charge(bucket: Bucket, tokens: number): Promise<void> {
    await this.#charges.add({ bucket, tokens });
  }

  /** Waits for what is under way; statements that fail from now on are not tried again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#asks.drained(), this.#charges.drained()]);
  }

  async #acquire(asks: Ask[]): Promise<Permit[]> {
    const rows = await this.#query<{ place: number; is_granted: boolean; seconds: number; at_ms: number }>('select * from app_private.acquire_permits($1)',
      [JSON.stringify(asks.map((ask, place) => ({ ...bucketJson(ask), place, returns: ask.returns, lateness: ask.lateness })))], 'acquire');
    const permits: Permit[] = Array.from({ length: asks.length });
    const heardAt = performance.now();
    for (const { seconds, at_ms } of rows) this.#offsetMs = Math.max(this.#offsetMs, at_ms - seconds * 1_000 - heardAt);
    for (const { place, is_granted, seconds, at_ms } of rows) permits[place] = { isGranted: is_granted, seconds, at: at_ms - this.#offsetMs };
    return permits;
  }

  async #charge(charges: { bucket: Bucket; tokens: number }[]): Promise<undefined[]> {
    await this.#query('select app_private.charge_permits($1)', [JSON.stringify(charges.map(({ bucket, tokens }) => ({ ...bucketJson(bucket), tokens })))], 'charge');
    return charges.map(() => undefined);
  }
}

function bucketJson({ tenantId, workflowId, queueId, perSecond, perMinute, tokensPerMinute, burst }: Bucket): object {
  return {
    tenant_id: tenantId, workflow_id: workflowId, queue_id: queueId,
    per_second: perSecond, per_minute: perMinute, tokens_per_minute: tokensPerMinute, burst,
  };
}
