/** The sample rows as statements, with hashes that nobody can sign in with. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { migrationsFolder } from '../../src/schema/migrate.ts';

export function sampleStatements(): string {
  const folder = path.join(migrationsFolder, 'seeds');
  return readdirSync(folder).filter((name) => name.endsWith('.sql')).sort().map((name) => readFileSync(path.join(folder, name), 'utf8')).join('\n');
}
