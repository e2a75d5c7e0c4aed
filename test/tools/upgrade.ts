/**
 * Breaks each committed migration off after every single statement, on a cluster of its own: `npm run test:upgrade`; after every 20th only:
 * `npm run test:upgrade -- 20`; the newest migration alone, in some minutes: `npm run test:upgrade -- last`. Exit code 1 when one leaves a trace.
 */
import '../../bench/support/only-own-databases.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { startTestCluster } from '../support/cluster.ts';
import { proveBrokenOff } from '../upgrade/broken-off.ts';
import { numberIn } from '../../bench/support/words.ts';

const words = process.argv.slice(2);
const onlyOfLast = words.includes('last');
const every = numberIn(words.filter((word) => word !== 'last'), 1);
const started = performance.now();
const cluster = await startTestCluster();
try {
  const root = cluster.embedded.url('postgres', 'postgres');
  const urls = { databaseUrl: root, shadowUrl: cluster.embedded.url('agentflow_owner', 'broken_off'), rootUrl: root, migrationsFolder };
  const results = await proveBrokenOff(urls, { every, onlyOfLast }, (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify({ results, seconds: Math.round((performance.now() - started) / 1000) }, null, 2)}\n`);
  process.exitCode = results.every(({ traces }) => traces.length === 0) ? 0 : 1;
} finally {
  await cluster.stop();
}
