/** What each role and each key may do to the tables, with the grants and policies as they are. */
import { plantExecution, plantTenant, plantUser, rolesOfUsers, smallestSpec, type PlantedTenant, type RoleOfUser } from '../support/plant.ts';
import { become, leave, probe } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
let deleted: Record<'user' | 'workflow' | 'source' | 'execution', string>;

beforeAll(async () => {
  const { client } = context;
  tenant = await plantTenant(client);
  const other = await plantTenant(client);
  await client.query('update app_public.executions set deleted_at = now() where id = $1', [other.executionId]);
  deleted = { user: await plantUser(client, tenant.id, 'viewer'), workflow: '', source: '', execution: '' };
  await client.query(`update app_public.users set status = 'deleted' where id = $1`, [deleted.user]);
  const { rows: [workflow] } = await client.query<{ id: string }>(
    `insert into app_public.workflows (name, spec, user_id, tenant_id, status) values ('gone', $1, $2, $3, 'deleted') returning id`, [smallestSpec, tenant.users.architect, tenant.id]);
  const { rows: [source] } = await client.query<{ id: string }>(
    `insert into app_public.sources (name, kind, config, user_id, tenant_id, status) values ('gone', 'api', '{}', $1, $2, 'deleted') returning id`, [tenant.users.architect, tenant.id]);
  deleted.workflow = workflow!.id;
  deleted.source = source!.id;
  deleted.execution = await plantExecution(client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: tenant.users.architect });
  await client.query('update app_public.executions set deleted_at = now() where id = $1', [deleted.execution]);
});

interface Operation {
  name: string;
  sql: string;
  values?: () => unknown[];
  least: RoleOfUser;
  /** What a key needs; null: never by key; 'any': every key. */
  key: [area: string, verb: string] | null | 'any';
}

const operations: Operation[] = [
  { name: 'read workflows', sql: 'select from app_public.workflows', least: 'viewer', key: ['workflows', 'read'] },
  { name: 'read versions', sql: 'select from app_public.workflow_versions', least: 'viewer', key: ['workflows', 'read'] },
  { name: 'read executions', sql: 'select from app_public.executions', least: 'viewer', key: ['executions', 'read'] },
  { name: 'read node executions', sql: 'select from app_public.node_executions', least: 'viewer', key: ['executions', 'read'] },
  { name: 'read sources', sql: 'select from app_public.sources', least: 'viewer', key: ['sources', 'read'] },
  { name: 'read flows', sql: 'select from app_public.flows', least: 'viewer', key: ['flows', 'read'] },
  { name: 'read flow executions', sql: 'select from app_public.flow_executions', least: 'viewer', key: ['executions', 'read'] },
  { name: 'read task executions', sql: 'select id from app_public.task_executions', least: 'viewer', key: ['executions', 'read'] },
  { name: 'read the tenant', sql: 'select from app_public.tenants', least: 'viewer', key: 'any' },
  { name: 'read oneself', sql: 'select id from app_public.users', least: 'viewer', key: 'any' },
  { name: 'create a workflow', sql: `insert into app_public.workflows (name, description, spec) values ('n', 'd', '{}')`, least: 'developer', key: ['workflows', 'write'] },
  { name: 'edit workflows', sql: `update app_public.workflows set name = 'n', description = 'd', spec = '{"nodes": []}'`, least: 'developer', key: ['workflows', 'write'] },
  { name: 'create a source', sql: `insert into app_public.sources (name, kind, config) values ('n', 'api', '{}')`, least: 'architect', key: ['sources', 'write'] },
  { name: 'edit sources', sql: `update app_public.sources set name = 'n', config = '{}', status = 'inactive'`, least: 'architect', key: ['sources', 'write'] },
  { name: 'edit other users', sql: `update app_public.users set name = 'n', role = 'operator', status = 'inactive' where id <> app_public.current_user_id()`, least: 'admin', key: null },
  { name: 'edit oneself', sql: `update app_public.users set name = 'n' where id = app_public.current_user_id()`, least: 'viewer', key: null },
  { name: 'read one-time links', sql: 'select id from app_public.access_links', least: 'admin', key: null },
  { name: 'edit the tenant', sql: `update app_public.tenants set name = 'n', settings = '{}'`, least: 'admin', key: null },
  { name: 'read API keys', sql: 'select id from app_public.api_keys', least: 'admin', key: null },
  { name: 'read the audit log', sql: 'select from app_public.audit_logs', least: 'admin', key: null },
  { name: 'see a deleted workflow', sql: 'select from app_public.workflows where id = $1', values: () => [deleted.workflow], least: 'architect', key: null },
  { name: 'see versions of a deleted workflow', sql: 'select from app_public.workflow_versions where workflow_id = $1', values: () => [deleted.workflow], least: 'architect', key: null },
  { name: 'see a deleted source', sql: 'select from app_public.sources where id = $1', values: () => [deleted.source], least: 'architect', key: null },
  { name: 'see a deleted execution', sql: 'select from app_public.executions where id = $1', values: () => [deleted.execution], least: 'architect', key: null },
  { name: 'see a deleted user', sql: 'select id from app_public.users where id = $1', values: () => [deleted.user], least: 'admin', key: null },
];

