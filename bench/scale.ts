/** One, two and four worker processes on one database: throughput, and what one execution costs in CPU time, however busy the machine is. */
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

interface Round { seconds: number; serverCpuSeconds: number; nodeCpuSeconds: number; statements: number }

export const usage = `bench scale [--rounds 3] [--scale 1] [--json]`;

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } } });
  const count = Math.round(executions * positive('scale', options.scale));
  const mostRounds = positive('rounds', options.rounds);
  const rounds = new Map<number, Round[]>(processCounts.map((processes) => [processes, []]));
  await withOwnCluster({ settings: contestSettings }, (cluster) => withEffectServer(async (effectUrl) => {
    for (let round = 0; round <= mostRounds; round += 1) {
      for (const processes of processCounts) {
        const measured = await withWorkers(cluster, processes, effectUrl, count);
        process.stderr.write(`${round === 0 ? 'getting warm' : `round ${round}`}: ${processes} processes: ${Math.round(count / measured.seconds)}/s\n`);
        if (round > 0) rounds.get(processes)!.push(measured);
      }
    }
  }));
  const middle = (processes: number, pick: (round: Round) => number): number => median(rounds.get(processes)!.map(pick));
  const cost = (processes: number): number => middle(processes, ({ serverCpuSeconds, nodeCpuSeconds }) => (serverCpuSeconds + nodeCpuSeconds) / count);
  const results = processCounts.map((processes) => ({
    processes, perSecond: count / middle(processes, ({ seconds }) => seconds), cpuMs: cost(processes) * 1_000, ofOneProcess: cost(processes) / cost(1),
    serverCpuMs: middle(processes, ({ serverCpuSeconds }) => serverCpuSeconds / count) * 1_000, statements: middle(processes, ({ statements }) => statements / count),
  }));
  if (options.json) return printJson(results);
  printTable(results.map(({ processes, perSecond, cpuMs, ofOneProcess, serverCpuMs, statements }) => ({
    processes, 'per s': Math.round(perSecond), 'CPU ms each': cpuMs.toFixed(2), 'of one process': ofOneProcess.toFixed(2), 'PG ms each': serverCpuMs.toFixed(2), statements: statements.toFixed(2),
  })));
}

/** The first process starts all executions and waits for their end; the others work with it. */
async function withWorkers(cluster: OwnCluster, processes: number, effectUrl: string, count: number): Promise<Round> {
  const contestants: Contestant[] = [];
  try {
    for (let index = 0; index < processes; index += 1) {
      contestants.push(await openContestant(cluster, 'agentflow', { withSchema: true, packages: projectFolder, effectUrl, ...(index === 0 ? {} : { database: contestants[0]!.database }) }));
    }
    const others = contestants.slice(1);
    const before = others.map(({ pid }) => cpuSeconds(pid) ?? 0);
    const { seconds, serverCpuSeconds, cpuSeconds: own, statements } = await contestants[0]!.run({ do: 'many', kind: 'pure', count });
    const ofOthers = others.reduce((sum, { pid }, index) => sum + (cpuSeconds(pid) ?? 0) - before[index]!, 0);
    return { seconds, serverCpuSeconds, nodeCpuSeconds: own + ofOthers, statements };
  } finally {
    for (const contestant of contestants) await contestant.close();
  }
}
