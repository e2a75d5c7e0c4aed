/** Who did what: one row a change, in the same transaction, without secrets, unchangeable. */
import { randomUUID } from 'node:crypto';
import { one, plantExecution, plantTenant, plantUser, smallestSpec, type PlantedTenant } from '../support/plant.ts';
import { become, leave, probe } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
beforeAll(async () => {
  tenant = await plantTenant(context.client);
});

interface AuditRow {
  action: string;
  entity_type: string;
  entity_id: string | null;
  entity_key: string | null;
  user_id: string | null;
  old_value: Record<string, unknown> | null;
  new_value: Record<string, unknown> | null;
  ip_address: string | null;
  user_agent: string | null;
  request_id: string | null;
  api_key_id: string | null;
}

/** The audit rows that `change` adds to the tenant, oldest first. */
async function auditOf(change: () => Promise<unknown>): Promise<AuditRow[]> {
  const { rows: before } = await context.client.query<{ id: string }>('select id from app_public.audit_logs where tenant_id = $1', [tenant.id]);
  await change();
  await leave(context.client);
  const { rows } = await context.client.query<AuditRow>(
    'select * from app_public.audit_logs where tenant_id = $1 and id <> all ($2::uuid[]) order by action, entity_id', [tenant.id, before.map(({ id }) => id)]);
  return rows;
}
const change = (sql: string, values: unknown[] = []) => (): Promise<unknown> => context.client.query(sql, values);

async function signIn(role: 'architect' | 'admin', more: Record<string, string> = {}): Promise<void> {
  await become(context.client, 'agentflow_user', { tenant_id: tenant.id, user_id: tenant.users[role], role, ...more });
}

test('a created row is kept with what it held, and with who, from where and in which request', async () => {
  const rows = await auditOf(async () => {
    await signIn('architect');
    await context.client.query(`select set_config('request.ip', '203.0.113.7', true), set_config('request.user_agent', 'tester/1', true), set_config('request.id', 'r-1', true)`);
    await context.client.query(`insert into app_public.sources (name, kind, config) values ('new', 'llm', '{"model_name": "gpt-4"}')`);
  });
  expect(rows).toEqual([expect.objectContaining({
    action: 'create', entity_type: 'source', user_id: tenant.users.architect, ip_address: '203.0.113.7', user_agent: 'tester/1', request_id: 'r-1', api_key_id: null, old_value: null,
    new_value: expect.objectContaining({ name: 'new', kind: 'llm', config: { model_name: 'gpt-4' }, user_id: tenant.users.architect, tenant_id: tenant.id }),
  })]);
});

test('a change keeps the changed columns only', async () => {
  const rows = await auditOf(async () => {
    await signIn('architect');
    await context.client.query(`update app_public.sources set name = 'renamed' where id = $1`, [tenant.sourceId]);
  });
  expect(rows).toEqual([expect.objectContaining({
    action: 'update', entity_type: 'source', entity_id: tenant.sourceId, old_value: { name: `source of ${tenant.slug}` }, new_value: { name: 'renamed' },
  })]);
});

test('a change of nothing is no row', async () => {
  expect(await auditOf(change('update app_public.sources set name = name where id = $1', [tenant.sourceId]))).toEqual([]);
});

test.each([
  ['delete', 'workflow', `update app_public.workflows set status = 'deleted' where tenant_id = $1`],
  ['publish', 'workflow', `update app_public.workflows set status = 'published' where tenant_id = $1`],
  ['archive', 'workflow', `update app_public.workflows set status = 'archived' where tenant_id = $1`],
  ['deactivate', 'source', `update app_public.sources set status = 'inactive' where tenant_id = $1`],
  ['revoke', 'api_key', `update app_public.api_keys set status = 'revoked' where tenant_id = $1`],
  ['deactivate', 'flow', 'update app_public.flows set is_active = 0 where tenant_id = $1'],
  ['delete', 'flow', 'update app_public.flows set deleted_at = now() where tenant_id = $1'],
  ['suspend', 'tenant', `update app_public.tenants set status = 'suspended' where id = $1`],
  ['delete', 'execution', 'update app_public.executions set deleted_at = now() where tenant_id = $1'],
])('%s of a %s goes by its name', async (action, entityType, sql) => {
  const rows = await auditOf(change(sql, [tenant.id]));
  expect(rows.map((row) => [row.action, row.entity_type])).toEqual([[action, entityType]]);
});

