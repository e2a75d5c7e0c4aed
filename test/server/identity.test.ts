import { SignJWT, UnsecuredJWT } from 'jose';
import { codesOf, useApi } from '../support/api.ts';
import { createApiKey, hashApiKey } from '../../src/keys.ts';

const api = useApi();
const who = '{ currentUser { email role } }';
const whoIs = (headers: Record<string, string>) => api.post(JSON.stringify({ query: who }), headers);
const john = 'john@example.com';

const authenticate = 'mutation ($email: String!, $password: String!) { authenticate(input: { email: $email, password: $password }) { jwt user { email role } } }';

async function claimsOfJohn(): Promise<Record<string, unknown>> {
  const [, payload] = (await api.token('john')).split('.');
  return JSON.parse(Buffer.from(payload!, 'base64url').toString()) as Record<string, unknown>;
}

const sign = (claims: Record<string, unknown>, secret: string, algorithm = 'HS256'): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: algorithm }).sign(new TextEncoder().encode(secret));

describe('authenticate', () => {
  test('gives a token and the user, and writes the sign-in to the audit log', async () => {
    const user = api.db.samples.users.find(({ email }) => email === john);
    const { data } = await api.query('visitor', authenticate, { email: ' John@Example.com ', password: user!.password });
    expect(data.authenticate.user).toEqual({ email: john, role: 'ADMIN' });
    const answer = await whoIs({ authorization: `Bearer ${data.authenticate.jwt}` });
    expect(answer.data).toEqual({ currentUser: { email: john, role: 'ADMIN' } });
    const { rows } = await api.db.owner.query(`select action, host(ip_address) as ip, request_id is not null as has_request from audit_logs where action = 'sign_in' order by created_at desc limit 1`);
    expect(rows).toEqual([{ action: 'sign_in', ip: '127.0.0.1', has_request: true }]);
  });

  test('answers alike for a wrong password and an unknown address', async () => {
    const wrong = await api.query('visitor', authenticate, { email: john, password: 'wrong' });
    const unknown = await api.query('visitor', authenticate, { email: 'nobody@example.com', password: 'wrong' });
    expect(codesOf(wrong)).toEqual(['INVALID_CREDENTIALS']);
    expect(unknown.text).toBe(wrong.text);
    expect(wrong.data).toEqual({ authenticate: null });
  });

  test.each([
    ['a password of 73 bytes', { email: john, password: 'x'.repeat(73) }],
    ['a NUL in the password', { email: john, password: 'a\0b' }],
    ['a NUL in the address', { email: 'a\0@b', password: 'x' }],
    ['an address of 1,000 characters', { email: `${'a'.repeat(1_000)}@example.com`, password: 'x' }],
    ['nothing at all', { email: '', password: '' }],
  ])('refuses %s as wrong credentials', async (_what, variables) => {
    expect(codesOf(await api.query('visitor', authenticate, variables))).toEqual(['INVALID_CREDENTIALS']);
  });

  test('lets an operation try one password only', async () => {
    const fields = ['a', 'b'].map((alias) => `${alias}: authenticate(input: { email: "${john}", password: "x" }) { jwt }`);
    const answer = await api.query('visitor', `mutation { ${fields.join(' ')} }`);
    expect(codesOf(answer)).toEqual(['LIMIT_EXCEEDED']);
    const hidden = await api.query('visitor', `mutation { ...A ...A b: authenticate(input: { email: "${john}", password: "x" }) { jwt } } fragment A on Mutation { authenticate(input: { email: "${john}", password: "y" }) { jwt } }`);
    expect(codesOf(hidden)).toEqual(['LIMIT_EXCEEDED']);
  });

  test('stops looking at passwords after ten failures of one address', async () => {
    const email = 'jane@example.com';
    for (let tries = 0; tries < 10; tries += 1) {
      expect(codesOf(await api.query('visitor', authenticate, { email, password: 'wrong' }))).toEqual(['INVALID_CREDENTIALS']);
    }
    const right = api.db.samples.users.find((user) => user.email === email)!.password;
    expect(codesOf(await api.query('visitor', authenticate, { email, password: right }))).toEqual(['TOO_MANY_ATTEMPTS']);
  });

  test('does not let in a user who is not active', async () => {
    const email = 'operator@example.com';
    const { password } = api.db.samples.users.find((user) => user.email === email)!;
    await api.db.owner.query(`update users set status = 'inactive' where email = $1`, [email]);
    expect(codesOf(await api.query('visitor', authenticate, { email, password }))).toEqual(['INVALID_CREDENTIALS']);
    await api.db.owner.query(`update users set status = 'active' where email = $1`, [email]);
  });
});

