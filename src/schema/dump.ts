/** pg_dump, where there is one that can read the server: it must be of the server's major version or a later one. */
import { spawnSync } from 'node:child_process';
import { withClient } from './connection.ts';

export interface DumpProgram {
  path: string;
  major: number;
}

/** Null when there is no pg_dump in PATH, or an older one than the server. */
export async function findPgDump(databaseUrl: string, program = 'pg_dump'): Promise<DumpProgram | null> {
  const version = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const major = Number.parseInt(/\(PostgreSQL\) (\d+)/.exec(version.stdout ?? '')?.[1] ?? '0', 10);
  if (version.status !== 0 || major === 0) return null;
  const server = await withClient(databaseUrl, async (client) =>
    (await client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`)).rows[0]!.major);
  return major >= server ? { path: program, major } : null;
}

/** libpq takes a plus sign in a parameter for what it is, not for a space. */
function forLibpq(url: string): string {
  const [place, parameters] = url.split('?');
  return parameters === undefined ? url : `${place}?${parameters.replaceAll('+', '%20')}`;
}

/** The schema as SQL, without what differs from run to run. */
export function dumpSchema(program: DumpProgram, databaseUrl: string): string {
  const result = spawnSync(program.path, ['--schema-only', '--schema=app_public', '--schema=app_private', forLibpq(databaseUrl)], { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  if (result.status !== 0) throw new Error(`pg_dump failed: ${result.stderr || result.error?.message}`);
  return result.stdout.replace(/^\\(un)?restrict .*\n/gm, '').replace(/^-- Dumped (from|by) .*\n/gm, '');
}
