/**
 * Tells subscribers that an execution has changed. One connection listens for the whole process; a notification holds only
 * tenant and id, and reaches those who subscribed to exactly this pair. What changed is read from the row, as the subscriber.
 *
 * Events of one subscriber are merged while it has not taken the last one: it always reads the newest state, never a backlog.
 * After an interruption every subscriber gets an event, since some may have been missed. Who has read a final state says so, and is told no more.
 */
import { Client } from 'pg';
import type { Log } from './errors.ts';

const channel = 'agentflow';
/** The DBA's tools say here that the schema has changed. */
const schemaChannel = 'agentflow_schema';
const firstRetryMs = 200;
const lastRetryMs = 5_000;

/** A pair of tenant and execution as a topic. */
export function topicOf(tenantId: string, executionId: string): string {
  return `${tenantId}/${executionId}`;
}

/** What a subscriber gets of each event. */
export interface Told {
  /** Nothing will change any more: no event comes after this one. */
  last(): void;
}

export class ExecutionEvents {
  readonly #connectionString: string;
  readonly #log: Log;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  #client: Client | null = null;
  #retry: NodeJS.Timeout | null = null;
  #retryMs = firstRetryMs;
  #isClosed = false;
  /** Called when the schema of the database has changed. */
  onSchemaChange: () => void = () => undefined;

  constructor(connectionString: string, log: Log) {
    this.#connectionString = connectionString;
    this.#log = log;
  }

  /** Connects; afterwards it reconnects by itself until `close`. */
  async start(): Promise<void> {
    const client = new Client({ connectionString: this.#connectionString, application_name: 'agentflow server events', keepAlive: true });
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ channel: heard, payload }) => (heard === schemaChannel ? this.onSchemaChange() : this.#dispatch(payload ?? '')));
    this.#client = client;
    await client.connect();
    await client.query(`listen ${channel}; listen ${schemaChannel}`);
    this.#retryMs = firstRetryMs;
  }

  /** An event at once, and one after each change. */
  subscribe(topic: string): AsyncIterableIterator<Told> {
    const subscription = new Subscription(() => this.#remove(topic, subscription));
    const others = this.#subscriptions.get(topic);
    if (others) others.add(subscription);
    else this.#subscriptions.set(topic, new Set([subscription]));
    return subscription;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry) clearTimeout(this.#retry);
    for (const subscription of this.#all()) await subscription.return();
    await this.#client?.end();
  }

  #dispatch(payload: string): void {
    for (const [tenantId, executionId] of executionsIn(payload)) {
      for (const subscription of this.#subscriptions.get(topicOf(tenantId, executionId)) ?? []) subscription.announce();
    }
  }

  #lost(client: Client): void {
    if (this.#isClosed || client !== this.#client) return;
    this.#client = null;
    this.#log.warn({ retryMs: this.#retryMs }, 'The connection that listens for events was lost');
    this.#retry = setTimeout(() => void this.#reconnect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
  }

  async #reconnect(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      const client = this.#client;
      this.#log.debug({ err: error }, 'Listening again did not succeed yet');
      if (client) {
        this.#lost(client);
        await client.end().catch((problem: unknown) => this.#log.debug({ err: problem }, 'A failed connection could not be closed'));
      }
      return;
    }
    this.#log.info({}, 'Listening for events again');
    for (const subscription of this.#all()) subscription.announce();
  }

  #remove(topic: string, subscription: Subscription): void {
    const subscriptions = this.#subscriptions.get(topic);
    subscriptions?.delete(subscription);
    if (subscriptions?.size === 0) this.#subscriptions.delete(topic);
  }

  #all(): Subscription[] {
    return [...this.#subscriptions.values()].flatMap((subscriptions) => [...subscriptions]);
  }
}

/** The pairs in a notification `{"executions":[["<tenant>","<id>"], ...]}`; nothing in anything else. */
function executionsIn(payload: string): [string, string][] {
  try {
    const parsed: unknown = JSON.parse(payload);
    const executions = typeof parsed === 'object' && parsed !== null && 'executions' in parsed ? parsed.executions : null;
    if (!Array.isArray(executions)) return [];
    return executions.filter((pair): pair is [string, string] => Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'string');
  } catch {
    // The channel is open to everybody who may connect: what is not ours is not an event.
    return [];
  }
}

class Subscription implements AsyncIterableIterator<Told>, Told {
  readonly #onEnd: () => void;
  #isPending = true;
  #isDone = false;
  #waiting: ((result: IteratorResult<Told>) => void)[] = [];

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  announce(): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting({ done: false, value: this });
    else this.#isPending = true;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  last(): void {
    void this.return();
  }

  next(): Promise<IteratorResult<Told>> {
    if (this.#isDone) return Promise.resolve({ done: true, value: undefined });
    if (this.#isPending) {
      this.#isPending = false;
      return Promise.resolve({ done: false, value: this });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Told>> {
    this.#isDone = true;
    this.#onEnd();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(): Promise<IteratorResult<Told>> {
    return this.return();
  }
}
