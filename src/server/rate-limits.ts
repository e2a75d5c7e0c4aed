/**
 * Requests a second, of a tenant and of an address, over all servers. The buckets are in PostgreSQL; a process takes leases from them, a tenth of a
 * second's worth at a time, and asks for the next one before the last is used up: no request writes, and hardly one waits. For one lease a process may
 * be ahead of its bucket.
 */
import type { RateLimit } from '../config.ts';
import { AgentFlowError } from '../errors.ts';
import type { Ask, Grant } from '../store/request-buckets.ts';
import type { Log } from './errors.ts';

export type Kind = Ask['kind'];

interface Lease {
  kind: Kind;
  name: string;
  limit: RateLimit;
  /** Requests that may still be served; below zero: served before the bucket has answered. */
  balance: number;
  /** Of requests that are just being counted. */
  wanted: number;
  /** By the clock of this process, in ms. */
  refusedUntil: number;
  asking: Promise<void> | null;
}

interface Waiting {
  lease: Lease;
  wanted: number;
  done: () => void;
}

const maxLeases = 50_000;
/** Rows of an operation that count as one request more. */
const rowsOfOneRequest = 100;

export interface RateLimitOptions {
  limits: Readonly<Record<Kind, RateLimit | null>>;
  take: (asks: readonly Ask[]) => Promise<Grant[]>;
  log: Log;
  now?: () => number;
}

export class RateLimits {
  readonly #options: RateLimitOptions;
  readonly #now: () => number;
  readonly #leases = new Map<string, Lease>();
  #waiting: Waiting[] = [];
  #isTaking = false;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Counts one request, and more for an operation that costs more. Throws RATE_LIMITED. */
  async charge(kind: Kind, name: string, cost = 0): Promise<void> {
    const limit = this.#options.limits[kind];
    if (limit === null) return;
    const lease = this.#leaseOf(kind, name, limit);
    const requests = Math.min(1 + Math.floor(cost / rowsOfOneRequest), limit.burst);
    const size = leaseSize(limit);
    lease.wanted += requests;
    try {
      while (lease.refusedUntil <= this.#now()) {
        if (lease.balance - requests >= -size) {
          lease.balance -= requests;
          if (lease.balance < size / 2) lease.asking ??= this.#ask(lease, size);
          return;
        }
        await (lease.asking ??= this.#ask(lease, size));
      }
    } finally {
      lease.wanted -= requests;
    }
    throw refusal(lease, this.#now());
  }

  /** Throws RATE_LIMITED when the bucket is known to be empty; counts nothing. */
  demand(kind: Kind, name: string): void {
    const lease = this.#leases.get(`${kind} ${name}`);
    if (lease && lease.refusedUntil > this.#now()) throw refusal(lease, this.#now());
  }

  #leaseOf(kind: Kind, name: string, limit: RateLimit): Lease {
    const key = `${kind} ${name}`;
    const known = this.#leases.get(key);
    if (known) return known;
    // The oldest goes: what is left of its lease was taken for nothing, and the bucket fills again.
    if (this.#leases.size >= maxLeases) this.#leases.delete(this.#leases.keys().next().value!);
    const lease: Lease = { kind, name, limit, balance: 0, wanted: 0, refusedUntil: 0, asking: null };
    this.#leases.set(key, lease);
    return lease;
  }

  /** For a lease, what is owed, and what waits. */
  #ask(lease: Lease, size: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ lease, wanted: Math.ceil(size - lease.balance + lease.wanted), done: resolve });
      void this.#takeAll();
    });
  }

  /** One statement at a time; what is asked for meanwhile goes with the next. */
  async #takeAll(): Promise<void> {
    if (this.#isTaking) return;
    this.#isTaking = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const grants = await this.#take(batch);
      batch.forEach(({ lease, done }, index) => {
        const { granted, waitMs } = grants[index]!;
        lease.balance += granted;
        if (granted === 0) lease.refusedUntil = this.#now() + waitMs;
        lease.asking = null;
        done();
      });
    }
    this.#isTaking = false;
  }

  /** While the database is away nothing can be served, so nothing has to be limited. */
  async #take(batch: readonly Waiting[]): Promise<Grant[]> {
    try {
      return await this.#options.take(batch.map(({ lease: { kind, name, limit }, wanted }) => ({ kind, name, wanted, ...limit })));
    } catch (error) {
      this.#options.log.warn({ err: error }, 'Requests could not be counted');
      return batch.map(({ wanted }) => ({ granted: wanted, waitMs: 0 }));
    }
  }
}

/** A tenth of a second's worth. */
function leaseSize({ perSecond }: RateLimit): number {
  return Math.max(1, Math.ceil(perSecond / 10));
}

function refusal({ kind, refusedUntil }: Lease, now: number): AgentFlowError {
  const retryAfter = Math.max(1, Math.ceil((refusedUntil - now) / 1_000));
  const whose = kind === 'tenant' ? 'this tenant' : 'this address';
  return new AgentFlowError('RATE_LIMITED', `There were more requests of ${whose} than are allowed.`, { details: { retryAfter, limit: kind } });
}

/** An IPv6 network of 64 bits counts as one address: its owner has all of them. */
export function addressName(ip: string | null): string {
  if (ip === null || ip === '') return 'unknown';
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (v4 !== undefined || !ip.includes(':')) return v4 ?? ip;
  const [left = '', right] = ip.split('::');
  const groups = left.split(':').filter((group) => group !== '');
  const tail = (right ?? '').split(':').filter((group) => group !== '');
  const whole = right === undefined ? groups : [...groups, ...Array<string>(Math.max(0, 8 - groups.length - tail.length)).fill('0'), ...tail];
  return `${whole.slice(0, 4).map((group) => group.toLowerCase().replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