const claimsOf = (role: RoleOfUser): Record<string, string> => ({ tenant_id: tenant.id, user_id: tenant.users[role], role });
const rank = (role: RoleOfUser): number => rolesOfUsers.indexOf(role);

async function isAllowed(operation: Operation, claims: Record<string, string>): Promise<boolean> {
  await become(context.client, 'agentflow_user', claims);
  const outcome = await probe(context.client, operation.sql, operation.values?.());
  await leave(context.client);
  if (outcome.refused !== null && outcome.refused !== '42501') throw new Error(`${operation.name}: ${outcome.refused} ${outcome.message}`);
  return outcome.rows > 0;
}

test.each(operations)('$name: from $least on', async (operation) => {
  const allowed: string[] = [];
  for (const role of rolesOfUsers) if (await isAllowed(operation, claimsOf(role))) allowed.push(role);
  expect(allowed).toEqual(rolesOfUsers.filter((role) => rank(role) >= rank(operation.least)));
});

test.each(operations.filter(({ name }) => !name.startsWith('see ')))('$name: by a key of an admin, only as permitted', async (operation) => {
  const allowed: string[] = [];
  const wanted: string[] = [];
  for (const area of ['workflows', 'flows', 'executions', 'sources']) {
    for (const verb of ['read', 'write', 'execute']) {
      const permissions = JSON.stringify({ [area]: [verb] });
      if (await isAllowed(operation, { ...claimsOf('admin'), api_key_id: tenant.apiKeyId, permissions })) allowed.push(`${area}:${verb}`);
      if (operation.key === 'any' || (operation.key?.[0] === area && operation.key[1] === verb)) wanted.push(`${area}:${verb}`);
    }
  }
  expect(allowed).toEqual(wanted);
});

test('a key sees no user but its own', async () => {
  await become(context.client, 'agentflow_user', { ...claimsOf('admin'), api_key_id: tenant.apiKeyId, permissions: '{"workflows": ["read"]}' });
  const { rows } = await context.client.query<{ id: string }>('select id from app_public.users');
  expect(rows).toEqual([{ id: tenant.users.admin }]);
});

test.each([
  ['draft is the only status to be born in', `insert into app_public.workflows (name, spec, status) values ('n', '{}', 'published')`],
  ['a workflow has one owner', `insert into app_public.workflows (name, spec, user_id) values ('n', '{}', gen_random_uuid())`],
  ['status goes by functions', `update app_public.workflows set status = 'deleted'`],
  ['the owner stays', 'update app_public.workflows set user_id = gen_random_uuid()'],
  ['kinds of sources stay', `update app_public.sources set kind = 'db'`],
  ['executions are started by a function', `insert into app_public.executions (workflow_id, initial_state) values (gen_random_uuid(), '{}')`],
  ['executions are changed by functions', `update app_public.executions set status = 'completed'`],
  ['hashes are not read', 'select password_hash from app_public.users'],
  ['nor by way of the whole row', 'select users from app_public.users'],
  ['key hashes are not read', 'select key_hash from app_public.api_keys'],
  ['hashes of one-time links are not read', 'select token_hash from app_public.access_links'],
  ['one-time links are made by functions', `insert into app_public.access_links (kind, email) values ('reset', 'a@b')`],
  ['API keys are made by functions', `insert into app_public.api_keys (name) values ('n')`],
  ['users are made by links', `insert into app_public.users (email, name) values ('a@b', 'n')`],
  ['traces are not read', 'select error_traceback from app_public.task_executions'],
  ['the audit log is not written', `insert into app_public.audit_logs (tenant_id, action, entity_type) values (gen_random_uuid(), 'create', 'workflow')`],
])('not even an admin: %s', async (_rule, sql) => {
  await become(context.client, 'agentflow_user', claimsOf('admin'));
  expect((await probe(context.client, sql)).refused).toBe('42501');
});

test('nobody deletes by changing the status of a user or a source', async () => {
  await become(context.client, 'agentflow_user', claimsOf('admin'));
  expect((await probe(context.client, `update app_public.users set status = 'deleted' where id = $1`, [tenant.users.viewer])).refused).toBe('AF411');
  expect((await probe(context.client, `update app_public.sources set status = 'deleted' where id = $1`, [tenant.sourceId])).refused).toBe('AF411');
});

test.each([
  ['role', `update app_public.users set role = 'admin' where id = $1`], ['status', `update app_public.users set status = 'inactive' where id = $1`],
])('nobody changes the own %s without the right to', async (_what, sql) => {
  for (const role of rolesOfUsers.filter((name) => name !== 'admin')) {
    await become(context.client, 'agentflow_user', claimsOf(role));
    expect((await probe(context.client, sql, [tenant.users[role]])).refused).toBe('42501');
  }
});

test('an insert through the API belongs to who makes it', async () => {
  await become(context.client, 'agentflow_user', claimsOf('developer'));
  const { rows: [row] } = await context.client.query(
    `insert into app_public.workflows (name, spec) values ('mine', '{}') returning tenant_id, user_id, created_by, updated_by, status, version`);
  expect(row).toEqual({ tenant_id: tenant.id, user_id: tenant.users.developer, created_by: tenant.users.developer, updated_by: tenant.users.developer, status: 'draft', version: 1 });
});
