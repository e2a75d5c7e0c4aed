/**
 * All mutations of the isolation proof, on a cluster of its own: `npm run test:mutations`; of some kinds only: `npm run test:mutations -- policy trigger`.
 * Prints the score; exit code 1 when one goes unnoticed.
 */
import '../../bench/support/only-own-databases.ts';
import pg from 'pg';
import { runMutations } from '../isolation/mutation-run.ts';
import { mutationKinds } from '../isolation/mutations.ts';
import { startTestCluster, templates } from '../support/cluster.ts';
import { namesIn } from '../../bench/support/words.ts';

const kinds = namesIn(process.argv.slice(2), mutationKinds);
const started = performance.now();
const cluster = await startTestCluster();
try {
  const { info, embedded } = cluster;
  if (info.schemaProblem !== null) throw new Error(info.schemaProblem);
  const root = new pg.Client({ connectionString: embedded.url('postgres', 'postgres') });
  await root.connect();
  await root.query(`create database mutations template ${templates.schema} owner agentflow_owner`);
  await root.end();
  const client = new pg.Client({ connectionString: embedded.url('postgres', 'mutations') });
  await client.connect();
  try {
    const score = await runMutations(client, { kinds, say: (line) => { process.stderr.write(`${line}\n`); } });
    process.stdout.write(`${JSON.stringify({ ...score, seconds: Math.round((performance.now() - started) / 1000) }, null, 2)}\n`);
    process.exitCode = score.unnoticed.length === 0 ? 0 : 1;
  } finally {
    await client.end(); // before the cluster ends it with an error that would hide the reason
  }
} finally {
  await cluster.stop();
}
