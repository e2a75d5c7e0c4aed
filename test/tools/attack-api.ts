/**
 * Attacks on a running API: `npm run attack:api` (all, long), `npm run attack:api -- --short fuzz bombs`. A PostgreSQL and a server are started for
 * them, and nothing is left of either. Exit code 1 when something came of it. FUZZ_REQUESTS and FUZZ_SEED change the fuzz.
 */
import '../../bench/support/only-own-databases.ts';
import { clusterVariable, startTestCluster } from '../support/cluster.ts';
import type { Scale } from './attack/target.ts';
import { namesIn } from '../../bench/support/words.ts';

// Libraries look at it when they are loaded; outside of production they print what clients send.
process.env['GRAPHILE_ENV'] = 'production';
const [{ attacks }, { startTarget }] = await Promise.all([import('./attack/index.ts'), import('./attack/target.ts')]);

const words = process.argv.slice(2);
const scale: Scale = words.includes('--short') ? 'short' : 'long';
const wanted = namesIn(words.filter((word) => word !== '--short'), attacks.map(({ name }) => name));
const cluster = await startTestCluster();
process.env[clusterVariable] = JSON.stringify(cluster.info);
let found = 0;
try {
  for (const attack of attacks.filter(({ name }) => wanted.includes(name))) {
    const started = performance.now();
    const target = await startTarget(attack.face);
    const { attack: title, tried, bad, note } = await attack.run(target, scale);
    await target.stop();
    const counts = Object.entries(bad).map(([kind, count]) => `${kind} ${count}`).join(', ');
    found += Object.values(bad).reduce((sum, count) => sum + count, 0);
    process.stdout.write(`${title}: ${tried} tried, ${counts} (${((performance.now() - started) / 1000).toFixed(1)} s)\n${note === '' ? '' : `    ${note}\n`}`);
  }
} finally {
  await cluster.stop();
}
process.exitCode = found === 0 ? 0 : 1;
