/**
 * What AgentFlow costs when nobody asks for anything: `agentflow start` (API and worker) on a PostgreSQL of its own, left alone. Statements are
 * counted by pg_stat_statements, CPU time of both by the kernel. The bar: under 1 % of a core, fewer than 45 statements a minute.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withClient } from '../src/schema/connection.ts';
import { startCommand } from './support/api-processes.ts';
import { cpuSeconds, cpuSecondsWithChildren, residentMegabytes } from './support/cpu-time.ts';
import { type OwnCluster, withOwnCluster } from './support/own-cluster.ts';
import { printJson, printTable } from './support/table.ts';

export interface IdleResult {
  seconds: number;
  statementsPerMinute: number;
  /** Percent of one core: the process of AgentFlow, and all of PostgreSQL's. Null where the kernel does not tell. */
  nodeCpu: number | null;
  postgresCpu: number | null;
  /** Resident memory of the process, MB. */
  memory: number;
  statements: { perMinute: number; text: string }[];
}

export const usage = 'bench idle [--seconds 120] [--settle 20] [--json]';

const settings = { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'top' };

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { seconds: { type: 'string', default: '120' }, settle: { type: 'string', default: '20' }, json: { type: 'boolean', default: false } } });
  const result = await withOwnCluster({ settings }, (cluster) => measureIdle(cluster, Number(options.seconds), Number(options.settle)));
  if (options.json) return printJson(result);
  const { nodeCpu, postgresCpu, statementsPerMinute, seconds, memory } = result;
  printTable([{ seconds, 'statements a minute': statementsPerMinute, 'node, % of a core': nodeCpu, 'PostgreSQL, % of a core': postgresCpu, 'memory, MB': memory }]);
  process.stdout.write('\n');
  printTable(result.statements.map(({ perMinute, text }) => ({ 'a minute': perMinute, statement: text })));
}

/** `settle`: seconds from the start until nothing of it is going on any more. */
export async function measureIdle(cluster: OwnCluster, seconds: number, settle: number): Promise<IdleResult> {
  const running = await startCommand(cluster, 'start');
  try {
    await sleep(settle * 1_000);
    return await withClient(cluster.url('postgres'), async (client) => {
      await client.query('create extension if not exists pg_stat_statements');
      const before = { node: cpuSeconds(running.pid), postgres: cpuSecondsWithChildren(cluster.pid) };
      await client.query('select pg_stat_statements_reset()');
      await sleep(seconds * 1_000);
      const { rows } = await client.query<{ calls: number; text: string }>(`
        select calls::float8 as calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 110) as text from pg_stat_statements
         where query !~ 'pg_stat_statements' order by calls desc`);
      const percent = (from: number | null, to: number | null): number | null => (from === null || to === null ? null : Number(((to - from) / seconds * 100).toFixed(2)));
      const perMinute = (calls: number): number => Number((calls / seconds * 60).toFixed(1));
      return {
        seconds,
        statementsPerMinute: perMinute(rows.reduce((sum, { calls }) => sum + calls, 0)),
        nodeCpu: percent(before.node, cpuSeconds(running.pid)),
        postgresCpu: percent(before.postgres, cpuSecondsWithChildren(cluster.pid)),
        memory: residentMegabytes(running.pid),
        statements: rows.map(({ calls, text }) => ({ perMinute: perMinute(calls), text })),
      };
    });
  } finally {
    await running.stop();
  }
}
