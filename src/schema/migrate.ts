/** Brings a database to the committed migrations; and the DBA's loop around `current.sql`. All of it graphile-migrate, with our preparation before it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Logger, commit, migrate, reset, status, uncommit, watch, type Settings } from 'graphile-migrate';
import { clearAllPools } from 'graphile-migrate/dist/pg.js';
import { actingAs, withClient, withSchemaLock } from './connection.ts';
import { demandNotAhead, migrationHistory } from './history.ts';
import { prepareDatabase } from './prepare.ts';
import type { Passwords } from './roles.ts';

export const projectFolder = path.resolve(import.meta.dirname, '../..');
export const migrationsFolder = path.join(projectFolder, 'migrations');

/** The three databases that graphile-migrate knows. All connect as logins that may act as agentflow_owner. */
export interface DatabaseUrls {
  databaseUrl: string;
  /** A database that may be dropped and made again at any time. */
  shadowUrl?: string;
  /** A database to be connected to while the others are dropped; its login may create databases. */
  rootUrl?: string;
}

export type Say = (line: string) => void;

/**
 * Prepares and migrates; returns the names of the migrations run. Several at once: one works, the others wait and find it done.
 * Throws ROLE_MISSING, POSTGRES_UNSUPPORTED, DATABASE_AHEAD.
 */
export async function migrateDatabase(databaseUrl: string, options: { passwords?: Passwords; say?: Say } = {}): Promise<string[]> {
  const ownerUrl = await prepareDatabase(databaseUrl, options.passwords);
  return withClient(ownerUrl, (client) => withSchemaLock(client, async () => {
    const history = await migrationHistory(client, migrationsFolder);
    demandNotAhead(history);
    const pending = history.filter(({ appliedAt }) => appliedAt === null).map(({ filename }) => filename);
    if (pending.length === 0) return [];
    await withoutPools(() => migrate({ ...settings({ databaseUrl }, options.say), beforeAllMigrations: [] }));
    return pending;
  }));
}

/** Runs `current.sql` once, or again after each change until the process ends. */
export async function watchCurrent(urls: DatabaseUrls, options: { once: boolean; passwords?: Passwords; say?: Say }): Promise<void> {
  await migrateDatabase(urls.databaseUrl, options);
  await withoutPools(() => watch(settings(urls, options.say), options.once));
}

/** Turns `current.sql` into the next committed migration. Makes the shadow database anew. */
export async function commitCurrent(urls: DatabaseUrls, message: string | undefined, say?: Say): Promise<void> {
  await migrateDatabase(urls.databaseUrl, { say });
  await withoutPools(() => commit(settings(urls, say), message));
}

/** Turns the last committed migration into `current.sql` again. */
export async function uncommitLast(urls: DatabaseUrls, say?: Say): Promise<void> {
  await withoutPools(() => uncommit(settings(urls, say)));
}

/** Drops the database with everything in it, makes it anew and migrates it. */
export async function resetDatabase(urls: DatabaseUrls, options: { shadow: boolean; say?: Say }): Promise<void> {
  await withoutPools(() => reset(settings(urls, options.say), options.shadow));
  const databaseUrl = options.shadow ? urls.shadowUrl : urls.databaseUrl;
  if (databaseUrl !== undefined) await prepareDatabase(databaseUrl);
}

/** Does `current.sql` hold anything but comments, once its includes are in? */
export async function hasCurrentMigration(urls: DatabaseUrls): Promise<boolean> {
  // It wants a shadow database named even where it connects to none.
  return (await status(settings({ shadowUrl: 'postgres://none/none', ...urls }), { skipDatabase: true })).hasCurrentMigration;
}

/** graphile-migrate keeps its connections a while and ends the whole process when one of them breaks: they are given up at once. */
async function withoutPools<T>(use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    clearAllPools();
  }
}

/** `.gmrc` is shared with graphile-migrate's own command line; what depends on this process is set here. */
function settings(urls: DatabaseUrls, say: Say = () => undefined): Settings {
  const shared = JSON.parse(readFileSync(path.join(projectFolder, '.gmrc'), 'utf8')) as Settings;
  const owner = (url: string): string => actingAs(url, 'agentflow_owner');
  const launcher = path.join(projectFolder, 'bin', 'agentflow.mjs');
  return {
    ...shared,
    connectionString: owner(urls.databaseUrl),
    ...(urls.shadowUrl === undefined ? {} : { shadowConnectionString: owner(urls.shadowUrl) }),
    ...(urls.rootUrl === undefined ? {} : { rootConnectionString: urls.rootUrl }),
    migrationsFolder,
    beforeAllMigrations: [{ _: 'command', command: `"${process.execPath}" "${launcher}" db prepare` }],
    logger: new Logger(() => (_level, text) => say(text)),
  };
}
