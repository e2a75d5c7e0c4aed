/** Quotas of a tenant: whichever statement starts something, what is beyond them is refused, and the other tenant is not counted. */
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantExecution, plantTenant, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;
let published: string;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
    published = await one<string>(client, `insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, 'p', $3, 'published') returning id`, [ours.id, ours.users.architect, smallestSpec]);
  }, { commit: true });
});

afterEach(async () => {
  await db.owner.query(`update app_public.tenants set quotas = '{}'`);
});

const setQuotas = (quotas: unknown, tenant = ours): Promise<unknown> => db.owner.query('update app_public.tenants set quotas = $2 where id = $1', [tenant.id, JSON.stringify(quotas)]);
const start = (): Promise<unknown> => as(db, claimsOf(ours, 'operator'))('select id from app_public.execute_workflow($1, $2)', [published, '{}']);
const startMany = (count: number): Promise<unknown> => as(db, claimsOf(ours, 'operator'))(
  `select count(*) from app_public.execute_workflows(array(select jsonb_populate_record(null::app_public.workflow_start, jsonb_build_object('workflow_id', $1::uuid, 'initial_state', '{}'::jsonb)) from generate_series(1, $2::int)))`, [published, count]);
const startedToday = async (): Promise<number> => (await db.owner.query<{ count: number }>(
  `select (select count(*) from app_public.executions where tenant_id = $1)::int + (select count(*) from app_public.flow_executions where tenant_id = $1)::int as count`, [ours.id])).rows[0]!.count;

test('executions a day: what was started before counts, and nothing is left of what is refused', async () => {
  const before = await startedToday();
  await setQuotas({ executions_per_day: before + 2 });
  await start();
  await start();
  expect(await refusal(start())).toMatchObject({ code: 'AF429', message: `The quota executions_per_day of this tenant is used up: ${before + 2} are allowed, and this would make ${before + 3}.` });
  expect(await startedToday()).toBe(before + 2);
  await setQuotas({ executions_per_day: before + 4 });
  expect(await refusal(startMany(3))).toMatchObject({ code: 'AF429' });
  await startMany(2);
  expect(await startedToday()).toBe(before + 4);
});

test('executions a day: of those at the same time no more than allowed get through', async () => {
  await setQuotas({ executions_per_day: await startedToday() + 3 });
  const outcomes = await Promise.allSettled(Array.from({ length: 9 }, start));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
});

test('a retry, a test run and a flow are counted as well, by whatever statement they are made', async () => {
  const failed = await db.asRole('agentflow_owner', {}, (client) => plantExecution(client, { tenantId: ours.id, workflowId: published, userId: ours.users.operator, status: 'failed' }), { commit: true });
  await setQuotas({ executions_per_day: await startedToday() });
  const acting = as(db, claimsOf(ours, 'architect'));
  expect(await refusal(acting('select id from app_public.retry_execution($1)', [failed]))).toMatchObject({ code: 'AF429' });
  expect(await refusal(acting('select id from app_public.execute_workflow($1, $2)', [ours.workflowId, '{}']))).toMatchObject({ code: 'AF429' });
  const insert = `insert into app_public.flow_executions (tenant_id, flow_id, user_id, definition) values ($1, $2, $3, '{}')`;
  expect(await refusal(as(db, claimsOf(ours, 'architect'), 'agentflow_owner')(insert, [ours.id, ours.flowId, ours.users.architect]))).toMatchObject({ code: 'AF429' });
});

test('concurrent executions: what is over makes room', async () => {
  const { rows: [running] } = await db.owner.query<{ count: number }>(`
    select (select count(*) from app_public.executions where tenant_id = $1 and status in ('pending', 'running'))::int
      + (select count(*) from app_public.flow_executions where tenant_id = $1 and status in ('PENDING', 'RUNNING'))::int as count`, [ours.id]);
  await setQuotas({ concurrent_executions: running!.count + 2 });
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, start));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  expect(await refusal(start())).toMatchObject({ code: 'AF429', message: expect.stringContaining('concurrent_executions') as string });
  await as(db, claimsOf(ours, 'operator'))(`select app_public.cancel_execution(id) from (select id from app_public.executions where status = 'pending' limit 1) as one`);
  await start();
});

