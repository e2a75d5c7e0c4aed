/** Timestamps, actors, addresses and the end of access, kept by triggers whoever writes. */
import { randomUUID } from 'node:crypto';
import { one, plantTenant, plantUser, smallestSpec, type PlantedTenant } from '../support/plant.ts';
import { become, leave } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
beforeAll(async () => {
  tenant = await plantTenant(context.client);
});

const asArchitect = (): Record<string, string> => ({ tenant_id: tenant.id, user_id: tenant.users.architect, role: 'architect' });
/** As a function of the owner acts for a signed-in user. */
async function actFor(user: string): Promise<void> {
  await become(context.client, 'agentflow_owner', { tenant_id: tenant.id, user_id: user, role: 'admin' });
}

const actorTables = ['tenants', 'users', 'workflows', 'sources', 'api_keys', 'flows'];
const key: Record<string, string> = { tenants: 'id', flows: 'tenant_id', users: 'tenant_id', workflows: 'tenant_id', sources: 'tenant_id', api_keys: 'tenant_id' };

test.each(actorTables)('%s: a change stamps when and who, and never the creation', async (table) => {
  const touched = { tenants: 'name', users: 'name', workflows: 'name', sources: 'name', api_keys: 'name', flows: 'description' }[table]!;
  await context.client.query(`alter table app_public.${table} disable trigger user`);
  await context.client.query(`update app_public.${table} set created_at = '2020-01-01', updated_at = '2020-01-01', created_by = null where ${key[table]} = $1`, [tenant.id]);
  await context.client.query(`alter table app_public.${table} enable trigger user`);
  await actFor(tenant.users.operator);
  await context.client.query(`update app_public.${table} set ${touched} = 'changed', created_at = now(), created_by = updated_by where ${key[table]} = $1`, [tenant.id]);
  const { rows } = await context.client.query<Record<string, unknown>>(
    `select created_at = '2020-01-01' as creation_stays, created_by, updated_at = now() as is_stamped, updated_by from app_public.${table} where ${key[table]} = $1`, [tenant.id]);
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row).toEqual({ creation_stays: true, created_by: null, is_stamped: true, updated_by: tenant.users.operator });
});

test.each(['executions', 'flow_executions'])('%s: a change stamps when', async (table) => {
  await context.client.query(`alter table app_public.${table} disable trigger user`);
  await context.client.query(`update app_public.${table} set updated_at = '2020-01-01' where tenant_id = $1`, [tenant.id]);
  await context.client.query(`alter table app_public.${table} enable trigger user`);
  const change = table === 'executions' ? 'deleted_at = now()' : `status = 'RUNNING'`;
  const { rows } = await context.client.query(`update app_public.${table} set ${change} where tenant_id = $1 returning updated_at = now() as is_stamped`, [tenant.id]);
  expect(rows).toEqual([{ is_stamped: true }]);
});

test('a client cannot claim to be somebody else, a DBA may name an actor', async () => {
  const insert = `insert into app_public.workflows (name, spec, user_id, tenant_id, created_by) values ('n', '{}', $1, $2, $3) returning created_by`;
  expect(await one(context.client, insert, [tenant.users.admin, tenant.id, tenant.users.viewer])).toBe(tenant.users.viewer);
  await actFor(tenant.users.operator);
  expect(await one(context.client, insert, [tenant.users.admin, tenant.id, tenant.users.viewer])).toBe(tenant.users.operator);
});

test('deletion is stamped by the status, and undone by it', async () => {
  await actFor(tenant.users.architect);
  for (const [table, id] of [['workflows', tenant.workflowId], ['sources', tenant.sourceId], ['users', tenant.users.viewer]] as const) {
    const { rows: [gone] } = await context.client.query(`update app_public.${table} set status = 'deleted' where id = $1 returning deleted_at = now() as is_stamped, deleted_by`, [id]);
    expect(gone).toEqual({ is_stamped: true, deleted_by: tenant.users.architect });
    const { rows: [back] } = await context.client.query(
      `update app_public.${table} set status = $2 where id = $1 returning deleted_at, deleted_by`, [id, table === 'workflows' ? 'draft' : 'inactive']);
    expect(back).toEqual({ deleted_at: null, deleted_by: null });
  }
});

test('the use of a key is no change of it', async () => {
  await context.client.query('alter table app_public.api_keys disable trigger user');
  await context.client.query(`update app_public.api_keys set updated_at = '2020-01-01' where id = $1`, [tenant.apiKeyId]);
  await context.client.query('alter table app_public.api_keys enable trigger user');
  const audited = await one(context.client, 'select count(*)::int from app_public.audit_logs where entity_id = $1', [tenant.apiKeyId]);
  const { rows } = await context.client.query(`update app_public.api_keys set last_used_at = now() where id = $1 returning updated_at = '2020-01-01' as is_unchanged`, [tenant.apiKeyId]);
  expect(rows).toEqual([{ is_unchanged: true }]);
  expect(await one(context.client, 'select count(*)::int from app_public.audit_logs where entity_id = $1', [tenant.apiKeyId])).toBe(audited);
});

