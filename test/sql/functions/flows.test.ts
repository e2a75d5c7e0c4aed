/** Flows as rows: what the database refuses and keeps, whoever writes. */
import { useTestDatabase } from '../../support/database.ts';
import { plantTenant, smallestFlow, type PlantedTenant } from '../support/plant.ts';
import { as, claimsOf, refusal, type Refusal } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;

beforeAll(async () => {
  ours = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
});

interface FlowRow { id: string; version: number; is_active: number; definition: object }

const insert = async (id: string, definition: object = smallestFlow(id)): Promise<FlowRow> => (await db.owner.query<FlowRow>(
  `insert into flows (tenant_id, id, name, start_task, definition) values ($1, $2, $2, 'first', $3) returning *`, [ours.id, id, definition])).rows[0]!;
const change = async (id: string, set: string, values: unknown[] = []): Promise<FlowRow> =>
  (await db.owner.query<FlowRow>(`update flows set ${set} where tenant_id = $1 and id = $2 returning *`, [ours.id, id, ...values])).rows[0]!;
const versions = async (id: string): Promise<unknown[]> =>
  (await db.owner.query('select version, definition from flow_versions where tenant_id = $1 and flow_id = $2 order by version', [ours.id, id])).rows;
const problemsOf = ({ detail }: Refusal): string[] => (JSON.parse(detail!) as { code: string }[]).map(({ code }) => code);

/** As a worker does when it starts. */
const register = (worker: string, names: string[], pattern: string | null = null): Promise<unknown> =>
  db.asRole('agentflow_worker', {}, (client) => client.query('select app_private.register_flow_tasks($1, $2, $3)', [worker, names, pattern]), { commit: true });
const live = (worker: string): Promise<unknown> =>
  db.owner.query(`insert into app_private.workers (id, lock_key, host, process_id) values ($1::uuid, hashtext($1::uuid::text), 'here', 1) on conflict do nothing`, [worker]);
const [first, second] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

describe('a DBA', () => {
  test('cannot write a flow that is not valid', async () => {
    const refused = await refusal(insert('bad', { ...smallestFlow('bad'), tasks: [{ name: 'first' }, { name: 'first' }], surplus: 1 }));
    expect(refused).toMatchObject({ code: 'AF424', column: 'definition', message: expect.stringMatching(/^A flow must be valid\. .* \(and 1 more\)$/) });
    expect(problemsOf(refused)).toEqual(['E017', 'E009']);
    await insert('good');
    expect(problemsOf(await refusal(change('good', `definition = $3`, [{ ...smallestFlow('good'), start_task: 'x' }])))).toEqual(['E015']);
    expect(problemsOf(await refusal(change('good', `start_task = 'x'`)))).toEqual(['E005']);
  });

  test('makes a version by a changed definition, and none by anything else', async () => {
    expect(await insert('versioned')).toMatchObject({ version: 1 });
    const definition = { ...smallestFlow('versioned'), description: 'more' };
    expect(await change('versioned', 'definition = $3', [definition])).toMatchObject({ version: 2 });
    expect(await change('versioned', `definition = $3, description = 'words'`, [definition])).toMatchObject({ version: 2 });
    expect(await change('versioned', `name = 'Renamed'`)).toMatchObject({ version: 3, definition: { ...definition, name: 'Renamed' } });
    expect(await versions('versioned')).toEqual([{ version: 1, definition: smallestFlow('versioned') }, { version: 2, definition }, { version: 3, definition: { ...definition, name: 'Renamed' } }]);
  });

  test('cannot set a version, change one that is kept, or change an id', async () => {
    await insert('fixed');
    expect(await refusal(change('fixed', 'version = 7'))).toMatchObject({ code: 'AF409' });
    expect(await refusal(db.owner.query(`update flow_versions set definition = '{}' where flow_id = 'fixed'`))).toMatchObject({ code: 'AF411' });
    expect(await refusal(change('fixed', `id = 'other'`))).toMatchObject({ code: 'AF400' });
  });

  test('cannot activate what no worker has, nor a deleted flow', async () => {
    await insert('idle');
    await change('idle', 'is_active = 0');
    const refused = await refusal(change('idle', 'is_active = 1'));
    expect([refused.code, problemsOf(refused)]).toEqual(['AF424', ['E004']]);
    expect(await change('idle', 'deleted_at = now()')).toMatchObject({ is_active: 0 });
    expect(await refusal(change('idle', 'is_active = 1, deleted_at = null'))).toMatchObject({ code: 'AF411' });
  });
});

