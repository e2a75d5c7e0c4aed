/** execute_workflow: what is started, by whom, and what a repeated call answers. */
import { randomUUID } from 'node:crypto';
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, type RoleOfUser, rolesOfUsers, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal, someoneWaits, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
  }, { commit: true });
});

const workflowIn = (status: string): Promise<string> => db.asRole('agentflow_owner', {}, (client) => one<string>(client,
  'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
  [ours.id, ours.users.architect, 'w', smallestSpec, status]), { commit: true });

interface Execution {
  id: string;
  workflow_version_id: string;
  status: string;
  is_test: boolean;
  user_id: string;
  tenant_id: string;
  initial_state: unknown;
}

interface Call {
  state?: unknown;
  key?: string | null;
  role?: RoleOfUser;
  permissions?: Record<string, string[]> | null;
}

const execute = (workflow: string, { state = { user_input: 'hi' }, key = null, role = 'operator', permissions }: Call = {}): Promise<Execution[]> =>
  as(db, claimsOf(ours, role, permissions))<Execution>('select * from app_public.execute_workflow($1, $2, $3)', [workflow, state === null ? null : JSON.stringify(state), key]);

const started = async (workflow: string): Promise<number> =>
  (await db.owner.query('select from app_public.executions where workflow_id = $1', [workflow])).rowCount!;

describe('starts', () => {
  test('a pending execution of the present version, with its job, in one transaction', async () => {
    const workflow = await workflowIn('published');
    const [execution] = await execute(workflow);
    expect(execution).toMatchObject({
      status: 'pending', is_test: false, user_id: ours.users.operator, tenant_id: ours.id, initial_state: { user_input: 'hi' },
    });
    const { rows } = await db.owner.query('select workflow_id, version from app_public.workflow_versions where id = $1', [execution!.workflow_version_id]);
    expect(rows).toEqual([{ workflow_id: workflow, version: 1 }]);
    const jobs = await db.owner.query('select task_identifier from graphile_worker.jobs where key = $1', [execution!.id]);
    expect(jobs.rows).toEqual([{ task_identifier: 'run_execution' }]);
  });

  test('a draft as a test run, for those who may edit it', async () => {
    const workflow = await workflowIn('draft');
    expect(await execute(workflow, { role: 'developer' })).toMatchObject([{ status: 'pending', is_test: true }]);
    expect(await refusal(execute(workflow, { role: 'operator' }))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, message: expect.stringContaining('workflows:test') });
  });

  test.each(['archived', 'deleted'])('nothing of a workflow that is %s', async (status) => {
    const workflow = await workflowIn(status);
    expect(await refusal(execute(workflow, { role: 'architect' }))).toMatchObject({ code: sqlstates.WORKFLOW_NOT_RUNNABLE, message: expect.stringContaining(status) });
    expect(await started(workflow)).toBe(0);
  });

  test('nothing of a foreign or unknown workflow, and tells both alike', async () => {
    const foreign = await refusal(execute(theirs.workflowId));
    expect(foreign).toMatchObject({ code: sqlstates.NOT_FOUND, column: 'workflow_id' });
    expect(foreign).toEqual(await refusal(execute(unknownId)));
    expect((await refusal(execute(await workflowIn('deleted')))).code).toBe(sqlstates.NOT_FOUND);
  });
});

