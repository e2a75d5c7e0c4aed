/** What a run of a flow writes, statement by statement: a worker that dies after any of them leaves nothing that changes the end. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { FlowEnding, StoredTask, TaskRow } from '../../../src/store/flow-rows.ts';
import { FlowStore } from '../../../src/store/flow-store.ts';
import { flowRunId } from '../../../src/store/flow-run-id.ts';
import type { LeaseRef } from '../../../src/store/rows.ts';
import { useTestDatabase } from '../../support/database.ts';
import { plantTenant, type PlantedTenant } from '../support/plant.ts';
import { as, claimsOf, refusal } from './acting.ts';

let pool: pg.Pool;
afterAll(() => pool.end()); // before the database goes
const db = useTestDatabase();
const names = ['a', 'b', 'c'];
const log = { warn: () => undefined };
let ours: PlantedTenant;

beforeAll(async () => {
  ours = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
  await db.owner.query(`insert into flows (tenant_id, id, name, start_task, definition, is_active) values ($1, 'chain', 'chain', 'a', $2, 1)`,
    [ours.id, { id: 'chain', name: 'chain', start_task: 'a', tasks: names.map((name) => ({ name })), conditions: [] }]);
  pool = new pg.Pool({ connectionString: db.url('agentflow_worker') });
  const worker = await live();
  await db.asRole('agentflow_worker', {}, (client) => client.query('select app_private.register_flow_tasks($1, $2, null)', [worker.id, names]), { commit: true });
});

interface LivingWorker { id: string; store: FlowStore }

/** One that nobody has killed yet: its lock is free, so that the next sweep takes it for dead. */
async function live(): Promise<LivingWorker> {
  const id = randomUUID();
  await db.owner.query(`insert into app_private.workers (id, lock_key, host, process_id) values ($1::uuid, hashtext($1::text), 'here', 1)`, [id]);
  return { id, store: new FlowStore(pool, () => id, log) };
}

const sweep = (worker: LivingWorker): Promise<unknown> => pool.query('select app_private.sweep_workers($1)', [worker.id]);

async function start(): Promise<{ id: string; runId: string }> {
  const [row] = await as(db, claimsOf(ours, 'operator'))<{ id: string }>(`select id::text from app_public.execute_flows_by_priority(array[row('chain', '{"n": 1}', null, null)::app_public.flow_start_by_priority])`);
  return { id: row!.id, runId: flowRunId(row!.id) };
}

const taskRow = (sequence: number): TaskRow => ({
  task: names[sequence - 1]!, description: null, sequence, status: 'SUCCESS', attempts: 1, input: { n: sequence }, output: { made: sequence },
  error: null, traceback: null, wait: null, logs: null, startedMs: 1_700_000_000_000 + sequence, completedMs: 1_700_000_000_500 + sequence,
});
const ending: FlowEnding = { status: 'COMPLETED', outputData: { n: 1 }, tasksExecuted: 3, error: null };

/** What a worker writes after its claim: the first two tasks by themselves, the third with the end. Those that are stored are not written again. */
function writes({ store }: LivingWorker, lease: LeaseRef, stored: readonly StoredTask[]): (() => Promise<boolean>)[] {
  const isNew = (sequence: number): boolean => stored.every(({ sequence_number: known }) => known !== sequence);
  const checkpoints = [1, 2].filter(isNew).map((sequence) => () => store.checkpoint(lease, [taskRow(sequence)]));
  return [...checkpoints, () => store.finish(lease, [taskRow(3)], ending)];
}

/** Those are left out that no two runs share. */
async function kept(id: string): Promise<unknown> {
  const { rows } = await db.owner.query(`
    select execution.status, execution.output_data, execution.total_tasks_executed, execution.started_at > execution.created_at as has_begun, execution.completed_at >= execution.started_at as is_over,
      (select json_agg(json_build_array(task_name, sequence_number, status, attempts, input_data, output_data, started_at, completed_at) order by sequence_number)
         from task_executions as task where task.flow_execution_id = execution.id) as tasks,
      (select count(*)::int from app_private.execution_leases as lease where lease.execution_id = app_private.flow_run_id(execution.id)) as leases
    from flow_executions as execution where id = $1`, [id]);
  return rows[0];
}

test('a run that nobody interrupts is claimed, written after each task, and shown as running only when asked for', async () => {
  const worker = await live();
  const { id, runId } = await start();
  const claim = (await worker.store.claim(runId))!;
  expect(claim).toMatchObject({ flowExecutionId: id, attempt: 1, losses: 0, inputContext: { n: 1 }, tasks: null, isBegun: false, ageSeconds: 0 });
  expect(await worker.store.checkpoint(claim, [taskRow(1)])).toBe(true);
  expect(await kept(id)).toMatchObject({ status: 'PENDING', leases: 1 });
  expect(await worker.store.checkpoint(claim, [], true)).toBe(true);
  expect(await kept(id)).toMatchObject({ status: 'RUNNING', has_begun: true });
  expect(await worker.store.finish(claim, [taskRow(2), taskRow(3)], ending)).toBe(true);
  expect(await kept(id)).toMatchObject({ status: 'COMPLETED', total_tasks_executed: 3, is_over: true, leases: 0 });
});

