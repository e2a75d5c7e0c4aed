/** Brings a database to the committed migrations; and the DBA's loop around `current.sql`. All of it graphile-migrate, with our preparation before it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Logger, commit, migrate, reset, status, uncommit, watch, type Settings } from 'graphile-migrate';
import { clearAllPools } from 'graphile-migrate/dist/pg.js';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { actingAs, withClient } from './connection.ts';
import { databaseName, demandSeparateShadow, demandUnused } from './databases.ts';
import { migrationsFolder, projectFolder } from './folders.ts';
import { committedMigrations } from './history.ts';
import { migrateDatabase, pendingMigrations, type Say } from './migrate-database.ts';
import { committedText, currentText, locateFailure } from './place.ts';
import { prepareDatabase } from './prepare.ts';
import type { Passwords } from './roles.ts';
import { demandEmptyCurrent } from './scaffold.ts';

/** The three databases that graphile-migrate knows. All connect as logins that may act as agentflow_owner. */
export interface DatabaseUrls {
  databaseUrl: string;
  /** A database that may be dropped and made again at any time. */
  shadowUrl?: string;
  /** A database to be connected to while the others are dropped; its login may create databases. */
  rootUrl?: string;
  /** For login roles that preparing has to create. */
  passwords?: Passwords;
  /** Another folder than the project's own `migrations`: proofs run on parts of a history. */
  migrationsFolder?: string;
}

export { migrationsFolder, projectFolder } from './folders.ts';

export type { Say };

export { migrateDatabase } from './migrate-database.ts';

/**
 * Runs the committed migrations that have not run; `ownerUrl` acts as the owner. Throws MIGRATION_FAILED (with file, line and column).
 */
export async function runPending(client: pg.Client, urls: Pick<DatabaseUrls, 'databaseUrl'> & { ownerUrl: string; migrationsFolder: string; checksBodies: boolean }, say: Say | undefined): Promise<void> {
  const { databaseUrl, ownerUrl, migrationsFolder: folder, checksBodies } = urls;
  try {
    const shared = settings({ databaseUrl, migrationsFolder: folder }, say);
    const pgSettings = { ...shared.pgSettings, ...(checksBodies ? {} : { check_function_bodies: 'off' }) };
    await withoutPools({ databaseUrl }, () => migrate({ ...shared, pgSettings, beforeAllMigrations: [] }));
  } catch (error) {
    const [failed] = await pendingMigrations(client, folder);
    throw failed === undefined ? error : await locateFailure(error, committedText(failed.file, folder), ownerUrl);
  }
}

/** Migrates and runs `current.sql`, unless it is what ran last. Throws MIGRATION_FAILED with the place. */
export async function runCurrent(urls: DatabaseUrls, options: { say?: Say } = {}): Promise<void> {
  await migrateDatabase(urls.databaseUrl, { passwords: urls.passwords, say: options.say, migrationsFolder: folderOf(urls) });
  await locating(urls, urls.databaseUrl, true, () => watch(settings(urls, options.say), true));
}

/** Turns `current.sql` into the next committed migration, and returns its file name. Makes the shadow database anew. */
export async function commitCurrent(urls: DatabaseUrls, message: string | undefined, say?: Say): Promise<string> {
  await migrateDatabase(urls.databaseUrl, { passwords: urls.passwords, say, migrationsFolder: folderOf(urls) });
  await demandShadowIsFree(urls);
  await locating(urls, urls.shadowUrl ?? urls.databaseUrl, false, () => commit(settings(urls, say), message));
  // What was watched is part of the migration now.
  await withClient(actingAs(urls.databaseUrl, 'agentflow_owner'), (client) => client.query('delete from graphile_migrate.current'));
  return committedMigrations(folderOf(urls)).at(-1)!.file;
}

/** Turns the last committed migration into `current.sql` again, and returns the file name that it had. Throws NOT_FOUND, MIGRATION_INVALID when there is something in that. */
export async function uncommitLast(urls: DatabaseUrls, say?: Say): Promise<string> {
  const last = committedMigrations(folderOf(urls)).at(-1);
  if (!last) throw new AgentFlowError('NOT_FOUND', 'There is no committed migration.', { remedy: 'Nothing to do.' });
  demandEmptyCurrent(folderOf(urls));
  await demandShadowIsFree(urls);
  await withoutPools(urls, () => uncommit(settings(urls, say)));
  return last.file;
}

