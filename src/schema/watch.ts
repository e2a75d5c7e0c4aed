/** The DBA's loop: `current.sql` and the fixtures run at every save; a failure is told with its place and the loop goes on. */
import { realpathSync, watch, type FSWatcher } from 'node:fs';
import path from 'node:path';
import { actingAs, withClient } from './connection.ts';
import { demandManifest } from './manifest.ts';
import { migrationsFolder as projectMigrations, runCurrent, type DatabaseUrls, type Say } from './migrate.ts';

/** Editors write a file in several steps. */
const settleMs = 100;

/** On this channel a running API hears that it should look at the schema again. */
export const schemaChannel = 'agentflow_schema';

export interface WatchEvents {
  say: Say;
  /** After a run, with its duration. */
  ran(milliseconds: number): void;
  failed(error: unknown): void;
}

/** Throws what is wrong with the manifest or the migration; the database is as before then. */
export async function applyCurrent(urls: DatabaseUrls, say?: Say): Promise<void> {
  demandManifest(urls.migrationsFolder ?? projectMigrations);
  await runCurrent(urls, say === undefined ? {} : { say });
  await announceSchema(urls.databaseUrl);
}

export async function announceSchema(databaseUrl: string): Promise<void> {
  await withClient(actingAs(databaseUrl, 'agentflow_owner'), (client) => client.query(`notify ${schemaChannel}`));
}

/** Runs once, then at every change, until it is stopped. Settles when it watches; `stop` waits for a run that is under way. */
export async function watchCurrent(urls: DatabaseUrls, events: WatchEvents): Promise<{ stop(): Promise<void> }> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  let [isRunning, isChanged, isStopped] = [false, false, false];
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    isRunning = true;
    do {
      isChanged = false;
      const started = performance.now();
      try {
        await applyCurrent(urls, events.say);
        events.ran(Math.round(performance.now() - started));
      } catch (error) {
        events.failed(error);
      }
    } while (isChanged && !isStopped);
    isRunning = false;
  };
  const changed = (): void => {
    isChanged = true;
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(() => { if (!isRunning) work = run(); }, settleMs);
  };
  const watchers = watchFiles(folder, changed);
  work = run();
  await work;
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
      await work;
    },
  };
}

/** Folders, not files: many editors replace a file by renaming another one to its name. */
function watchFiles(folder: string, changed: () => void): FSWatcher[] {
  const current = realpathSync(path.join(folder, 'current.sql'));
  return [
    watch(path.dirname(current), (_event, name) => { if (name === path.basename(current)) changed(); }),
    watch(path.join(folder, 'fixtures'), { recursive: true }, (_event, name) => { if (name?.endsWith('.sql')) changed(); }),
  ];
}
