import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { withClient } from '../../src/schema/connection.ts';
import { watchCurrent, type WatchEvents } from '../../src/schema/watch.ts';
import { useScratch } from '../support/migrations.ts';

const scratch = useScratch();

/** Events as they come; `next` waits for the one after those already asked for. */
function recorder(): WatchEvents & { next(): Promise<unknown> } {
  const waiting: ((event: unknown) => void)[] = [];
  const come: unknown[] = [];
  const put = (event: unknown): void => {
    const first = waiting.shift();
    if (first) first(event);
    else come.push(event);
  };
  return {
    say: () => undefined,
    ran: () => put('ran'),
    failed: put,
    next: () => (come.length > 0 ? Promise.resolve(come.shift()) : new Promise((resolve) => { waiting.push(resolve); })),
  };
}

test('every save runs current.sql; a mistake is told with its place, and the loop goes on; the API hears of each success', async () => {
  const urls = await scratch.make({ current: '--!include all.sql\n', fixtures: { 'all.sql': '--!include things.sql\n', 'things.sql': 'create schema if not exists app_public;\ncreate table if not exists app_public.things (id integer primary key);\n' } });
  const things = path.join(urls.migrationsFolder, 'fixtures', 'things.sql');
  const events = recorder();
  const listener = new pg.Client({ connectionString: urls.databaseUrl });
  await listener.connect();
  await listener.query('listen agentflow_schema');
  let heard = 0;
  listener.on('notification', () => { heard += 1; });
  const columns = () => withClient(urls.databaseUrl, async (client) =>
    (await client.query<{ name: string }>(`select attname as name from pg_attribute where attrelid = 'app_public.things'::regclass and attnum > 0 order by attnum`)).rows.map(({ name }) => name));
  const watching = await watchCurrent(urls, events);
  try {
    expect(await events.next()).toBe('ran');
    writeFileSync(things, 'alter table app_public.things add column if not exists name text;\n');
    expect(await events.next()).toBe('ran');
    expect(await columns()).toEqual(['id', 'name']);

    writeFileSync(things, '\nalter tabel app_public.things;\n');
    expect(await events.next()).toMatchObject({ code: 'MIGRATION_FAILED', details: { file: 'fixtures/things.sql', line: 2 } });
    writeFileSync(path.join(urls.migrationsFolder, 'current.sql'), ' --!include all.sql\n');
    expect(await events.next()).toMatchObject({ code: 'MIGRATION_INVALID', message: expect.stringContaining('current.sql:1: an indented include is ignored') });

    // As editors save: another file takes the name.
    writeFileSync(things, 'alter table app_public.things add column if not exists size integer;\n');
    await events.next();
    const draft = path.join(urls.migrationsFolder, 'draft');
    writeFileSync(draft, '--!include all.sql\n');
    renameSync(draft, path.join(urls.migrationsFolder, 'current.sql'));
    expect(await events.next()).toBe('ran');
    expect(await columns()).toEqual(['id', 'name', 'size']);
    await listener.query('select 1');
    expect(heard).toBe(3);
  } finally {
    await watching.stop();
    await listener.end();
  }
}, 180_000);
