/**
 * One, two and four worker processes on one database: throughput, and what one execution costs in CPU time, however busy the machine is. Processes
 * that are new are measured, and the same once more: until the code of each is compiled and its sessions have their plans it costs more.
 */
import { parseArgs } from 'node:util';
import { projectFolder } from '../src/schema/migrate.ts';
import { contestSettings, openContestant, withEffectServer, type Contestant } from './support/contest.ts';
import { cpuSeconds } from './support/cpu-time.ts';
import { positive } from './support/options.ts';
import { withOwnCluster, type OwnCluster } from './support/own-cluster.ts';
import { median } from './support/requests.ts';
import { printJson, printTable } from './support/table.ts';

const processCounts = [1, 2, 4];
const executions = 5_000;

interface Measured { seconds: number; serverCpuSeconds: number; nodeCpuSeconds: number; statements: number }
interface Round { fresh: Measured; warm: Measured }

export const usage = `bench scale [--rounds 3] [--scale 1] [--json]`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } } });
  const count = Math.round(executions * positive('scale', options.scale));
  const mostRounds = positive('rounds', options.rounds);
  const rounds = new Map<number, Round[]>(processCounts.map((processes) => [processes, []]));
  await withOwnCluster({ settings: contestSettings }, (cluster) => withEffectServer(async (effectUrl) => {
    for (let round = 1; round <= mostRounds; round += 1) {
      for (const processes of processCounts) {
        const measured = await withWorkers(cluster, processes, effectUrl, count);
        process.stderr.write(`round ${round}: ${processes} processes: new ${Math.round(count / measured.fresh.seconds)}/s, then ${Math.round(count / measured.warm.seconds)}/s\n`);
        rounds.get(processes)!.push(measured);
      }
    }
  }));
  const middle = (processes: number, pick: (round: Round) => number): number => median(rounds.get(processes)!.map(pick));
  const cost = (processes: number, when: keyof Round): number => middle(processes, ({ [when]: { serverCpuSeconds, nodeCpuSeconds } }) => (serverCpuSeconds + nodeCpuSeconds) / count);
  const results = processCounts.map((processes) => ({
    processes, perSecond: count / middle(processes, ({ warm }) => warm.seconds), cpuMs: cost(processes, 'warm') * 1_000, ofOneProcess: cost(processes, 'warm') / cost(1, 'warm'),
    serverCpuMs: middle(processes, ({ warm }) => warm.serverCpuSeconds / count) * 1_000, statements: middle(processes, ({ warm }) => warm.statements / count),
    newCpuMs: cost(processes, 'fresh') * 1_000, newOfOneProcess: cost(processes, 'fresh') / cost(1, 'fresh'),
  }));
  if (options.json) return printJson(results);
  printTable(results.map(({ processes, perSecond, cpuMs, ofOneProcess, serverCpuMs, statements, newCpuMs, newOfOneProcess }) => ({
    processes, 'per s': Math.round(perSecond), 'CPU ms each': cpuMs.toFixed(2), 'of one process': ofOneProcess.toFixed(2), 'PG ms each': serverCpuMs.toFixed(2), statements: statements.toFixed(2),
    'new: CPU ms each': newCpuMs.toFixed(2), 'new: of one process': newOfOneProcess.toFixed(2),
  })));
}

async function withWorkers(cluster: OwnCluster, processes: number, effectUrl: string, count: number): Promise<Round> {
  const contestants: Contestant[] = [];
  try {
    for (let index = 0; index < processes; index += 1) {
      contestants.push(await openContestant(cluster, 'agentflow', { withSchema: true, packages: projectFolder, effectUrl, ...(index === 0 ? {} : { database: contestants[0]!.database }) }));
    }
    return { fresh: await measure(contestants, count), warm: await measure(contestants, count) };
  } finally {
    for (const contestant of contestants) await contestant.close();
  }
}

/** The first process starts all executions and waits for their end; the others work with it. */
async function measure([first, ...others]: Contestant[], count: number): Promise<Measured> {
  const before = others.map(({ pid }) => cpuSeconds(pid) ?? 0);
  const { seconds, serverCpuSeconds, cpuSeconds: own, statements } = await first!.run({ do: 'many', kind: 'pure', count });
  const ofOthers = others.reduce((sum, { pid }, index) => sum + (cpuSeconds(pid) ?? 0) - before[index]!, 0);
  return { seconds, serverCpuSeconds, nodeCpuSeconds: own + ofOthers, statements };
}
