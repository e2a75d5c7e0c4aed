/** Do both checkers of workflow documents agree on 20,000 of them? `npm run test:agreement`; another number may be given. Exit code 1 when not. */
import '../../bench/support/only-own-databases.ts';
import { deepStrictEqual } from 'node:assert/strict';
import pg from 'pg';
import { overBrokenCases, overGeneratedDocuments, type Verdicts } from '../sql/support/agreement.ts';
import { startTestCluster, templates } from '../support/cluster.ts';
import { numberIn } from '../../bench/support/words.ts';

const count = numberIn(process.argv.slice(2), 20_000);
const started = performance.now();
const cluster = await startTestCluster();
try {
  const { info, embedded } = cluster;
  if (info.schemaProblem !== null) throw new Error(info.schemaProblem);
  const root = new pg.Client({ connectionString: embedded.url('postgres', 'postgres') });
  await root.connect();
  await root.query(`create database agreement template ${templates.schema} owner agentflow_owner`);
  await root.end();
  const client = new pg.Client({ connectionString: embedded.url('agentflow_owner', 'agreement') });
  await client.connect();
  let valid = 0;
  const compare = ({ sql, typescript }: Verdicts): void => {
    deepStrictEqual(sql, typescript);
    if (!sql.some((place) => place.startsWith('E'))) valid += 1;
  };
  await overGeneratedDocuments(client, Math.ceil(count / 2), compare);
  await overBrokenCases(client, Math.floor(count / 2), compare);
  await client.end();
  process.stdout.write(`Both agree on ${count} documents, ${valid} of them valid, in ${Math.round((performance.now() - started) / 1_000)} s.\n`);
} finally {
  await cluster.stop();
}
