/** Which execution begins next when there are more than workers can take. */
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates } from './acting.ts';

const db = useTestDatabase();
let flooder: PlantedTenant;
let other: PlantedTenant;
const workflows = new Map<PlantedTenant, string>();

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    flooder = await plantTenant(client);
    other = await plantTenant(client);
    for (const tenant of [flooder, other]) {
      workflows.set(tenant, await one<string>(client, 'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
        [tenant.id, tenant.users.architect, 'w', smallestSpec, 'published']));
    }
  }, { commit: true });
});

beforeEach(async () => {
  await db.owner.query('delete from app_public.executions');
  await db.owner.query('select graphile_worker.remove_job(key) from graphile_worker.jobs where key is not null');
  await db.owner.query('delete from app_private.long_queues');
});

/** All in one statement, as a DBA's insert and executeWorkflows do; the oldest first. */
const startMany = async (tenant: PlantedTenant, count: number): Promise<void> => void await db.owner.query(
  `insert into executions (workflow_id, tenant_id, user_id, initial_state, created_at) select $1, $2, $3, '{}', now() - interval '1 hour' + n * interval '1 ms' from generate_series(1, $4::int) as n`,
  [workflows.get(tenant), tenant.id, tenant.users.architect, count]);

const startOne = async (tenant: PlantedTenant, priority = 0, role: 'operator' | 'architect' = 'architect'): Promise<string> =>
  (await as(db, claimsOf(tenant, role))<{ id: string }>(`select id from app_public.execute_workflow($1, '{}', null, $2)`, [workflows.get(tenant), priority]))[0]!.id;

const share = async (turns = 100): Promise<number> => (await db.owner.query<{ long: number }>('select app_private.share_turns($1) as long', [turns])).rows[0]!.long;

/** As if it had been a while since somebody looked. */
const later = async (): Promise<unknown> => db.owner.query(`update app_private.long_queues set empty_since = empty_since - interval '1 minute'`);

/** How many of whom are behind which priority. */
async function waiting(): Promise<Record<string, number>> {
  const { rows } = await db.owner.query<{ who: string; priority: number; count: number }>(`
    select case e.tenant_id when $1 then 'flooder' else 'other' end as who, j.priority, count(*)::int as count
      from graphile_worker.jobs as j join executions as e on e.id::text = j.key group by 1, 2`, [flooder.id]);
  return Object.fromEntries(rows.map(({ who, priority, count }) => [`${who} ${priority}`, count]));
}

test('of one statement the first 100 wait as everybody does, the rest behind; so does what the tenant starts then, and nobody else', async () => {
  await startMany(flooder, 150);
  await startOne(flooder);
  await startOne(other);
  expect(await waiting()).toEqual({ 'flooder 10': 100, 'flooder 110': 51, 'other 10': 1 });
});

test('of many single starts, what is beyond the first 100 of a tenant is put behind', async () => {
  for (let n = 0; n < 3; n += 1) await startMany(flooder, 60);
  await startOne(other);
  expect(await share()).toBe(1);
  expect(await waiting()).toEqual({ 'flooder 10': 100, 'flooder 110': 80, 'other 10': 1 });
});

test('two long queues share turns: the oldest of each come next, after what others begin; the rest stays behind', async () => {
  await startMany(flooder, 400);
  await startMany(other, 200);
  expect(await share(100)).toBe(2);
  expect(await waiting()).toEqual({ 'flooder 10': 100, 'flooder 50': 50, 'flooder 110': 250, 'other 10': 100, 'other 50': 50, 'other 110': 50 });
  const { rows } = await db.owner.query(`
    select bool_and(e.created_at < (select min(b.created_at) from executions b join graphile_worker.jobs bj on bj.key = b.id::text where bj.priority = 110 and b.tenant_id = e.tenant_id)) as oldest
      from executions e join graphile_worker.jobs j on j.key = e.id::text where j.priority = 50`);
  expect(rows).toEqual([{ oldest: true }]);
});

test('a tenant of which nothing has been behind for a while is like any other', async () => {
  await startMany(flooder, 500);
  await startMany(other, 120);
  expect(await share(100)).toBe(2);
  expect(await share(0)).toBe(2);
  await later();
  expect(await share(0)).toBe(1);
  await startOne(other);
  expect(await waiting()).toMatchObject({ 'other 10': 101, 'other 50': 20 });
});