describe('asks for the right', () => {
  test.each(rolesOfUsers)('%s', async (role) => {
    const workflow = await workflowIn('published');
    if (role === 'viewer') expect((await refusal(execute(workflow, { role }))).code).toBe(sqlstates.PERMISSION_DENIED);
    else expect(await execute(workflow, { role })).toHaveLength(1);
  });

  test('of an API key too', async () => {
    const [published, draft] = [await workflowIn('published'), await workflowIn('draft')];
    expect((await refusal(execute(published, { role: 'admin', permissions: null }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect((await refusal(execute(published, { role: 'admin', permissions: { workflows: ['read', 'write'] } }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect(await execute(published, { role: 'admin', permissions: { workflows: ['execute'] } })).toHaveLength(1);
    expect((await refusal(execute(draft, { role: 'admin', permissions: { workflows: ['execute'] } }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect(await execute(draft, { role: 'admin', permissions: { workflows: ['write', 'execute'] } })).toMatchObject([{ is_test: true }]);
    expect((await refusal(execute(published, { role: 'viewer', permissions: { workflows: ['execute'] } }))).code).toBe(sqlstates.PERMISSION_DENIED);
  });

  test('and for somebody who is signed in', async () => {
    const workflow = await workflowIn('published');
    expect((await refusal(as(db, {})(`select app_public.execute_workflow($1, '{}')`, [workflow]))).code).toBe(sqlstates.UNAUTHENTICATED);
    expect((await refusal(as(db, {}, 'agentflow_visitor')(`select app_public.execute_workflow($1, '{}')`, [workflow]))).code).toBe(sqlstates.NO_GRANT);
  });
});

describe('refuses bad input, and starts nothing', () => {
  test.each<[string, unknown]>([['a list', []], ['a text', 'x'], ['JSON null', undefined], ['nothing', null]])('%s as state', async (_, state) => {
    const workflow = await workflowIn('published');
    const work = state === undefined
      ? as(db, claimsOf(ours, 'operator'))(`select app_public.execute_workflow($1, 'null')`, [workflow])
      : execute(workflow, { state });
    expect(await refusal(work)).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'initial_state' });
    expect(await started(workflow)).toBe(0);
  });

  test('a state of more than 1 MiB', async () => {
    const workflow = await workflowIn('published');
    const state = (bytes: number): unknown => ({ t: 'x'.repeat(bytes - '{"t": ""}'.length) });
    expect(await refusal(execute(workflow, { state: state(1_048_577) }))).toMatchObject({ code: sqlstates.TOO_LARGE, column: 'initial_state' });
    expect(await started(workflow)).toBe(0);
    expect(await execute(workflow, { state: state(1_048_576) })).toHaveLength(1);
  });

  test.each(['', 'x'.repeat(256)])('an idempotency key of a length that none has', async (key) => {
    expect(await refusal(execute(await workflowIn('published'), { key }))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'idempotency_key' });
  });
});

describe('an idempotency key', () => {
  test('with the same input returns the first execution, though the workflow has been archived since', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    const [first] = await execute(workflow, { key });
    await db.owner.query(`update app_public.workflows set status = 'archived' where id = $1`, [workflow]);
    expect(await execute(workflow, { key, state: { user_input: 'hi' } })).toMatchObject([{ id: first!.id }]);
    expect(await started(workflow)).toBe(1);
  });

  test('with another state or workflow is a conflict', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    await execute(workflow, { key });
    for (const work of [execute(workflow, { key, state: {} }), execute(await workflowIn('published'), { key })]) {
      expect(await refusal(work)).toMatchObject({ code: sqlstates.IDEMPOTENCY_CONFLICT, column: 'idempotency_key' });
    }
    expect(await started(workflow)).toBe(1);
  });

  test('says nothing about the keys of another tenant', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    await db.owner.query(`
      insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state, idempotency_key) values ($1, $2, $3, '{}', $4)`,
    [theirs.id, theirs.users.operator, theirs.workflowId, key]);
    expect(await execute(workflow, { key })).toMatchObject([{ tenant_id: ours.id }]);
  });

  test('that comes many times at once starts one execution', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    const answers = await Promise.all(Array.from({ length: 8 }, () => execute(workflow, { key })));
    expect(new Set(answers.map(([execution]) => execution!.id)).size).toBe(1);
    expect(await started(workflow)).toBe(1);
  });

  test('that another call is just using is waited for', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    const sql = 'select id from app_public.execute_workflow($1, $2, $3)';
    let second: Promise<Execution[]> | undefined;
    const first = await db.asRole('agentflow_user', claimsOf(ours, 'operator'), async (client) => {
      const { rows } = await client.query<{ id: string }>(sql, [workflow, '{"n": 1}', key]);
      second = execute(workflow, { key, state: { n: 1 } });
      await someoneWaits(db);
      return rows[0]!.id;
    }, { commit: true });
    expect(await second).toMatchObject([{ id: first }]);
  });

  test('of a call that failed is free again', async () => {
    const [workflow, key] = [await workflowIn('published'), randomUUID()];
    await db.asRole('agentflow_user', claimsOf(ours, 'operator'), (client) => client.query('select app_public.execute_workflow($1, $2, $3)', [workflow, '{"n": 1}', key]));
    expect(await execute(workflow, { key, state: { n: 2 } })).toMatchObject([{ initial_state: { n: 2 } }]);
  });
});
