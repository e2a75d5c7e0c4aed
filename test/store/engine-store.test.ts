/** The engine's statements against the real schema: what a lease allows, and what it refuses. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Ending, NodeRow } from '../../src/store/rows.ts';
import { claimed, sweep, useBareWorkers } from '../support/bare-workers.ts';
import { useTestDatabase } from '../support/database.ts';

const database = useTestDatabase({ samples: true });
const { makeWorker, pendingExecution, die } = useBareWorkers(database);

function row(over: Partial<NodeRow> = {}): NodeRow {
  return {
    nodeId: 'input', nodeType: 'input', sequence: 1, finishOrder: 1, attempts: 1, status: 'completed', input: 'x', output: { text: 'x' }, writes: { seen: true },
    routeTarget: null, error: null, tokens: 3, costUnits: 12_345, waitSeconds: 0, wait: null, logs: null, startedMs: Date.now() - 5, completedMs: Date.now(), ...over,
  };
}

const ending: Ending = { status: 'completed', finalState: { done: true }, metrics: { tokens_used: 3, cost: 0, node_execution_times: {} }, tokens: 3, cost: 0, error: null };

async function statusOf(id: string): Promise<string> {
  const { rows } = await database.owner.query<{ status: string }>('select status from executions where id = $1', [id]);
  return rows[0]!.status;
}

async function nodesOf(id: string): Promise<Record<string, unknown>[]> {
  const { rows } = await database.owner.query<Record<string, unknown>>('select * from node_executions where execution_id = $1 order by sequence_number', [id]);
  return rows;
}

test('a row and its job commit together, and the job holds the id alone', async () => {
  const id = await pendingExecution();
  const { rows } = await database.owner.query<{ payload: object; key: string }>(
    'select payload, key from graphile_worker._private_jobs where key = $1', [id]);
  expect(rows).toEqual([{ payload: { id }, key: id }]);
});

test('a claim gives what is needed to drive the execution, and a checkpoint or a release that says so marks it as running from the claim on', async () => {
  const { store, session } = await makeWorker();
  const id = await pendingExecution({ user_input: 'hello', list: [1] });
  const claim = await claimed(store, id);
  expect(claim).toMatchObject({ executionId: id, attempt: 1, losses: 0, initialState: { user_input: 'hello', list: [1] }, nodes: null, isBegun: false });
  expect(await statusOf(id)).toBe('pending');
  expect(await store.checkpoint(claim, [], true)).toBe(true);
  expect(await statusOf(id)).toBe('running');
  const { rows } = await database.owner.query(`select started_at = claimed_at as is_of_claim from executions join app_private.execution_leases on execution_id = id where id = $1`, [id]);
  expect(rows).toEqual([{ is_of_claim: true }]);
  const { executionId, ...other } = await claimed(store, await pendingExecution());
  await store.release({ executionId, ...other }, [], null, true);
  expect(await statusOf(executionId)).toBe('running');
  session.release(true);
});

test('an execution that was never marked as running has run since its claim', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  const { rows: leases } = await database.owner.query('select claimed_at as started_at from app_private.execution_leases where execution_id = $1', [claim.executionId]);
  await store.finish(claim, [row()], ending);
  expect((await database.owner.query('select started_at from executions where id = $1', [claim.executionId])).rows).toEqual(leases);
  session.release(true);
});

test('unknown ids and executions that are over or held are left out', async () => {
  const [one, other] = [await makeWorker(), await makeWorker()];
  const [held, over] = [await pendingExecution(), await pendingExecution()];
  await claimed(one.store, held);
  await one.store.finish(await claimed(one.store, over), [], ending);
  expect(await Promise.all([held, over, randomUUID()].map((id) => other.store.claim(id)))).toEqual([null, null, null]);
  one.session.release(true);
  other.session.release(true);
});

test('a checkpoint keeps a node row with everything that a replay needs', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  expect(await store.checkpoint(claim, [row({ routeTarget: 'there' })])).toBe(true);
  expect(await nodesOf(claim.executionId)).toMatchObject([{
    node_id: 'input', node_type: 'input', sequence_number: 1, finish_order: 1, attempts: 1, status: 'completed', input: 'x', output: { text: 'x' },
    writes: { seen: true }, route_target: 'there', tokens_used: 3, cost: '0.0000012345',
  }]);
  session.release(true);
});

test.each([true, false])('a finished node is never overwritten, and keeps no other from being written (said that it may exist: %s)', async (mayExist) => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  await store.checkpoint(claim, [row({ output: 'first' })]);
  await store.checkpoint(claim, [row({ output: 'second', status: 'failed', mayExist }), row({ nodeId: 'other', sequence: 2, finishOrder: 2, output: 'new' })]);
  expect(await nodesOf(claim.executionId)).toMatchObject([{ output: 'first', status: 'completed' }, { node_id: 'other', output: 'new' }]);
  session.release(true);
});

test('a wait that is written again, as its answer was lost, keeps what has come of it meanwhile; another wait of the node does not', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  const wait = { reason: 'approval', until: null, details: { message: 'Go on?' } };
  const waiting = row({ nodeType: 'approval', status: 'waiting', finishOrder: null, completedMs: null, output: undefined, writes: null, wait });
  await store.checkpoint(claim, [waiting]);
  await database.owner.query(`select app_private.resume_node(tenant_id, execution_id, node_id, '"yes"') from node_executions where execution_id = $1`, [claim.executionId]);
  await store.checkpoint(claim, [waiting]);
  expect(await nodesOf(claim.executionId)).toMatchObject([{ wait_details: { message: 'Go on?', result: 'yes' } }]);
  await store.checkpoint(claim, [{ ...waiting, attempts: 2 }]);
  expect((await nodesOf(claim.executionId))[0]!['wait_details']).toEqual({ message: 'Go on?' });
  await database.owner.query(`select app_private.resume_node(tenant_id, execution_id, node_id, '"no"') from node_executions where execution_id = $1`, [claim.executionId]);
  await store.checkpoint(claim, [{ ...waiting, attempts: 2, wait: { ...wait, details: { message: 'And now?' } } }]);
  expect((await nodesOf(claim.executionId))[0]!['wait_details']).toEqual({ message: 'And now?' });
  session.release(true);
});

test('a stale attempt writes nothing: no checkpoint, no end, no release', async () => {
  const [stale, fresh] = [await makeWorker(), await makeWorker()];
  const old = await claimed(stale.store, await pendingExecution());
  await die(stale.session); // its lock goes free: it looks dead
  await sweep(fresh);
  const taken = await claimed(fresh.store, old.executionId);
  expect(taken.attempt).toBe(2);

  expect(await stale.store.checkpoint(old, [row()])).toBe(false);
  expect(await stale.store.finish(old, [row()], ending)).toBe(false);
  expect(await stale.store.release(old, [row()], null)).toBe(false);
  expect(await stale.store.checkpoint(old, [], true)).toBe(false);
  expect(await nodesOf(old.executionId)).toEqual([]);
  expect(await statusOf(old.executionId)).toBe('pending');

  expect(await fresh.store.finish(taken, [row()], ending)).toBe(true);
  expect(await statusOf(old.executionId)).toBe('completed');
  fresh.session.release(true);
});

test('the right worker with a stale attempt is refused as well', async () => {
  const { store, session } = await makeWorker();
  const first = await claimed(store, await pendingExecution());
  await store.release(first, [], new Date().toISOString());
  const second = await claimed(store, first.executionId);
  expect(second.attempt).toBe(2);
  expect(await store.checkpoint(first, [row()])).toBe(false);
  expect((await store.look([first, second])).lost).toEqual([first.executionId]);
  session.release(true);
});

test('one lost execution in a batch takes nothing from the others', async () => {
  const { store, session } = await makeWorker();
  const [kept, lost] = [await claimed(store, await pendingExecution()), await claimed(store, await pendingExecution())];
  await store.finish(lost, [], ending);
  expect(await Promise.all([store.checkpoint(kept, [row()]), store.checkpoint(lost, [row()])])).toEqual([true, false]);
  expect(await nodesOf(kept.executionId)).toHaveLength(1);
  session.release(true);
});

test('the end writes state, metrics and times, and takes the lease away', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  const error = { code: 'NODE_FAILED', message: "Node 'a' failed", nodeId: 'a' };
  await store.finish(claim, [row()], { ...ending, status: 'failed', error, tokens: 7, cost: 0.0123 });
  const { rows } = await database.owner.query<Record<string, unknown>>(
    `select status, final_state, metrics, tokens_used, cost, execution_time, error_code, error_message, error_node_id, completed_at is not null as over,
            (metrics ->> 'execution_time')::numeric = execution_time as same_time
       from executions where id = $1`, [claim.executionId]);
  expect(rows[0]).toMatchObject({
    status: 'failed', final_state: { done: true }, tokens_used: 7, cost: '0.0123', error_code: 'NODE_FAILED', error_message: "Node 'a' failed", error_node_id: 'a',
    over: true, same_time: true,
  });
  const { rowCount } = await database.owner.query('select from app_private.execution_leases where execution_id = $1', [claim.executionId]);
  expect(rowCount).toBe(0);
  session.release(true);
});

test('a release keeps the nodes and brings them back with the next claim, in order of finishing', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  await store.release(claim, [
    row({ nodeId: 'late', sequence: 2, finishOrder: 2 }), row(),
    row({ nodeId: 'waits', sequence: 3, finishOrder: null, status: 'waiting', wait: { reason: 'delay', until: '2031-01-01T00:00:00Z', details: { why: 'x' } } }),
  ], '2031-01-01T00:00:00Z');
  const { rows } = await database.owner.query<{ at: string }>('select run_at::text as at from graphile_worker.jobs where key = $1', [claim.executionId]);
  expect(rows).toHaveLength(1);
  expect(new Date(rows[0]!.at)).toEqual(new Date('2031-01-01T00:00:00Z'));
  const again = await claimed(store, claim.executionId);
  expect(again.nodes?.map((node) => [node.node_id, node.status, node.wait_reason])).toEqual(
    [['input', 'completed', null], ['late', 'completed', null], ['waits', 'waiting', 'delay']]);
  session.release(true);
});

test('a bad row fails alone, and says so', async () => {
  const { store, session } = await makeWorker();
  const [good, bad] = [await claimed(store, await pendingExecution()), await claimed(store, await pendingExecution())];
  const [written, refused] = await Promise.allSettled([store.checkpoint(good, [row()]), store.checkpoint(bad, [row({ sequence: 0 })])]);
  expect(written).toEqual({ status: 'fulfilled', value: true });
  expect(refused).toMatchObject({ status: 'rejected', reason: { constraint: 'chk_node_executions_sequence_number' } });
  session.release(true);
});

test('changes are told with ids and tenants only', async () => {
  const listener = new pg.Client({ connectionString: database.url('agentflow_worker') });
  await listener.connect();
  const heard: string[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
  await listener.query('listen agentflow');
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  await store.checkpoint(claim, [], true);
  await store.finish(claim, [row()], ending);
  await listener.query('select 1');
  expect(heard.map((payload) => JSON.parse(payload) as unknown)).toEqual(
    [{ executions: [[claim.tenantId, claim.executionId]] }, { executions: [[claim.tenantId, claim.executionId]] }]);
  await listener.end();
  session.release(true);
});

test('a payload of NOTIFY stays below its limit however many executions changed', async () => {
  const listener = new pg.Client({ connectionString: database.url('agentflow_owner') });
  await listener.connect();
  const heard: string[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
  await listener.query('listen agentflow');
  const ids = Array.from({ length: 300 }, () => randomUUID());
  await database.owner.query('select app_private.notify_executions($1, $1)', [ids]);
  await listener.query('select 1');
  expect(Math.max(...heard.map((payload) => payload.length))).toBeLessThan(7_900);
  const told = heard.flatMap((payload) => (JSON.parse(payload) as { executions: [string, string][] }).executions.map(([, id]) => id));
  expect(new Set(told)).toEqual(new Set(ids));
  await listener.end();
});