test('restoring goes by its name', async () => {
  await context.client.query(`update app_public.workflows set status = 'deleted' where id = $1`, [tenant.workflowId]);
  const rows = await auditOf(change(`update app_public.workflows set status = 'draft' where id = $1`, [tenant.workflowId]));
  expect(rows.map(({ action }) => action)).toEqual(['restore']);
});

test('deleting a user names the revocation of his keys too', async () => {
  const user = await plantUser(context.client, tenant.id, 'viewer');
  await context.client.query(`insert into app_public.api_keys (name, key_hash, user_id, tenant_id) values ('k', $1, $2, $3)`, [randomUUID(), user, tenant.id]);
  const rows = await auditOf(change(`update app_public.users set status = 'deleted' where id = $1`, [user]));
  expect(rows.map(({ action, entity_type }) => `${action} ${entity_type}`)).toEqual(['delete user', 'revoke api_key']);
});

test.each(['bigint', 'numeric', 'varchar', 'char(5)', 'uuid'])('rows of a table whose id is %s are audited by it, one and several', async (type) => {
  await context.client.query(`create table app_public.gadgets (id ${type} primary key, label text)`);
  await context.client.query(`call app_private.add_tenant_columns('app_public.gadgets')`);
  await context.client.query(`call app_private.track_tenant_table('app_public.gadgets', 'gadget')`);
  await context.client.query(`set local plpgsql.extra_errors = 'too_many_rows'`);
  const ids = type === 'uuid' ? [randomUUID(), randomUUID()] : ['10007', '10008'];
  const rows = await auditOf(async () => {
    await context.client.query(`insert into app_public.gadgets (id, label, tenant_id, user_id) select id::${type}, 'a', $2, $3 from unnest($1::text[]) as id`, [ids, tenant.id, tenant.users.admin]);
    await context.client.query(`update app_public.gadgets set label = 'b'`);
    await context.client.query(`update app_public.gadgets set label = 'c' where id = $1::text::${type}`, [ids[0]]);
    await context.client.query('delete from app_public.gadgets');
  });
  const named = rows.filter(({ entity_type: kind }) => kind === 'gadget').map((row) => `${row.action} ${row.entity_id ?? row.entity_key}`).sort();
  expect(named).toEqual([...ids.flatMap((id) => [`create ${id}`, `erase ${id}`, `update ${id}`]), `update ${ids[0]}`].sort());
});

test('a thousand rows are a thousand audit rows of one statement', async () => {
  const rows = await auditOf(change(`
    insert into app_public.sources (name, kind, config, user_id, tenant_id) select 'bulk ' || n, 'api', '{}', $2, $1 from generate_series(1, 1000) as n`, [tenant.id, tenant.users.architect]));
  expect(rows.filter(({ action }) => action === 'create')).toHaveLength(1000);
  expect(new Set(rows.map(({ entity_id }) => entity_id)).size).toBe(1000);
  const changed = await auditOf(change(`update app_public.sources set config = '{"base_url": "https://example.com"}' where tenant_id = $1 and name like 'bulk %'`, [tenant.id]));
  expect(changed).toHaveLength(1000);
  expect(changed[0]).toMatchObject({ action: 'update', old_value: { config: {} }, new_value: { config: { base_url: 'https://example.com' } } });
});

