/**
 * `npm run chaos`: executions run while something goes wrong, on a PostgreSQL of its own; afterwards nothing may be lost, doubled or stranded.
 * Exit code 1 when something is. See docs/how-to/chaos.md.
 *
 *     npm run chaos -- [--long] [--only kill,crash] [--executions N] [--minutes N] [--old COMMIT] [--json]
 */
import '../../bench/support/only-own-databases.ts';
import { parseArgs } from 'node:util';
import { refuse, withOwnCluster, type OwnCluster } from '../../bench/support/own-cluster.ts';
import { printJson, printTable } from '../../bench/support/table.ts';
import { loadSamples, makeSampleCredentials } from '../../src/schema/samples.ts';
import { judge, type Outcome } from './checks.ts';
import { diskFull } from './disk-full.ts';
import { failover } from './failover.ts';
import { faults, type Fault } from './faults.ts';
import { rolling } from './rolling.ts';
import { openScene, untilOver } from './scene.ts';

interface Result extends Outcome {
  fault: string;
  strikes: number;
  seconds: number;
}

const { values: options } = parseArgs({
  options: {
    long: { type: 'boolean', default: false }, only: { type: 'string' }, executions: { type: 'string' }, minutes: { type: 'string' }, old: { type: 'string' }, json: { type: 'boolean', default: false },
  },
});
const isLong = options.long;
/** Within it everything must be over, whatever happens meanwhile. */
const limitSeconds = Number(options.minutes ?? (isLong ? 15 : 4)) * 60;
/** They make a PostgreSQL of their own each. */
const apart = [failover, rolling(options.old), diskFull];
const names = [...faults, ...apart].map(({ name }) => name);
const wanted = options.only?.split(',') ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) refuse(`There is no fault ${unknown.join(', ')}.`, `These are: ${names.join(', ')}.`);

const results: Result[] = [];
const leftOut: string[] = [];
await withOwnCluster({}, async (cluster) => {
  await loadSamples(cluster.url('agentflow_owner'), await makeSampleCredentials(), () => 'none');
  for (const fault of faults.filter(({ name }) => wanted.includes(name))) results.push(await suffer(cluster, fault));
});
for (const { name, run } of apart.filter((one) => wanted.includes(one.name))) {
  const outcome = await run(isLong, (cluster, fault) => suffer(cluster, fault));
  if (typeof outcome === 'string') leftOut.push(`${name}: ${outcome}`);
  else results.push(outcome);
}
if (options.json) printJson({ isLong, results, leftOut });
else report();
process.exitCode = results.some(({ problems }) => problems.length > 0) ? 1 : 0;

async function suffer(cluster: OwnCluster, fault: Fault): Promise<Result> {
  const started = performance.now();
  const sceneOptions = { ...fault[isLong ? 'long' : 'short'] };
  if (options.executions !== undefined) sceneOptions.executions = Number(options.executions);
  const scene = await openScene(cluster, sceneOptions);
  try {
    const over = new AbortController();
    const striking = fault.strike(scene, over.signal, isLong);
    let left = await untilOver(scene, limitSeconds);
    over.abort();
    const strikes = await striking;
    // What came while it was being looked at, and what was broken off by the last strike.
    left = await untilOver(scene, left > 0 ? 1 : 60);
    const outcome = await judge(scene, left);
    const result = { fault: fault.name, strikes, seconds: Math.round((performance.now() - started) / 1_000), ...outcome };
    process.stderr.write(`${result.problems.length === 0 ? 'ok    ' : 'FAILED'} ${fault.name}: ${strikes} times, ${outcome.executions} executions, ${result.seconds} s\n`);
    return result;
  } finally {
    await scene.close();
  }
}

function report(): void {
  const says = new Map([...faults, ...apart].map(({ name, says: words }) => [name, words]));
  printTable(results.map(({ fault, strikes, executions, perSecond, repeatedCalls, slowest, recoveryP99, apiBack, seconds, problems }) => ({
    fault, strikes, executions, 'a second': perSecond, 'calls repeated': repeatedCalls, 'slowest, s': slowest, 'recovery p99, s': recoveryP99, 'API back, s': apiBack, 'took, s': seconds, result: problems.length === 0 ? 'whole' : `${problems.length} problems`, 'what happened': says.get(fault)!,
  })));
  for (const { fault, problems } of results) for (const problem of problems) process.stdout.write(`\n${fault}: ${problem}`);
  for (const line of leftOut) process.stdout.write(`\nleft out: ${line}`);
  process.stdout.write('\n');
}
