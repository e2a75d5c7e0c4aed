/** One small pool of connections a source, opened through the guard; idle ones are closed, and a whole pool when too many sources have one. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import pg from 'pg';
import { NodeError } from '../../errors.ts';
import { GuardedSocket, type SocketRules } from '../guard/socket.ts';
import type { Target } from './connection.ts';
import { jsonTypes } from './values.ts';

const connectionsPerSource = 4;
const maxPools = 50;
const idleMs = 30_000;
const connectMs = 10_000;
/** Enough for what is asked of a new connection. */
const checkBytes = 1024 * 1024;

/** A connection in use. `destroy` ends it at once, whatever it does. */
export interface Connection {
  client: pg.PoolClient;
  /** Ends it with LIMIT_OUTPUT when more than that arrives from now on. */
  capFromNow(bytes: number): void;
  release(): void;
  destroy(): void;
}

export class Pools {
  readonly #rules: SocketRules;
  readonly #pools = new Map<string, pg.Pool>();
  readonly #open = new Set<Socket>();
  readonly #counters = new WeakMap<object, Counter>();

  constructor(rules: SocketRules) {
    this.#rules = rules;
  }

  /** `owner` keeps the connections of tenants and sources apart. */
  async connect(owner: string, target: Target, signal: AbortSignal): Promise<Connection> {
    const client = await orAborted(this.#poolOf(owner, target).connect(), signal);
    const stream = streamOf(client);
    const counter = this.#counters.get(client) ?? new Counter(stream);
    const destroy = (): void => {
      stream.destroy();
      client.release(true);
    };
    try {
      if (!this.#counters.has(client)) await refusePlatform(client);
      this.#counters.set(client, counter);
    } catch (error) {
      destroy();
      throw error;
    }
    return { client, capFromNow: (bytes) => counter.capFromNow(bytes), destroy, release: () => client.release() };
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    // One that is still being made would hold up the end for as long as it may take.
    for (const socket of this.#open) socket.destroy();
    await Promise.all(pools.map((pool) => pool.end()));
  }

  #poolOf(owner: string, target: Target): pg.Pool {
    const key = createHash('sha256').update(JSON.stringify([owner, target])).digest('base64');
    const pool = this.#pools.get(key) ?? this.#newPool(target);
    // Used last stands last: the first is given up.
    this.#pools.delete(key);
    this.#pools.set(key, pool);
    if (this.#pools.size > maxPools) {
      const [oldest] = this.#pools.keys();
      void this.#pools.get(oldest!)!.end();
      this.#pools.delete(oldest!);
    }
    return pool;
  }

  /** Everything is said: what is left out, `pg` would take from variables and files of this machine. */
  #newPool(target: Target): pg.Pool {
    const pool = new pg.Pool({
      host: target.host, port: target.port, database: target.database, user: target.user,
      password: () => target.password,
      ssl: target.tls === null ? false : target.tls,
      options: ' ',
      application_name: 'agentflow source', client_encoding: 'UTF8', fallback_application_name: 'agentflow',
      max: connectionsPerSource, idleTimeoutMillis: idleMs, connectionTimeoutMillis: connectMs, allowExitOnIdle: true,
      types: jsonTypes,
      stream: () => this.#newSocket(),
    });
    // Without listeners a connection that breaks would end the process; the statement under way fails with the same error.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    return pool;
  }

  #newSocket(): GuardedSocket {
    const socket = new GuardedSocket(this.#rules);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  }
}

/** Counts what a connection receives, before it is put together to messages: one row may be larger than memory. */
class Counter {
  #received = 0;
  #cap = checkBytes;

  constructor(stream: Socket) {
    stream.on('data', (chunk: Buffer) => {
      this.#received += chunk.byteLength;
      if (this.#received > this.#cap) stream.destroy(new NodeError('LIMIT_OUTPUT', `the answer has more than ${this.#cap} bytes.`));
    });
  }

  capFromNow(bytes: number): void {
    this.#received = 0;
    this.#cap = bytes;
  }
}

/** The driver knows it, its types do not say so. Under TLS it is the encrypted stream. */
function streamOf(client: object): Socket {
  return (client as { connection: { stream: Socket } }).connection.stream;
}

/** A database of AgentFlow is known by what is in it, however its address is spelled and whatever lies in between. */
async function refusePlatform(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ is_platform: boolean }>(`
    select exists (
      select from pg_catalog.pg_class as class join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
       where schema.nspname = 'app_private' and class.relname in ('execution_leases', 'workers', 'model_prices')
    ) or pg_catalog.starts_with(session_user::text, 'agentflow_') as is_platform`);
  if (rows[0]!.is_platform) throw new NodeError('SOURCE_NOT_ALLOWED', 'this is a database of AgentFlow, and no source may read those.', { remedy: 'Name another database.' });
}

/** A connection that comes after that goes back to its pool. */
function orAborted(coming: Promise<pg.PoolClient>, signal: AbortSignal): Promise<pg.PoolClient> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      reject(signal.reason as Error);
      coming.then((client) => client.release(), () => undefined);
    };
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    coming.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
