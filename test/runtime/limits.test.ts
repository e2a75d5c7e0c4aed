/** How much one tenant, one workflow, one kind of node may have of a worker process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { KindSlots } from '../../src/runtime/kind-slots.ts';
import { Place, Places } from '../../src/runtime/places.ts';
import { openOutside, type Outside } from '../chaos/outside.ts';
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow, type TestWorkflow } from '../support/executions.ts';
import { startTestWorker, untilExecution, untilOver } from '../support/worker.ts';

const ofTenant = (tenantId: string, workflowId = 'w'): { tenantId: string; workflowId: string } => ({ tenantId, workflowId });

describe('places', () => {
  test('as many as the limits say; a place that is left goes to whoever has waited longest and may', async () => {
    const places = new Places({ perTenant: 2, perWorkflow: 1 }, 10);
    const first = places.ask(ofTenant('a', 'v')) as Place;
    const second = places.ask(ofTenant('a', 'w')) as Place;
    expect([first, second, places.ask(ofTenant('b', 'w'))].every((place) => place instanceof Place)).toBe(true);
    const order: string[] = [];
    const wait = (name: string, workflow: string): Promise<unknown> => (places.ask(ofTenant('a', workflow)) as { wait(signal: AbortSignal): Promise<Place | null> })
      .wait(new AbortController().signal).then(() => order.push(name));
    const waits = [wait('the workflow that is full', 'w'), wait('another workflow', 'x')];
    first.leave();
    first.leave();
    await waits[1];
    expect(order).toEqual(['another workflow']);
    second.leave();
    await waits[0];
    expect(order).toHaveLength(2);
  });

  test('whoever is told to stop waiting has no place; too many are told moments of their own', async () => {
    const places = new Places({ perTenant: 1, perWorkflow: null }, 10);
    places.ask(ofTenant('a'));
    const stop = new AbortController();
    const waiting = [0, 1].map(() => (places.ask(ofTenant('a')) as { wait(signal: AbortSignal): Promise<Place | null> }).wait(stop.signal));
    const moments = [0, 1, 2].map(() => (places.ask(ofTenant('a')) as { againInMs: number }).againInMs);
    expect(moments[0]! < moments[1]! && moments[1]! < moments[2]!).toBe(true);
    stop.abort();
    expect(await Promise.all(waiting)).toEqual([null, null]);
  });
});

test('slots of a kind: tenants take turns, and a kind without a limit has no line', async () => {
  const slots = new KindSlots({ llm: 1 });
  expect(slots.take('api')).not.toBeNull();
  let held = slots.take('llm')!;
  expect(slots.take('llm')).toBeNull();
  const order: string[] = [];
  const stop = new AbortController();
  const line = ['a', 'a', 'a', 'b'].map((tenant) => slots.wait('llm', tenant, new AbortController().signal).then((slot) => {
    order.push(tenant);
    held = slot;
  }));
  const given = slots.wait('llm', 'c', stop.signal);
  stop.abort(new Error('stopped'));
  await expect(given).rejects.toThrow('stopped');
  for (let turn = 0; turn < line.length; turn += 1) {
    held.free();
    await sleep(0);
  }
  await Promise.all(line);
  expect(order).toEqual(['a', 'b', 'a', 'a']);
});

describe('a worker', () => {
  const database = useTestDatabase({ samples: true });
  let outside: Outside;
  let limited: TestWorkflow;
  let free: TestWorkflow;
  let worker: RunningWorker | null = null;

  /** One call, of 200 ms. */
  const workflow = async (path: string): Promise<TestWorkflow> => insertWorkflow(database.owner, {
    nodes: [{ id: 'input', type: 'input' }, { id: 'call', type: 'api', metadata: { source: 'outside', method: 'POST', path } }], edges: [{ from: 'input', to: 'call' }],
    sources: [{ id: 'outside', kind: 'api', config: { base_url: `http://${outside.address}` } }], start_node: 'input',
  });
  const pure = (): Promise<TestWorkflow> => insertWorkflow(database.owner, { nodes: [{ id: 'input', type: 'input' }], edges: [], start_node: 'input' });

  beforeAll(async () => {
    outside = await openOutside(200);
    limited = await workflow('/{run}');
    free = await pure();
  });
  beforeEach(() => void outside.readMost());
  afterEach(() => worker?.close(5_000));
  afterAll(() => outside.close());

  const start = (settings: object): Promise<RunningWorker> => startTestWorker(database, { allowHosts: [outside.address], ...settings });
  const startMany = (count: number): Promise<string[]> => Promise.all(Array.from({ length: count }, (_, n) => insertExecution(database.owner, limited, { run: `r${n}-${Math.random()}` })));

  test('drives no more executions of a workflow than it may, however few slots it has, and all of them in the end; others do not wait for these', async () => {
    const ids = await startMany(12);
    const other = await insertExecution(database.owner, free, {});
    worker = await start({ workerConcurrency: 3, workerLimits: { perTenant: null, perWorkflow: 2, perNodeKind: {} } });
    await untilOver(database, other);
    const { rows } = await database.owner.query('select from executions where id = any($1) and completed_at is null', [ids]);
    expect(rows.length).toBeGreaterThan(0);
    for (const id of ids) expect((await untilOver(database, id)).status).toBe('completed');
    expect(outside.readMost()).toBeLessThanOrEqual(2);
  });

  test('runs no more nodes of a kind than it may; those that wait hold no slot, and say for what they wait', async () => {
    const ids = await startMany(8);
    worker = await start({ workerConcurrency: 2, workerLimits: { perTenant: null, perWorkflow: null, perNodeKind: { api: 1 } } });
    const told = await Promise.any(ids.map((id) => untilExecution(database, id, ({ nodes }) => nodes.some(({ status }) => status === 'rate_limited'))));
    expect(told.nodes.find(({ node_id }) => node_id === 'call')).toMatchObject({ wait_reason: 'rate_limit' });
    const other = await insertExecution(database.owner, free, {});
    await untilOver(database, other);
    const { rows } = await database.owner.query('select from executions where id = any($1) and completed_at is null', [ids]);
    expect(rows.length).toBeGreaterThan(0);
    for (const id of ids) expect((await untilOver(database, id)).status).toBe('completed');
    expect(outside.readMost()).toBe(1);
    expect([...outside.calls.values()].every(({ count }) => count === 1)).toBe(true);
  });

  test('a flow has as much as a workflow: one that is driven keeps others of its own waiting, and no other flow', async () => {
    worker = await start({ workerConcurrency: 4, workerLimits: { perTenant: null, perWorkflow: 1, perNodeKind: {} }, testTasks: { pattern: '.' } });
    const execute = async (flow: string, context: object): Promise<string> => (await database.asRole('agentflow_user', { tenant_id: limited.tenantId, user_id: limited.userId, role: 'admin' },
      (client) => client.query<{ id: string }>('select id from app_public.execute_flow($1, $2)', [flow, context]), { commit: true })).rows[0]!.id;
    const until = async (id: string, status: string): Promise<void> => {
      while ((await database.owner.query('select from flow_executions where id = $1 and status = $2', [id, status])).rowCount === 0) await sleep(20);
    };
    for (const id of ['held', 'passing']) await database.owner.query(`insert into flows (tenant_id, id, name, start_task, definition, is_active) values ($1, $2, $2, 'a', $3, 1)`, [limited.tenantId, id, { id, name: id, start_task: 'a', tasks: [{ name: 'a' }], conditions: [] }]);
    const held = await execute('held', { __script: { a: { delay_ms: 100_000 } } });
    await until(held, 'RUNNING');
    const next = await execute('held', {});
    await until(await execute('passing', {}), 'COMPLETED');
    expect((await database.owner.query('select status from flow_executions where id = $1', [next])).rows).toEqual([{ status: 'PENDING' }]);
    await database.asRole('agentflow_user', { tenant_id: limited.tenantId, user_id: limited.userId, role: 'admin' }, (client) => client.query('select app_public.cancel_flow_execution($1)', [held]), { commit: true });
    await until(next, 'COMPLETED');
  });

  test('gives back those that wait when it stops, and another goes on', async () => {
    const ids = await startMany(6);
    worker = await start({ workerConcurrency: 2, workerLimits: { perTenant: 1, perWorkflow: null, perNodeKind: { api: 1 } } });
    await Promise.any(ids.map((id) => untilOver(database, id)));
    await worker.close(5_000);
    const { rows } = await database.owner.query('select from app_private.execution_leases where worker_id is not null');
    expect(rows).toEqual([]);
    worker = await start({ workerConcurrency: 10 });
    for (const id of ids) expect((await untilOver(database, id)).status).toBe('completed');
  });

  test('lets go of one that is cancelled while it waits', async () => {
    const ids = await startMany(3);
    worker = await start({ workerConcurrency: 2, workerLimits: { perTenant: 1, perWorkflow: null, perNodeKind: {} } });
    await database.asRole('agentflow_user', { tenant_id: limited.tenantId, user_id: limited.userId, role: 'admin' }, (client) => client.query('select app_public.cancel_execution($1)', [ids[2]]), { commit: true });
    const ends = await Promise.all(ids.map((id) => untilOver(database, id)));
    expect(ends.slice(0, 2).map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(['cancelled', 'completed']).toContain(ends[2]!.status);
  });
});