describe('bearer tokens', () => {
  test.each([
    ['another secret', async () => sign(await claimsOfJohn(), 'another secret that is long enough to be one')],
    ['no signature', async () => new UnsecuredJWT(await claimsOfJohn()).encode()],
    ['HS512 with the right secret', async () => sign(await claimsOfJohn(), api.db.jwtSecret, 'HS512')],
    ['no session in it', async () => sign({ ...(await claimsOfJohn()), sid: undefined }, api.db.jwtSecret)],
    ['a session that is no uuid', async () => sign({ ...(await claimsOfJohn()), sid: `' or true --` }, api.db.jwtSecret)],
    ['a session that is not there', async () => sign({ ...(await claimsOfJohn()), sid: '00000000-0000-4000-8000-000000000000' }, api.db.jwtSecret)],
    ['no expiry', async () => sign({ ...(await claimsOfJohn()), exp: undefined }, api.db.jwtSecret)],
    ['its end cut off', async () => (await api.token('john')).slice(0, -4)],
    ['text that is no token', () => Promise.resolve('abc')],
  ])('with %s are refused with 401, never taken for a visitor', async (_what, makeToken) => {
    const answer = await whoIs({ authorization: `Bearer ${await makeToken()}` });
    expect([answer.status, ...codesOf(answer)]).toEqual([401, 'TOKEN_INVALID']);
    expect(answer.data).toBeUndefined();
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('that have expired are told so', async () => {
    const token = await sign({ ...(await claimsOfJohn()), exp: Math.floor(Date.now() / 1_000) - 10 }, api.db.jwtSecret);
    const answer = await whoIs({ authorization: `Bearer ${token}` });
    expect([answer.status, ...codesOf(answer)]).toEqual([401, 'TOKEN_EXPIRED']);
  });

  test('speak for what the session says, whatever else they claim', async () => {
    const token = await sign({ ...(await claimsOfJohn()), role: 'viewer', tenant_id: '223e4567-e89b-12d3-a456-426614174000' }, api.db.jwtSecret);
    const { data } = await api.post(JSON.stringify({ query: '{ currentUser { role tenantId } }' }), { authorization: `bearer ${token}` });
    expect(data.currentUser).toEqual({ role: 'ADMIN', tenantId: '123e4567-e89b-12d3-a456-426614174000' });
  });

  test('are refused on the next request after logout', async () => {
    const { data } = await api.query('visitor', authenticate, { email: john, password: api.db.samples.users[0]!.password });
    const headers = { authorization: `Bearer ${data.authenticate.jwt}` };
    expect((await api.post(JSON.stringify({ query: 'mutation { logout { ok } }' }), headers)).data).toEqual({ logout: { ok: true } });
    expect(codesOf(await whoIs(headers))).toEqual(['TOKEN_INVALID']);
  });

  test('are refused on the next request after their user was made inactive', async () => {
    const headers = await api.headersOf('developer');
    expect((await whoIs(headers)).data.currentUser.role).toBe('DEVELOPER');
    await api.db.owner.query(`update users set status = 'inactive' where email = 'developer@example.com'`);
    expect(codesOf(await whoIs(headers))).toEqual(['TOKEN_INVALID']);
  });

  test('need the word Bearer', async () => {
    expect(codesOf(await whoIs({ authorization: await api.token('john') }))).toEqual(['TOKEN_INVALID']);
    expect(codesOf(await whoIs({ authorization: 'Basic am9objp4' }))).toEqual(['TOKEN_INVALID']);
  });
});

describe('API keys', () => {
  const makeKey = async (permissions: object | null, expiresAt: string | null = null): Promise<string> => {
    const { key } = createApiKey();
    await api.db.owner.query(
      `insert into api_keys (user_id, tenant_id, name, key_hash, permissions, expires_at)
       select id, tenant_id, 'test', $1, $2, $3 from users where email = 'architect@example.com'`,
      [hashApiKey(key, api.db.secretKey), permissions === null ? null : JSON.stringify(permissions), expiresAt]);
    return key;
  };

  test('act as their user, narrowed to their permissions', async () => {
    const key = { 'x-api-key': await makeKey({ workflows: ['read'] }) };
    expect((await whoIs(key)).data).toEqual({ currentUser: { email: 'architect@example.com', role: 'ARCHITECT' } });
    const read = await api.post(JSON.stringify({ query: '{ workflows { totalCount } sources { totalCount } }' }), key);
    expect(read.data.workflows.totalCount).toBeGreaterThan(0);
    expect(read.data.sources.totalCount).toBe(0);
    const write = await api.post(JSON.stringify({ query: 'mutation { createWorkflow(input: { workflow: { name: "x", spec: {} } }) { workflow { id } } }' }), key);
    expect(codesOf(write)).toEqual(['PERMISSION_DENIED']);
  });

  test('without permissions may do nothing', async () => {
    const { data } = await api.post(JSON.stringify({ query: '{ workflows { totalCount } executions { totalCount } }' }), { 'x-api-key': await makeKey(null) });
    expect(data).toEqual({ workflows: { totalCount: 0 }, executions: { totalCount: 0 } });
  });

  test('that are unknown, revoked, expired or malformed are refused with 401', async () => {
    const revoked = await makeKey({});
    await api.db.owner.query(`update api_keys set status = 'revoked' where key_hash = $1`, [hashApiKey(revoked, api.db.secretKey)]);
    const keys = [createApiKey().key, revoked, await makeKey({}, '2020-01-01T00:00:00Z'), 'sk_live_short', `' or true --`, ''];
    for (const key of keys) {
      const answer = await whoIs({ 'x-api-key': key });
      expect([key, answer.status, ...codesOf(answer)]).toEqual([key, 401, 'TOKEN_INVALID']);
    }
  });

  test('have no session to end', async () => {
    expect(codesOf(await api.query('key', 'mutation { logout { ok } }'))).toEqual(['BAD_REQUEST']);
  });

  test('and a token in one request are one too many, even when both are good', async () => {
    const answer = await whoIs({ ...(await api.headersOf('john')), ...(await api.headersOf('key')) });
    expect([answer.status, ...codesOf(answer)]).toEqual([400, 'BAD_REQUEST']);
  });
});

test('a visitor is nobody, and is told to sign in where that is needed', async () => {
  expect((await api.query('visitor', who)).data).toEqual({ currentUser: null });
  for (const query of ['{ workflows { nodes { id } } }', 'mutation { logout { ok } }', '{ validateWorkflow(spec: {}) { valid } }']) {
    expect(codesOf(await api.query('visitor', query))).toEqual(['UNAUTHENTICATED']);
  }
});
