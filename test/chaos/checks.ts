/** What must hold after any fault, in sentences about what does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { withClient } from '../../src/schema/connection.ts';
import { invariants } from '../../src/schema/verify.ts';
import { judgeFlows } from './flows.ts';
import { judgeParents } from './parents.ts';
import { persistently } from './asking.ts';
import { effects, type Scene } from './scene.ts';

export interface Outcome {
  executions: number;
  /** Calls at the outside beyond one for each effect. */
  repeatedCalls: number;
  /** From accepted to over, of the slowest, seconds. */
  slowest: number;
  /** Executions, from the first accepted to the last over. */
  perSecond: number;
  /** Of what killed workers drove, until another went on; null where none was killed or nothing asked. */
  recoveryP99: number | null;
  apiBack: number | null;
  problems: string[];
}

const settleSeconds = 30;
/** As the promise says, on a machine that has nothing else to do. */
const longestRecovery = process.env['CI'] ? Infinity : 10;

export async function judge(scene: Scene, left: number): Promise<Outcome> {
  const { owner, workflowId, outside } = scene;
  const [row] = await persistently<{ executions: number; slowest: number; seconds: number; wrong: number; states: string }>(owner, `
    select count(*)::int as executions, coalesce(extract(epoch from max(completed_at - created_at)), 0)::float8 as slowest, coalesce(extract(epoch from max(completed_at) - min(created_at)), 0)::float8 as seconds,
      count(*) filter (where status <> 'completed' or not final_state ?& $2)::int as wrong, string_agg(distinct status || coalesce(' ' || error_code, ''), ', ') as states
      from executions where workflow_id = $1`, [workflowId, effects]);
  const calls = [...outside.calls];
  const keys = calls.filter(([, { keys: used }]) => used.size !== 1);
  const total = calls.reduce((sum, [, { count }]) => sum + count, 0);
  const expected = row!.executions * effects.length;
  const recoveryP99 = await scene.recoveries.p99();
  const problems = [
    ...scene.problems,
    recoveryP99 !== null && recoveryP99 > longestRecovery ? `of what killed workers drove, 1 % had none that went on for ${recoveryP99} s` : null,
    left > 0 ? `${left} executions or flows are not over` : null,
    row!.wrong > 0 ? `${row!.wrong} executions did not complete with all of their results (${row!.states})` : null,
    left === 0 && calls.length !== expected ? `${calls.length} of ${expected} effects happened` : null,
    keys.length > 0 ? `${keys.length} effects were asked for under several idempotency keys` : null,
    ...left === 0 ? [...await traces(owner, workflowId), ...await judgeFlows(owner), ...await judgeParents(owner, scene.parentsId)] : [],
    ...await brokenInvariants(scene),
    ...await brokenIndexes(scene),
  ].filter((problem) => problem !== null);
  return { executions: row!.executions, repeatedCalls: total - calls.length, slowest: Number(row!.slowest.toFixed(1)), perSecond: Math.round(row!.executions / Math.max(0.1, row!.seconds)), recoveryP99, apiBack: scene.apiBack, problems };
}

/** Jobs and leases go a moment after their execution has ended. */
async function traces(owner: pg.Pool, workflowId: string): Promise<string[]> {
  const deadline = performance.now() + settleSeconds * 1_000;
  for (;;) {
    const [row] = await persistently<Record<'jobs' | 'leases' | 'nodes' | 'missing' | 'sums', number>>(owner, `
      with mine as materialized (select * from executions where workflow_id = $1)
      select (select count(*) from graphile_worker.jobs where key in (select id::text from mine))::int as jobs,
        (select count(*) from app_private.execution_leases where execution_id in (select id from mine))::int as leases,
        (select count(*) from node_executions where execution_id in (select id from mine) and status <> 'completed')::int as nodes,
        (select count(*) from mine where (select count(*) from node_executions as node where node.execution_id = mine.id) <> $2)::int as missing,
        (select count(*) from mine, lateral (select sum(node.tokens_used) as tokens, round(sum(node.cost), 4) as cost from node_executions as node where node.execution_id = mine.id) as nodes
          where mine.tokens_used is distinct from nodes.tokens or mine.cost is distinct from nodes.cost)::int as sums`,
    [workflowId, effects.length + 2]);
    const said = [
      row!.jobs > 0 ? `${row!.jobs} jobs have no execution to run` : null,
      row!.leases > 0 ? `${row!.leases} executions that are over are still leased` : null,
      row!.nodes > 0 ? `${row!.nodes} nodes of completed executions are not completed` : null,
      row!.missing > 0 ? `${row!.missing} executions have more or fewer nodes than their workflow` : null,
      row!.sums > 0 ? `tokens or cost of ${row!.sums} executions are not the sums of their nodes` : null,
    ].filter((problem) => problem !== null);
    if (said.length === 0 || performance.now() > deadline) return said;
    await sleep(500);
  }
}

function brokenInvariants({ cluster }: Scene): Promise<string[]> {
  return withClient(cluster.url('agentflow_owner'), async (client) => (await invariants(client)).flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`)));
}

/** What pg_amcheck does, without it: every B-tree against its table, and every table. */
async function brokenIndexes({ cluster }: Scene): Promise<string[]> {
  return withClient(cluster.url('postgres'), async (client) => {
    const schemas = `('app_public', 'app_private', 'graphile_worker')`;
    await client.query('create extension if not exists amcheck');
    const problems: string[] = [];
    const { rows: indexes } = await client.query<{ name: string }>(`
      select c.oid::regclass::text as name from pg_class c join pg_am m on m.oid = c.relam join pg_namespace n on n.oid = c.relnamespace join pg_index i on i.indexrelid = c.oid
       where c.relkind = 'i' and m.amname = 'btree' and n.nspname in ${schemas} and i.indisvalid`);
    for (const { name } of indexes) await client.query('select bt_index_parent_check($1::regclass, true)', [name]).catch((error: Error) => void problems.push(`${name}: ${error.message}`));
    const { rows: tables } = await client.query<{ name: string }>(`
      select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname in ${schemas}`);
    for (const { name } of tables) {
      const { rows } = await client.query<{ msg: string }>('select msg from verify_heapam($1::regclass)', [name]);
      problems.push(...rows.map(({ msg }) => `${name}: ${msg}`));
    }
    return problems;
  });
}
