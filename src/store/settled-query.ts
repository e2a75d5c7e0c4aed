/**
 * A statement and the settings that it runs under, in one message to the server and one transaction of their own: the settings are executed
 * first, and nothing ends their transaction before the statement has run (the server commits at the protocol's Sync). When the settings
 * fail, the server skips the statement; the error that is told is theirs.
 *
 * It builds on `pg.Query`, whose `prepare` writes Parse, Bind, Describe, Execute and Sync: the settings' Bind and Execute go before them.
 */
import pg, { type Connection, type PoolClient, type QueryArrayConfig, type QueryConfig } from 'pg';
import type { AnswerBudget, answerBudgetKey } from './answer-size.ts';
import { preparesNothing } from './pooled-client.ts';

/** Of pg.Query, what its types leave out. */
interface Preparing {
  prepare(connection: Connection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  callback: (error: Error | undefined, result: pg.QueryResult) => void;
}

interface Messages {
  parse(message: { text: string; name: string; types: readonly number[] }): void;
  bind(message: { portal: string; statement: string; values: readonly string[]; valueMapper: (value: string) => string }): void;
  execute(message: { portal: string; rows: number }): void;
}

const PreparedQuery = pg.Query as unknown as new (config: object) => Preparing;

class SettledQuery extends PreparedQuery {
  readonly #settings: SettingsStatement;
  readonly #isPrepared: boolean;
  isSettled = false;

  /** `isPrepared`: the settings' statement is there already, under its name; otherwise neither of the two gets a name. */
  constructor(settings: SettingsStatement, statement: QueryConfig | QueryArrayConfig, isPrepared: boolean) {
    super({ ...statement, ...(isPrepared ? null : { name: undefined }), queryMode: 'extended' });
    this.#settings = settings;
    this.#isPrepared = isPrepared;
  }

  override prepare(connection: Connection): void {
    const messages = connection as unknown as Messages;
    if (!this.#isPrepared) messages.parse({ text: this.#settings.text, name: '', types: [] });
    messages.bind({ portal: '', statement: this.#isPrepared ? this.#settings.name : '', values: this.#settings.values, valueMapper: (value) => value });
    messages.execute({ portal: '', rows: 0 });
    super.prepare(connection);
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.isSettled) super.handleCommandComplete(message, connection);
    else this.isSettled = true;
  }
}

/** What must hold for settings to be used: a function of the database that raises when it does not. It is called by the login, before any role is set. */
export interface Condition {
  function: 'app_private.demand_session';
  values: readonly string[];
  /** What has become of it so far: not asked yet, held once (it is not asked again), or failed. */
  outcome: 'open' | 'held' | 'failed';
}

export const conditionKey: unique symbol = Symbol('condition');

export type Settings = Readonly<Record<string, string | undefined>> & { readonly [conditionKey]?: Condition; readonly [answerBudgetKey]?: AnswerBudget };

/** A prepared statement that sets settings until the end of the transaction, and gives no row. Its text depends on the names alone. */
export interface SettingsStatement {
  name: string;
  text: string;
  values: readonly string[];
  condition: Condition | null;
}

const texts = new Map<string, { name: string; text: string }>();

/** The names must be constants of the program: each list of them is a prepared statement of every connection. */
export function settingsStatement(settings: Settings): SettingsStatement {
  const condition = settings[conditionKey]?.outcome === 'held' ? null : settings[conditionKey] ?? null;
  const names: string[] = [];
  const values: string[] = [...condition?.values ?? []];
  for (const name in settings) {
    const value = settings[name];
    if (value === undefined) continue;
    names.push(name);
    values.push(value);
  }
  const key = `${condition?.function ?? ''} ${names.join()}`;
  const known = texts.get(key) ?? { name: `caller_settings_${texts.size}`, text: textOf(condition, names) };
  texts.set(key, known);
  return { ...known, values, condition };
}

/** Neither is ever null: each function is called once, in this order, and no row comes through. */
function textOf(condition: Condition | null, names: readonly string[]): string {
  const conditions = condition ? [`${condition.function}(${condition.values.map((_, index) => `$${index + 1}`).join(', ')})`] : [];
  const first = (condition?.values.length ?? 0) + 1;
  const settings = names.map((name, index) => `pg_catalog.set_config('${name.replaceAll("'", "''")}', $${first + index}, true)`);
  const calls = [...conditions, ...settings];
  return calls.length === 0 ? 'select where false' : `select where ${calls.map((call) => `${call} is null`).join(' or ')}`;
}

/** Notes what has become of the condition: it held when the settings were set. */
export function noteOutcome({ condition }: SettingsStatement, isSettled: boolean): void {
  if (condition && condition.outcome !== 'held') condition.outcome = isSettled ? 'held' : 'failed';
}

const preparedOn = new WeakMap<PoolClient, Set<string>>();

/** Runs one statement under the settings. The client must have been made with `pipeline: true`. */
export function querySettled(client: PoolClient, settings: SettingsStatement, statement: QueryConfig | QueryArrayConfig): Promise<pg.QueryResult> {
  const isPrepared = !preparesNothing(client);
  if (isPrepared) prepareOn(client, settings);
  const query = new SettledQuery(settings, statement, isPrepared);
  return new Promise((resolve, reject) => {
    query.callback = (error, result) => {
      noteOutcome(settings, query.isSettled);
      if (error) reject(error);
      else resolve(result);
    };
    client.query(query as never);
  });
}

/** Once a connection, written before whatever follows; alone it changes nothing, since its transaction is its own. */
function prepareOn(client: PoolClient, { name, text, values }: SettingsStatement): void {
  const prepared = preparedOn.get(client) ?? new Set<string>();
  preparedOn.set(client, prepared);
  if (prepared.has(name)) return;
  prepared.add(name);
  // What fails here fails again, and is told, with the statement behind it.
  client.query({ name, text, values: [...values] }).catch(() => prepared.delete(name));
}
