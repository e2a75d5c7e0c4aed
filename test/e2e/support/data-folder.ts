/** A data folder whose database has what is under way in `current.sql`, too: a start runs committed migrations only. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { migrationsFolder } from '../../../src/schema/migrate.ts';
import { hasStatements } from '../../../src/schema/scaffold.ts';
import { runCli, temporaryDataDir } from '../../support/cli.ts';

export async function preparedDataDir(): Promise<ReturnType<typeof temporaryDataDir>> {
  const place = temporaryDataDir();
  if (!hasStatements(readFileSync(path.join(migrationsFolder, 'current.sql'), 'utf8'))) return place;
  const { code, stderr } = await runCli(['db', 'watch', '--once'], { AGENTFLOW_DATA_DIR: place.dataDir });
  if (code !== 0) throw new Error(stderr);
  return place;
}
