/** The state machines: every pair of states, whoever writes; and the equivalences that CHECKs state. */
import { one, plantExecution, plantTenant, plantUser, smallestSpec, type PlantedTenant } from '../support/plant.ts';
import { probe } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
beforeAll(async () => {
  tenant = await plantTenant(context.client);
});

interface Machine {
  table: string;
  states: string[];
  legal: Record<string, string[]>;
  /** Makes a row in that state and returns its id. */
  make: (state: string) => Promise<string>;
  /** What a change to that state has to say beside the status. */
  with?: (state: string) => string;
}

const livingThing = { active: ['inactive', 'deleted'], inactive: ['active', 'deleted'], deleted: ['inactive'] };
const insert = (sql: string, values: unknown[]): Promise<string> => one<string>(context.client, sql, values);

const machines: Machine[] = [
  {
    table: 'tenants', states: ['active', 'suspended', 'deleted'],
    legal: { active: ['suspended', 'deleted'], suspended: ['active', 'deleted'], deleted: ['suspended'] },
    make: (state) => insert(`insert into app_public.tenants (slug, name, status) values ('machine', 'machine', $1) returning id`, [state]),
  },
  {
    table: 'users', states: ['active', 'inactive', 'deleted'], legal: livingThing,
    make: (state) => insert(`insert into app_public.users (email, name, password_hash, tenant_id, status) values ('machine@example.com', 'm', 'x', $2, $1) returning id`, [state, tenant.id]),
  },
  {
    table: 'workflows', states: ['draft', 'published', 'archived', 'deleted'],
    legal: { draft: ['published', 'archived', 'deleted'], published: ['draft', 'archived', 'deleted'], archived: ['draft', 'published', 'deleted'], deleted: ['draft'] },
    make: (state) => insert(`insert into app_public.workflows (name, spec, user_id, tenant_id, status) values ('m', $2, $3, $4, $1) returning id`, [state, smallestSpec, tenant.users.architect, tenant.id]),
  },
  {
    table: 'sources', states: ['active', 'inactive', 'deleted'], legal: livingThing,
    make: (state) => insert(`insert into app_public.sources (name, kind, config, user_id, tenant_id, status) values ('m', 'api', '{}', $2, $3, $1) returning id`, [state, tenant.users.architect, tenant.id]),
  },
  {
    table: 'api_keys', states: ['active', 'revoked', 'expired'], legal: { active: ['revoked', 'expired'], revoked: [], expired: ['revoked'] },
    make: (state) => insert(`insert into app_public.api_keys (name, key_hash, user_id, tenant_id, status) values ('m', 'machine', $2, $3, $1) returning id`, [state, tenant.users.architect, tenant.id]),
  },
  {
    table: 'access_links', states: ['pending', 'used', 'withdrawn'], legal: { pending: ['used', 'withdrawn'], used: [], withdrawn: [] },
    make: (state) => insert(`insert into app_public.access_links (tenant_id, kind, email, user_id, token_hash, expires_at, status) values ($2, 'reset', 'm@example.com', $3, 'machine', now() + interval '1 day', $1) returning id`,
      [state, tenant.id, tenant.users.viewer]),
  },
  {
    table: 'executions', states: ['pending', 'running', 'completed', 'failed', 'cancelled'],
    legal: { pending: ['running', 'failed', 'cancelled'], running: ['completed', 'failed', 'cancelled'], completed: [], failed: [], cancelled: [] },
    make: (state) => plantExecution(context.client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.architect, status: state as 'pending' }),
    with: (state) => (['pending', 'running'].includes(state) ? ', completed_at = null' : `, completed_at = now()${state === 'failed' ? ", error_message = 'it failed'" : ''}`),
  },
  {
    table: 'flow_executions', states: ['PENDING', 'RUNNING', 'SUCCESS', 'FAILURE', 'COMPLETED'],
    legal: { PENDING: ['RUNNING', 'FAILURE'], RUNNING: ['SUCCESS', 'FAILURE', 'COMPLETED'], SUCCESS: [], FAILURE: [], COMPLETED: [] },
    make: (state) => insert(`insert into app_public.flow_executions (tenant_id, flow_id, definition, status, completed_at, error_message) values ($2, $3, '{}', $1, $4, $5) returning id`,
      [state, tenant.id, tenant.flowId, ['PENDING', 'RUNNING'].includes(state) ? null : new Date(), state === 'FAILURE' ? 'it failed' : null]),
    with: (state) => (['PENDING', 'RUNNING'].includes(state) ? ', completed_at = null' : `, completed_at = now()${state === 'FAILURE' ? ", error_message = 'it failed'" : ''}`),
  },
  {
    table: 'task_executions', states: ['PENDING', 'RUNNING', 'SUCCESS', 'FAILURE'],
    legal: { PENDING: ['RUNNING', 'FAILURE'], RUNNING: ['SUCCESS', 'FAILURE'], SUCCESS: [], FAILURE: [] },
    make: (state) => insert(`insert into app_public.task_executions (tenant_id, flow_execution_id, task_name, sequence_number, status, completed_at) values ($2, $3, 'm', 99, $1, $4) returning id`,
      [state, tenant.id, tenant.flowExecutionId, ['PENDING', 'RUNNING'].includes(state) ? null : new Date()]),
    with: (state) => `, completed_at = ${['PENDING', 'RUNNING'].includes(state) ? 'null' : 'now()'}`,
  },
];

const pairs = machines.flatMap((machine) => machine.states.flatMap((from) => machine.states.filter((to) => to !== from).map((to) => ({
  table: machine.table, from, to, machine, verdict: machine.legal[from]!.includes(to) ? 'may' : 'never',
}))));

