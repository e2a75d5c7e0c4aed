/** What stands in migrations/snapshot, made from a database that has the migrations. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withClient } from '../connection.ts';
import { drawSvg, renderDot, renderMermaid } from './erd.ts';
import { readTables } from './model.ts';
import { renderTables } from './tables.ts';

/** By file name. */
export type Snapshot = Record<string, string>;

/** `sdl`: the GraphQL schema of the same database, which another room prints. */
export async function takeSnapshot(databaseUrl: string, sdl: string): Promise<Snapshot> {
  const tables = await withClient(databaseUrl, readTables);
  return { 'tables.md': renderTables(tables, sdl), 'erd.mmd': renderMermaid(tables), 'erd.svg': await drawSvg(renderDot(tables)), 'schema.graphql': sdl };
}

/** Names of the files that are not as `snapshot` has them. */
export function staleFiles(folder: string, snapshot: Snapshot): string[] {
  return Object.entries(snapshot).filter(([name, text]) => !existsSync(path.join(folder, name)) || readFileSync(path.join(folder, name), 'utf8') !== text).map(([name]) => name);
}

export function writeSnapshot(folder: string, snapshot: Snapshot): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(snapshot)) writeFileSync(path.join(folder, name), text);
}