describe('executions', () => {
  const make = (status: 'pending' | 'running'): Promise<string> =>
    plantExecution(context.client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.operator, status });

  test('starting one is audited without its state', async () => {
    const rows = await auditOf(() => make('running'));
    expect(rows).toEqual([expect.objectContaining({ action: 'execute', entity_type: 'execution' })]);
    expect(Object.keys(rows[0]!.new_value!).sort()).toEqual(['is_test', 'status', 'user_id', 'workflow_id', 'workflow_version_id']);
  });
  test('what the engine writes is not audited', async () => {
    const id = await make('pending');
    const rows = await auditOf(async () => {
      await context.client.query(`update app_public.executions set status = 'running', started_at = now() where id = $1`, [id]);
      await context.client.query(`update app_public.executions set tokens_used = 5 where id = $1`, [id]);
      await context.client.query(`update app_public.executions set status = 'completed', completed_at = now(), final_state = '{}' where id = $1`, [id]);
    });
    expect(rows).toEqual([]);
  });
  test('a child that the engine starts is not audited', async () => {
    const rows = await auditOf(change(`
      insert into app_public.executions (tenant_id, workflow_id, user_id, status, initial_state, completed_at, parent_execution_id, parent_node_id, depth)
      values ($1, $2, $3, 'completed', '{}', now(), $4, 'sub', 1)`, [tenant.id, tenant.workflowId, tenant.users.operator, tenant.executionId]));
    expect(rows).toEqual([]);
  });
  test('cancelling is audited, with who did it', async () => {
    const id = await make('running');
    const rows = await auditOf(async () => {
      await become(context.client, 'agentflow_owner', { tenant_id: tenant.id, user_id: tenant.users.operator, role: 'operator' });
      await context.client.query(`update app_public.executions set status = 'cancelled', completed_at = now() where id = $1`, [id]);
    });
    expect(rows).toEqual([expect.objectContaining({
      action: 'cancel', entity_type: 'execution', entity_id: id, user_id: tenant.users.operator,
      old_value: expect.objectContaining({ status: 'running' }), new_value: expect.objectContaining({ status: 'cancelled' }),
    })]);
  });
});

test('starting a flow is audited by its number', async () => {
  const rows = await auditOf(change(`insert into app_public.flow_executions (tenant_id, flow_id, definition) values ($1, $2, '{}')`, [tenant.id, tenant.flowId]));
  expect(rows).toEqual([expect.objectContaining({ action: 'execute', entity_type: 'flow_execution', entity_id: null, entity_key: expect.stringMatching(/^\d+$/) })]);
});

test('a flow is named by its slug', async () => {
  const rows = await auditOf(change(`update app_public.flows set name = 'new' where tenant_id = $1`, [tenant.id]));
  expect(rows).toEqual([expect.objectContaining({ entity_type: 'flow', entity_id: null, entity_key: tenant.flowId })]);
});

describe('secrets', () => {
  const marks = ['hash-of-a-password', 'hash-of-a-key', 'inline-secret', 'deep-secret', 'bearer-in-a-header'];

  test('never reach the log: hashes, and texts under names of secrets at any depth', async () => {
    const rows = await auditOf(async () => {
      const user = await plantUser(context.client, tenant.id, 'viewer');
      await context.client.query('update app_public.users set password_hash = $2 where id = $1', [user, marks[0]]);
      await context.client.query(`insert into app_public.api_keys (name, key_hash, user_id, tenant_id) values ('k', $1, $2, $3)`, [marks[1], user, tenant.id]);
      const spec = { ...smallestSpec, sources: [{ id: 's', kind: 'llm', config: { api_key: marks[2], deep: [{ 'Access-Token': marks[3], max_tokens: 5 }] } }], metadata: { headers: { Authorization: marks[4] } } };
      await context.client.query('insert into app_public.workflows (name, spec, user_id, tenant_id) values ($1, $2, $3, $4)', ['w', spec, user, tenant.id]);
    });
    const text = JSON.stringify(rows);
    for (const mark of marks) expect(text).not.toContain(mark);
    expect(rows.find((row) => row.action === 'update')).toMatchObject({ old_value: { password_hash: '[redacted]' }, new_value: { password_hash: '[redacted]' } });
    expect(rows.find((row) => row.entity_type === 'api_key')!.new_value).toMatchObject({ key_hash: '[redacted]' });
    expect(rows.find((row) => row.entity_type === 'workflow')!.new_value!.spec).toMatchObject({
      sources: [{ config: { api_key: '[redacted]', deep: [{ 'Access-Token': '[redacted]', max_tokens: 5 }] } }], metadata: { headers: { Authorization: '[redacted]' } },
    });
  });

  test('of a change neither, where they were and where they are', async () => {
    const specOf = (token: string): object => ({ ...smallestSpec, metadata: { deep: [{ access_token: token, kept: 'as it is' }] } });
    const turn = (token: string) => () => context.client.query('update app_public.workflows set spec = $2 where id = $1', [tenant.workflowId, specOf(token)]);
    const rows = [...await auditOf(turn(marks[2]!)), ...await auditOf(turn(marks[3]!))];
    expect(rows.map(({ new_value: value }) => value!.spec)).toEqual([specOf('[redacted]'), specOf('[redacted]')]);
    expect(rows[1]!.old_value!.spec).toEqual(specOf('[redacted]'));
  });
});

