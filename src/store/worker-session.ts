/**
 * The worker's own session: it holds the advisory lock that says "alive", listens, and beats. When it breaks the worker is
 * registered again on a new one; meanwhile others may have taken its executions, which the next beat tells.
 */
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import pg from 'pg';
import { isPassing, pause } from './retry.ts';
import type { StoreLog } from './pool.ts';
import type { LeaseRef } from './rows.ts';

export interface WorkerSessionOptions {
  connectionString: string;
  log: StoreLog & { info(details: object, message: string): void };
  /** Ids of the job pools of this process, under which graphile-worker locks jobs. */
  jobWorkerIds(): string[];
  /** The tasks of flows that this process has. */
  flowTasks(): { names: string[]; testPattern: string | null };
  driven(): LeaseRef[];
  /** These executions are no longer ours. */
  onLost(executionIds: string[]): void;
  /** Somebody else changed these executions, or may have. */
  onChanged(executionIds: string[]): void;
  /** Is this the PostgreSQL session of one of our own statements? What they say is not read. */
  isOwn(processId: number): boolean;
}

interface Beat {
  registered: boolean;
  /** Ids of executions. */
  lost: string[];
}

interface Sweep {
  dead: number;
  unsealed: boolean;
}

const beatEveryMs = 5_000;
const answerWithinMs = 10_000;
/** After a broken connection all workers come back at once: let them register before anybody is taken for dead. */
const graceAfterReconnectMs = 3_000;

