/**
 * A statement and the settings that it runs under, in one message to the server and one transaction of their own: the settings are executed
 * first, and nothing ends their transaction before the statement has run (the server commits at the protocol's Sync). When the settings
 * fail, the server skips the statement; the error that is told is theirs.
 *
 * It builds on `pg.Query`, whose `prepare` writes Parse, Bind, Describe, Execute and Sync: the settings' Bind and Execute go before them.
 */
import pg, { type Connection, type PoolClient, type QueryArrayConfig, type QueryConfig } from 'pg';

/** Of pg.Query, what its types leave out. */
interface Preparing {
  prepare(connection: Connection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  callback: (error: Error | undefined, result: pg.QueryResult) => void;
}

interface Messages {
  bind(message: { portal: string; statement: string; values: readonly string[]; valueMapper: (value: string) => string }): void;
  execute(message: { portal: string; rows: number }): void;
}

const PreparedQuery = pg.Query as unknown as new (config: object) => Preparing;

class SettledQuery extends PreparedQuery {
  readonly #settings: SettingsStatement;
  #isSettled = false;

  constructor(settings: SettingsStatement, statement: QueryConfig | QueryArrayConfig) {
    super({ ...statement, queryMode: 'extended' });
    this.#settings = settings;
  }

  override prepare(connection: Connection): void {
    const messages = connection as unknown as Messages;
    messages.bind({ portal: '', statement: this.#settings.name, values: this.#settings.values, valueMapper: (value) => value });
    messages.execute({ portal: '', rows: 0 });
    super.prepare(connection);
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.#isSettled) super.handleCommandComplete(message, connection);
    else this.#isSettled = true;
  }
}

/** A prepared statement that sets settings until the end of the transaction, and gives no row. Its text depends on the names alone. */
export interface SettingsStatement {
  name: string;
  text: string;
  values: readonly string[];
}

const texts = new Map<string, { name: string; text: string }>();

/** The names must be constants of the program: each list of them is a prepared statement of every connection. */
export function settingsStatement(settings: Readonly<Record<string, string | undefined>>): SettingsStatement {
  const entries = Object.entries(settings).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const key = entries.map(([name]) => name).join();
  const known = texts.get(key) ?? { name: `caller_settings_${texts.size}`, text: textOf(entries.map(([name]) => name)) };
  texts.set(key, known);
  return { ...known, values: entries.map(([, value]) => value) };
}

/** A setting is never null: the condition calls each function once and lets no row through. */
function textOf(names: readonly string[]): string {
  if (names.length === 0) return 'select where false';
  const isUnset = names.map((name, index) => `pg_catalog.set_config('${name.replaceAll("'", "''")}', $${index + 1}, true) is null`);
  return `select where ${isUnset.join(' or ')}`;
}

const preparedOn = new WeakMap<PoolClient, Set<string>>();

/** Runs one statement under the settings. The client must have been made with `pipeline: true`. */
export function querySettled(client: PoolClient, settings: SettingsStatement, statement: QueryConfig | QueryArrayConfig): Promise<pg.QueryResult> {
  prepareOn(client, settings);
  const query = new SettledQuery(settings, statement);
  return new Promise((resolve, reject) => {
    query.callback = (error, result) => (error ? reject(error) : resolve(result));
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
