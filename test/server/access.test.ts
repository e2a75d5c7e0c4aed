/** Users, one-time links, sessions and API keys through the API. */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { refreshSecret } from '../../src/keys.ts';
import { type Answer, codesOf, type Data, useApi } from '../support/api.ts';

const api = useApi();
const password = 'five rusty anchors sing';
const newAddress = (): string => `nova-${randomUUID()}@example.com`;

const createUser = 'mutation ($email: String!, $role: UserRole, $name: String = "Nova") { createUser(input: { email: $email, name: $name, role: $role }) { token link accessLink { kind email name role status userId } } }';
const redeem = 'mutation ($token: String!, $password: String!, $name: String) { useAccessLink(input: { token: $token, password: $password, name: $name }) { jwt refreshToken expiresAt user { email name role status } } }';
const authenticate = 'mutation ($email: String!, $password: String!) { authenticate(input: { email: $email, password: $password }) { jwt refreshToken expiresAt user { id role } } }';
const refresh = 'mutation ($refreshToken: String!) { refreshSession(input: { refreshToken: $refreshToken }) { jwt refreshToken user { email } } }';
const change = 'mutation ($from: String!, $to: String!) { changePassword(input: { currentPassword: $from, newPassword: $to }) { jwt refreshToken user { email } } }';
const createApiKey = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id name permissions keyPrefix status expiresAt user { email } } } }';

const as = (jwt: string, query: string, variables: object = {}): Promise<Answer> => api.post(JSON.stringify({ query, variables }), { authorization: `Bearer ${jwt}` });
const byKey = (key: string, query: string, variables: object = {}): Promise<Answer> => api.post(JSON.stringify({ query, variables }), { 'x-api-key': key });
const whoIs = async (jwt: string): Promise<Answer> => as(jwt, '{ currentUser { email } }');

/** A user of the first tenant who has just come through the door. */
async function newUser(role = 'DEVELOPER'): Promise<{ email: string; jwt: string; refreshToken: string; id: string }> {
  const email = newAddress();
  const { createUser: { token } } = await api.data('john', createUser, { email, role });
  const { useAccessLink: { jwt, refreshToken } } = await api.data('visitor', redeem, { token, password });
  const { rows } = await api.db.owner.query<{ id: string }>('select id from users where email = $1', [email]);
  return { email, jwt, refreshToken, id: rows[0]!.id };
}

