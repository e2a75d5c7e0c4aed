/**
 * Starting executions: `executeWorkflow` through the API (token, rights, audit, job), beside the same function called by pgbench, or by a loop
 * over a driver where there is no pgbench; and `executeWorkflows`, many at once. In turns, medians and ratios. Nothing runs what is started.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { withClient } from '../src/schema/connection.ts';
import { signToken } from '../src/server/tokens.ts';
import { findFullPostgres } from '../test/support/debian-postgres.ts';
import { startCommand } from './support/api-processes.ts';
import { positive } from './support/options.ts';
import { withOwnCluster, type OwnCluster } from './support/own-cluster.ts';
import { median, underLoad } from './support/requests.ts';
import { printJson, printTable } from './support/table.ts';

interface Planted { tenantId: string; userId: string; sessionId: string; workflowId: string }

const bulkInputs = 1_000;

export const usage = `bench starts [--rounds 5] [--seconds 3] [--connections 16] [--json]`;

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' }, connections: { type: 'string', default: '16' }, json: { type: 'boolean', default: false } } });
  const options = { seconds: positive('seconds', values.seconds), connections: positive('connections', values.connections) };
  const mostRounds = positive('rounds', values.rounds);
  const speeds: Record<string, number[]> = {};
  await withOwnCluster({}, async (cluster) => {
    const planted = await plant(cluster);
    const api = await startCommand(cluster, 'server');
    try {
      const ways = waysOf(cluster, planted, api.url, options);
      for (let round = 0; round <= mostRounds; round += 1) {
        for (const [name, way] of Object.entries(ways)) {
          const perSecond = await way();
          process.stderr.write(`${round === 0 ? 'getting warm' : `round ${round}`}: ${name}: ${Math.round(perSecond)}/s\n`);
          if (round > 0) (speeds[name] ??= []).push(perSecond);
          // What waits for a worker is taken away: the jobs of one way are no burden of the next.
          await withClient(cluster.url('postgres'), (client) => client.query('truncate graphile_worker._private_jobs'));
        }
      }
    } finally {
      await api.stop();
    }
  });
  const direct = Object.keys(speeds)[0]!;
  const results = Object.entries(speeds).map(([way, rounds]) => ({ way, perSecond: median(rounds), ofDirect: median(rounds) / median(speeds[direct]!), ofSingle: median(rounds) / median(speeds['executeWorkflow']!), rounds }));
  if (values.json) return printJson(results);
  printTable(results.map(({ way, perSecond, ofDirect, ofSingle }) => ({ way, 'executions per s': Math.round(perSecond), [`of ${direct}`]: ofDirect.toFixed(2), 'of single': ofSingle.toFixed(2) })));
}

function waysOf(cluster: OwnCluster, planted: Planted, url: string, { seconds, connections }: { seconds: number; connections: number }): Record<string, () => Promise<number>> {
  const token = signToken({ userId: planted.userId, sessionId: planted.sessionId, tenantId: planted.tenantId, role: 'admin', expiresAt: new Date(Date.now() + 3_600_000) }, cluster.secrets.jwtSecret);
  const through = (query: string, variables: object, each: number) => async (): Promise<number> => {
    const authorization = `Bearer ${await token}`;
    const body = JSON.stringify({ query, variables });
    const { rate } = await underLoad({
      url, next: () => ({ path: '/graphql', method: 'POST', headers: { 'content-type': 'application/json', authorization }, body }),
      check: (text) => {
        if (text.includes('"errors"')) throw new Error(text.slice(0, 500));
      },
    }, each === 1 ? connections : 2, seconds);
    return rate * each;
  };
  const pgbench = findPgbench();
  return {
    [pgbench === null ? 'loop over a driver' : 'pgbench']: () => (pgbench === null ? byLoop(cluster, planted, seconds, connections) : byPgbench(pgbench, cluster, planted, seconds, connections)),
    executeWorkflow: through('mutation ($id: UUID!) { executeWorkflow(input: { workflowId: $id, initialState: { user_input: "x" } }) { execution { id status } } }', { id: planted.workflowId }, 1),
    [`executeWorkflows of ${bulkInputs}`]: through('mutation ($inputs: [WorkflowStartInput]!) { executeWorkflows(input: { inputs: $inputs }) { executions { id } } }',
      { inputs: Array.from({ length: bulkInputs }, () => ({ workflowId: planted.workflowId, initialState: { user_input: 'x' } })) }, bulkInputs),
  };
}

/** As the server does it: the caller's settings, then the function. */
function callOf({ tenantId, userId, workflowId }: Planted): string[] {
  return [
    'begin',
    `select set_config('role', 'agentflow_user', true), set_config('jwt.claims.tenant_id', '${tenantId}', true), set_config('jwt.claims.user_id', '${userId}', true), set_config('jwt.claims.role', 'admin', true)`,
    `select id, status from app_public.execute_workflow('${workflowId}', '{"user_input": "x"}')`,
    'commit',
  ];
}

function findPgbench(): string | null {
  const full = findFullPostgres();
  const program = full === null ? 'pgbench' : path.join(full.bin, 'pgbench');
  return spawnSync(program, ['--version']).status === 0 ? program : null;
}

async function byPgbench(program: string, cluster: OwnCluster, planted: Planted, seconds: number, connections: number): Promise<number> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-pgbench-'));
  try {
    const script = path.join(folder, 'start.sql');
    writeFileSync(script, `${callOf(planted).join(';\n')};\n`);
    const { stdout, stderr, status } = spawnSync(program, ['--no-vacuum', '--protocol=prepared', `--client=${connections}`, '--jobs=2', `--time=${seconds}`, `--file=${script}`, cluster.url('agentflow_authenticator')], { encoding: 'utf8' });
    const rate = /tps = ([\d.]+)/.exec(stdout)?.[1];
    if (status !== 0 || rate === undefined) throw new Error(`pgbench: ${stderr}`);
    return Number(rate);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function byLoop(cluster: OwnCluster, planted: Planted, seconds: number, connections: number): Promise<number> {
  const pool = new pg.Pool({ connectionString: cluster.url('agentflow_authenticator'), max: connections });
  const statements = callOf(planted);
  const end = performance.now() + seconds * 1_000;
  let done = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    const client = await pool.connect();
    for (; performance.now() < end; done += 1) for (const text of statements) await client.query(text);
    client.release();
  }));
  await pool.end();
  return done / seconds;
}

async function plant(cluster: OwnCluster): Promise<Planted> {
  return withClient(cluster.url('agentflow_owner'), async (client) => {
    const one = async (text: string, values: unknown[]): Promise<string> => (await client.query<{ id: string }>(text, values)).rows[0]!.id;
    const tenantId = await one(`insert into tenants (slug, name) values ('bench', 'bench') returning id`, []);
    const userId = await one(`insert into users (tenant_id, email, name, password_hash, role) values ($1, 'bench@example.com', 'bench', 'x', 'admin') returning id`, [tenantId]);
    const sessionId = await one(`insert into app_private.sessions (tenant_id, user_id, expires_at) values ($1, $2, now() + interval '1 day') returning id`, [tenantId, userId]);
    const workflowId = await one(`insert into workflows (tenant_id, user_id, name, spec, status) values ($1, $2, 'bench', $3, 'published') returning id`,
      [tenantId, userId, JSON.stringify({ nodes: [{ id: 'start', type: 'input' }], edges: [], start_node: 'start' })]);
    return { tenantId, userId, sessionId, workflowId };
  });
}