describe('who', () => {
  test('a user who is not there is nobody', async () => {
    const rows = await auditOf(async () => {
      await become(context.client, 'agentflow_owner', { tenant_id: tenant.id, user_id: randomUUID(), role: 'architect' });
      await context.client.query(`update app_public.tenants set name = 'by nobody' where id = $1`, [tenant.id]);
    });
    expect(rows).toEqual([expect.objectContaining({ entity_type: 'tenant', user_id: null })]);
  });
  test('an API key is named', async () => {
    const rows = await auditOf(async () => {
      await signIn('architect', { api_key_id: tenant.apiKeyId, permissions: '{"sources": ["read", "write"]}' });
      await context.client.query(`update app_public.sources set name = 'by key'`);
    });
    expect(rows).toEqual([expect.objectContaining({ api_key_id: tenant.apiKeyId, user_id: tenant.users.architect })]);
  });
  test('a DBA is named by the role', async () => {
    const rows = await auditOf(change(`update app_public.sources set name = 'by hand' where tenant_id = $1`, [tenant.id]));
    expect(rows).toEqual([expect.objectContaining({ user_id: null, user_agent: 'database role agentflow_owner' })]);
  });
  test('a malformed address is none, and no error', async () => {
    const rows = await auditOf(async () => {
      await context.client.query(`select set_config('request.ip', '999.1', true)`);
      await context.client.query(`update app_public.sources set name = 'x' where tenant_id = $1`, [tenant.id]);
    });
    expect(rows).toEqual([expect.objectContaining({ ip_address: null })]);
  });
});

describe('the log', () => {
  test.each([
    ['a value', `update app_public.audit_logs set new_value = '{}'`], ['the time', `update app_public.audit_logs set created_at = '2020-01-01'`],
    ['the user, while he is there', 'update app_public.audit_logs set user_id = null where user_id is not null'], ['a row', 'delete from app_public.audit_logs'],
    ['all rows', 'truncate app_public.audit_logs'], ['all rows of a month', 'truncate app_private.audit_logs_default'], ['all of it, through its tenants', 'truncate app_public.tenants cascade'],
  ])('is not changed by anybody, the owner included: %s', async (_what, sql) => {
    await auditOf(async () => {
      await signIn('architect');
      await context.client.query(`update app_public.sources set name = 'somebody'`);
    });
    expect((await probe(context.client, sql)).refused).toBe('AF411');
  });

  test('outlives the user whom it names', async () => {
    const user = await plantUser(context.client, tenant.id, 'architect');
    const changes = await auditOf(async () => {
      await become(context.client, 'agentflow_user', { tenant_id: tenant.id, user_id: user, role: 'architect' });
      await context.client.query(`update app_public.sources set name = 'last deed'`);
    });
    expect(changes[0]!.user_id).toBe(user);
    const erased = await auditOf(change('delete from app_public.users where id = $1', [user]));
    expect(erased.map(({ action, entity_type, entity_id }) => [action, entity_type, entity_id])).toEqual([['erase', 'user', user]]);
    expect(await one(context.client, `select user_id from app_public.audit_logs where new_value ->> 'name' = 'last deed' and tenant_id = $1`, [tenant.id])).toBeNull();
  });

  test('outlives a tenant that is erased by somebody of it', async () => {
    await become(context.client, 'agentflow_owner', { tenant_id: tenant.id, user_id: tenant.users.admin, role: 'admin' });
    await context.client.query('delete from app_public.tenants where id = $1', [tenant.id]);
    await leave(context.client);
    const { rows } = await context.client.query<{ action: string; count: number }>(
      `select entity_type as action, count(*)::int from app_public.audit_logs where tenant_id = $1 and action = 'erase' group by 1 order by 1`, [tenant.id]);
    expect(Object.fromEntries(rows.map(({ action, count }) => [action, count]))).toEqual({ access_link: 1, api_key: 1, execution: 1, flow: 1, source: 1, tenant: 1, user: 5, workflow: 1 });
    expect(await one(context.client, 'select count(*)::int from app_public.executions where tenant_id = $1', [tenant.id])).toBe(0);
  });
});
