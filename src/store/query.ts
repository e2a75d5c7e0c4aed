/** Statements that outlive a restart of PostgreSQL. */
import type pg from 'pg';
import type { StoreLog } from './pool.ts';
import { withRetries } from './retry.ts';

/** `name`: prepared once a connection under this name. */
export type Query = <Row extends pg.QueryResultRow>(text: string, values: unknown[], name?: string) => Promise<Row[]>;

/** Failures that pass are tried again until `closing` is aborted. */
export function retryingQuery(pool: pg.Pool, closing: AbortSignal, log: StoreLog): Query {
  return async <Row extends pg.QueryResultRow>(text: string, values: unknown[], name?: string) => {
    const result = await withRetries(
      () => pool.query<Row>({ text, values, ...(name === undefined ? {} : { name }) }),
      closing,
      (error, attempt) => log.warn({ error: error.message, attempt }, 'the database does not answer; trying again'),
    );
    return result.rows;
  };
}