test('storage: neither executions nor documents are added when it is full', async () => {
  await setQuotas({ storage_bytes: 10 });
  expect(await refusal(start())).toMatchObject({ code: 'AF429', message: expect.stringContaining('storage_bytes') as string });
  const write = `insert into app_public.workflows (name, spec) values ('more', '${JSON.stringify(smallestSpec)}')`;
  expect(await refusal(as(db, claimsOf(ours, 'architect'))(write))).toMatchObject({ code: 'AF429' });
  await as(db, claimsOf(theirs, 'architect'))(write);
  await setQuotas({ storage_bytes: 1_000_000_000 });
  await start();
});

test('storage: a picture that has no room is not kept, and those that are count at once', async () => {
  const worker = '33333333-3333-4333-8333-333333333333';
  const execution = await db.asRole('agentflow_owner', {}, async (client) => {
    const id = await plantExecution(client, { tenantId: ours.id, workflowId: published, userId: ours.users.operator, status: 'running' });
    await client.query('insert into app_private.execution_leases (execution_id, tenant_id, worker_id, attempt) values ($1, $2, $3, 1) on conflict (execution_id) do update set worker_id = excluded.worker_id, attempt = 1', [id, ours.id, worker]);
    return id;
  }, { commit: true });
  const keep = (bytes: number, attempt = 1): Promise<{ id: string | null }[]> => db.asRole('agentflow_worker', {}, async (client) =>
    (await client.query<{ id: string | null }>(`select app_private.save_artifact($1, $2, $3, 'paint', 'image/png', convert_to(repeat('x', $4), 'UTF8')) as id`, [worker, execution, attempt, bytes])).rows, { commit: true });
  expect(await keep(10)).toEqual([{ id: expect.any(String) as string }]);
  const { rows: [stored] } = await db.owner.query<{ bytes: number }>('select app_private.storage_of($1)::int as bytes', [ours.id]);
  await db.owner.query('update app_private.tenant_usages set storage_due = null where tenant_id = $1', [ours.id]);
  await setQuotas({ storage_bytes: stored!.bytes + 150_000 });
  await keep(100_000);
  expect(await refusal(keep(100_000))).toMatchObject({ code: 'AF429', message: `The quota storage_bytes of this tenant is used up: ${stored!.bytes + 150_000} are allowed, and this would make ${stored!.bytes + 200_000}.` });
  await keep(50_000);
  expect(await keep(1_000_000, 2)).toEqual([{ id: null }]);
});

test('tokens and cost of the month', async () => {
  await setQuotas({ tokens_per_month: 0 });
  expect(await refusal(start())).toMatchObject({ code: 'AF429', message: expect.stringContaining('tokens_per_month') as string });
  await setQuotas({ cost_per_month: 0 });
  expect(await refusal(start())).toMatchObject({ code: 'AF429', message: expect.stringContaining('cost_per_month') as string });
});

test('quotas of one tenant are no matter of another', async () => {
  await setQuotas({ executions_per_day: 0 }, theirs);
  await expect(start()).resolves.toHaveLength(1);
});

test.each([[{ executions_per_week: 1 }], [{ executions_per_day: '1' }], [{ storage_bytes: -1 }], [[]], [7]])('%j are no quotas', async (quotas: unknown) => {
  await expect(setQuotas(quotas)).rejects.toMatchObject({ code: '23514', constraint: 'chk_tenants_quotas' });
});

test('a tenant cannot change its own', async () => {
  expect(await refusal(as(db, claimsOf(ours, 'admin'))(`update app_public.tenants set quotas = '{}'`))).toMatchObject({ code: '42501' });
});
