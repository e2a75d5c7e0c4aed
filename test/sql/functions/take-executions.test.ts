/** Jobs that are taken together with the leases of their executions. */
import { randomUUID } from 'node:crypto';
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, smallestSpec } from '../support/plant.ts';
import { refusal } from './acting.ts';

const db = useTestDatabase();
const worker = randomUUID();
const workflows = new Map<PlantedTenant, string>();
let flooder: PlantedTenant;
let other: PlantedTenant;

interface TakenRow { short_taken: number | null; long_taken: number | null; passed_by: number | null; id: string; tenant_id: string; attempt: number; flow_execution_id: string | null }

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    flooder = await plantTenant(client);
    other = await plantTenant(client);
    for (const tenant of [flooder, other]) {
      workflows.set(tenant, await one<string>(client, 'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
        [tenant.id, tenant.users.architect, 'w', smallestSpec, 'published']));
    }
    await client.query(`select app_private.register_worker($1, 'here', 1, '{}')`, [worker]);
  }, { commit: true });
});

beforeEach(async () => {
  await db.owner.query('delete from app_public.executions');
  await db.owner.query('delete from app_public.flow_executions');
  await db.owner.query('delete from graphile_worker._private_jobs');
  await db.owner.query('delete from app_private.long_queues');
});

/** In one statement. */
const start = async (tenant: PlantedTenant, count: number): Promise<string[]> => (await db.owner.query<{ id: string }>(
  `insert into executions (workflow_id, tenant_id, user_id, initial_state, created_at) select $1, $2, $3, '{}', now() - interval '1 hour' + n * interval '1 ms' from generate_series(1, $4::int) as n returning id`,
  [workflows.get(tenant), tenant.id, tenant.users.architect, count])).rows.map(({ id }) => id);

async function take(wanted: number, ofLong: number, by = worker): Promise<{ counts: (number | null)[]; executions: TakenRow[]; flows: TakenRow[] }> {
  const { rows: [first, ...rest] } = await db.owner.query<TakenRow>('select * from app_private.take_executions($1, $2, $3)', [by, wanted, ofLong]);
  return {
    counts: [first!.short_taken, first!.long_taken, first!.passed_by],
    executions: rest.filter((row) => row.flow_execution_id === null), flows: rest.filter((row) => row.flow_execution_id !== null),
  };
}

const jobs = async (): Promise<number> => (await db.owner.query('select from graphile_worker.jobs')).rowCount!;
const leases = async (): Promise<object[]> => (await db.owner.query<object>('select execution_id as id, worker_id, attempt from app_private.execution_leases')).rows;

test('the job is gone and the lease there, in one; the next one finds nothing', async () => {
  const [id] = await start(other, 1);
  const taken = await take(10, 10);
  expect(taken).toMatchObject({ counts: [1, 0, 0], executions: [{ id, tenant_id: other.id, attempt: 1 }] });
  expect([await jobs(), await leases()]).toEqual([0, [{ id, worker_id: worker, attempt: 1 }]]);
  expect((await take(10, 10)).counts).toEqual([0, 0, 0]);
});

test('an execution that somebody holds keeps its job; so does a job that names none, and one of a later hour', async () => {
  const [id] = await start(other, 1);
  await take(1, 1);
  await db.owner.query(`select app_private.enqueue_executions(array[$1::uuid])`, [id]);
  await db.owner.query(`select graphile_worker.add_job('run_execution', '{}')`);
  await db.owner.query(`select graphile_worker.add_job('run_execution', '{}', job_key => 'nobody')`);
  await db.owner.query(`select graphile_worker.add_job('run_execution', json_build_object('id', $1::text), job_key => $1::text, run_at => now() + interval '1 hour')`, [randomUUID()]);
  expect(await take(10, 10)).toMatchObject({ counts: [0, 0, 3], executions: [] });
  expect(await jobs()).toBe(4);
});

test('what somebody is changing is not waited for: the others are taken, and it is there at the next look', async () => {
  const [busy, free] = await start(other, 2);
  const changing = await db.owner.connect();
  await changing.query('begin');
  await changing.query('select from executions where id = $1 for no key update', [busy]);
  expect(await take(10, 10)).toMatchObject({ counts: [1, 0, 0], executions: [{ id: free }] });
  await changing.query('rollback');
  changing.release();
  expect(await take(10, 10)).toMatchObject({ counts: [1, 0, 0], executions: [{ id: busy }] });
});

test('who is not registered takes nothing, and the jobs stay', async () => {
  await start(other, 2);
  expect(await refusal(take(10, 10, randomUUID()))).toMatchObject({ code: 'AF510' });
  expect([await jobs(), await leases()]).toEqual([2, []]);
});

test('of long queues no more than asked for, after all others; what begins singly is not held up', async () => {
  await start(flooder, 150);
  await start(other, 1);
  expect((await take(10, 0)).counts).toEqual([10, 0, 0]);
  expect((await take(200, 20)).counts).toEqual([91, 20, 0]);
  expect((await take(200, 0)).counts).toEqual([0, 0, 0]);
  expect((await take(5, 20)).counts).toEqual([0, 5, 0]);
});

test('tenants with long queues have equal shares; what one of them does not use goes to the others', async () => {
  await start(flooder, 400);
  await start(other, 130);
  await take(200, 0);
  const ofOther = async (): Promise<number[]> => {
    const { executions } = await take(40, 40);
    return [executions.length, executions.filter(({ tenant_id }) => tenant_id === other.id).length];
  };
  expect(await ofOther()).toEqual([40, 20]);
  expect(await ofOther()).toEqual([40, 10]);
  await db.owner.query('select app_private.share_turns(0)');
  expect((await db.owner.query('select tenant_id from app_private.long_queues where empty_since is null')).rows).toEqual([{ tenant_id: flooder.id }]);
  expect(await ofOther()).toEqual([40, 0]);
});

test('flows come with the rest', async () => {
  const definition = { id: 'f', name: 'f', start_task: 'a', tasks: [{ name: 'a' }], conditions: [] };
  await db.owner.query(`insert into flows (id, name, tenant_id, start_task, definition) values ('f', 'f', $1, 'a', $2)`, [other.id, definition]);
  const { rows: [flow] } = await db.owner.query<{ id: string }>(`insert into flow_executions (flow_id, tenant_id, user_id, definition, input_context) values ('f', $1, $2, $3, '{}') returning id::text`, [other.id, other.users.architect, definition]);
  const [id] = await start(other, 1);
  const taken = await take(10, 10);
  expect(taken).toMatchObject({ counts: [2, 0, 0], executions: [{ id }], flows: [{ flow_execution_id: flow!.id }] });
});

test('a worker that lost an answer gives back what it does not know of, with jobs', async () => {
  const [known] = await start(other, 1);
  await take(1, 1);
  const [unknown] = await start(other, 1);
  await take(1, 1);
  await db.owner.query('select app_private.forget_leases($1, $2)', [worker, [known]]);
  expect((await take(10, 10)).executions).toMatchObject([{ id: unknown, attempt: 2 }]);
});
