/** Brings a database to the committed migrations. graphile-migrate is loaded when there is something to run: a start on a migrated database does without. */
import type pg from 'pg';
import { withClient, withSchemaLock } from './connection.ts';
import { migrationsFolder } from './folders.ts';
import { committedMigrations, demandNotAhead, demandUnedited, migrationHistory, type CommittedMigration } from './history.ts';
import { prepareWith } from './prepare.ts';
import type { Passwords } from './roles.ts';

export type Say = (line: string) => void;

export interface MigrateOptions {
  /** For roles that are created. */
  passwords?: Passwords;
  say?: Say;
  migrationsFolder?: string;
  /** In a database without migrations the bodies of functions are not checked: they were, on this very PostgreSQL, which AgentFlow brings itself. */
  trustsBodies?: boolean;
}

/**
 * Prepares and migrates; returns the names of the migrations run. Several at once: one works, the others wait and find it done.
 * Throws ROLE_MISSING, POSTGRES_UNSUPPORTED, DATABASE_AHEAD, MIGRATION_EDITED, MIGRATION_FAILED (with file, line and column).
 */
export async function migrateDatabase(databaseUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  const folder = options.migrationsFolder ?? migrationsFolder;
  return withClient(databaseUrl, (client) => withSchemaLock(client, async () => {
    const ownerUrl = await prepareWith(client, databaseUrl, options.passwords);
    const run = (owner: pg.Client): Promise<string[]> => runMissing(owner, { databaseUrl, ownerUrl, migrationsFolder: folder }, options);
    return ownerUrl === databaseUrl ? run(client) : withClient(ownerUrl, run);
  }));
}

async function runMissing(owner: pg.Client, urls: { databaseUrl: string; ownerUrl: string; migrationsFolder: string }, { say, trustsBodies = false }: MigrateOptions): Promise<string[]> {
  const pending = await pendingMigrations(owner, urls.migrationsFolder);
  if (pending.length === 0) return [];
  const { runPending } = await loadMigrating();
  const checksBodies = !trustsBodies || pending.length < committedMigrations(urls.migrationsFolder).length;
  await runPending(owner, { ...urls, checksBodies }, say);
  return pending.map(({ filename }) => filename);
}

/** What runs migrations. To be called beforehand where there are some for sure. */
export function loadMigrating() {
  return import('./migrate.ts');
}

export async function pendingMigrations(client: pg.Client, folder: string): Promise<CommittedMigration[]> {
  const history = await migrationHistory(client, folder);
  demandNotAhead(history);
  demandUnedited(history);
  const pending = new Set(history.filter(({ appliedAt }) => appliedAt === null).map(({ filename }) => filename));
  return pending.size === 0 ? [] : committedMigrations(folder).filter(({ filename }) => pending.has(filename));
}
