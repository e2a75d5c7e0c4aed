/** cancel_execution: final at once, fenced, and told. */
import pg from 'pg';
import { useTestDatabase } from '../../support/database.ts';
import { type PlantedTenant, plantExecution, plantTenant, type RoleOfUser, rolesOfUsers } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
  }, { commit: true });
});

const executionIn = (status: 'pending' | 'running' | 'completed' | 'failed' | 'cancelled', tenant = ours): Promise<string> =>
  db.asRole('agentflow_owner', {}, (client) => plantExecution(client, {
    tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.operator, status,
  }), { commit: true });

const cancel = (id: string, role: RoleOfUser = 'operator', permissions?: Record<string, string[]>): Promise<Record<string, unknown>[]> =>
  as(db, claimsOf(ours, role, permissions))('select * from app_public.cancel_execution($1)', [id]);

test('a pending execution is final at once', async () => {
  const id = await executionIn('pending');
  const [row] = await cancel(id);
  expect(row).toMatchObject({
    id, status: 'cancelled', completed_at: expect.any(Date), error_message: 'cancelled', tokens_used: 0, cost: '0.0000', execution_time: '0.000',
    metrics: { execution_time: 0, tokens_used: 0, cost: 0, node_execution_times: {} },
  });
});

test('a running one keeps what its nodes did, and their order of finishing goes on', async () => {
  const id = await executionIn('running');
  await db.owner.query(`
    insert into app_public.node_executions (execution_id, execution_created_at, tenant_id, node_id, node_type, status, sequence_number, finish_order,
      tokens_used, cost, started_at, completed_at, wait_until)
    select executions.id, executions.created_at, executions.tenant_id, node.id, 'llm', node.status, node.sequence, node.finish_order,
      node.tokens, node.cost, now() - interval '3 seconds', case when node.finish_order is not null then now() - interval '1 second' end, node.wait_until
    from app_public.executions, (values
      ('done', 'completed', 1, 1, 100, 0.00004, null), ('busy', 'running', 2, null, 7, 0.00002, null),
      ('idle', 'waiting', 3, null, 0, 0, now() + interval '1 day')
    ) as node (id, status, sequence, finish_order, tokens, cost, wait_until)
    where executions.id = $1`, [id]);
  const [row] = await cancel(id);
  expect(row).toMatchObject({ status: 'cancelled', tokens_used: 107, cost: '0.0001' });
  expect(row!.metrics).toMatchObject({ tokens_used: 107, cost: 0.0001, node_execution_times: { done: 2, busy: expect.any(Number), idle: expect.any(Number) } });
  const { rows } = await db.owner.query(
    'select node_id, status, finish_order, wait_until from app_public.node_executions where execution_id = $1 order by finish_order', [id]);
  expect(rows).toEqual([
    { node_id: 'done', status: 'completed', finish_order: 1, wait_until: null },
    { node_id: 'busy', status: 'cancelled', finish_order: 2, wait_until: null },
    { node_id: 'idle', status: 'cancelled', finish_order: 3, wait_until: null },
  ]);
});

test('the worker that drives it has lost its lease', async () => {
  const id = await executionIn('running');
  await db.owner.query('insert into app_private.execution_leases (execution_id, tenant_id) values ($1, $2)', [id, ours.id]);
  await cancel(id);
  expect((await db.owner.query('select from app_private.execution_leases where execution_id = $1', [id])).rowCount).toBe(0);
});

test('its job goes with it, whenever that was due', async () => {
  const id = await executionIn('pending');
  await db.owner.query(`select app_private.enqueue_executions(array[$1::uuid], array['infinity'::timestamptz])`, [id]);
  await cancel(id);
  expect((await db.owner.query('select from graphile_worker.jobs where key = $1', [id])).rowCount).toBe(0);
});

test('listeners hear of it, by ids alone', async () => {
  const id = await executionIn('running');
  const listener = new pg.Client({ connectionString: db.url('agentflow_owner') });
  await listener.connect();
  try {
    const heard: string[] = [];
    listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
    await listener.query('listen agentflow');
    await cancel(id);
    while (heard.length === 0) await listener.query('select');
    expect(heard.map((payload) => JSON.parse(payload) as unknown)).toEqual([{ executions: [[ours.id, id]] }]);
  } finally {
    await listener.end();
  }
});

test.each(['completed', 'failed', 'cancelled'] as const)('one that is %s stays so', async (status) => {
  const id = await executionIn(status);
  expect(await refusal(cancel(id))).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION, message: expect.stringContaining(status) });
});

test('a foreign one is answered like an unknown one', async () => {
  const foreign = await refusal(cancel(await executionIn('running', theirs)));
  expect(foreign).toMatchObject({ code: sqlstates.NOT_FOUND, column: 'id' });
  expect(foreign).toEqual(await refusal(cancel(unknownId)));
});

test.each(rolesOfUsers)('the right is asked for: %s', async (role) => {
  const id = await executionIn('running');
  if (role === 'viewer') expect((await refusal(cancel(id, role))).code).toBe(sqlstates.PERMISSION_DENIED);
  else expect(await cancel(id, role)).toMatchObject([{ status: 'cancelled' }]);
});

test('an API key needs executions: execute', async () => {
  const id = await executionIn('running');
  expect((await refusal(cancel(id, 'admin', { workflows: ['execute'], executions: ['read'] }))).code).toBe(sqlstates.PERMISSION_DENIED);
  expect(await cancel(id, 'admin', { executions: ['execute'] })).toMatchObject([{ status: 'cancelled' }]);
});
