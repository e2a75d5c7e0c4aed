/** What the server asks before it takes a role: sign-ins, sessions, API keys. Only the authenticator may ask. */
import { randomUUID } from 'node:crypto';
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;

beforeEach(async () => {
  ours = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
});

const ask = as(db, {}, 'agentflow_authenticator');
const emailOf = async (userId: string): Promise<string> =>
  (await db.owner.query<{ email: string }>('select email from app_public.users where id = $1', [userId])).rows[0]!.email;

/** Each way in which a user, or the whole tenant, loses access. */
const losses: [string, string][] = [
  ['the user is inactive', `update app_public.users set status = 'inactive' where id = $1 and tenant_id = $2`],
  ['the user is deleted', `update app_public.users set status = 'deleted' where id = $1 and tenant_id = $2`],
  ['the tenant is suspended', `update app_public.tenants set status = 'suspended' where $1::uuid is not null and id = $2`],
  ['the tenant is deleted', `update app_public.tenants set status = 'deleted' where $1::uuid is not null and id = $2`],
];

describe('refresh_session', () => {
  const open = async (): Promise<string> =>
    (await ask<{ session_id: string }>(`select session_id from app_private.open_session($1, '1 hour')`, [ours.users.developer]))[0]!.session_id;
  const refresh = (session: string, generation: number): Promise<Record<string, unknown>[]> => ask('select * from app_private.refresh_session($1, $2)', [session, generation]);
  const isAlive = async (session: string): Promise<boolean> => (await ask('select * from app_private.identify_session($1)', [session])).length === 1;

  test('goes on, one generation at a time', async () => {
    const session = await open();
    for (const generation of [0, 1, 2]) {
      expect(await refresh(session, generation)).toMatchObject([{ is_reused: false, user_id: ours.users.developer, tenant_id: ours.id, role: 'developer', generation: generation + 1 }]);
    }
    expect(await isAlive(session)).toBe(true);
  });

  test('of a token that was used before ends the session, for good, and says so in the audit log', async () => {
    const session = await open();
    await refresh(session, 0);
    expect(await refresh(session, 0)).toMatchObject([{ is_reused: true, user_id: null }]);
    expect(await isAlive(session)).toBe(false);
    expect(await refresh(session, 1)).toEqual([]);
    const { rows } = await db.owner.query(`select action, user_id from app_public.audit_logs where entity_id = $1 and action = 'refresh_reused'`, [session]);
    expect(rows).toEqual([{ action: 'refresh_reused', user_id: ours.users.developer }]);
  });

  test('twice at once is one use and one reuse', async () => {
    const session = await open();
    const answers = (await Promise.all([refresh(session, 0), refresh(session, 0)])).flat();
    expect(answers.map(({ is_reused: isReused }) => isReused).sort()).toEqual([false, true]);
    expect(await isAlive(session)).toBe(false);
  });

  test('of a generation that has not been given out changes nothing', async () => {
    const session = await open();
    expect(await refresh(session, 7)).toEqual([]);
    expect(await refresh(session, 0)).toHaveLength(1);
  });

  test.each(losses)('ends when %s', async (_, change) => {
    const session = await open();
    await db.owner.query(change, [ours.users.developer, ours.id]);
    expect(await refresh(session, 0)).toEqual([]);
  });

  test('all sessions end at once: by hand, and with the password', async () => {
    const sessions = [await open(), await open(), await open()];
    expect(await ask('select app_private.close_sessions($1) as ended', [sessions[1]])).toEqual([{ ended: 3 }]);
    for (const session of sessions) expect(await isAlive(session)).toBe(false);
    const last = await open();
    await ask('select app_private.change_password($1, $2)', [ours.users.developer, `$2b$12$${'b'.repeat(53)}`]);
    expect(await isAlive(last)).toBe(false);
  });
});