/** Drops the database with everything in it, makes it anew and migrates it. */
export async function resetDatabase(urls: DatabaseUrls, options: { shadow: boolean; say?: Say }): Promise<void> {
  const databaseUrl = options.shadow ? urls.shadowUrl : urls.databaseUrl;
  if (options.shadow) await demandShadowIsFree(urls);
  else if (urls.rootUrl !== undefined) await withClient(urls.rootUrl, (root) => demandUnused(root, databaseName(urls.databaseUrl)));
  await withoutPools(urls, () => reset(settings(urls, options.say), options.shadow));
  if (databaseUrl !== undefined) await prepareDatabase(databaseUrl, urls.passwords);
}

/** Throws CONFIG_INVALID when the shadow is the main database, DATABASE_IN_USE when somebody is in it. */
async function demandShadowIsFree({ databaseUrl, shadowUrl, rootUrl }: DatabaseUrls): Promise<void> {
  if (shadowUrl === undefined || rootUrl === undefined) return; // graphile-migrate says so itself
  await demandSeparateShadow(databaseUrl, shadowUrl, rootUrl);
  await withClient(rootUrl, (root) => demandUnused(root, databaseName(shadowUrl)));
}

/** Does `current.sql` hold anything but comments, once its includes are in? */
export async function hasCurrentMigration(urls: DatabaseUrls): Promise<boolean> {
  // It wants a shadow database named even where it connects to none.
  return (await status(settings({ shadowUrl: 'postgres://none/none', ...urls }), { skipDatabase: true })).hasCurrentMigration;
}

/** A failure of `current.sql` is told with its place, found with the help of the database at `url`. */
async function locating<T>(urls: DatabaseUrls, url: string, withHeaders: boolean, use: () => Promise<T>): Promise<T> {
  const text = await currentText(folderOf(urls), withHeaders);
  try {
    return await withoutPools(urls, use);
  } catch (error) {
    throw await locateFailure(error, text, actingAs(url, 'agentflow_owner'));
  }
}

function folderOf(urls: DatabaseUrls): string {
  return urls.migrationsFolder ?? migrationsFolder;
}

/**
 * graphile-migrate keeps its connections a while and ends the whole process when one of them breaks, as they do when the
 * embedded server stops. So they are given up at once, and gone when this returns.
 */
async function withoutPools<T>(urls: DatabaseUrls, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    clearAllPools();
    await withClient(urls.rootUrl ?? urls.databaseUrl, async (client) => {
      const areGone = async (): Promise<boolean> =>
        (await client.query('select from pg_stat_activity where application_name = $1 limit 1', [sessionName])).rowCount === 0;
      while (!(await areGone())) await new Promise((resolve) => setTimeout(resolve, 5));
    });
  }
}

/** Tells our sessions from those of other processes. */
const sessionName = `agentflow migrate ${process.pid}`;

function named(url: string): string {
  const withName = new URL(url);
  withName.searchParams.set('application_name', sessionName);
  return withName.toString();
}

/** `.gmrc` is shared with graphile-migrate's own command line; what depends on this process is set here. */
function settings(urls: DatabaseUrls, say: Say = () => undefined): Settings {
  const shared = JSON.parse(readFileSync(path.join(projectFolder, '.gmrc'), 'utf8')) as Settings;
  const owner = (url: string): string => named(actingAs(url, 'agentflow_owner'));
  const launcher = path.join(projectFolder, 'bin', 'agentflow.mjs');
  return {
    ...shared,
    connectionString: owner(urls.databaseUrl),
    ...(urls.shadowUrl === undefined ? {} : { shadowConnectionString: owner(urls.shadowUrl) }),
    ...(urls.rootUrl === undefined ? {} : { rootConnectionString: named(urls.rootUrl) }),
    migrationsFolder: folderOf(urls),
    // Rather fail than let everybody queue behind a statement that itself waits for somebody.
    pgSettings: { lock_timeout: '5s' },
    beforeAllMigrations: [{ _: 'command', command: `"${process.execPath}" "${launcher}" db prepare` }],
    logger: new Logger(() => (level, text) => (level === 'error' ? undefined : say(text))), // what fails is thrown too,
  };
}
