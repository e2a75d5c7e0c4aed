/** Pools that survive a restart of PostgreSQL: a broken idle connection is logged and replaced, never thrown. */
import pg from 'pg';

export interface StoreLog {
  warn(details: object, message: string): void;
}

export interface PoolOptions {
  max: number;
  name: string;
  log: StoreLog;
  /** Of PostgreSQL, for all of its sessions. */
  settings?: Readonly<Record<string, string>>;
}

export function makePool(connectionString: string, { max, name, log, settings = {} }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString, max, application_name: name, idleTimeoutMillis: 60_000, connectionTimeoutMillis: 10_000, query_timeout: 60_000,
    options: Object.entries(settings).map(([key, value]) => `-c ${key}=${value}`).join(' '),
  });
  // A pool that has ended let go of its connections before the server did: what they still say is no news.
  pool.on('error', (error) => {
    if (!pool.ending) log.warn({ error: error.message, pool: name }, 'a database connection broke');
  });
  // Without a listener the event would end the process; the statement under way fails with the same error.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