describe('inviting', () => {
  test('an invited person chooses a password, is signed in, and signs in again', async () => {
    const email = newAddress();
    const { createUser: made } = await api.data('john', createUser, { email: email.toUpperCase(), role: 'OPERATOR' });
    expect(made.accessLink).toEqual({ kind: 'INVITATION', email, name: 'Nova', role: 'OPERATOR', status: 'PENDING', userId: null });
    expect(made.link).toBe(`/join#${made.token}`);
    const { useAccessLink: { jwt, user, expiresAt } } = await api.data('visitor', redeem, { token: made.token, password, name: 'Nova Star' });
    expect(user).toEqual({ email, name: 'Nova Star', role: 'OPERATOR', status: 'ACTIVE' });
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect((await whoIs(jwt)).data.currentUser.email).toBe(email);
    expect((await api.data('visitor', authenticate, { email, password })).authenticate.user.role).toBe('OPERATOR');
    expect(codesOf(await api.query('visitor', redeem, { token: made.token, password }))).toEqual(['LINK_INVALID']);
  });

  test('answers alike whether the address has an account, here or elsewhere, or none', async () => {
    const answers = [];
    for (const email of [newAddress(), 'jane@example.com', 'admin@globex.example']) {
      const { text, data } = await api.query('john', createUser, { email, role: 'VIEWER' });
      answers.push(text.replaceAll(data.createUser.token, 'TOKEN').replaceAll(email, 'EMAIL'));
    }
    expect(new Set(answers).size).toBe(1);
  });

  test('a taken address cannot be had by its link, and nobody is told why', async () => {
    const { createUser: { token } } = await api.data('john', createUser, { email: 'admin@globex.example', role: 'VIEWER' });
    const answer = await api.query('visitor', redeem, { token, password });
    const unknown = await api.query('visitor', redeem, { token: 'x'.repeat(43), password });
    expect([codesOf(answer), answer.text]).toEqual([['LINK_INVALID'], unknown.text]);
  });

  test.each([
    ['short', ['at least 10 characters']], ['aaaaaaaaaaaa', ['repetition']], ['abcdefghijkl', ['sequence']], ['qwertyuiop', ['most common']], ['P@ssw0rd2024!', ['most common']],
    ['x'.repeat(40) + 'ü'.repeat(20), ['at most 72 bytes', 'repetition']], ['nova-is-here-now', ['name or address']], ['123', ['at least 10', 'repetition']],
  ])('the password %p is refused, with every reason', async (bad, reasons) => {
    const { createUser: { token } } = await api.data('john', createUser, { email: newAddress(), role: 'VIEWER' });
    const answer = await api.query('visitor', redeem, { token, password: bad });
    expect(codesOf(answer)).toEqual(['INVALID_VALUE']);
    const told = answer.errors![0]!.extensions.problems.map(({ message }: { message: string }) => message).join(' ');
    for (const reason of reasons) expect(told).toContain(reason);
    expect(answer.text).not.toContain(bad);
    await api.data('visitor', redeem, { token, password }); // the link is still good
  });

  test.each([
    ['a host without a dot', { email: 'a@b' }, 'email'], ['a host that ends in a dot', { email: 'a@b.' }, 'email'], ['two addresses', { email: 'a@b.example,c@d.example' }, 'email'],
    ['a name and an address', { email: 'Ada <a@b.example>' }, 'email'], ['what marks deleted users', { email: 'a#deleted-1@b.example' }, 'email'], ['white space in it', { email: 'a @b.example' }, 'email'],
    ['an empty name', { name: '' }, 'name'], ['a blank name', { name: '\t\u00a0' }, 'name'], ['half a character', { name: '\udc00' }, 'name'],
  ])('takes no address or name with %s', async (_what, input, field) => {
    const answer = await api.query('john', createUser, { email: newAddress(), role: 'VIEWER', ...input });
    expect([...codesOf(answer), answer.errors![0]!.extensions.field]).toEqual(['INVALID_VALUE', field]);
  });

  test('is for admins', async () => {
    for (const caller of ['architect', 'developer', 'operator', 'jane', 'key']) expect([caller, ...codesOf(await api.query(caller, createUser, { email: newAddress() }))]).toEqual([caller, 'PERMISSION_DENIED']);
    expect(codesOf(await api.query('visitor', createUser, { email: newAddress() }))).toEqual(['UNAUTHENTICATED']);
  });

  test('links are listed for admins and can be withdrawn', async () => {
    const email = newAddress();
    const { createUser: { token } } = await api.data('john', createUser, { email });
    const { accessLinks: { nodes } } = await api.data('john', '{ accessLinks(first: 1) { nodes { id email status createdBy } } }');
    expect(nodes[0]).toMatchObject({ email, status: 'PENDING' });
    const { withdrawAccessLink } = await api.data('john', 'mutation ($id: UUID!) { withdrawAccessLink(input: { id: $id }) { accessLink { status } } }', { id: nodes[0].id });
    expect(withdrawAccessLink.accessLink.status).toBe('WITHDRAWN');
    expect(codesOf(await api.query('visitor', redeem, { token, password }))).toEqual(['LINK_INVALID']);
    expect((await api.data('architect', '{ accessLinks { totalCount } }')).accessLinks.totalCount).toBe(0);
  });

  test('the page behind a link is there, and has no token in its address', async () => {
    const response = await fetch(`${api.url}/join`);
    expect([response.status, response.headers.get('referrer-policy')]).toEqual([200, 'no-referrer']);
    expect(await response.text()).toContain('useAccessLink');
  });
});