test.each(pairs)('$table $verdict go from $from to $to', async ({ table, from, to, machine, verdict }) => {
  const id = await machine.make(from);
  const outcome = await probe(context.client, `update app_public.${table} set status = $2 ${machine.with?.(to) ?? ''} where id = $1`, [id, to]);
  expect([outcome.refused, outcome.rows]).toEqual(verdict === 'may' ? [null, 1] : ['AF411', 0]);
});

test('every table with a status has its machine here', async () => {
  const { rows } = await context.client.query<{ name: string }>(`
    select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'status' and c.relname <> 'node_executions' order by 1`);
  expect(rows.map(({ name }) => name)).toEqual(machines.map(({ table }) => table).sort());
});

describe('states that contradict themselves are refused', () => {
  test.each([
    ['chk_executions_completed_at', `update app_public.executions set status = 'cancelled' where id = $1`, 'running'],
    ['chk_executions_completed_at', 'update app_public.executions set completed_at = now() where id = $1', 'running'],
    ['chk_executions_failed', `update app_public.executions set status = 'failed', completed_at = now() where id = $1`, 'running'],
    ['chk_executions_error_message', `update app_public.executions set error_message = 'x' where id = $1`, 'running'],
    ['chk_executions_deleted_at', 'update app_public.executions set deleted_at = now() where id = $1', 'pending'],
  ] as const)('%s: %s', async (constraint, sql, status) => {
    const id = await plantExecution(context.client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.architect, status });
    await expect(context.client.query(sql, [id])).rejects.toMatchObject({ code: '23514', constraint });
  });

  test.each(['workflows', 'sources', 'users'])('%s: deleted_at without the status', async (table) => {
    const ids: Record<string, string> = { workflows: tenant.workflowId, sources: tenant.sourceId, users: tenant.users.viewer };
    await expect(context.client.query(`update app_public.${table} set deleted_at = now() where id = $1`, [ids[table]]))
      .rejects.toMatchObject({ code: '23514', constraint: `chk_${table}_deleted_at` });
  });
});

describe('a finished execution', () => {
  test.each([`final_state = '{"late": true}'`, 'tokens_used = 7', `error_message = 'late'`, `completed_at = '2020-01-01'`, `started_at = '2020-01-01'`, `metrics = '{}'`])('does not change: %s', async (change) => {
    await expect(context.client.query(`update app_public.executions set ${change} where id = $1`, [tenant.executionId]))
      .rejects.toMatchObject({ code: 'AF411', message: 'A finished row of executions does not change.' });
  });
  test('may be deleted softly, and restored', async () => {
    await context.client.query('update app_public.executions set deleted_at = now(), deleted_by = $2 where id = $1', [tenant.executionId, tenant.users.admin]);
    const { rows: [row] } = await context.client.query('update app_public.executions set deleted_at = null where id = $1 returning deleted_at, deleted_by, status', [tenant.executionId]);
    expect(row).toEqual({ deleted_at: null, deleted_by: null, status: 'completed' });
  });
});

test.each([
  ['workflow_id', `'00000000-0000-4000-8000-000000000000'`], ['user_id', `'00000000-0000-4000-8000-000000000000'`], ['workflow_version_id', `'00000000-0000-4000-8000-000000000000'`],
  ['initial_state', `'{"other": 1}'`], ['idempotency_key', `'other'`], ['depth', '1'], ['is_test', 'true'], ['id', 'gen_random_uuid()'],
])('%s of an execution never changes', async (column, value) => {
  const id = await plantExecution(context.client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.architect, status: 'running' });
  await expect(context.client.query(`update app_public.executions set ${column} = ${value} where id = $1`, [id]))
    .rejects.toMatchObject({ code: 'AF400', column, message: `${column} of executions never changes.` });
});

test('a version of a workflow never changes', async () => {
  await expect(context.client.query(`update app_public.workflow_versions set spec = '{}' where id = $1`, [tenant.versionId])).rejects.toMatchObject({ code: 'AF411' });
});

test('a deleted flow is inactive, and stays so when it is restored', async () => {
  const flow = `from app_public.flows where tenant_id = '${tenant.id}'`;
  await context.client.query('update app_public.flows set deleted_at = now() where tenant_id = $1', [tenant.id]);
  expect((await context.client.query(`select is_active ${flow}`)).rows).toEqual([{ is_active: 0 }]);
  expect((await probe(context.client, 'update app_public.flows set is_active = 1 where tenant_id = $1', [tenant.id])).refused).toBe('AF411');
  await context.client.query('update app_public.flows set deleted_at = null where tenant_id = $1', [tenant.id]);
  expect((await context.client.query(`select is_active, deleted_at, deleted_by ${flow}`)).rows).toEqual([{ is_active: 0, deleted_at: null, deleted_by: null }]);
});

test('a user who is deleted twice over keeps one address', async () => {
  const id = await plantUser(context.client, tenant.id, 'viewer');
  const before = await one<string>(context.client, 'select email from app_public.users where id = $1', [id]);
  await context.client.query(`update app_public.users set status = 'deleted' where id = $1`, [id]);
  await context.client.query(`update app_public.users set name = 'again' where id = $1`, [id]);
  expect(await one(context.client, 'select email from app_public.users where id = $1', [id])).toBe(`${before}#deleted-${id}`);
  await context.client.query(`update app_public.users set status = 'inactive' where id = $1`, [id]);
  expect(await one(context.client, 'select email from app_public.users where id = $1', [id])).toBe(before);
});