describe('registered tasks', () => {
  const activate = (id: string): Promise<unknown> => as(db, claimsOf(ours, 'architect'))('select app_public.activate_flow($1)', [id]);
  const known = async (): Promise<unknown> => (await as(db, claimsOf(ours, 'viewer'))<{ names: string[] }>('select app_public.flow_tasks() as names'))[0]!.names;

  test('are those of all workers; what one had is forgotten when another comes after it is gone', async () => {
    await live(first);
    await live(second);
    await register(first, ['first', 'a']);
    await register(second, ['b']);
    expect(await known()).toEqual(['a', 'b', 'first']);
    await register(first, ['first']);
    expect(await known()).toEqual(['b', 'first']);
    await db.owner.query('delete from app_private.workers where id = $1', [first]);
    expect(await known()).toEqual(['b', 'first']);
    await insert('uses-first');
    await change('uses-first', 'is_active = 0');
    await activate('uses-first');
    await register(second, ['b']);
    expect(await known()).toEqual(['b']);
    expect(await refusal(activate('uses-first'))).toMatchObject({ code: 'AF424' });
  });

  test('may be a pattern, which names nothing', async () => {
    await register(second, [], '^fir');
    expect(await known()).toEqual([]);
    await activate('uses-first');
    await register(second, [], '^no');
    expect(await refusal(activate('uses-first'))).toMatchObject({ code: 'AF424' });
    await register(second, []);
  });

  test('are for workers to write', async () => {
    for (const role of ['agentflow_user', 'agentflow_visitor'] as const) {
      expect(await refusal(db.asRole(role, claimsOf(ours, 'admin'), (client) => client.query(`select app_private.register_flow_tasks($1, '{}', null)`, [first])))).toMatchObject({ code: '42501' });
    }
  });
});

describe('the id by which the engine knows a flow execution', () => {
  test.each([1n, 42n, 2n ** 31n, 2n ** 48n + 5n, 2n ** 63n - 1n])('of %s leads back to it, and is made alike here and there', async (id) => {
    const { flowRunId, isFlowRunId } = await import('../../../src/store/flow-run-id.ts');
    const { rows } = await db.owner.query<{ run: string; back: string }>('select run::text, app_private.flow_id_of_run(run)::text as back from app_private.flow_run_id($1) as run', [String(id)]);
    expect(rows).toEqual([{ run: flowRunId(String(id)), back: String(id) }]);
    expect(isFlowRunId(rows[0]!.run)).toBe(true);
  });

  test('is none that an execution of a workflow has', async () => {
    const { rows } = await db.owner.query('select app_private.flow_id_of_run(gen_random_uuid()) as flow from generate_series(1, 1000) group by 1');
    expect(rows).toEqual([{ flow: null }]);
  });
});

test('leases go with what they are of', async () => {
  await insert('erased');
  const { rows: [execution] } = await db.owner.query<{ id: string }>(`insert into flow_executions (tenant_id, flow_id, definition, input_context) values ($1, 'erased', '{}', '{}') returning id`, [ours.id]);
  await db.owner.query('insert into app_private.execution_leases (execution_id, tenant_id) values (app_private.flow_run_id($1), $2), ($3, $2)', [execution!.id, ours.id, ours.executionId]);
  await db.owner.query(`delete from flows where tenant_id = $1 and id = 'erased'`, [ours.id]);
  await db.owner.query('delete from executions where id = $1', [ours.executionId]);
  expect((await db.owner.query('select from app_private.execution_leases')).rowCount).toBe(0);
});

test('flow executions that no job would wake get one', async () => {
  await insert('orphaned');
  await db.owner.query(`insert into flow_executions (tenant_id, flow_id, definition, input_context, created_at) values ($1, 'orphaned', '{}', '{}', now() - interval '2 minutes')`, [ours.id]);
  await db.owner.query('select graphile_worker.complete_jobs(array(select id from graphile_worker.jobs))');
  const { rows } = await db.owner.query<{ count: number }>('select app_private.requeue_orphans() as count');
  expect(rows[0]!.count).toBeGreaterThanOrEqual(1);
  expect((await db.owner.query(`select from graphile_worker.jobs where key = (select app_private.flow_run_id(id)::text from flow_executions where flow_id = 'orphaned')`)).rowCount).toBe(1);
});
