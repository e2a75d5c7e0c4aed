/**
 * Durable executions of five nodes, ours beside those of other engines and of a design written by hand: each engine in a process and a
 * database of its own, on one server, in turns (A B C A B C ...), medians and ratios. At the end, the memory of many in flight.
 */
import { parseArgs } from 'node:util';
import { projectFolder } from '../src/schema/migrate.ts';
import { compareEngines, printComparison } from './support/comparison.ts';
import { openContestant, withEffectServer } from './support/contest.ts';
import { refuse, type OwnCluster } from './support/own-cluster.ts';
import { positive } from './support/options.ts';

/** So many that each measures for some seconds. */
const counts: Readonly<Record<string, number>> = {
  agentflow: 10_000, 'by-hand': 20_000, 'by-hand-lean': 20_000, dbos: 500, openworkflow: 500, 'pg-boss': 5_000, 'graphile-worker': 10_000,
};

export const usage = `bench executions [--rounds 3] [--scale 1] [--engines agentflow,dbos,...] [--kinds pure,effect] [--json]
  --scale    multiplies how many executions each engine runs at a time of measuring
  engines: ${Object.keys(counts).join(', ')}; those that npm cannot install are named and left out
  by-hand has the indexes that the founding documents ask for, by-hand-lean has its own only`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({
    args,
    options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, engines: { type: 'string' }, kinds: { type: 'string', default: 'pure,effect' }, json: { type: 'boolean', default: false } },
  });
  const names = options.engines?.split(',') ?? Object.keys(counts);
  const kinds = (['pure', 'effect'] as const).filter((kind) => options.kinds.split(',').includes(kind));
  const unknown = names.filter((name) => counts[name] === undefined);
  if (unknown.length > 0 || kinds.length === 0) refuse(unknown.length > 0 ? `There is no engine ${unknown.join(', ')}.` : `There is no kind ${options.kinds}.`, `Usage: ${usage}`);
  let megabytes: number | null = null;
  const results = await compareEngines(
    { counts: Object.fromEntries(names.map((name) => [name, counts[name]!])), kinds, rounds: positive('rounds', options.rounds), scale: positive('scale', options.scale) },
    async (cluster) => {
      if (names.includes('agentflow') && kinds.includes('effect')) megabytes = await megabytesInFlight(cluster);
    },
  );
  printComparison(results, { asJson: options.json });
  if (megabytes !== null) process.stderr.write(`${inFlight} in flight at once in one process: ${Math.round(megabytes)} MB\n`);
}

const inFlight = 5_000;

/** Of executions whose first call is not answered yet. */
async function megabytesInFlight(cluster: OwnCluster): Promise<number> {
  return withEffectServer(async (effectUrl) => {
    const contestant = await openContestant(cluster, 'agentflow', { withSchema: true, packages: projectFolder, effectUrl, concurrency: inFlight });
    try {
      return (await contestant.run({ do: 'many', kind: 'effect', count: inFlight })).peakBytes / 1e6;
    } finally {
      await contestant.close();
    }
  }, 3_000);
}
