/**
 * Transactions as a caller: role and claims are set before the first statement, in one way to the server and back with it. When the
 * settings fail, PostgreSQL refuses what follows them in the same transaction, so nothing ever runs without them. A read of the API's
 * (see `isLoneRead`) goes with its settings as one message and is a transaction of its own; otherwise `begin`, the settings and the first
 * statement are written without waiting for each other. The pool's clients must be made with `pipeline: true`.
 */
import { createHash } from 'node:crypto';
import type { Pool, PoolClient, QueryArrayConfig, QueryConfig } from 'pg';
import { answerBudgetKey, chargeAnswers, givenUp } from './answer-size.ts';
import { noteOutcome, querySettled, type Settings, settingsStatement, type SettingsStatement } from './settled-query.ts';
import { withSightOfWritten } from './written-rows.ts';

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

export type WithCallerClient = <T>(settings: Settings | null, use: (client: CallerClient) => T | Promise<T>) => Promise<T>;

const maxPrepared = 100;
const preparedOf = new WeakMap<PoolClient, Set<string>>();
const noNotices: readonly never[] = Object.freeze([]);

export function makeWithCallerClient(pool: Pool): WithCallerClient {
  return async (settings, use) => {
    const client = await pool.connect();
    chargeAnswers(client, settings?.[answerBudgetKey] ?? null);
    const transaction = settings === null ? null : new CallerTransaction(client, settings);
    let failure: Error | undefined;
    try {
      const result = await use(transaction === null ? callerClient(client, null, 0) : callerClient(client, transaction, 1));
      const refusal = givenUp(client);
      if (refusal !== null) throw refusal;
      await transaction?.commit();
      return result;
    } catch (error) {
      failure = await transaction?.rollback();
      throw givenUp(client) ?? error;
    } finally {
      chargeAnswers(client, null);
      // A client that was given up, or whose transaction could not be ended, is not given to anybody else.
      client.release(givenUp(client) ?? failure);
    }
  };
}

/** Begins with the first statement. */
class CallerTransaction {
  readonly #client: PoolClient;
  readonly #settings: Settings;
  #begun: Promise<void> | null = null;
  #hasRead = false;

  constructor(client: PoolClient, settings: Settings) {
    this.#client = client;
    this.#settings = settings;
  }

  /** True when nothing ran in it yet, so that a lone read can be the whole of it. */
  get isFresh(): boolean {
    return this.#begun === null && !this.#hasRead;
  }

  async read<Row>(statement: Statement): Promise<StatementResult<Row>> {
    this.#hasRead = true;
    const { rows, rowCount } = await querySettled(this.#client, settingsStatement(this.#settings), configOf(this.#client, statement));
    return { rows: rows as Row[], rowCount, notices: noNotices };
  }

  /** `first`: text of the statement that it begins with. */
  begin(first = ''): Promise<void> {
    if (this.#hasRead) throw new Error('A statement follows a lone read, whose transaction has ended');
    this.#begun ??= begin(this.#client, settingsStatement(withSightOfWritten(this.#settings, first)));
    return this.#begun;
  }

  /** Settings that are refused are told even when no statement followed. */
  async commit(): Promise<void> {
    if (this.#hasRead) return;
    await this.begin();
    await this.#client.query('commit');
  }

  /** Returns what keeps the connection from being used again. */
  async rollback(): Promise<Error | undefined> {
    return this.#begun === null ? undefined : await rollback(this.#client);
  }
}

function begin(client: PoolClient, settings: SettingsStatement): Promise<void> {
  const { name, text, values } = settings;
  const opened = client.query('begin');
  const settled = client.query({ name, text, values: [...values] });
  settled.then(() => noteOutcome(settings, true), () => noteOutcome(settings, false));
  const begun = Promise.all([opened, settled]).then(() => undefined);
  // Whoever waits for a statement is told first; this keeps the same failure from ending the process.
  begun.catch(() => undefined);
  return begun;
}

/** PostGraphile names the statements of its reads, takes their rows as arrays, and gives a client to each of them alone; what changes something has no name. */
function isLoneRead({ name, arrayMode }: Statement): boolean {
  return name !== undefined && arrayMode === true;
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
function callerClient(client: PoolClient, transaction: CallerTransaction | null, depth: number): CallerClient {
  return {
    async query<Row>(statement: Statement) {
      if (transaction?.isFresh && isLoneRead(statement)) return await transaction.read<Row>(statement);
      const begun = transaction?.begin(statement.text);
      const answered = send<Row>(client, statement);
      answered.catch(() => undefined);
      // Why it was refused stands in the settings' error, not in that of the statement behind them.
      await begun;
      return await answered;
    },
    async withTransaction(use) {
      const savepoint = `caller_${depth}`;
      await transaction?.begin();
      await client.query(depth === 0 ? 'begin' : `savepoint ${savepoint}`);
      try {
        const result = await use(callerClient(client, transaction, depth + 1));
        await client.query(depth === 0 ? 'commit' : `release savepoint ${savepoint}`);
        return result;
      } catch (error) {
        await client.query(depth === 0 ? 'rollback' : `rollback to savepoint ${savepoint}`);
        throw error;
      }
    },
  };
}

async function send<Row>(client: PoolClient, statement: Statement): Promise<StatementResult<Row>> {
  const { rows, rowCount } = await client.query(configOf(client, statement));
  return { rows: rows as Row[], rowCount, notices: noNotices };
}

function configOf(client: PoolClient, statement: Statement): QueryConfig | QueryArrayConfig {
  const { text, values, arrayMode, name = nameOf(statement) } = statement;
  return { text, ...(values ? { values } : null), ...(name && isPreparable(client, name) ? { name } : null), ...(arrayMode ? { rowMode: 'array' } : null) };
}

/** What PostGraphile's changes leave out: making one ready anew each time costs a tenth of starting an execution. Their texts hold no values. */
function nameOf({ text, values, arrayMode }: Statement): string | undefined {
  return arrayMode && values?.length ? `change_${createHash('sha256').update(text).digest('base64url')}` : undefined;
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
