/** Statements that outlive a restart of PostgreSQL, and plans that keep up with tables that grow. */
import type pg from 'pg';
import type { StoreLog } from './pool.ts';
import { withRetries } from './retry.ts';

/** `name`: prepared once a connection under this name. */
export type Query = <Row extends pg.QueryResultRow>(text: string, values: unknown[], name?: string) => Promise<Row[]>;

/** Failures that pass are tried again until `closing` is aborted. */
export function retryingQuery(pool: pg.Pool, closing: AbortSignal, log: StoreLog): Query {
  return async <Row extends pg.QueryResultRow>(text: string, values: unknown[], name?: string) => {
    const result = await withRetries(
      () => withFreshPlans(pool, (client) => client.query<Row>({ text, values, ...(name === undefined ? {} : { name }) })),
      closing,
      (error, attempt) => log.warn({ error: error.message, attempt }, 'the database does not answer; trying again'),
    );
    return result.rows;
  };
}

const uses = new WeakMap<pg.PoolClient, number>();

/**
 * A session keeps its plans, those of foreign keys too, until statistics are made anew; plans that were made while a table was nearly empty
 * read all of it once it has grown. So they are made again after 2, 4, 8, 16 ... uses of a session.
 */
async function withFreshPlans<T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const count = (uses.get(client) ?? 0) + 1;
  uses.set(client, count);
  try {
    if (count > 1 && (count & (count - 1)) === 0) await client.query('discard plans');
    const result = await use(client);
    client.release();
    return result;
  } catch (error) {
    // As pg.Pool does: an error of a statement leaves the session usable, a broken one is not handed out again.
    client.release(!('severity' in (error as object)));
    throw error;
  }
}
