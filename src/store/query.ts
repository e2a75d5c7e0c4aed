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
      () => withFreshPlans(pool, rowsIn(values), (client) => client.query<Row>({ text, values, ...(name === undefined ? {} : { name }) })),
      closing,
      (error, attempt) => log.warn({ error: error.message, attempt }, 'the database does not answer; trying again'),
    );
    return result.rows;
  };
}

/** What a session has been asked for: rows in all, rows when its plans were made last, the most rows at a time. */
interface Use { rows: number; plannedAt: number; largest: number }

const uses = new WeakMap<pg.PoolClient, Use>();

/**
 * A session keeps its plans, those of foreign keys too, until statistics are made anew; plans that were made while a table was nearly empty
 * read all of it, or all that a tenant has in it, once it has grown. So they are made again whenever a session has been asked for twice as
 * many rows as when they were made, and when it is asked for far more at a time than ever: then a quiet time is over.
 */
function wantsFreshPlans(use: Use, rows: number): boolean {
  const isFirst = use.rows === 0;
  use.rows += rows;
  const isOutdated = use.rows >= 2 * use.plannedAt || rows > 4 * use.largest;
  if (isOutdated) use.plannedAt = use.rows;
  use.largest = Math.max(use.largest, rows);
  return isOutdated && !isFirst;
}

async function withFreshPlans<T>(pool: pg.Pool, rows: number, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const known = uses.get(client) ?? { rows: 0, plannedAt: 0, largest: 0 };
  uses.set(client, known);
  try {
    if (wantsFreshPlans(known, rows)) await client.query('discard plans');
    const result = await use(client);
    client.release();
    return result;
  } catch (error) {
    // As pg.Pool does: an error of a statement leaves the session usable, a broken one is not handed out again.
    client.release(!('severity' in (error as object)));
    throw error;
  }
}

/** The longest of its lists. */
function rowsIn(values: readonly unknown[]): number {
  return values.reduce<number>((most, value) => Math.max(most, Array.isArray(value) ? value.length : 0), 1);
}