export class WorkerSession {
  readonly #options: WorkerSessionOptions;
  readonly #closing = new AbortController();
  #id: string = randomUUID();
  /** Under which id the tasks are registered. */
  #tasksOf: string | null = null;
  #client: pg.Client | null = null;
  #untold: string[] = [];
  /** Ends the pause between two beats. */
  #hurry: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#id;
  }

  /** Resolves once registered; from then on the session looks after itself. Rejects when the first connection fails. */
  async start(): Promise<void> {
    await this.#connect();
    await this.#sweep();
    this.#loop = this.#keepAlive();
  }

  /** Registers what `jobWorkerIds` says now, before jobs are taken under a new id. */
  async announce(): Promise<void> {
    this.#pools();
    if (this.#client !== null) await this.#beat();
  }

  /** Beats now: somebody was told that this worker is taken for dead. */
  hurry(): void {
    this.#hurry();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    try {
      await client.query('select app_private.unregister_worker($1)', [this.#id]);
    } finally {
      await client.end();
    }
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#options.connectionString, application_name: 'agentflow worker', keepAlive: true,
      query_timeout: answerWithinMs, connectionTimeoutMillis: answerWithinMs,
    });
    client.on('error', (error) => {
      this.#options.log.warn({ error: error.message }, 'the worker session broke');
      this.#broke(client);
    });
    client.on('end', () => this.#broke(client));
    client.on('notification', (message) => this.#heard(message));
    await client.connect();
    try {
      await client.query('listen agentflow');
      await client.query('select app_private.register_worker($1, $2, $3, $4)', [this.#id, os.hostname(), process.pid, this.#pools()]);
    } catch (error) {
      await client.end();
      throw error;
    }
    this.#client = client;
  }

  /** Without its lock this worker is dead for the others: it comes back at once. */
  #broke(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    this.#hurry();
  }

  async #keepAlive(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    for (;;) {
      await (failures === 0 ? this.#untilNextBeat() : pause(Math.min(2_000, 100 * 2 ** failures), signal));
      if (signal.aborted) return;
      try {
        if (this.#client === null) {
          await this.#connect();
          await this.#beat();
          this.#askForAll();
          await pause(graceAfterReconnectMs, signal);
          await this.#sweep();
        } else {
          await this.#beatAndSweep();
        }
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#drop();
        this.#options.log.warn({ error: (error as Error).message, failures }, 'the worker session does not answer; trying again');
      }
    }
  }

  /** What was told while nobody listened is known by asking only. */
  #askForAll(): void {
    const driven = this.#options.driven().map(({ executionId }) => executionId);
    if (driven.length > 0) this.#options.onChanged(driven);
  }

  async #untilNextBeat(): Promise<void> {
    const hurried = new AbortController();
    this.#hurry = () => hurried.abort();
    await pause(beatEveryMs, AbortSignal.any([this.#closing.signal, hurried.signal]));
    this.#hurry = () => undefined;
  }

  async #beat(): Promise<void> {
    const { rows } = await this.#current().query<Beat>('select registered, lost from app_private.heartbeat($1, $2, $3, $4)', this.#holdings());
    await this.#heed(rows[0]!);
  }

  /** Both in one statement, so that a worker that has nothing to do asks little. */
  async #beatAndSweep(): Promise<void> {
    const { rows } = await this.#current().query<Beat & Sweep>({
      name: 'beat_and_sweep',
      text: `select beat.registered, beat.lost, case when beat.registered then app_private.sweep_workers($1) else 0 end as dead, app_private.has_unsealed_audit() as unsealed
        from app_private.heartbeat($1, $2, $3, $4) as beat`,
      values: this.#holdings(),
    });
    await this.#heed(rows[0]!);
    if (rows[0]!.registered) await this.#note(rows[0]!);
    else await this.#sweep();
  }

  /** The present job pools, and former ones of which no beat has come through: whose name the database never heard it cannot unlock. */
  #pools(): string[] {
    this.#untold = [...new Set([...this.#untold, ...this.#options.jobWorkerIds()])];
    return this.#untold;
  }

  /** What a heartbeat says: this worker, its job pools, and the leases that it drives. */
  #holdings(): unknown[] {
    const driven = this.#options.driven();
    return [this.#id, this.#pools(), driven.map((lease) => lease.executionId), driven.map((lease) => lease.attempt)];
  }

  async #heed({ registered, lost }: Beat): Promise<void> {
    this.#untold = [];
    if (lost.length > 0) this.#options.onLost(lost);
    if (!registered) await this.#registerAnew();
  }

  /** A new id, so that nothing of the old one is mistaken for ours. */
  async #registerAnew(): Promise<void> {
    this.#options.log.warn({ workerId: this.#id }, 'this worker was taken for dead; registering anew');
    this.#options.onLost(this.#options.driven().map((lease) => lease.executionId));
    this.#id = randomUUID();
    const old = this.#current();
    this.#client = null;
    await old.end();
    await this.#connect();
  }

  async #sweep(): Promise<void> {
    const { rows } = await this.#current().query<Sweep>('select app_private.sweep_workers($1) as dead, app_private.has_unsealed_audit() as unsealed', [this.#id]);
    await this.#note(rows[0]!);
  }

  async #note({ dead, unsealed }: Sweep): Promise<void> {
    if (dead > 0) this.#options.log.info({ dead }, 'took over from workers that died');
    if (unsealed) await this.#sealAudit();
    if (this.#tasksOf !== this.#id) await this.#registerTasks();
  }

  /** No more at a time than a beat can wait for; the rest comes with the next. What is wrong with the log must not keep a worker from living. */
  async #sealAudit(): Promise<void> {
    try {
      await this.#current().query('select app_private.seal_audit(20000)');
    } catch (error) {
      if (isPassing(error)) throw error;
      this.#options.log.warn({ error: (error as Error).message }, 'the audit log cannot be sealed');
    }
  }

  /** After a sweep: what dead workers had is forgotten with it. */
  async #registerTasks(): Promise<void> {
    const id = this.#id;
    const { names, testPattern } = this.#options.flowTasks();
    await this.#current().query('select app_private.register_flow_tasks($1, $2, $3)', [id, names, testPattern]);
    this.#tasksOf = id;
  }

  /** A session that did not answer is not trusted again. */
  #drop(): void {
    const client = this.#client;
    this.#client = null;
    client?.end().catch((error: Error) => this.#options.log.warn({ error: error.message }, 'the broken worker session did not close'));
  }

  #current(): pg.Client {
    if (this.#client === null) throw new Error('The worker session is not connected.');
    return this.#client;
  }

  #heard(message: pg.Notification): void {
    if (this.#options.isOwn(message.processId)) return;
    // Anybody who may connect may notify: what is not of the known form is not ours.
    const ids = executionIds(message.payload ?? '');
    if (ids.length > 0) this.#options.onChanged(ids);
  }
}

/** Ids in a payload `{"executions": [[tenant, id], ...]}`; none when it has another form. */
export function executionIds(payload: string): string[] {
  try {
    const { executions } = JSON.parse(payload) as { executions?: unknown };
    if (!Array.isArray(executions)) return [];
    return executions.flatMap((pair: unknown) => (Array.isArray(pair) && typeof pair[1] === 'string' ? [pair[1]] : []));
  } catch {
    return [];
  }
}
