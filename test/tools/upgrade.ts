/**
 * Breaks each committed migration off after every single statement, on a cluster of its own: `npm run test:upgrade`; after every 20th only:
 * `npm run test:upgrade -- 20`. Exit code 1 when one leaves a trace.
 */
import '../../bench/support/only-own-databases.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { startTestCluster } from '../support/cluster.ts';
import { proveBrokenOff } from '../upgrade/broken-off.ts';

const started = performance.now();
const cluster = await startTestCluster();
try {
  const url = (database: string): string => cluster.embedded.url('agentflow_owner', database);
  const results = await proveBrokenOff({ databaseUrl: cluster.embedded.url('postgres', 'postgres'), shadowUrl: url('broken_off'), rootUrl: cluster.embedded.url('postgres', 'postgres'), migrationsFolder }, Number(process.argv[2] ?? 1), (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify({ results, seconds: Math.round((performance.now() - started) / 1000) }, null, 2)}\n`);
  process.exitCode = results.every(({ traces }) => traces.length === 0) ? 0 : 1;
} finally {
  await cluster.stop();
}
