/** Flows of three tasks, each kept before the next one begins, beside workflows of three steps in other engines that keep their history. */
import { parseArgs } from 'node:util';
import { compareEngines, printComparison } from './support/comparison.ts';
import { positive } from './support/options.ts';

const counts = { agentflow: 3_000, dbos: 500, openworkflow: 500 };

export const usage = `bench flows [--rounds 3] [--scale 1] [--json]`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } } });
  const results = await compareEngines({ counts, kinds: ['flow'], rounds: positive('rounds', options.rounds), scale: positive('scale', options.scale) });
  printComparison(results, { asJson: options.json });
}
