/** The job of what is started: the row that graphile-worker would have written itself, whatever version of it is installed. */
import pg from 'pg';
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, smallestSpec } from '../support/plant.ts';

const db = useTestDatabase();
let tenant: PlantedTenant;
let workflowId: string;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    tenant = await plantTenant(client);
    workflowId = await one<string>(client, `insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, 'w', $3, 'published') returning id`, [tenant.id, tenant.users.architect, smallestSpec]);
  }, { commit: true });
});

const startExecution = (client: pg.ClientBase): Promise<string> => one<string>(client,
  `insert into app_public.executions (tenant_id, workflow_id, user_id, initial_state, priority) values ($1, $2, $3, '{}', -3) returning id`, [tenant.id, workflowId, tenant.users.operator]);
const startFlow = (client: pg.ClientBase): Promise<string> => one<string>(client,
  `insert into app_public.flow_executions (tenant_id, flow_id, user_id, definition, priority) values ($1, $2, $3, '{}', -3) returning app_private.flow_run_id(id)`, [tenant.id, tenant.flowId, tenant.users.operator]);
const ways: readonly [string, (client: pg.ClientBase) => Promise<string>][] = [['an execution', startExecution], ['a flow execution', startFlow]];

/** All but its number. */
const jobOf = async (client: pg.ClientBase, id: string): Promise<unknown> => (await client.query<{ job: unknown }>(
  `select to_jsonb(job) - 'id' || jsonb_build_object('payload', job.payload::text) as job from graphile_worker._private_jobs as job where job.key = $1`, [id])).rows.map(({ job }) => job);

test.each(ways)('the job of %s is the one that add_jobs makes', async (_what, start) => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    const id = await start(client);
    const ours = await jobOf(client, id);
    await client.query('select graphile_worker.remove_job($1)', [id]);
    await client.query(`select graphile_worker.add_jobs(array[row('run_execution', json_build_object('id', $1::uuid), null, now(), null, $1::text, 13, null)::graphile_worker.job_spec])`, [id]);
    expect(ours).toEqual([expect.objectContaining({ key: id, priority: 13, attempts: 0, is_available: true })]);
    expect(ours).toEqual(await jobOf(client, id));
  });
});

test.each(ways)('where graphile-worker does not know the task yet, the first start of %s makes it known', async (_what, start) => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    await client.query('delete from graphile_worker._private_jobs');
    await client.query('delete from graphile_worker._private_tasks');
    const ids = [await start(client), await start(client)];
    expect((await client.query(`select key from graphile_worker.jobs where task_identifier = 'run_execution' order by id`)).rows).toEqual(ids.map((key) => ({ key })));
  });
});

test('a job that is there already, of an execution that was erased, begins anew for the new one of that id', async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    const id = await startExecution(client);
    await client.query(`update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'gone', run_at = 'infinity' where key = $1`, [id]);
    await client.query('delete from app_public.executions where id = $1', [id]);
    await client.query(`insert into app_public.executions (id, tenant_id, workflow_id, user_id, initial_state) values ($1, $2, $3, $4, '{}')`, [id, tenant.id, workflowId, tenant.users.operator]);
    expect(await jobOf(client, id)).toEqual([expect.objectContaining({ attempts: 0, last_error: null, is_available: true, revision: 1, priority: 10 })]);
    expect(await one(client, `select run_at <= now() from graphile_worker._private_jobs where key = $1`, [id])).toBe(true);
  });
});

test('a statement announces its jobs together; one that starts nothing announces nothing', async () => {
  const heard: string[] = [];
  const listener = new pg.Client({ connectionString: db.url('agentflow_owner') });
  await listener.connect();
  try {
    listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
    await listener.query('listen "jobs:insert"');
    const many = `insert into app_public.executions (tenant_id, workflow_id, user_id, initial_state) select $1, $2, $3, '{}' from generate_series(1, $4::int)`;
    for (const count of [0, 3, 1]) await db.asRole('agentflow_owner', {}, (client) => client.query(many, [tenant.id, workflowId, tenant.users.operator, count]), { commit: true });
    await listener.query('select');
    expect(heard.map((payload) => (JSON.parse(payload) as { count: number }).count)).toEqual([3, 1]);
  } finally {
    await listener.end();
  }
});
