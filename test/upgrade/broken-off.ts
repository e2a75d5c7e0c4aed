/** A migration that ends after any of its statements must leave no trace. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { actingAs, withClient } from '../../src/schema/connection.ts';
import { compareCatalogs, describeDifference, readCatalog, type Catalog } from '../../src/schema/fingerprint.ts';
import { committedMigrations } from '../../src/schema/history.ts';
import { migrateDatabase, type DatabaseUrls } from '../../src/schema/migrate.ts';
import { committedText, splitStatements } from '../../src/schema/place.ts';
import { partOfHistory, withShadow } from '../../src/schema/shadow.ts';
import { transactionStatements } from '../../src/schema/statements.ts';

export interface BrokenOff {
  filename: string;
  statements: number;
  tried: number;
  /** What was left behind, a line each. */
  traces: string[];
}

export interface Places {
  /** Each n-th, and always the last one. */
  every: number;
  /** Of the newest migration alone. */
  onlyOfLast?: boolean;
}

/** That nothing ends the transaction is looked at in every statement, whichever places are tried. */
export async function proveBrokenOff(urls: DatabaseUrls & { migrationsFolder: string }, { every, onlyOfLast = false }: Places, say: (line: string) => void = () => undefined): Promise<BrokenOff[]> {
  const results: BrokenOff[] = [];
  for (const { filename, file } of committedMigrations(urls.migrationsFolder).slice(onlyOfLast ? -1 : 0)) {
    const { sql } = committedText(file, urls.migrationsFolder);
    const statements = await splitStatements(sql);
    const places = statements.map((_, index) => index + 1).filter((place) => place % every === 0 || place === statements.length);
    const previous = committedMigrations(urls.migrationsFolder).findLast((migration) => migration.filename < filename)?.filename ?? null;
    const traces = await withShadow(urls, { upTo: previous, current: false }, async ({ client, url }) => {
      const before = await readCatalog(client);
      const found = transactionStatements(sql).map(({ text }) => `${filename}: "${text}" ends or divides its transaction`);
      for (const [index, place] of places.entries()) {
        if (index > 0 && index % 50 === 0) say(`${filename}: ${index} of ${places.length} places`);
        const end = place === statements.length ? sql.length : statements[place]!.start;
        found.push(...await breakOff(urls, url, filename, `${sql.slice(0, end).trimEnd()}\n;do $$ begin raise exception 'broken off' using errcode = 'P0001'; end $$;`, before));
      }
      return found;
    });
    results.push({ filename, statements: statements.length, tried: places.length, traces });
  }
  return results;
}

async function breakOff(urls: DatabaseUrls & { migrationsFolder: string }, url: string, filename: string, body: string, before: Catalog): Promise<string[]> {
  const previous = committedMigrations(urls.migrationsFolder).findLast((migration) => migration.filename < filename);
  const part = partOfHistory(urls.migrationsFolder, previous?.filename ?? null);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-broken-'));
  try {
    mkdirSync(path.join(folder, 'committed'), { recursive: true });
    cpSync(path.join(part.folder, 'committed'), path.join(folder, 'committed'), { recursive: true });
    const hash = `sha1:${createHash('sha1').update(`${`${previous?.hash ?? ''}\n${body.trim()}`.trim()}\n`).digest('hex')}`;
    writeFileSync(path.join(folder, 'committed', filename), `--! Previous: ${previous?.hash ?? '-'}\n--! Hash: ${hash}\n\n${body.trim()}\n`);
    const message = await migrateDatabase(url, { migrationsFolder: folder }).then(() => 'it was not broken off', (error: Error) => error.message);
    const wrong = message.includes('broken off') && !message.includes('not broken') ? [] : [`${filename}: ${message}`];
    const left = await withClient(actingAs(url, 'agentflow_owner'), async (client) => {
      const { rowCount } = await client.query('select from graphile_migrate.migrations where filename = $1', [filename]);
      return [...compareCatalogs(before, await readCatalog(client)).map(describeDifference), ...(rowCount === 0 ? [] : [`${filename} counts as run`])];
    });
    return [...wrong, ...left];
  } finally {
    part.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}
