/**
 * From every committed migration, with data in it, to the last one: the same catalog as a fresh install, and every row as it
 * was. A migration that means to change values says so in its header: --! Rewrites: app_public.things.name
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { parseMigrationText } from 'graphile-migrate/dist/migration.js';
import { catalogHash, compareCatalogs, describeDifference, readCatalog, summarise } from '../../src/schema/fingerprint.ts';
import { committedMigrations } from '../../src/schema/history.ts';
import { migrateDatabase, type DatabaseUrls } from '../../src/schema/migrate.ts';
import { withShadow } from '../../src/schema/shadow.ts';

export interface UpgradeReport {
  /** Started from: `000001.sql`. */
  from: string;
  rows: number;
  /** What is other than it should be, a line each. */
  problems: string[];
}

/** `urls.migrationsFolder` must be given. `data`: statements that fill a database of that migration. */
export async function proveUpgrades(urls: DatabaseUrls & { migrationsFolder: string }, data: (filename: string) => string): Promise<UpgradeReport[]> {
  const fresh = await withShadow(urls, { current: false }, ({ client }) => readCatalog(client));
  const reports: UpgradeReport[] = [];
  for (const { filename } of committedMigrations(urls.migrationsFolder)) {
    reports.push(await withShadow(urls, { upTo: filename, current: false }, async ({ client, url }) => {
      await client.query(data(filename));
      const before = await readRows(client);
      await migrateDatabase(url, { migrationsFolder: urls.migrationsFolder });
      const upgraded = await readCatalog(client);
      const differences = catalogHash(upgraded) === catalogHash(fresh) ? [] : summarise(compareCatalogs(fresh, upgraded)).map(describeDifference);
      return { from: filename, rows: [...before.values()].reduce((sum, rows) => sum + rows.size, 0), problems: [...differences, ...lostRows(before, await readRows(client), rewrittenAfter(urls.migrationsFolder, filename))] };
    }));
  }
  return reports;
}

/** The newest file of `folder` that is not newer than the migration: its statements were written for the schema of its number. */
export function dataFor(folder: string, filename: string): string | null {
  const file = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.sql') && name <= filename).sort().at(-1) : undefined;
  return file === undefined ? null : readFileSync(path.join(folder, file), 'utf8');
}

/** Table -> primary key -> row. */
type Rows = Map<string, Map<string, Record<string, unknown>>>;

async function readRows(client: pg.ClientBase): Promise<Rows> {
  const { rows: tables } = await client.query<{ name: string; key: string[] }>(`
    select format('%I.%I', n.nspname, c.relname) as name,
      array(select a.attname::text from pg_constraint k, unnest(k.conkey) as part join pg_attribute a on a.attrelid = c.oid and a.attnum = part where k.conrelid = c.oid and k.contype = 'p' order by 1) as key
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('app_public', 'app_private') and c.relkind in ('r', 'p') and not c.relispartition`);
  const all: Rows = new Map();
  for (const { name, key } of tables) {
    const { rows } = await client.query<{ row: Record<string, unknown> }>(`select to_jsonb(t) as row from ${name} t`);
    all.set(name, new Map(rows.map(({ row }) => [JSON.stringify(key.map((column) => row[column])), row])));
  }
  return all;
}

/** A column that is gone takes its values along: that is what its migration says. Everything else must be as it was. */
function lostRows(before: Rows, after: Rows, rewritten: string[]): string[] {
  return [...before].flatMap(([table, rows]) => {
    const now = after.get(table);
    if (now === undefined) return rows.size === 0 || rewritten.includes(table) ? [] : [`${table} is gone with ${rows.size} rows`];
    return [...rows].flatMap(([key, row]) => {
      const found = now.get(key);
      if (found === undefined) return [`${table} lost the row ${key}`];
      return Object.keys(row).filter((column) => column in found && !rewritten.includes(`${table}.${column}`) && JSON.stringify(row[column]) !== JSON.stringify(found[column]))
        .map((column) => `${table}.${column} of ${key} was ${JSON.stringify(row[column])} and is ${JSON.stringify(found[column])}`);
    });
  });
}

function rewrittenAfter(folder: string, filename: string): string[] {
  return committedMigrations(folder).filter((migration) => migration.filename > filename).flatMap(({ file }) => {
    const text = parseMigrationText(file, readFileSync(path.join(folder, 'committed', file), 'utf8')).headers['Rewrites'];
    return typeof text === 'string' ? text.split(/[\s,]+/) : [];
  });
}