describe('e-mail addresses', () => {
  const insert = (email: string): Promise<string> =>
    one<string>(context.client, `insert into app_public.users (email, name, password_hash, tenant_id) values ($1, 'n', 'x', $2) returning id`, [email, tenant.id]);

  test('are stored in lower case', async () => {
    const id = await insert('  Mixed.Case@Example.COM ');
    expect(await one(context.client, 'select email from app_public.users where id = $1', [id])).toBe('mixed.case@example.com');
    await expect(insert('mixed.case@EXAMPLE.com')).rejects.toMatchObject({ code: '23505', constraint: 'idx_users_email' });
  });
  test('are free again when their user is deleted, and taken when he wants it back', async () => {
    const first = await insert('once@example.com');
    await context.client.query(`update app_public.users set status = 'deleted' where id = $1`, [first]);
    await insert('once@example.com');
    await expect(context.client.query(`update app_public.users set status = 'inactive' where id = $1`, [first])).rejects.toMatchObject({ code: '23505', constraint: 'idx_users_email' });
  });
  test('as long as allowed can be given up', async () => {
    const id = await insert(`${'x'.repeat(243)}@example.com`);
    await context.client.query(`update app_public.users set status = 'deleted' where id = $1`, [id]);
    expect(await one<string>(context.client, 'select email from app_public.users where id = $1', [id])).toBe(`forgotten@#deleted-${id}`);
  });
  test.each(['nobody', '@example.com'])('must look like one: %s', async (email) => {
    await expect(insert(email)).rejects.toMatchObject({ code: '23514', constraint: 'chk_users_email' });
  });
  test('cannot pretend to be a deleted one', async () => {
    await expect(insert(`a@example.com#deleted-${randomUUID()}`)).rejects.toMatchObject({ code: 'AF400', column: 'email' });
  });
});

describe('the end of access', () => {
  async function userWithAccess(): Promise<string> {
    const user = await plantUser(context.client, tenant.id, 'developer');
    for (const status of ['active', 'expired']) {
      await context.client.query(`insert into app_public.api_keys (name, key_hash, user_id, tenant_id, status) values ('k', $1, $2, $3, $4)`, [randomUUID(), user, tenant.id, status]);
    }
    await context.client.query(`insert into app_private.sessions (user_id, tenant_id, expires_at) values ($1, $2, now() + interval '1 day')`, [user, tenant.id]);
    return user;
  }
  const accessOf = async (user: string): Promise<unknown> => one(context.client, `
    select json_build_object('keys', (select json_agg(status order by status) from app_public.api_keys where user_id = $1),
      'sessions', (select count(*) from app_private.sessions where user_id = $1 and revoked_at is null))`, [user]);

  test.each(['inactive', 'deleted'])('a user who becomes %s has no keys and no sessions', async (status) => {
    const user = await userWithAccess();
    expect(await accessOf(user)).toEqual({ keys: ['active', 'expired'], sessions: 1 });
    await become(context.client, 'agentflow_owner', asArchitect());
    await context.client.query('update app_public.users set status = $2 where id = $1', [user, status]);
    await leave(context.client);
    expect(await accessOf(user)).toEqual({ keys: ['expired', 'revoked'], sessions: 0 });
  });
  test('coming back does not bring them back', async () => {
    const user = await userWithAccess();
    await context.client.query(`update app_public.users set status = 'inactive' where id = $1`, [user]);
    await context.client.query(`update app_public.users set status = 'active' where id = $1`, [user]);
    expect(await accessOf(user)).toEqual({ keys: ['expired', 'revoked'], sessions: 0 });
  });
  test('a change of the name leaves them alone', async () => {
    const user = await userWithAccess();
    await context.client.query(`update app_public.users set name = 'new' where id = $1`, [user]);
    expect(await accessOf(user)).toEqual({ keys: ['active', 'expired'], sessions: 1 });
  });
  test('a deleted key is a revoked one', async () => {
    const { rows } = await context.client.query('update app_public.api_keys set deleted_at = now() where id = $1 returning status', [tenant.apiKeyId]);
    expect(rows).toEqual([{ status: 'revoked' }]);
  });
});

test('a workflow without an owner belongs to who makes it; one of a DBA must name him', async () => {
  await expect(context.client.query(`insert into app_public.workflows (name, spec, tenant_id) values ('n', $1, $2)`, [smallestSpec, tenant.id]))
    .rejects.toMatchObject({ code: '23502', column: 'user_id' });
});