describe('begin_sign_in', () => {
  const begin = async (email: string | null, origin = `origin-${Math.random()}`): Promise<Record<string, unknown>> =>
    (await ask('select * from app_private.begin_sign_in($1, $2)', [email, origin]))[0]!;
  const nobody = { is_allowed: true, user_id: null, password_hash: null };
  const refused = { is_allowed: false, user_id: null, password_hash: null };

  test('knows an active user by address, whatever its case', async () => {
    const email = await emailOf(ours.users.developer);
    expect(await begin(` ${email.toUpperCase()} `)).toEqual({ is_allowed: true, user_id: ours.users.developer, password_hash: '$2b$12$planted' });
  });

  test('knows nobody by an unknown address, or none', async () => {
    expect(await begin('nobody@example.com')).toEqual(nobody);
    expect(await begin(null)).toEqual(nobody);
  });

  test.each(losses)('knows nobody when %s', async (_, change) => {
    const email = await emailOf(ours.users.developer);
    await db.owner.query(change, [ours.users.developer, ours.id]);
    expect(await begin(email)).toEqual(nobody);
  });

  test('refuses the eleventh try at an account, known or not, until a quarter of an hour has gone by', async () => {
    for (const email of [await emailOf(ours.users.viewer), `nobody-${ours.slug}@example.com`]) {
      for (let tries = 0; tries < 10; tries += 1) expect(await begin(email)).toMatchObject({ is_allowed: true });
      expect(await begin(email)).toEqual(refused);
      await db.owner.query(`update app_private.sign_in_tries set started_at = started_at - interval '15 minutes' where name = $1`, [email]);
      expect(await begin(email)).toMatchObject({ is_allowed: true });
    }
  });

  test('refuses the hundred-and-first try from one origin, whatever the account', async () => {
    const origin = `one-${ours.slug}`;
    for (let tries = 0; tries < 100; tries += 1) expect(await begin(`${tries}-${ours.slug}@example.com`, origin)).toEqual(nobody);
    expect(await begin(await emailOf(ours.users.viewer), origin)).toEqual(refused);
  });

  test('counts tries at the same time, each one', async () => {
    const email = `many-${ours.slug}@example.com`;
    const answers = await Promise.all(Array.from({ length: 40 }, () => begin(email)));
    expect(answers.filter(({ is_allowed: isAllowed }) => isAllowed)).toHaveLength(10);
  });

  test('begins to count anew after a sign-in', async () => {
    const email = await emailOf(ours.users.viewer);
    for (let tries = 0; tries < 10; tries += 1) await begin(email);
    await ask(`select app_private.open_session($1, '1 hour')`, [ours.users.viewer]);
    expect(await begin(email)).toMatchObject({ is_allowed: true });
  });

  test('counts the addresses of one IPv6 network as one, and an IPv4 address however it is written', async () => {
    const names = async (...addresses: (string | null)[]): Promise<unknown[]> =>
      (await db.owner.query<{ name: string }>('select app_private.origin_name(address) as name from unnest($1::text[]) with ordinality as given (address, n) order by n', [addresses])).rows.map(({ name }) => name);
    expect(await names('2001:db8:0:1::1', '2001:DB8::1:ffff:1:2:3', '2001:db8:0:2::1', '192.0.2.7', '::ffff:192.0.2.7', '::FFFF:192.0.2.7', 'no address', null))
      .toEqual(['2001:db8:0:1::/64', '2001:db8:0:1::/64', '2001:db8:0:2::/64', '192.0.2.7', '192.0.2.7', '192.0.2.7', 'no address', 'unknown']);
    const network = `2001:db8:${Math.floor(Math.random() * 0xffff).toString(16)}:1`;
    for (let tries = 0; tries < 100; tries += 1) await begin(`v6-${tries}-${ours.slug}@example.com`, `${network}::${tries.toString(16)}`);
    expect(await begin(await emailOf(ours.users.viewer), `${network}:ffff::1`)).toEqual(refused);
    expect(await begin(await emailOf(ours.users.viewer), '2001:db8:ffff:ffff::1')).toMatchObject({ is_allowed: true });
  });
  test('does not count sign-ins that succeed against their origin', async () => {
    const origin = `home-${ours.slug}`;
    const email = await emailOf(ours.users.viewer);
    for (let tries = 0; tries < 105; tries += 1) {
      expect(await begin(email, origin)).toMatchObject({ is_allowed: true });
      await ask(`select set_config('request.ip', $1, true), app_private.open_session($2, '1 hour')`, [origin, ours.users.viewer]);
    }
  });

  test('forgets windows that are over', async () => {
    await begin(`old-${ours.slug}@example.com`);
    await db.owner.query(`update app_private.sign_in_tries set started_at = now() - interval '1 hour'`);
    for (let tries = 0; tries < 50; tries += 1) await begin(`new-${ours.slug}@example.com`);
    const { rows } = await db.owner.query(`select from app_private.sign_in_tries where started_at < now() - interval '15 minutes'`);
    expect(rows).toEqual([]);
  });

  test('and refuse_sign_in leave a trace with the account, once it is locked another, and none of unknown ones', async () => {
    const email = await emailOf(ours.users.operator);
    await ask('select app_private.refuse_sign_in($1)', [email]);
    await ask('select app_private.refuse_sign_in($1)', ['nobody@example.com']);
    for (let tries = 0; tries < 14; tries += 1) await begin(email);
    const { rows } = await db.owner.query(`select action, tenant_id from app_public.audit_logs where user_id = $1 and entity_type = 'user' and action <> 'create' order by created_at`, [ours.users.operator]);
    expect(rows).toEqual([{ action: 'sign_in_refused', tenant_id: ours.id }, { action: 'lock_out', tenant_id: ours.id }]);
  });
});