test.each([0, 1, 2, 3, 4])('a worker that dies after %i of its statements: another makes the same of it, and the dead one writes nothing more', async (count) => {
  const { id: wholeId, runId: wholeRun } = await start();
  const alone = await live();
  for (const write of writes(alone, (await alone.store.claim(wholeRun))!, [])) expect(await write()).toBe(true);

  const dies = await live();
  const { id, runId } = await start();
  const claim = count === 0 ? null : (await dies.store.claim(runId))!;
  const before = claim === null ? [] : writes(dies, claim, []);
  for (const write of before.slice(0, count - 1)) expect(await write()).toBe(true);
  const next = await live();
  await sweep(next);
  const again = await next.store.claim(runId);
  expect(again?.attempt ?? null).toBe(count === 4 ? null : count === 0 ? 1 : 2);
  for (const write of claim === null ? [] : writes(dies, claim, [])) expect(await write()).toBe(false);
  if (again !== null) {
    expect((again.tasks ?? []).map(({ task_name: task }) => task)).toEqual(names.slice(0, Math.max(0, count - 1)));
    for (const write of writes(next, again, again.tasks ?? [])) expect(await write()).toBe(true);
  }
  expect(await kept(id)).toEqual(await kept(wholeId));
});

test('one that was given back while it waits is running, and what was written is never written over', async () => {
  const worker = await live();
  const { id, runId } = await start();
  const claim = (await worker.store.claim(runId))!;
  expect(await worker.store.release(claim, [taskRow(1)], new Date().toISOString(), true)).toBe(true);
  expect(await kept(id)).toMatchObject({ status: 'RUNNING' });
  const again = (await worker.store.claim(runId))!;
  expect(again).toMatchObject({ attempt: 2, isBegun: true });
  expect(again.ageSeconds).toBeGreaterThan(0);
  expect(await worker.store.checkpoint(again, [{ ...taskRow(1), output: { made: 'anew' } }])).toBe(true);
  expect(await kept(id)).toMatchObject({ tasks: [['a', 1, 'SUCCESS', 1, { n: 1 }, { made: 1 }, expect.anything(), expect.anything()]] });
  expect(await worker.store.finish(again, [], { status: 'FAILURE', outputData: null, tasksExecuted: 1, error: { code: 'TASK_FAILED', message: 'no', task: 'a' } })).toBe(true);
  expect(await kept(id)).toMatchObject({ status: 'FAILURE' });
});

test('a task that has ended clears the count of losses; one that runs does not', async () => {
  const worker = await live();
  const { runId } = await start();
  const claim = (await worker.store.claim(runId))!;
  await db.owner.query('update app_private.execution_leases set losses = 5 where execution_id = $1', [runId]);
  await worker.store.checkpoint(claim, [{ ...taskRow(1), status: 'RUNNING', completedMs: null }], true);
  await worker.store.release(claim, [], null);
  const again = (await worker.store.claim(runId))!;
  expect(again).toMatchObject({ losses: 5 });
  await worker.store.release(again, [taskRow(1)], null);
  expect(await worker.store.claim(runId)).toMatchObject({ losses: 0 });
});

test('a worker of the version before goes on beside newer ones: its calls mean what they meant', async () => {
  const { id: worker } = await live();
  const { id, runId } = await start();
  const { rows: [claim] } = await pool.query('select * from app_private.claim_flow_executions($1, $2)', [worker, [runId]]);
  expect(Object.keys(claim as object)).toEqual(['id', 'flow_execution_id', 'attempt', 'losses', 'tenant_id', 'tenant_slug', 'user_id', 'now_ms', 'age_seconds', 'definition', 'input_context', 'script', 'tasks']);
  const task = JSON.stringify([{ execution_id: runId, attempt: 1, task_name: 'a', sequence_number: 1, status: 'SUCCESS', attempts: 1, input_data: {}, output_data: 1, started_ms: 1, completed_ms: 2 }]);
  expect((await pool.query('select app_private.checkpoint_flow_executions($1, $2, $3, $4) as lost', [worker, [runId], [1], task])).rows).toEqual([{ lost: [] }]);
  expect((await pool.query('select app_private.release_flow_executions($1, $2, $3, $4, $5) as lost', [worker, [runId], [1], [null], '[]'])).rows).toEqual([{ lost: [] }]);
  await pool.query('select * from app_private.claim_flow_executions($1, $2)', [worker, [runId]]);
  const end = JSON.stringify([{ execution_id: runId, attempt: 2, status: 'COMPLETED', output_data: {}, total_tasks_executed: 1 }]);
  expect((await pool.query('select app_private.finish_flow_executions($1, $2, $3) as lost', [worker, end, '[]'])).rows).toEqual([{ lost: [] }]);
  expect(await kept(id)).toMatchObject({ status: 'COMPLETED', is_over: true, leases: 0 });
});

test('a bulk start counts with all of its executions: what is beyond the quota is refused as a whole', async () => {
  const countOf = async (): Promise<number> => (await db.owner.query<{ count: number }>('select count(*)::int as count from flow_executions where tenant_id = $1', [ours.id])).rows[0]!.count;
  const before = await countOf();
  await db.owner.query(`update tenants set quotas = jsonb_build_object('executions_per_day', (select count(*) from executions where tenant_id = $1) + $2::int + 3) where id = $1`, [ours.id, before]);
  const startMany = (count: number): Promise<unknown> => as(db, claimsOf(ours, 'operator'))(
    `select id from app_public.execute_flows_by_priority(array(select row('chain', '{}', null, null)::app_public.flow_start_by_priority from generate_series(1, $1::int)))`, [count]);
  expect(await refusal(startMany(4))).toMatchObject({ code: 'AF429', message: expect.stringContaining('executions_per_day') as string });
  expect(await countOf()).toBe(before);
  await startMany(3);
  expect(await countOf()).toBe(before + 3);
  expect(await refusal(startMany(1))).toMatchObject({ code: 'AF429' });
});
