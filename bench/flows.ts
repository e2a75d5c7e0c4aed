/**
 * Flows of three tasks, each kept before the next one begins, beside workflows of three steps in other engines that keep their history.
 *
 * Every engine is started as its own documentation does it where speed matters, and the start is part of what is measured. DBOS and OpenWorkflow run
 * in the process that starts them: 100 calls are under way at a time, each of which writes its row before it answers. Ours are
 * started by a client with a signed-in user's rights, by `executeFlows` with 500 inputs: rows, audit rows and jobs, two calls at a time. Each
 * execution has its own input, and none shares anything with another but the statements that carry it. One at a time (p50) all are started by the
 * call for one.
 */
import { parseArgs } from 'node:util';
import { compareEngines, printComparison } from './support/comparison.ts';
import { refuse } from './support/own-cluster.ts';
import { positive } from './support/options.ts';

const counts: Readonly<Record<string, number>> = { agentflow: 10_000, dbos: 500, openworkflow: 300 };

export const usage = `bench flows [--rounds 3] [--scale 1] [--engines ${Object.keys(counts).join(',')}] [--json]
  --scale    multiplies how many executions each engine runs at a time of measuring`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({
    args, options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, engines: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const names = options.engines?.split(',') ?? Object.keys(counts);
  const unknown = names.filter((name) => counts[name] === undefined);
  if (unknown.length > 0) refuse(`There is no engine ${unknown.join(', ')}.`, `Usage: ${usage}`);
  const results = await compareEngines({
    counts: Object.fromEntries(names.map((name) => [name, counts[name]!])), kinds: ['flow'], rounds: positive('rounds', options.rounds), scale: positive('scale', options.scale),
  });
  printComparison(results, { asJson: options.json });
}