describe('sessions', () => {
  const open = async (lifetime = '1 hour', user = ours.users.developer): Promise<string | undefined> =>
    (await ask<{ session_id: string }>('select session_id from app_private.open_session($1, $2)', [user, lifetime]))[0]?.session_id;
  const identify = (session: string | undefined): Promise<unknown[]> => ask('select * from app_private.identify_session($1)', [session]);

  test('are opened, identify their user, and are closed', async () => {
    const [opened] = await ask('select * from app_private.open_session($1, $2)', [ours.users.developer, '1 hour']);
    expect(opened).toEqual({ session_id: expect.any(String), tenant_id: ours.id, role: 'developer', expires_at: expect.any(Date) });
    expect((opened!.expires_at as Date).getTime()).toBeGreaterThan(Date.now());
    const session = opened!.session_id as string;
    expect(await identify(session)).toEqual([{ user_id: ours.users.developer, tenant_id: ours.id, role: 'developer' }]);
    await ask('select app_private.close_session($1)', [session]);
    expect(await identify(session)).toEqual([]);
  });

  test('are audited when they begin and when they end, once', async () => {
    const session = await open();
    await ask('select app_private.close_session($1)', [session]);
    await ask('select app_private.close_session($1)', [session]);
    const { rows } = await db.owner.query(
      `select action, user_id, tenant_id, entity_type from app_public.audit_logs where entity_id = $1 order by action`, [session]);
    expect(rows).toEqual(['sign_in', 'sign_out'].map((action) => ({ action, user_id: ours.users.developer, tenant_id: ours.id, entity_type: 'session' })));
  });

  test('expire', async () => {
    const session = await open();
    await db.owner.query(`update app_private.sessions set expires_at = now() where id = $1`, [session]);
    expect(await identify(session)).toEqual([]);
  });

  test.each(losses)('are neither opened nor known when %s', async (_, change) => {
    const session = await open();
    await db.owner.query(change, [ours.users.developer, ours.id]);
    expect(await identify(session)).toEqual([]);
    expect(await open()).toBeUndefined();
  });

  test('follow the role that their user has now', async () => {
    const session = await open();
    await db.owner.query(`update app_public.users set role = 'viewer' where id = $1`, [ours.users.developer]);
    expect(await identify(session)).toMatchObject([{ role: 'viewer' }]);
  });

  test('are not opened for nobody, nor for an impossible time', async () => {
    expect(await open('1 hour', unknownId)).toBeUndefined();
    for (const lifetime of ['0', '-1 hour', '32 days']) {
      expect(await refusal(open(lifetime))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'lifetime' });
    }
  });

  test('that ended long ago are forgotten at the next sign-in of the same user', async () => {
    const [old, other] = [await open(), await open('1 hour', ours.users.viewer)];
    await db.owner.query(`update app_private.sessions set expires_at = now() - interval '31 days' where id = any ($1)`, [[old, other]]);
    await open();
    const { rows } = await db.owner.query('select id from app_private.sessions where id = any ($1)', [[old, other]]);
    expect(rows).toEqual([{ id: other }]);
  });
});

