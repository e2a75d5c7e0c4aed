/** Invitations, password resets, deleting and restoring users, and the last admin. */
import { createHash, randomUUID } from 'node:crypto';
import { useTestDatabase } from '../../support/database.ts';
import { type PlantedTenant, plantTenant, plantUser, rolesOfUsers } from '../support/plant.ts';
import { as, claimsOf, refusal, someoneWaits, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
const hash = `$2b$12$${'a'.repeat(53)}`;
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeEach(async () => {
  [ours, theirs] = await db.asRole('agentflow_owner', {}, async (client) => [await plantTenant(client), await plantTenant(client)], { commit: true });
});

const admin = <T = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> => as(db, claimsOf(ours, 'admin'))<T>(sql, values);
const ask = as(db, {}, 'agentflow_authenticator');
const tokenHash = (): string => createHash('sha256').update(randomUUID()).digest('hex');
const emailOf = async (userId: string): Promise<string> => (await db.owner.query<{ email: string }>('select email from app_public.users where id = $1', [userId])).rows[0]!.email;

async function invite(email: string, role: string | null = 'developer'): Promise<{ id: string; hash: string }> {
  const token = tokenHash();
  const [row] = await admin<{ id: string }>('select (link).id from app_public.create_user($1, $2, $3, $4) as link', [email, 'Nova', role, token]);
  return { id: row!.id, hash: token };
}
async function reset(userId: string): Promise<string> {
  const token = tokenHash();
  await admin('select app_public.create_password_reset($1, $2)', [userId, token]);
  return token;
}
const use = (token: string, name: string | null = null): Promise<Record<string, unknown>[]> => ask('select app_private.use_access_link($1, $2, $3) as user_id', [token, name, hash]);
const statusOf = async (id: string): Promise<unknown> => (await db.owner.query('select status from app_public.access_links where id = $1', [id])).rows[0]!.status;

describe('an invitation', () => {
  test('makes a user of its tenant with its role, once', async () => {
    const email = `nova-${randomUUID()}@example.com`;
    const { id, hash: token } = await invite(` ${email.toUpperCase()} `);
    expect(await ask('select * from app_private.find_access_link($1)', [token])).toEqual([{ kind: 'invitation', email, name: 'Nova' }]);
    const [used] = await use(token, 'Nova Star');
    const { rows } = await db.owner.query('select tenant_id, email, name, role, status, password_hash, created_by from app_public.users where id = $1', [used!.user_id]);
    expect(rows).toEqual([{ tenant_id: ours.id, email, name: 'Nova Star', role: 'developer', status: 'active', password_hash: hash, created_by: ours.users.admin }]);
    expect((await db.owner.query('select status, user_id from app_public.access_links where id = $1', [id])).rows).toEqual([{ status: 'used', user_id: used!.user_id }]);
    expect((await refusal(use(token))).code).toBe(sqlstates.LINK_INVALID);
  });

  test('is answered alike for a free address, one of ours and one of another tenant', async () => {
    const answers = [];
    for (const email of [`free-${randomUUID()}@example.com`, await emailOf(ours.users.viewer), await emailOf(theirs.users.viewer)]) {
      const [row] = await admin('select (link).* from app_public.create_user($1, null, null, $2) as link', [email, tokenHash()]);
      answers.push({ ...row, id: '', email: '', expires_at: '', created_at: '', updated_at: '' });
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ kind: 'invitation', role: 'viewer', status: 'pending', token_hash: null, tenant_id: ours.id });
  });

  test('that is used, expired, withdrawn, superseded, of a suspended tenant, unknown or for a taken address is refused in the same words', async () => {
    const refusals = [];
    const used = await invite(`used-${randomUUID()}@example.com`);
    await use(used.hash);
    refusals.push(await refusal(use(used.hash)));
    const expired = await invite(`late-${randomUUID()}@example.com`);
    await db.owner.query('alter table app_public.access_links disable trigger user');
    await db.owner.query('update app_public.access_links set expires_at = now() where id = $1', [expired.id]);
    await db.owner.query('alter table app_public.access_links enable trigger user');
    refusals.push(await refusal(use(expired.hash)));
    const withdrawn = await invite(`gone-${randomUUID()}@example.com`);
    await admin('select app_public.withdraw_access_link($1)', [withdrawn.id]);
    refusals.push(await refusal(use(withdrawn.hash)));
    const twice = `twice-${randomUUID()}@example.com`;
    const first = await invite(twice);
    await invite(twice);
    refusals.push(await refusal(use(first.hash)));
    refusals.push(await refusal(use((await invite(await emailOf(theirs.users.viewer))).hash)), await refusal(use(tokenHash())), await refusal(use('')));
    const suspended = await invite(`later-${randomUUID()}@example.com`);
    await db.owner.query(`update app_public.tenants set status = 'suspended' where id = $1`, [ours.id]);
    refusals.push(await refusal(use(suspended.hash)), await refusal(ask('select app_private.find_access_link($1)', [suspended.hash])));
    expect(refusals).toHaveLength(9);
    for (const one of refusals) expect(one).toEqual(refusals[0]);
    expect(refusals[0]!.code).toBe(sqlstates.LINK_INVALID);
  });

  test('used twice at once makes one user', async () => {
    const { hash: token } = await invite(`race-${randomUUID()}@example.com`);
    const outcomes = await Promise.allSettled([use(token), use(token), use(token)]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('by an admin who is disabled meanwhile is worth nothing', async () => {
    const other = await db.asRole('agentflow_owner', {}, (client) => plantUser(client, ours.id, 'admin'), { commit: true });
    const token = tokenHash();
    await as(db, { tenant_id: ours.id, user_id: other, role: 'admin' })('select app_public.create_user($1, null, $2, $3)', [`door-${randomUUID()}@example.com`, 'admin', token]);
    await admin(`update app_public.users set status = 'inactive' where id = $1`, [other]);
    expect((await refusal(use(token))).code).toBe(sqlstates.LINK_INVALID);
  });

  test.each([
    ['no address', ['', null, 'viewer'], 'email'], ['two addresses', ['a@b@c', null, 'viewer'], 'email'], ['a long address', [`${'a'.repeat(250)}@example.com`, null, 'viewer'], 'email'],
    ['a long name', ['a@b.example', 'n'.repeat(256), 'viewer'], 'name'], ['an unknown role', ['a@b.example', null, 'root'], 'role'],
  ])('with %s is refused', async (_what, [email, name, role], field) => {
    expect(await refusal(admin('select app_public.create_user($1, $2, $3, $4)', [email, name, role, tokenHash()]))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: field });
  });

  test('keeps no token and no password, only hashes', async () => {
    for (const bad of ['', 'the token itself', null]) {
      expect((await refusal(admin('select app_public.create_user($1, null, null, $2)', ['a@b.example', bad]))).code).toBe(sqlstates.INVALID_VALUE);
    }
    const { hash: token } = await invite(`plain-${randomUUID()}@example.com`);
    for (const bad of ['my password', `$2a$04$${'a'.repeat(53)}`, null]) {
      expect((await refusal(ask('select app_private.use_access_link($1, null, $2)', [token, bad]))).code).toBe(sqlstates.INVALID_VALUE);
    }
  });
});

describe('a password reset', () => {
  test('gives a user a new password, and ends all sessions and other resets', async () => {
    const person = ours.users.developer;
    const [session] = await ask<{ session_id: string }>(`select session_id from app_private.open_session($1, '1 hour')`, [person]);
    const [old, token] = [await reset(person), await reset(person)];
    expect(await use(token)).toEqual([{ user_id: person }]);
    expect(await ask('select * from app_private.identify_session($1)', [session!.session_id])).toEqual([]);
    expect((await db.owner.query('select password_hash from app_public.users where id = $1', [person])).rows).toEqual([{ password_hash: hash }]);
    for (const stale of [old, token]) expect((await refusal(use(stale))).code).toBe(sqlstates.LINK_INVALID);
  });

  test('is for active users of the own tenant', async () => {
    expect(await refusal(reset(theirs.users.viewer))).toEqual(await refusal(reset(unknownId)));
    await admin(`update app_public.users set status = 'inactive' where id = $1`, [ours.users.viewer]);
    expect((await refusal(reset(ours.users.viewer))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
  });

  test('dies when its user is disabled', async () => {
    const token = await reset(ours.users.viewer);
    await admin(`update app_public.users set status = 'inactive' where id = $1`, [ours.users.viewer]);
    expect((await refusal(use(token))).code).toBe(sqlstates.LINK_INVALID);
  });
});

test('links are withdrawn once, by admins of their tenant', async () => {
  const { id } = await invite(`w-${randomUUID()}@example.com`);
  expect(await refusal(as(db, claimsOf(theirs, 'admin'))('select app_public.withdraw_access_link($1)', [id]))).toMatchObject({ code: sqlstates.NOT_FOUND });
  await admin('select app_public.withdraw_access_link($1)', [id]);
  expect(await statusOf(id)).toBe('withdrawn');
  expect((await refusal(admin('select app_public.withdraw_access_link($1)', [id]))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
  await expect(db.owner.query(`update app_public.access_links set status = 'pending' where id = $1`, [id])).rejects.toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION });
});

describe('deleting and restoring', () => {
  test('frees the address, ends access, and brings the user back inactive', async () => {
    const person = ours.users.developer;
    const email = await emailOf(person);
    const [session] = await ask<{ session_id: string }>(`select session_id from app_private.open_session($1, '1 hour')`, [person]);
    expect(await admin('select status, password_hash, deleted_by from app_public.delete_user($1)', [person])).toEqual([{ status: 'deleted', password_hash: null, deleted_by: ours.users.admin }]);
    expect(await ask('select * from app_private.identify_session($1)', [session!.session_id])).toEqual([]);
    expect((await refusal(admin('select app_public.delete_user($1)', [person]))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
    expect(await admin('select status, email from app_public.restore_user($1)', [person])).toEqual([{ status: 'inactive', email }]);
    expect((await refusal(admin('select app_public.restore_user($1)', [person]))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
  });

  test('a user whose address is taken by now is not restored, and it is not said why', async () => {
    const person = ours.users.developer;
    const email = await emailOf(person);
    await admin('select app_public.delete_user($1)', [person]);
    await db.owner.query(`insert into app_public.users (tenant_id, email, name, password_hash) values ($1, $2, 'x', 'x')`, [theirs.id, email]);
    const refused = await refusal(admin('select app_public.restore_user($1)', [person]));
    expect(refused).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION, message: 'This user cannot be restored.' });
  });

  test.each(['delete_user', 'restore_user', 'create_password_reset', 'withdraw_access_link', 'revoke_api_key'])('%s asks for an admin, and never takes a key', async (name) => {
    const sql = name === 'create_password_reset' ? `select app_public.${name}($1, repeat('a', 64))` : `select app_public.${name}($1)`;
    for (const role of rolesOfUsers.filter((one) => one !== 'admin')) expect((await refusal(as(db, claimsOf(ours, role))(sql, [unknownId]))).code).toBe(sqlstates.PERMISSION_DENIED);
    const all = { workflows: ['read', 'write', 'execute'], flows: ['read', 'write', 'execute'], executions: ['read', 'write', 'execute'], sources: ['read', 'write', 'execute'] };
    expect((await refusal(as(db, claimsOf(ours, 'admin', all))(sql, [unknownId]))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect((await refusal(as(db, claimsOf(ours, 'admin'))(sql, [unknownId]))).code).toBe(sqlstates.NOT_FOUND);
  });
});

describe('the last admin', () => {
  const changes: [string, string][] = [
    ['is not demoted', `update app_public.users set role = 'viewer' where id = $1`], ['is not disabled', `update app_public.users set status = 'inactive' where id = $1`],
    ['is not deleted', 'select app_public.delete_user($1)'],
  ];

  test.each(changes)('%s, not even by himself', async (_what, sql) => {
    expect((await refusal(admin(sql, [ours.users.admin]))).code).toBe(sqlstates.LAST_ADMIN);
    await expect(db.owner.query(`update app_public.users set status = 'inactive' where tenant_id = $1 and role = 'admin'`, [ours.id])).rejects.toMatchObject({ code: sqlstates.LAST_ADMIN });
  });

  test('may go when there is another', async () => {
    await db.asRole('agentflow_owner', {}, (client) => plantUser(client, ours.id, 'admin'), { commit: true });
    await admin(`update app_public.users set role = 'viewer' where id = $1`, [ours.users.admin]);
    const { rows } = await db.owner.query(`select count(*)::int as admins from app_public.users where tenant_id = $1 and role = 'admin'`, [ours.id]);
    expect(rows).toEqual([{ admins: 1 }]);
  });

  test('stays when two demote each other at the same time, or all at once', async () => {
    const other = await db.asRole('agentflow_owner', {}, (client) => plantUser(client, ours.id, 'admin'), { commit: true });
    const demote = `update app_public.users set role = 'viewer' where id = $1`;
    await expect(db.owner.query(`update app_public.users set role = 'viewer' where tenant_id = $1`, [ours.id])).rejects.toMatchObject({ code: sqlstates.LAST_ADMIN });
    const client = await db.owner.connect();
    await client.query('begin');
    await client.query(demote, [other]);
    const second = refusal(admin(demote, [ours.users.admin]));
    await someoneWaits(db);
    await client.query('commit');
    client.release();
    expect((await second).code).toBe(sqlstates.LAST_ADMIN);
  });
});