describe('managing users', () => {
  const update = 'mutation ($id: UUID!, $patch: UserPatch!) { updateUser(input: { id: $id, patch: $patch }) { user { name role status } } }';
  const user = async (verb: string, id: string): Promise<Answer> => api.query('john', `mutation { ${verb}User(input: { id: "${id}" }) { user { email status } } }`);

  test('an admin changes roles, disables, deletes, restores; access ends on the next request', async () => {
    const { id, jwt, email } = await newUser();
    expect((await api.data('john', update, { id, patch: { role: 'VIEWER' } })).updateUser.user.role).toBe('VIEWER');
    expect((await as(jwt, '{ currentUser { role } }')).data.currentUser.role).toBe('VIEWER');
    await api.data('john', update, { id, patch: { status: 'INACTIVE' } });
    expect(codesOf(await whoIs(jwt))).toEqual(['TOKEN_INVALID']);
    await api.data('john', update, { id, patch: { status: 'ACTIVE' } });
    expect(codesOf(await whoIs(jwt))).toEqual(['TOKEN_INVALID']);
    expect((await user('delete', id)).data.deleteUser.user.status).toBe('DELETED');
    expect(codesOf(await api.query('visitor', authenticate, { email, password }))).toEqual(['INVALID_CREDENTIALS']);
    expect((await user('restore', id)).data.restoreUser.user).toEqual({ email, status: 'INACTIVE' });
    expect(codesOf(await user('restore', id))).toEqual(['ILLEGAL_TRANSITION']);
  });

  test('everybody changes the own name, and neither role nor status', async () => {
    const { id, jwt } = await newUser('VIEWER');
    expect((await as(jwt, update, { id, patch: { name: 'Nova the First' } })).data.updateUser.user.name).toBe('Nova the First');
    for (const patch of [{ role: 'ADMIN' }, { status: 'INACTIVE' }, { name: 'x', role: 'ARCHITECT' }]) expect(codesOf(await as(jwt, update, { id, patch }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await as(jwt, update, { id: '550e8400-e29b-41d4-a716-446655440001', patch: { name: 'not mine' } }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await as(jwt, update, { id: '550e8400-e29b-41d4-a716-446655440010', patch: { name: 'not ours' } }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await as(jwt, update, { id, patch: { name: ' ' } }))).toEqual(['CHECK_VIOLATION']);
  });

  test('the last admin stays', async () => {
    const id = '550e8400-e29b-41d4-a716-446655440000';
    expect(codesOf(await api.query('john', update, { id, patch: { role: 'VIEWER' } }))).toEqual(['LAST_ADMIN']);
    expect(codesOf(await user('delete', id))).toEqual(['LAST_ADMIN']);
  });

  test('an admin gives a forgotten password anew', async () => {
    const { id, jwt, email } = await newUser();
    const { createPasswordReset: { token, accessLink } } = await api.data('john', 'mutation ($id: UUID!) { createPasswordReset(input: { userId: $id }) { token accessLink { kind user { email } } } }', { id });
    expect(accessLink).toEqual({ kind: 'RESET', user: { email } });
    await api.data('visitor', redeem, { token, password: 'quiet lemons under water' });
    expect(codesOf(await whoIs(jwt))).toEqual(['TOKEN_INVALID']);
    expect(codesOf(await api.query('visitor', authenticate, { email, password }))).toEqual(['INVALID_CREDENTIALS']);
    await api.data('visitor', authenticate, { email, password: 'quiet lemons under water' });
  });
});

describe('sessions', () => {
  test('go on by refresh tokens; one that comes a second time ends the session', async () => {
    const first = await newUser();
    const { data: { refreshSession: second } } = await api.query('visitor', refresh, first);
    expect(second.user.email).toBe(first.email);
    expect((await whoIs(second.jwt)).data.currentUser.email).toBe(first.email);
    expect(codesOf(await api.query('visitor', refresh, first))).toEqual(['TOKEN_INVALID']);
    for (const jwt of [first.jwt, second.jwt]) expect(codesOf(await whoIs(jwt))).toEqual(['TOKEN_INVALID']);
    expect(codesOf(await api.query('visitor', refresh, second))).toEqual(['TOKEN_INVALID']);
  });

  test('a bearer token refreshes nothing, a refresh token bears nothing, and forged ones do neither', async () => {
    const { jwt, refreshToken } = await newUser();
    expect(codesOf(await whoIs(refreshToken))).toEqual(['TOKEN_INVALID']);
    const { sid } = JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString()) as { sid: string };
    const forge = (secret: Uint8Array, typ: string, alg = 'HS256', gen: unknown = 0): Promise<string> => new SignJWT({ sid, gen }).setProtectedHeader({ alg, typ }).setExpirationTime('1h').sign(secret);
    const own = refreshSecret(api.db.secretKey);
    const bearer = new TextEncoder().encode(api.db.jwtSecret);
    const forged = [jwt, 'x', '', await forge(bearer, 'refresh+jwt'), await forge(own, 'JWT'), await forge(own, 'refresh+jwt', 'HS512'), await forge(own, 'refresh+jwt', 'HS256', '0'), await forge(own, 'refresh+jwt', 'HS256', 0.5), `${refreshToken}x`];
    for (const token of forged) expect(codesOf(await api.query('visitor', refresh, { refreshToken: token }))).toEqual(['TOKEN_INVALID']);
    await api.data('visitor', refresh, { refreshToken });
  });

  test('changing the password ends all of them and begins a new one', async () => {
    const { email, jwt, refreshToken } = await newUser();
    const { authenticate: other } = await api.data('visitor', authenticate, { email, password });
    expect(codesOf(await as(jwt, change, { from: 'wrong', to: 'seven wooden planets' }))).toEqual(['INVALID_CREDENTIALS']);
    expect(codesOf(await as(jwt, change, { from: password, to: 'password1' }))).toEqual(['INVALID_VALUE']);
    const { data } = await as(jwt, change, { from: password, to: 'seven wooden planets' });
    expect((await whoIs(data.changePassword.jwt)).data.currentUser.email).toBe(email);
    for (const old of [jwt, other.jwt]) expect(codesOf(await whoIs(old))).toEqual(['TOKEN_INVALID']);
    expect(codesOf(await api.query('visitor', refresh, { refreshToken }))).toEqual(['TOKEN_INVALID']);
    await api.data('visitor', authenticate, { email, password: 'seven wooden planets' });
  });

  test('all end by logoutEverywhere', async () => {
    const { email, jwt } = await newUser();
    const { authenticate: other } = await api.data('visitor', authenticate, { email, password });
    expect((await as(other.jwt, 'mutation { logoutEverywhere { ok sessions } }')).data.logoutEverywhere).toEqual({ ok: true, sessions: 2 });
    for (const ended of [jwt, other.jwt]) expect(codesOf(await whoIs(ended))).toEqual(['TOKEN_INVALID']);
  });

  test('keys and visitors have none', async () => {
    for (const query of ['mutation { logoutEverywhere { ok } }', 'mutation { changePassword(input: { currentPassword: "a", newPassword: "b" }) { jwt } }']) {
      expect(codesOf(await api.query('key', query))).toEqual(['BAD_REQUEST']);
      expect(codesOf(await api.query('visitor', query))).toEqual(['UNAUTHENTICATED']);
    }
  });
});

describe('API keys', () => {
  const newKey = async (input: object = {}): Promise<Data> => (await api.data('john', createApiKey, { input: { name: 'robot', permissions: { workflows: ['read'] }, ...input } })).createApiKey;

  test('are shown once and work at once, narrowed', async () => {
    const { key, apiKey } = await newKey();
    expect(key).toMatch(/^sk_live_[\w-]{43}$/);
    expect(apiKey).toMatchObject({ name: 'robot', permissions: { workflows: ['read'] }, keyPrefix: key.slice(0, 12), status: 'ACTIVE', expiresAt: null, user: { email: 'john@example.com' } });
    const { data } = await byKey(key, '{ workflows { totalCount } sources { totalCount } apiKeys { totalCount } }');
    expect([data.workflows.totalCount > 0, data.sources.totalCount, data.apiKeys.totalCount]).toEqual([true, 0, 0]);
    const list = await api.query('john', '{ apiKeys { nodes { id keyPrefix name } } }');
    expect(list.text).not.toContain(key);
    expect(list.data.apiKeys.nodes).toContainEqual({ id: apiKey.id, keyPrefix: apiKey.keyPrefix, name: 'robot' });
  });

  test('act for another user when an admin makes them so, in test mode under another name', async () => {
    const { key } = await newKey({ userId: '550e8400-e29b-41d4-a716-446655440004', mode: 'TEST', expiresAt: new Date(Date.now() + 60_000).toISOString() });
    expect(key).toMatch(/^sk_test_/);
    expect((await byKey(key, '{ currentUser { email role } }')).data.currentUser).toEqual({ email: 'operator@example.com', role: 'OPERATOR' });
  });

  test('are rotated with an overlap, and revoked with a reason', async () => {
    const old = await newKey();
    const rotate = 'mutation ($id: UUID!, $overlap: Int) { rotateApiKey(input: { id: $id, overlapSeconds: $overlap }) { key apiKey { id } } }';
    const { rotateApiKey: next } = await api.data('john', rotate, { id: old.apiKey.id });
    for (const key of [old.key, next.key]) expect((await byKey(key, '{ currentUser { email } }')).status).toBe(200);
    const { rotateApiKey: last } = await api.data('john', rotate, { id: next.apiKey.id, overlap: 0 });
    expect(codesOf(await byKey(next.key, '{ currentUser { email } }'))).toEqual(['TOKEN_INVALID']);
    const revoke = 'mutation ($id: UUID!) { revokeApiKey(input: { id: $id, reason: "lost" }) { apiKey { status revokedReason } } }';
    expect((await api.data('john', revoke, { id: last.apiKey.id })).revokeApiKey.apiKey).toEqual({ status: 'REVOKED', revokedReason: 'lost' });
    expect((await byKey(last.key, '{ currentUser { email } }')).status).toBe(401);
    expect(codesOf(await api.query('admin@globex.example', revoke, { id: old.apiKey.id }))).toEqual(['NOT_FOUND']);
  });

  test.each([
    ['no name', { name: '' }, 'name'], ['permissions that are none', { permissions: { workflows: 'read' } }, 'permissions'], ['permissions that are a list', { permissions: [] }, 'permissions'],
    ['an end that has been', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'], ['a name of half a character', { name: 'a\ud800' }, 'name'], ['an end that there is not', { expiresAt: '2030-02-30T00:00:00Z' }, 'expiresAt'],
    ['an end in no time zone', { expiresAt: '2030-01-01T00:00:00+99:00' }, 'expiresAt'],
  ])('with %s are refused', async (_what, input, field) => {
    const answer = await api.query('john', createApiKey, { input: { name: 'robot', ...input } });
    expect([...codesOf(answer), answer.errors![0]!.extensions.field]).toEqual(['INVALID_VALUE', field]);
  });

  test.each(['tomorrow', 'infinity', ' infinity ', 'Jan 5 2031', '20310105', 'J2466666', '', 20310105])('an end like %j, which PostgreSQL would take for a time, is none', async (expiresAt) => {
    const answer = await api.query('john', createApiKey, { input: { name: 'robot', expiresAt } });
    expect([codesOf(answer), answer.errors![0]!.message]).toEqual([['BAD_REQUEST'], expect.stringContaining('ISO 8601')]);
    expect(codesOf(await api.query('john', 'query ($before: Datetime) { workflows(filter: { createdAt: { lessThan: $before } }) { totalCount } }', { before: expiresAt }))).toEqual(['BAD_REQUEST']);
    const direct = await api.query('john', `mutation { createApiKey(input: { name: "robot", expiresAt: ${JSON.stringify(expiresAt)} }) { key } }`);
    expect([codesOf(direct), direct.errors![0]!.message]).toEqual([['BAD_REQUEST'], expect.stringContaining('ISO 8601')]);
  });

  test.each(['2031-01-05', '2031-01-05 12:00', '2031-01-05T12:00Z', '2031-01-05T12:00:00.123456+00:00', '2031-01-05T12:00:00+0530'])('an end like %s is one', async (expiresAt) => {
    expect(Date.parse((await newKey({ expiresAt })).apiKey.expiresAt)).toBeGreaterThan(Date.parse('2031-01-04'));
  });

  test('a reason of white space is none', async () => {
    const { apiKey } = await newKey();
    const { revokeApiKey } = await api.data('john', 'mutation ($id: UUID!) { revokeApiKey(input: { id: $id, reason: "\\t \\u00a0" }) { apiKey { revokedReason } } }', { id: apiKey.id });
    expect(revokeApiKey.apiKey).toEqual({ revokedReason: null });
  });

  test('a refusal names the place as the caller wrote it', async () => {
    const [{ apiKey }, { jwt }] = await Promise.all([newKey(), newUser()]);
    const placeOf = ({ errors }: Answer): unknown[] => [errors![0]!.extensions.code, errors![0]!.extensions.field];
    const userId = randomUUID();
    expect(placeOf(await api.query('john', createApiKey, { input: { name: 'robot', userId } }))).toEqual(['NOT_FOUND', 'userId']);
    expect(placeOf(await api.query('john', 'mutation ($userId: UUID!) { createPasswordReset(input: { userId: $userId }) { link } }', { userId }))).toEqual(['NOT_FOUND', 'userId']);
    expect(placeOf(await api.query('john', 'mutation ($id: UUID!) { rotateApiKey(input: { id: $id, overlapSeconds: -1 }) { key } }', { id: apiKey.id }))).toEqual(['INVALID_VALUE', 'overlapSeconds']);
    expect(placeOf(await as(jwt, change, { from: password, to: 'seven \ud800 wooden planets' }))).toEqual(['INVALID_VALUE', 'to']);
  });

  test('are for admins, in person', async () => {
    const { key } = await newKey({ permissions: { workflows: ['read', 'write', 'execute'], flows: ['read', 'write', 'execute'], executions: ['read', 'write', 'execute'], sources: ['read', 'write', 'execute'] } });
    expect(codesOf(await byKey(key, createApiKey, { input: { name: 'child' } }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await api.query('architect', createApiKey, { input: { name: 'mine' } }))).toEqual(['PERMISSION_DENIED']);
  });
});

test('no token, key or password is in the log', async () => {
  const { jwt, refreshToken } = await newUser();
  const { createApiKey: { key } } = await api.data('john', createApiKey, { input: { name: 'secret' } });
  await api.query('visitor', authenticate, { email: 'john@example.com', password: 'not-this-one-either' });
  const log = JSON.stringify(api.logged());
  for (const secret of [jwt, refreshToken, key, password, 'not-this-one-either']) expect(log).not.toContain(secret);
});
