/**
 * Transactions as a caller: role and claims are set before the first statement, in one way to the server and back with it. `begin`,
 * the settings and the first statement are written without waiting for each other; when the settings fail, PostgreSQL refuses what
 * follows them in the same transaction, so nothing ever runs without them. The pool's clients must be made with `pipeline: true`.
 */
import type { Pool, PoolClient, QueryArrayConfig, QueryConfig } from 'pg';

export interface Statement {
  text: string;
  values?: unknown[];
  arrayMode?: boolean;
  /** Makes it a prepared statement; the same name always means the same text. */
  name?: string;
}

export interface StatementResult<Row> {
  rows: readonly Row[];
  rowCount: number | null;
  notices: readonly never[];
}

/** What PostGraphile asks of a client. */
export interface CallerClient {
  query<Row>(statement: Statement): Promise<StatementResult<Row>>;
  withTransaction<T>(use: (client: this) => Promise<T>): Promise<T>;
}

export type WithCallerClient = <T>(settings: Record<string, string | undefined> | null, use: (client: CallerClient) => T | Promise<T>) => Promise<T>;

const maxPrepared = 100;
const preparedOf = new WeakMap<PoolClient, Set<string>>();
const noNotices: readonly never[] = Object.freeze([]);

export function makeWithCallerClient(pool: Pool): WithCallerClient {
  return async (settings, use) => {
    const client = await pool.connect();
    let failure: Error | undefined;
    try {
      if (settings === null) return await use(callerClient(client, Promise.resolve(), 0));
      const begun = begin(client, settings);
      const result = await use(callerClient(client, begun, 1));
      await begun;
      await client.query('commit');
      return result;
    } catch (error) {
      failure = await rollback(client);
      throw error;
    } finally {
      // A client whose transaction could not be ended is not given to anybody else.
      client.release(failure);
    }
  };
}

function begin(client: PoolClient, settings: Record<string, string | undefined>): Promise<void> {
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined);
  const begun = Promise.all([
    client.query('begin'),
    client.query({ name: 'caller_settings', text: 'select set_config(entry->>0, entry->>1, true) from json_array_elements($1::json) as entry', values: [JSON.stringify(entries)] }),
  ]).then(() => undefined);
  // Whoever waits for a statement is told first; this keeps the same failure from ending the process.
  begun.catch(() => undefined);
  return begun;
}

async function rollback(client: PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** `depth`: how many transactions stand around it; the inner ones are savepoints. */
function callerClient(client: PoolClient, begun: Promise<void>, depth: number): CallerClient {
  return {
    async query<Row>(statement: Statement) {
      const answered = send<Row>(client, statement);
      answered.catch(() => undefined);
      // Why it was refused stands in the settings' error, not in that of the statement behind them.
      await begun;
      return await answered;
    },
    async withTransaction(use) {
      const savepoint = `caller_${depth}`;
      await begun;
      await client.query(depth === 0 ? 'begin' : `savepoint ${savepoint}`);
      try {
        const result = await use(callerClient(client, begun, depth + 1));
        await client.query(depth === 0 ? 'commit' : `release savepoint ${savepoint}`);
        return result;
      } catch (error) {
        await client.query(depth === 0 ? 'rollback' : `rollback to savepoint ${savepoint}`);
        throw error;
      }
    },
  };
}

async function send<Row>(client: PoolClient, { text, values, arrayMode, name }: Statement): Promise<StatementResult<Row>> {
  const config: QueryConfig = { text, ...(values ? { values } : null), ...(name && isPreparable(client, name) ? { name } : null) };
  const { rows, rowCount } = arrayMode
    ? await client.query({ ...config, rowMode: 'array' } as QueryArrayConfig)
    : await client.query(config);
  return { rows: rows as Row[], rowCount, notices: noNotices };
}

/** Clients decide which statements there are, so their number on a connection has a bound: what comes later is not prepared. */
function isPreparable(client: PoolClient, name: string): boolean {
  const prepared = preparedOf.get(client) ?? new Set<string>();
  preparedOf.set(client, prepared);
  if (prepared.has(name)) return true;
  if (prepared.size >= maxPrepared) return false;
  prepared.add(name);
  return true;
}
