/** Engines beside each other, in turns, and what came out as medians and ratios. */
import { stepsOf, type Kind } from '../engines/engine.ts';
import { contestSettings, openContestant, withEffectServer, type Contestant, type Cost } from './contest.ts';
import { withOwnCluster, type OwnCluster } from './own-cluster.ts';
import { installPeer } from './peers.ts';
import { median } from './requests.ts';
import { printJson, printTable } from './table.ts';

export interface Comparison {
  engine: string;
  kind: Kind;
  /** Median, and all rounds. */
  perSecond: number;
  rounds: number[];
  ofDbos: number | null;
  ofByHand: number | null;
  /** One at a time, milliseconds. */
  p50: number;
  p99: number;
  /** Of one execution, like all that follow. */
  statements: number;
  walKilobytes: number;
  serverCpuMs: number;
  nodeCpuMs: number;
}

export interface ComparisonOptions {
  /** How many executions each engine runs at a time of measuring. */
  counts: Readonly<Record<string, number>>;
  kinds: readonly Kind[];
  rounds: number;
  /** Multiplies the counts. */
  scale: number;
}

/** Effects are calls of a server on this machine, which takes its share of it. */
const effectShare = 0.4;
const oneByOne = 40;

/** `after`: what else is measured on the same server. */
export async function compareEngines(options: ComparisonOptions, after: (cluster: OwnCluster) => Promise<void> = () => Promise.resolve()): Promise<Comparison[]> {
  return withOwnCluster({ settings: contestSettings }, async (cluster) => {
    const results = await withEffectServer((effectUrl) => contest(cluster, effectUrl, options));
    await after(cluster);
    return results;
  });
}

export function printComparison(results: readonly Comparison[], { asJson }: { asJson: boolean }): void {
  if (asJson) return printJson(results);
  printTable(results.map(({ engine, kind, perSecond, ofDbos, ofByHand, p50, p99, statements, walKilobytes, serverCpuMs, nodeCpuMs }) => ({
    engine, kind, 'per s': Math.round(perSecond), 'x DBOS': ofDbos?.toFixed(1) ?? null, 'of by-hand': ofByHand?.toFixed(2) ?? null, 'p50 ms': p50.toFixed(1), 'p99 ms': p99.toFixed(1),
    statements: statements.toFixed(2), 'WAL KB': walKilobytes.toFixed(1), 'PG ms': serverCpuMs.toFixed(2), 'node ms': nodeCpuMs.toFixed(2),
  })));
}

interface Measured { many: Cost[]; times: number[] }

async function contest(cluster: OwnCluster, effectUrl: string, { counts, kinds, rounds, scale }: ComparisonOptions): Promise<Comparison[]> {
  const contestants: Contestant[] = [];
  const measured = new Map<string, Measured>();
  try {
    for (const name of Object.keys(counts)) {
      const packages = installPeer(name);
      if (packages !== null) contestants.push(await openContestant(cluster, name, { withSchema: name === 'agentflow', packages, effectUrl }));
    }
    for (let round = 0; round <= rounds; round += 1) {
      for (const kind of kinds) {
        for (const contestant of contestants) {
          const count = Math.max(50, Math.round(counts[contestant.name]! * scale * (kind === 'effect' ? effectShare : 1)));
          const many = await contestant.run({ do: 'many', kind, count });
          const one = await contestant.run({ do: 'one by one', kind, count: oneByOne });
          process.stderr.write(`${round === 0 ? 'getting warm' : `round ${round}`}: ${kind}, ${stepsOf[kind]} steps, ${contestant.name}: ${Math.round(count / many.seconds)}/s\n`);
          if (round === 0) continue;
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

function resultOf(engine: string, kind: Kind, measured: ReadonlyMap<string, Measured>): Comparison {
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
    engine, kind, perSecond, rounds: many.map(({ seconds }) => 1 / seconds), ofDbos: of('dbos'), ofByHand: of('by-hand'),
    p50: median(times), p99: times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!, statements: middle(({ statements }) => statements),
    walKilobytes: middle(({ walBytes }) => walBytes) / 1_024, serverCpuMs: middle(({ serverCpuSeconds }) => serverCpuSeconds) * 1_000, nodeCpuMs: middle(({ cpuSeconds }) => cpuSeconds) * 1_000,
  };
}