describe('identify_api_key', () => {
  interface Key { id: string; hash: string }

  async function newKey(columns: { permissions?: unknown; status?: string; expiresIn?: string } = {}): Promise<Key> {
    const hash = randomUUID();
    const id = await db.asRole('agentflow_owner', {}, (client) => one<string>(client, `
      insert into app_public.api_keys (tenant_id, user_id, name, key_hash, permissions, status, expires_at)
      values ($1, $2, 'key', $3, $4, $5, now() + $6::interval) returning id`,
    [ours.id, ours.users.developer, hash, columns.permissions ?? null, columns.status ?? 'active', columns.expiresIn ?? null]), { commit: true });
    return { id, hash };
  }

  const identify = (hash: string): Promise<unknown[]> => ask('select * from app_private.identify_api_key($1)', [hash]);
  const lastUse = async ({ id }: Key): Promise<Date | null> =>
    (await db.owner.query<{ last_used_at: Date | null }>('select last_used_at from app_public.api_keys where id = $1', [id])).rows[0]!.last_used_at;

  test('tells whose it is, and what it permits', async () => {
    const key = await newKey({ permissions: { workflows: ['read'] }, expiresIn: '1 day' });
    expect(await identify(key.hash)).toEqual([
      { api_key_id: key.id, user_id: ours.users.developer, tenant_id: ours.id, role: 'developer', permissions: { workflows: ['read'] } },
    ]);
    expect(await identify((await newKey()).hash)).toMatchObject([{ permissions: null }]);
  });

  test('notes the use, once a minute at most', async () => {
    const key = await newKey();
    expect(await lastUse(key)).toBeNull();
    await identify(key.hash);
    const first = await lastUse(key);
    expect(first).toEqual(expect.any(Date));
    await identify(key.hash);
    expect(await lastUse(key)).toEqual(first);
    await db.owner.query(`update app_public.api_keys set last_used_at = now() - interval '61 seconds' where id = $1`, [key.id]);
    await identify(key.hash);
    expect((await lastUse(key))!.getTime()).toBeGreaterThanOrEqual(first!.getTime());
  });

  test('does not wait for another request by the same key', async () => {
    const key = await newKey();
    await db.asRole('agentflow_authenticator', {}, async (client) => {
      await client.query('select * from app_private.identify_api_key($1)', [key.hash]); // its note is not committed
      expect(await identify(key.hash)).toHaveLength(1);
    });
  });

  test('is no change of the key: neither audited nor stamped', async () => {
    const key = await newKey();
    const stamp = async (): Promise<unknown[]> => (await db.owner.query('select updated_at, updated_by from app_public.api_keys where id = $1', [key.id])).rows;
    const before = await stamp();
    await identify(key.hash);
    expect(await stamp()).toEqual(before);
    expect((await db.owner.query('select action from app_public.audit_logs where entity_id = $1', [key.id])).rows).toEqual([{ action: 'create' }]);
  });

  test('knows no key that is unknown, revoked, expired or deleted', async () => {
    const deleted = await newKey();
    await db.owner.query('update app_public.api_keys set deleted_at = now() where id = $1', [deleted.id]);
    const hashes = [randomUUID(), (await newKey({ status: 'revoked' })).hash, (await newKey({ status: 'expired' })).hash, (await newKey({ expiresIn: '-1 second' })).hash, deleted.hash];
    for (const hash of hashes) expect(await identify(hash)).toEqual([]);
  });

  test.each(losses)('knows none when %s', async (_, change) => {
    const key = await newKey();
    await db.owner.query(change, [ours.users.developer, ours.id]);
    expect(await identify(key.hash)).toEqual([]);
  });
});

test.each(['agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_worker'] as const)('%s may ask none of it', async (role) => {
  const asked = as(db, claimsOf(ours, 'admin'), role);
  for (const call of [
    `app_private.begin_sign_in('a@b', null)`, `app_private.open_session('${ours.users.admin}', '1 hour')`, `app_private.identify_session('${unknownId}')`,
    `app_private.close_session('${unknownId}')`, `app_private.identify_api_key('x')`,
  ]) {
    expect((await refusal(asked(`select ${call}`))).code).toBe(sqlstates.NO_GRANT);
  }
});
