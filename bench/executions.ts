/**
 * Durable executions of five nodes, ours beside those of other engines and of a design written by hand: each engine in a process and a
 * database of its own, on one server, in turns (A B C A B C ...), medians and ratios.
 */
import { parseArgs } from 'node:util';
import { projectFolder } from '../src/schema/migrate.ts';
import type { Kind } from './engines/engine.ts';
import { contestSettings, median, openContestant, withEffectServer, type Contestant, type Cost } from './support/contest.ts';
import { withOwnCluster, type OwnCluster } from './support/own-cluster.ts';
import { installPeer } from './support/peers.ts';
import { printJson, printTable } from './support/table.ts';

/** How many executions one engine runs at a time of measuring, so that each measures for some seconds. */
const counts: Readonly<Record<string, number>> = {
  agentflow: 5_000, 'by-hand': 10_000, 'by-hand-lean': 10_000, dbos: 500, openworkflow: 500, 'pg-boss': 5_000, 'graphile-worker': 10_000,
};
const kinds: Kind[] = ['pure', 'effect'];
/** Effects are calls of a server on this machine, which takes its share of it. */
const effectShare = 0.4;

export interface ExecutionsResult {
  engine: string;
  kind: Kind;
  perSecond: number;
  ofDbos: number | null;
  ofByHand: number | null;
  /** One at a time, milliseconds. */
  p50: number;
  statements: number;
  walKilobytes: number;
  /** Milliseconds an execution. */
  serverCpu: number;
  nodeCpu: number;
}

export const usage = `bench executions [--rounds 3] [--scale 1] [--engines agentflow,dbos,...] [--json]
  --scale    multiplies how many executions each engine runs at a time of measuring
  engines: ${Object.keys(counts).join(', ')}; those that npm cannot install are named and left out`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, engines: { type: 'string' }, json: { type: 'boolean', default: false } } });
  const names = options.engines?.split(',') ?? Object.keys(counts);
  const unknown = names.filter((name) => counts[name] === undefined);
  if (unknown.length > 0) throw new Error(`There is no engine ${unknown.join(', ')}. ${usage}`);
  const { results, inFlight } = await withOwnCluster({ settings: contestSettings }, async (cluster) => ({
    results: await withEffectServer((effectUrl) => contest(cluster, names, effectUrl, Number(options.rounds), Number(options.scale))),
    inFlight: names.includes('agentflow') ? await manyInFlight(cluster) : null,
  }));
  if (options.json) return printJson({ results, inFlight });
  printTable(results.map(({ engine, kind, perSecond, ofDbos, ofByHand, p50, statements, walKilobytes, serverCpu, nodeCpu }) => ({
    engine, nodes: kind, 'per s': Math.round(perSecond), 'x DBOS': ofDbos?.toFixed(1) ?? null, 'of by-hand': ofByHand?.toFixed(2) ?? null, 'p50 ms': p50.toFixed(1),
    statements: statements.toFixed(2), 'WAL KB': walKilobytes.toFixed(1), 'PG ms': serverCpu.toFixed(2), 'node ms': nodeCpu.toFixed(2),
  })));
  if (inFlight !== null) process.stdout.write(`${inFlight.count} in flight at once in one process: ${Math.round(inFlight.peakBytes / 1e6)} MB\n`);
}

interface Measured { many: Cost[]; times: number[] }

async function contest(cluster: OwnCluster, names: string[], effectUrl: string, rounds: number, scale: number): Promise<ExecutionsResult[]> {
  const contestants: Contestant[] = [];
  const measured = new Map<string, Measured>();
  try {
    for (const name of names) {
      const packages = installPeer(name);
      if (packages !== null) contestants.push(await openContestant(cluster, name, { withSchema: name === 'agentflow', packages, effectUrl }));
    }
    for (let round = 0; round <= rounds; round += 1) {
      for (const kind of kinds) {
        for (const contestant of contestants) {
          const count = Math.max(50, Math.round(counts[contestant.name]! * scale * (kind === 'effect' ? effectShare : 1)));
          const many = await contestant.run({ do: 'many', kind, count });
          const one = await contestant.run({ do: 'one by one', kind, count: 40 });
          process.stderr.write(`round ${round} ${kind} ${contestant.name}: ${Math.round(count / many.seconds)}/s\n`);
          if (round === 0) continue; // only to get warm
          const known = measured.get(`${contestant.name} ${kind}`) ?? { many: [], times: [] };
          known.many.push(perExecution(many, count));
          known.times.push(...one.times);
          measured.set(`${contestant.name} ${kind}`, known);
        }
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.close();
  }
  return kinds.flatMap((kind) => contestants.map(({ name }) => resultOf(name, kind, measured)));
}

function perExecution(cost: Cost, count: number): Cost {
  return { ...cost, seconds: cost.seconds / count, cpuSeconds: cost.cpuSeconds / count, statements: cost.statements / count, walBytes: cost.walBytes / count, serverCpuSeconds: cost.serverCpuSeconds / count };
}

function resultOf(engine: string, kind: Kind, measured: ReadonlyMap<string, Measured>): ExecutionsResult {
  const { many, times } = measured.get(`${engine} ${kind}`)!;
  const speedOf = (name: string): number | null => {
    const known = measured.get(`${name} ${kind}`);
    return known === undefined ? null : 1 / median(known.many.map(({ seconds }) => seconds));
  };
  const perSecond = speedOf(engine)!;
  const of = (name: string): number | null => {
    const speed = speedOf(name);
    return speed === null ? null : perSecond / speed;
  };
  const middle = (pick: (cost: Cost) => number): number => median(many.map(pick));
  return {
    engine, kind, perSecond, ofDbos: of('dbos'), ofByHand: of('by-hand'), p50: median(times), statements: middle(({ statements }) => statements),
    walKilobytes: middle(({ walBytes }) => walBytes) / 1_024, serverCpu: middle(({ serverCpuSeconds }) => serverCpuSeconds) * 1_000, nodeCpu: middle(({ cpuSeconds }) => cpuSeconds) * 1_000,
  };
}

/** 5,000 executions whose first call is not answered yet, in one process. */
async function manyInFlight(cluster: OwnCluster): Promise<{ count: number; peakBytes: number }> {
  const count = 5_000;
  return withEffectServer(async (effectUrl) => {
    const contestant = await openContestant(cluster, 'agentflow', { withSchema: true, packages: projectFolder, effectUrl, concurrency: count });
    try {
      const { peakBytes } = await contestant.run({ do: 'many', kind: 'effect', count });
      return { count, peakBytes };
    } finally {
      await contestant.close();
    }
  }, 3_000);
}
