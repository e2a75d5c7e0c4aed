/** Pools that survive a restart of PostgreSQL: a broken idle connection is logged and replaced, never thrown. */
import pg from 'pg';

export interface StoreLog {
  warn(details: object, message: string): void;
}

export interface PoolOptions {
  max: number;
  name: string;
  log: StoreLog;
  /** False: commits do not wait for the disk. For what is found out again after PostgreSQL has failed. */
  isDurable?: boolean;
}

export function makePool(connectionString: string, { max, name, log, isDurable = true }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString, max, application_name: name, idleTimeoutMillis: 60_000, connectionTimeoutMillis: 10_000, query_timeout: 60_000,
    ...(isDurable ? {} : { options: '-c synchronous_commit=off' }),
  });
  // A pool that has ended let go of its connections before the server did: what they still say is no news.
  pool.on('error', (error) => {
    if (!pool.ending) log.warn({ error: error.message, pool: name }, 'a database connection broke');
  });
  // Without a listener the event would end the process; the statement under way fails with the same error.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
