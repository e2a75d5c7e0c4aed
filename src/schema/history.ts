/** The committed migrations on disk against those that a database has. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';

export interface CommittedMigration {
  /** `000001.sql`: the key in graphile_migrate.migrations. */
  filename: string;
  /** The name on disk, which may carry a message: `000001-first.sql`. */
  file: string;
  /** As its header says. */
  hash: string;
  /** Recomputed from its content; differs from `hash` when somebody edited the file. */
  contentHash: string;
  message: string | null;
}

/**
 * - `APPLIED`: on disk and in the database, the same
 * - `PENDING`: on disk only
 * - `MISSING`: in the database only
 * - `EDITED`: the file's content is not what its header says it was
 * - `HASH DIFFERS`: the database ran a migration of this number with other content
 */
export type MigrationState = 'APPLIED' | 'PENDING' | 'MISSING' | 'EDITED' | 'HASH DIFFERS';

export interface HistoryEntry {
  filename: string;
  state: MigrationState;
  message: string | null;
  /** As the file's header says; of a MISSING one, as the database does. */
  hash: string;
  appliedAt: string | null;
}

export function committedMigrations(migrationsFolder: string): CommittedMigration[] {
  return committedFiles(migrationsFolder).map((file) => readMigration(path.join(migrationsFolder, 'committed', file)));
}

/** The `filename` of the newest one, null for none. Reads none of them. */
export function newestMigration(migrationsFolder: string): string | null {
  const last = committedFiles(migrationsFolder).at(-1);
  return last === undefined ? null : filenameOf(last);
}

function committedFiles(migrationsFolder: string): string[] {
  const folder = path.join(migrationsFolder, 'committed');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => /^\d{6,}(-[-_a-zA-Z0-9]+)?\.sql$/.test(name)).sort();
}

function filenameOf(file: string): string {
  return `${/^\d+/.exec(file)![0]}.sql`;
}

export async function migrationHistory(client: pg.Client, migrationsFolder: string): Promise<HistoryEntry[]> {
  const onDisk = new Map(committedMigrations(migrationsFolder).map((migration) => [migration.filename, migration]));
  const applied = new Map((await appliedMigrations(client)).map((row) => [row.filename, row]));
  return [...new Set([...onDisk.keys(), ...applied.keys()])].sort().map((filename) => {
    const [file, row] = [onDisk.get(filename), applied.get(filename)];
    return { filename, state: stateOf(file, row), message: file?.message ?? null, hash: file?.hash ?? row!.hash, appliedAt: row?.date.toISOString() ?? null };
  });
}

/** Throws DATABASE_BEHIND or DATABASE_AHEAD unless the database has exactly the committed migrations. */
export async function demandCurrentSchema(client: pg.Client, migrationsFolder: string): Promise<void> {
  const history = await migrationHistory(client, migrationsFolder);
  demandNotAhead(history);
  const names = history.filter(({ state }) => state === 'PENDING').map(({ filename }) => filename);
  if (names.length > 0) throw new AgentFlowError('DATABASE_BEHIND', `The database lacks ${names.join(', ')}.`, { details: { migrations: names } });
}

export function demandNotAhead(history: HistoryEntry[]): void {
  const names = history.filter(({ state }) => state === 'MISSING').map(({ filename }) => filename);
  if (names.length > 0) {
    throw new AgentFlowError('DATABASE_AHEAD', `The database has ${names.join(', ')}, which this version does not know.`, { details: { migrations: names } });
  }
}

/** Throws MIGRATION_EDITED: what ran, or is about to run, is not what was committed. */
export function demandUnedited(history: HistoryEntry[]): void {
  const inState = (state: MigrationState): string[] => history.filter((entry) => entry.state === state).map(({ filename }) => filename);
  const [edited, others] = [inState('EDITED'), inState('HASH DIFFERS')];
  if (edited.length > 0) throw new AgentFlowError('MIGRATION_EDITED', `Edited after it was committed: ${edited.join(', ')}.`, { details: { migrations: edited } });
  if (others.length > 0) {
    throw new AgentFlowError('MIGRATION_EDITED', `The database ran another ${others.join(', ')} than the one that is committed here.`, {
      remedy: 'Check out the version that the database was migrated with; a database that may be lost is made anew by: agentflow db reset --erase',
      details: { migrations: others },
    });
  }
}

function stateOf(file: CommittedMigration | undefined, row: { hash: string } | undefined): MigrationState {
  if (!file) return 'MISSING';
  if (file.contentHash !== file.hash) return 'EDITED';
  if (row && row.hash !== file.hash) return 'HASH DIFFERS';
  return row ? 'APPLIED' : 'PENDING';
}

async function appliedMigrations(client: pg.Client): Promise<{ filename: string; hash: string; date: Date }[]> {
  const { rows: [there] } = await client.query<{ exists: boolean }>(`select to_regclass('graphile_migrate.migrations') is not null as exists`);
  if (!there!.exists) return [];
  return (await client.query<{ filename: string; hash: string; date: Date }>('select filename, hash, date from graphile_migrate.migrations order by filename')).rows;
}

/** A file is headers (`--! Name: value`), an empty line, the body. */
function readMigration(fullPath: string): CommittedMigration {
  const text = readFileSync(fullPath, 'utf8');
  const end = text.indexOf('\n\n');
  const headers = new Map(text.slice(0, Math.max(end, 0)).split('\n')
    .map((line) => /^--! ([A-Za-z0-9_]+):? ?(.*)$/.exec(line))
    .filter((match) => match !== null).map((match) => [match[1]!, match[2]!.trim()]));
  const hash = headers.get('Hash');
  const previous = headers.get('Previous');
  const file = path.basename(fullPath);
  if (hash === undefined || previous === undefined) {
    throw new AgentFlowError('INVALID_VALUE', `${file} is no committed migration: it has no Hash or no Previous header.`, { remedy: 'Restore the file, or commit again.' });
  }
  const chained = previous === '-' ? '' : previous;
  const contentHash = `sha1:${createHash('sha1').update(`${`${chained}\n${text.slice(end).trim()}`.trim()}\n`).digest('hex')}`;
  return { filename: filenameOf(file), file, hash, contentHash, message: headers.get('Message') ?? null };
}
