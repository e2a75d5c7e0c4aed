/**
 * The PostgreSQL of a benchmark: always one that the benchmark made itself, durable and otherwise as it comes. A database of somebody
 * else is never touched: with DATABASE_URL set, or in a folder that a benchmark did not make, it refuses.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, type EmbeddedPostgres } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { runCurrent } from '../../src/schema/migrate.ts';
import { refuse, refuseForeignDatabase } from './refusals.ts';

export { refuse, refuseForeignDatabase } from './refusals.ts';

export interface OwnCluster extends EmbeddedPostgres {
  folder: string;
  /** What an earlier run on this folder noted with `note`: null in a new one. */
  noted: string | null;
  /** Says what the cluster holds, for the next run. */
  note(contents: string): void;
}

export interface OwnClusterOptions {
  /** Kept for later runs. Not given: one that is removed at the end. */
  folder?: string;
  /** Of the server, beyond its defaults. */
  settings?: Record<string, string>;
}

const markFile = 'agentflow-bench.json';

/** Starts the cluster, with the schema in it, and stops it after `use`. */
export async function withOwnCluster<T>(options: OwnClusterOptions, use: (cluster: OwnCluster) => Promise<T>): Promise<T> {
  refuseForeignDatabase();
  const folder = options.folder === undefined ? mkdtempSync(path.join(os.tmpdir(), 'agentflow-bench-')) : path.resolve(options.folder);
  const mark = path.join(folder, markFile);
  mkdirSync(folder, { recursive: true });
  const isOurs = existsSync(mark);
  if (!isOurs && readdirSync(folder).length > 0) refuse(`${folder} is not empty, and no benchmark made it.`, 'Name an empty folder, or none.');
  if (!isOurs) writeFileSync(mark, JSON.stringify({ contents: null }));
  const embedded = await startEmbedded({ dataDir: folder, ...(options.settings ? { settings: options.settings } : {}) });
  try {
    await prepare(embedded);
    const cluster = Object.assign(embedded, {
      folder,
      noted: (JSON.parse(readFileSync(mark, 'utf8')) as { contents: string | null }).contents,
      note: (contents: string) => writeFileSync(mark, JSON.stringify({ contents })),
    });
    return await use(cluster);
  } finally {
    await embedded.close(60_000);
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function prepare(embedded: EmbeddedPostgres): Promise<void> {
  const urls = {
    databaseUrl: embedded.url('agentflow_owner'), shadowUrl: embedded.url('agentflow_owner', 'none'), rootUrl: embedded.url('postgres', 'postgres'),
    passwords: embedded.secrets.passwords,
  };
  await runCurrent(urls, { say: () => undefined });
  await withClient(embedded.url('postgres'), (client) => client.query('create extension if not exists pg_stat_statements').catch(() => undefined));
}
