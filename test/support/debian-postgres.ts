/** A PostgreSQL with all of its programs (pg_dump, contrib, extensions), as Debian's packages install it: for tests that need more than a server. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface FullPostgres {
  major: number;
  /** Where pg_dump and the others are. */
  bin: string;
  /** As `startEmbedded` takes it. */
  packageFolder: string;
}

/** Null where there is none that has a server and pg_dump. */
export function findFullPostgres(folder = '/usr/lib/postgresql'): FullPostgres | null {
  if (!existsSync(folder)) return null;
  const isWhole = (name: string): boolean => ['initdb', 'postgres', 'pg_dump', 'pg_restore', 'psql'].every((program) => existsSync(path.join(folder, name, 'bin', program)));
  const name = readdirSync(folder).filter((entry) => Number(entry) >= 14 && isWhole(entry)).sort((a, b) => Number(b) - Number(a))[0];
  if (name === undefined) return null;
  const packageFolder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-full-postgres-'));
  chmodSync(packageFolder, 0o755); // the server's own account goes through it
  writeFileSync(path.join(packageFolder, 'package.json'), JSON.stringify({ version: `${name}.0.0` }));
  mkdirSync(path.join(packageFolder, 'native'), { mode: 0o755 });
  symlinkSync(path.join(folder, name, 'bin'), path.join(packageFolder, 'native', 'bin'));
  return { major: Number(name), bin: path.join(folder, name, 'bin'), packageFolder };
}
