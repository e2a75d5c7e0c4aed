/** What the engine's statements read when a session that has only known nearly empty tables meets a large one. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { EngineStore } from '../../src/store/engine-store.ts';
import { makePool } from '../../src/store/pool.ts';
import type { Ending, NodeRow } from '../../src/store/rows.ts';
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow, type TestWorkflow } from '../support/executions.ts';

const database = useTestDatabase();
const log = { warn: () => undefined };
const quietTimes = 280;
const burst = 3_000;
const batch = 100;

let session: pg.PoolClient;
let pool: pg.Pool;
let store: EngineStore;
/** Rows of executions that were looked at, by the name of the statement, since `forget`. */
let looks = new Map<string, number>();

/** All statements go through one session, each in a transaction of its own. */
beforeAll(async () => {
  pool = makePool(database.url('agentflow_worker'), { max: 1, name: 'test', log });
  session = await pool.connect();
  const worker = randomUUID();
  await session.query('select app_private.register_worker($1, $2, $3, $4)', [worker, 'test', 1, []]);
  const client = { query: counted, release: () => undefined };
  store = new EngineStore({ on: () => undefined, connect: async () => client } as unknown as pg.Pool, () => worker, log);
});
afterAll(async () => {
  session.release(true);
  await pool.end();
});

async function counted(query: string | { name: string; text: string; values: unknown[] }): Promise<unknown> {
  if (typeof query === 'string') return session.query(query);
  await session.query('begin');
  const before = await lookedAt();
  const result = await session.query(query);
  looks.set(query.name, (looks.get(query.name) ?? 0) + await lookedAt() - before);
  await session.query('commit');
  return result;
}

/** By this session, since some moment before the present transaction. */
async function lookedAt(): Promise<number> {
  const { rows } = await session.query<{ count: number }>(`select (seq_tup_read + idx_tup_fetch)::int as count from pg_stat_xact_user_tables where schemaname = 'app_public' and relname = 'executions'`);
  return rows[0]!.count;
}

const row: NodeRow = {
  nodeId: 'input', nodeType: 'input', sequence: 1, finishOrder: 1, attempts: 1, status: 'completed', input: null, output: null, writes: null,
  routeTarget: null, error: null, tokens: 0, costUnits: 0, waitSeconds: 0, wait: null, logs: null, startedMs: Date.now() - 5, completedMs: Date.now(),
};
const ending: Ending = { status: 'completed', finalState: {}, metrics: { tokens_used: 0, cost: 0, node_execution_times: {} }, tokens: 0, cost: 0, error: null };

async function newWorkflow(): Promise<TestWorkflow> {
  const { rows: [made] } = await database.owner.query<{ tenantId: string; userId: string }>(
    `with tenant as (insert into tenants (slug, name) values ('quiet', 'Quiet') returning id)
     insert into users (tenant_id, email, name, password_hash, role) select id, 'quiet@example.com', 'Quiet', 'x', 'admin' from tenant returning tenant_id as "tenantId", id as "userId"`);
  return insertWorkflow(database.owner, { nodes: [{ id: 'input', type: 'input' }], edges: [], queues: [], sources: [], start_node: 'input' }, made);
}

/** As most executions are written: claimed and ended. */
async function drive(id: string): Promise<boolean> {
  const claim = await store.claim(id);
  return store.finish(claim!, [row, { ...row, nodeId: 'end', sequence: 2, finishOrder: 2 }], ending);
}

test('after a long quiet time a burst is claimed, written and ended by keys: what is read does not grow with what waits', async () => {
  const workflow = await newWorkflow();
  for (let i = 0; i < quietTimes; i += 1) expect(await drive(await insertExecution(database.owner, workflow, {}))).toBe(true);
  const { rows } = await database.owner.query<{ id: string }>(
    `insert into executions (id, workflow_id, workflow_version_id, tenant_id, user_id, initial_state)
     select app_private.new_execution_id(), version.workflow_id, version.id, $2, $3, '{}' from workflow_versions as version, generate_series(1, $4::int) where version.workflow_id = $1
     returning id`, [workflow.id, workflow.tenantId, workflow.userId, burst]);
  looks = new Map();
  expect(await Promise.all(rows.slice(0, batch).map(({ id }) => drive(id)))).toEqual(Array.from({ length: batch }, () => true));
  expect([...looks.keys()]).toEqual(['claim', 'finish']);
  // A handful of looks by key for each. Whoever looks at what the tenant has, or at what waits, would look at hundreds for each.
  for (const count of looks.values()) expect(count).toBeLessThanOrEqual(batch * 6);
});
