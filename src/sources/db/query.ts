/** One read query of a db source: bind parameters, a read-only transaction, a cursor, and an end in time whatever the server does. */
import type pg from 'pg';
import { NodeError } from '../../errors.ts';
import type { DbRequest, JsonObject } from '../../engine/types.ts';
import { numberOf, textOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { readCredential } from '../credentials.ts';
import { targetOf, type Target } from './connection.ts';
import { dbFailure } from './failures.ts';
import type { Connection, Pools } from './pools.ts';
import { bindable, rowOf } from './values.ts';

export interface DbAnswer {
  rows: JsonObject[];
  truncated: boolean;
  isCached?: boolean;
}

/** Of one answer, on the wire. */
const maxBytes = 16 * 1024 * 1024;
const rowsAtATime = 1_000;
/** The server gets a little more time for saying that it has run out of it. */
const graceMs = 1_000;
const defaultSeconds = 30;

export function queryDatabase(request: DbRequest, call: SourceCall, pools: Pools): Promise<DbAnswer> {
  return call.run(async () => {
    const target = await targetFor(call);
    const { tenantSlug, sourceName, nodeId, signal } = call.binding;
    const connection = await pools.connect(JSON.stringify([tenantSlug, sourceName ?? nodeId]), target, signal);
    const answer = await withinTime(connection, request, call, () => read(connection, request, settingsOf(call)));
    return { ...answer, rows: call.redactJson(answer.rows) as JsonObject[] };
  }, (error) => dbFailure(error, call));
}

async function targetFor(call: SourceCall): Promise<Target> {
  // Where the connection goes is in the secret itself: it is opened towards the host that it names.
  const text = await readCredential(call, {
    secretKeys: ['connection_string', 'dsn'], variableKeys: ['connection_string_env', 'dsn_env'], host: (value) => targetOf(value).host,
  });
  if (text === null) throw new NodeError('SOURCE_KEY_MISSING', 'it names no connection: set connection_string_env to the name of a variable, or connection_string to {"secret": "name"}.');
  const target = targetOf(text);
  call.keepSecret(target.password);
  return target;
}

interface QuerySettings {
  searchPath: string | null;
  isReadOnly: boolean;
}

function settingsOf({ binding }: SourceCall): QuerySettings {
  const { config } = binding;
  const isReadOnly = config['read_only'] !== false;
  if (!isReadOnly && binding.isSaved !== true) {
    throw new NodeError('SOURCE_NOT_ALLOWED', 'only a saved source may say read_only: false.', { remedy: 'Let an admin save the source with read_only: false.' });
  }
  return { isReadOnly, searchPath: textOf(config, 'search_path', 'schema') };
}

/** Ends the connection when the time is up, the byte cap is crossed or the node is told to stop. */
async function withinTime<T>(connection: Connection, { timeoutSeconds }: DbRequest, { binding }: SourceCall, work: () => Promise<T>): Promise<T> {
  let isDone = false;
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const end = (reason: Error): void => {
    if (isDone) return;
    isDone = true;
    connection.destroy();
    reject(reason);
  };
  const seconds = Math.min(timeoutSeconds, numberOf(binding.config, 'timeout') ?? timeoutSeconds) || defaultSeconds;
  const timer = setTimeout(() => end(tooSlow(seconds)), seconds * 1_000 + graceMs);
  const aborted = (): void => end(binding.signal.reason as Error);
  binding.signal.addEventListener('abort', aborted, { once: true });
  if (binding.signal.aborted) aborted();
  connection.capFromNow(maxBytes);
  try {
    await Promise.race([connection.client.query(`begin; set local statement_timeout = ${Math.ceil(seconds * 1_000)}; set local lock_timeout = ${Math.ceil(seconds * 1_000)}; set local datestyle = 'ISO'; set local timezone = 'UTC'; set local intervalstyle = 'iso_8601'`), cut]);
    const result = await Promise.race([work(), cut]);
    await Promise.race([connection.client.query('rollback'), cut]);
    isDone = true;
    connection.release();
    return result;
  } catch (error) {
    // A connection on which something went wrong is not used again: what it is in the middle of is not known.
    if (!isDone) connection.destroy();
    isDone = true;
    throw error;
  } finally {
    clearTimeout(timer);
    binding.signal.removeEventListener('abort', aborted);
  }
}

function tooSlow(seconds: number): NodeError {
  return new NodeError('NODE_TIMEOUT', `the query took longer than ${seconds} s.`, { remedy: 'Ask for less, add an index, or raise timeout.' });
}

async function read({ client }: Connection, { text, values, limit }: DbRequest, { isReadOnly, searchPath }: QuerySettings): Promise<DbAnswer> {
  await client.query(isReadOnly ? 'set transaction read only' : 'set transaction read write');
  if (searchPath !== null) await client.query('select pg_catalog.set_config($1, $2, true)', ['search_path', quotedPath(searchPath)]);
  // The extended protocol takes one statement; whatever the text is, a second one is refused by the server.
  await client.query({ text: `declare source_rows no scroll cursor for ${text}`, values: values.map(bindable), queryMode: 'extended' } as pg.QueryConfig);
  const rows: JsonObject[] = [];
  while (rows.length <= limit) {
    const wanted = Math.min(rowsAtATime, limit + 1 - rows.length);
    const { rows: fetched, fields } = await client.query<unknown[]>({ text: `fetch forward ${wanted} from source_rows`, rowMode: 'array' });
    const names = fields.map(({ name }) => name);
    for (const row of fetched) rows.push(rowOf(names, row));
    if (fetched.length < wanted) break;
  }
  return { rows: rows.slice(0, limit), truncated: rows.length > limit };
}

/** Each name quoted: a path cannot become anything else. */
function quotedPath(path: string): string {
  return path.split(',').map((name) => `"${name.trim().replace(/^"|"$/g, '').replaceAll('"', '""')}"`).join(', ');
}