test('flows count with the executions of their tenant', async () => {
  const definition = { id: 'f', name: 'f', start_task: 'a', tasks: [{ name: 'a' }], conditions: [] };
  await db.owner.query(`insert into flows (id, name, tenant_id, start_task, definition) values ('f', 'f', $1, 'a', $2)`, [flooder.id, definition]);
  await db.owner.query(`insert into flow_executions (flow_id, tenant_id, user_id, definition, input_context) select 'f', $1, $2, $3, '{}' from generate_series(1, 110)`, [flooder.id, flooder.users.architect, definition]);
  await startMany(other, 150);
  expect(await share(20)).toBe(2);
  const { rows } = await db.owner.query(`select priority, count(*)::int as count from graphile_worker.jobs where key like '00000000-%' group by 1 order by 1`);
  expect(rows).toEqual([{ priority: 10, count: 100 }, { priority: 50, count: 10 }]);
});

test('a higher priority comes first among the tenant\'s own, in a long queue too; a child goes on with what its parent began', async () => {
  await startOne(other, -10);
  const first = await startOne(other, 10);
  await startOne(other);
  await startMany(flooder, 101);
  await startOne(flooder, 5);
  expect(await waiting()).toEqual({ 'other 20': 1, 'other 0': 1, 'other 10': 1, 'flooder 10': 100, 'flooder 110': 1, 'flooder 105': 1 });
  await db.owner.query(`insert into executions (workflow_id, tenant_id, user_id, initial_state, parent_execution_id, parent_node_id, depth) select workflow_id, tenant_id, user_id, '{}', id, 'n', 1 from executions where id = $1`, [first]);
  expect(await waiting()).toMatchObject({ 'other -1': 1 });
});

test('a flow begins by its priority among executions, and so do many; whoever may not go first is refused', async () => {
  const flow = 'first';
  await db.owner.query(`insert into flows (tenant_id, id, name, start_task, definition, is_active) values ($1, $2, $2, 'a', $3, 1)`, [other.id, flow, { id: flow, name: flow, start_task: 'a', tasks: [{ name: 'a' }], conditions: [] }]);
  await db.owner.query(`with worker as (insert into app_private.workers (id, lock_key, host, process_id) values (gen_random_uuid(), 1, 'here', 1) returning id) insert into app_private.flow_tasks (worker_id, name) select id, 'a' from worker`);
  const one = (priority: number | null, role: 'operator' | 'architect'): Promise<unknown[]> => as(db, claimsOf(other, role))(`select priority from app_public.execute_flow($1, '{}', null, $2)`, [flow, priority]);
  const many = (priority: number, role: 'operator' | 'architect'): Promise<unknown[]> => as(db, claimsOf(other, role))(
    `select priority from app_public.execute_flows_by_priority(array[row($1, '{}', null, null), row($1, '{}', null, $2::int)]::app_public.flow_start_by_priority[])`, [flow, priority]);
  expect(await one(-3, 'operator')).toEqual([{ priority: -3 }]);
  expect(await one(null, 'operator')).toEqual([{ priority: 0 }]);
  expect(await many(4, 'architect')).toEqual([{ priority: 0 }, { priority: 4 }]);
  expect(await as(db, claimsOf(other, 'operator'))(`select priority from app_public.execute_flows(array[row($1, '{}', null)]::app_public.flow_start[])`, [flow])).toEqual([{ priority: 0 }]);
  expect(await refusal(one(1, 'operator'))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, column: 'priority' });
  expect(await refusal(one(11, 'architect'))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'priority' });
  expect(await refusal(many(4, 'operator'))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, column: 'inputs.1.priority' });
  expect(await refusal(many(-11, 'architect'))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'inputs.1.priority' });
  const { rows } = await db.owner.query(`select job.priority, count(*)::int as count from graphile_worker.jobs as job join flow_executions as flow on app_private.flow_run_id(flow.id)::text = job.key group by 1 order by 1`);
  expect(rows).toEqual([{ priority: 6, count: 1 }, { priority: 10, count: 3 }, { priority: 13, count: 1 }]);
  await db.owner.query('delete from flow_executions');
});

test('everybody who may start may let it wait; going first takes the right to publish; no other number is a priority', async () => {
  await startOne(other, -3, 'operator');
  expect(await refusal(startOne(other, 1, 'operator'))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, column: 'priority' });
  expect(await refusal(startOne(other, 11))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'priority' });
  const many = (priority: number, role: 'operator' | 'architect'): Promise<unknown[]> => as(db, claimsOf(other, role))(
    `select id from app_public.execute_workflows(array[row($1, '{}', null, null), row($1, '{}', null, $2::int)]::app_public.workflow_start[])`, [workflows.get(other), priority]);
  expect(await refusal(many(4, 'operator'))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, column: 'inputs.1.priority' });
  expect(await refusal(many(-11, 'architect'))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'inputs.1.priority' });
  await many(4, 'architect');
  expect(await waiting()).toEqual({ 'other 13': 1, 'other 10': 1, 'other 6': 1 });
});
