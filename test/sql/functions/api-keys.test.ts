/** Making, rotating and revoking API keys. */
import { randomUUID } from 'node:crypto';
import { createApiKey, hashApiKey } from '../../../src/keys.ts';
import { useTestDatabase } from '../../support/database.ts';
import { type PlantedTenant, plantTenant } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  [ours, theirs] = await db.asRole('agentflow_owner', {}, async (client) => [await plantTenant(client), await plantTenant(client)], { commit: true });
});

const admin = <T = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> => as(db, claimsOf(ours, 'admin'))<T>(sql, values);
const identify = (hash: string): Promise<Record<string, unknown>[]> => as(db, {}, 'agentflow_authenticator')('select * from app_private.identify_api_key($1)', [hash]);
const made = (): { hash: string; prefix: string } => {
  const { key, prefix } = createApiKey();
  return { hash: hashApiKey(key, db.secretKey), prefix };
};

interface Wanted { name?: string | null; permissions?: unknown; expires?: string | null; user?: string | null; hash?: string | null; prefix?: string | null }
async function create(wanted: Wanted = {}): Promise<{ id: string; hash: string }> {
  const { hash, prefix, name, permissions, expires, user } = { ...made(), name: 'a key', permissions: { workflows: ['read'] }, expires: null, user: null, ...wanted };
  const [row] = await admin<{ id: string }>('select (k).id from app_public.create_api_key($1, $2, $3, $4, $5, $6) as k', [name, JSON.stringify(permissions), expires, user, hash, prefix]);
  return { id: row!.id, hash: hash! };
}
const rotate = async (id: string, overlap = '1 day'): Promise<{ id: string; hash: string }> => {
  const { hash, prefix } = made();
  const [row] = await admin<{ id: string }>('select (k).id from app_public.rotate_api_key($1, $2::interval, $3, $4) as k', [id, overlap, hash, prefix]);
  return { id: row!.id, hash };
};
const rowOf = async (id: string): Promise<Record<string, unknown>> => (await db.owner.query('select *, expires_at - now() as left from app_public.api_keys where id = $1', [id])).rows[0]!;

test('a new key acts for who made it, or for the user named', async () => {
  expect(await identify((await create()).hash)).toMatchObject([{ user_id: ours.users.admin, role: 'admin', permissions: { workflows: ['read'] } }]);
  expect(await identify((await create({ user: ours.users.operator })).hash)).toMatchObject([{ user_id: ours.users.operator, role: 'operator' }]);
});

test.each<[string, Wanted, string]>([
  ['a blank name', { name: ' ' }, 'name'], ['a long name', { name: 'n'.repeat(256) }, 'name'], ['permissions that are none', { permissions: { workflows: ['root'] } }, 'permissions'],
  ['permissions for an area that is none', { permissions: { users: ['read'] } }, 'permissions'], ['an end in the past', { expires: '2020-01-01' }, 'expires_at'],
  ['the key itself instead of its hash', { hash: 'sk_live_1' }, 'key_hash'], ['a prefix that is a key', { prefix: createApiKey().key }, 'key_hash'],
])('a key with %s is refused', async (_what, wanted, field) => {
  expect(await refusal(create(wanted))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: field });
});

test('no key for users of other tenants, unknown ones, or who is not active', async () => {
  const foreign = await refusal(create({ user: theirs.users.admin }));
  expect(foreign.code).toBe(sqlstates.NOT_FOUND);
  expect(await refusal(create({ user: unknownId }))).toEqual(foreign);
  await admin(`update app_public.users set status = 'inactive' where id = $1`, [ours.users.viewer]);
  expect((await refusal(create({ user: ours.users.viewer }))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
});

test('a rotated key works on beside its successor, and then no more', async () => {
  const old = await create();
  const next = await rotate(old.id, '2 hours');
  expect(await identify(old.hash)).toHaveLength(1);
  expect(await identify(next.hash)).toHaveLength(1);
  expect(await rowOf(old.id)).toMatchObject({ replaced_by_id: next.id, status: 'active' });
  expect(await rowOf(next.id)).toMatchObject({ name: 'a key', permissions: { workflows: ['read'] }, user_id: ours.users.admin, expires_at: null });
  await db.owner.query('update app_public.api_keys set expires_at = now() where id = $1', [old.id]);
  expect(await identify(old.hash)).toEqual([]);
  expect((await refusal(rotate(old.id))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
});

test('rotating without overlap revokes at once; what was rotated is not rotated again; an early end stays', async () => {
  const old = await create();
  await rotate(old.id, '0');
  expect(await identify(old.hash)).toEqual([]);
  expect(await rowOf(old.id)).toMatchObject({ status: 'revoked', revoked_reason: 'rotated' });
  const short = await create({ expires: new Date(Date.now() + 60_000).toISOString() });
  const before = (await rowOf(short.id)).expires_at;
  const next = await rotate(short.id);
  expect((await rowOf(short.id)).expires_at).toEqual(before);
  expect((await rowOf(next.id)).expires_at).toEqual(before);
  expect((await refusal(rotate(short.id))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
  expect((await refusal(rotate((await create()).id, '31 days'))).code).toBe(sqlstates.INVALID_VALUE);
  expect((await refusal(rotate((await create()).id, '-1 second'))).code).toBe(sqlstates.INVALID_VALUE);
});

test('a revoked key is refused from then on, with the reason beside it and in the audit log', async () => {
  const key = await create();
  expect(await admin('select status, revoked_reason, key_hash from app_public.revoke_api_key($1, $2)', [key.id, ' left on a bus '])).toEqual([{ status: 'revoked', revoked_reason: 'left on a bus', key_hash: null }]);
  expect(await identify(key.hash)).toEqual([]);
  expect((await refusal(admin('select app_public.revoke_api_key($1)', [key.id]))).code).toBe(sqlstates.ILLEGAL_TRANSITION);
  const { rows } = await db.owner.query(`select action, new_value ->> 'revoked_reason' as reason from app_public.audit_logs where entity_id = $1 and action = 'revoke'`, [key.id]);
  expect(rows).toEqual([{ action: 'revoke', reason: 'left on a bus' }]);
});

test('a foreign key is no key', async () => {
  const calls = [`select app_public.revoke_api_key($1)`, `select app_public.rotate_api_key($1, '1 day', repeat('a', 64), 'sk_live_abcd')`];
  for (const call of calls) {
    const foreign = await refusal(admin(call, [theirs.apiKeyId]));
    expect(foreign.code).toBe(sqlstates.NOT_FOUND);
    expect(foreign).toEqual(await refusal(admin(call, [randomUUID()])));
  }
});

test('neither key nor hash is in the audit log', async () => {
  const key = await create();
  const { rows } = await db.owner.query<{ text: string }>(`select coalesce(string_agg(audit_logs::text, ' '), '') as text from app_public.audit_logs where entity_id = $1`, [key.id]);
  expect(rows[0]!.text).toContain('[redacted]');
  expect(rows[0]!.text).not.toContain(key.hash);
});

test('who is disabled loses the keys, and they say why', async () => {
  const key = await create({ user: ours.users.developer });
  await admin(`update app_public.users set status = 'inactive' where id = $1`, [ours.users.developer]);
  expect(await rowOf(key.id)).toMatchObject({ status: 'revoked', revoked_reason: 'the user is inactive' });
});
