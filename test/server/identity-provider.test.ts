/** Tokens of an identity provider that runs here: whom they speak for, and that nothing forged gets in. */
import { randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import pino from 'pino';
import { identityProvider, providerKeys } from '../../src/cli/identity-provider.ts';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { readConfig, openFace } from '../../src/config.ts';
import { startServer, type RunningServer } from '../../src/server/index.ts';
import { verifyProviderToken } from '../../src/server/provider-tokens.ts';
import { plantTenant, type PlantedTenant } from '../sql/support/plant.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase({ samples: true });
const issuer = 'https://id.example';
const audience = 'agentflow';
const secretKey = 'a secret key of at least thirty-two characters';
let provider: http.Server;
let server: RunningServer;
let tenant: PlantedTenant;
let rsa: { privateKey: CryptoKey; publicKey: CryptoKey };
let ec: { privateKey: CryptoKey; publicKey: CryptoKey };
let publicJwk: Record<string, unknown>;

beforeAll(async () => {
  [rsa, ec] = await Promise.all([generateKeyPair('RS256', { extractable: true }), generateKeyPair('ES256', { extractable: true })]);
  publicJwk = { ...await exportJWK(rsa.publicKey), kid: 'rsa', alg: 'RS256', use: 'sig' };
  const keys = [publicJwk, { ...await exportJWK(ec.publicKey), kid: 'ec', alg: 'ES256', use: 'sig' }];
  provider = http.createServer((_request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })));
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  const jwksUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/keys`;
  server = await start(jwksUrl);
  const client = await db.owner.connect();
  tenant = await plantTenant(client);
  client.release();
});
afterAll(async () => {
  await server.close(1_000);
  await new Promise((resolve) => provider.close(resolve));
});

/** Without JWT_SECRET, as an installation whose people all sign in at the provider. */
async function start(jwksUrl: string): Promise<RunningServer> {
  const config = readConfig({ JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience });
  return startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: null, secretKey, environment: 'test', face: openFace },
    identityProvider: identityProvider(config), authenticatorUrl: db.url('agentflow_authenticator'), workflowTools: loadWorkflowTools, log: pino({ level: 'silent' }),
  });
}

const john = { sub: 'p-john', email: 'John@Example.com', email_verified: true, name: 'John' };

const sign = (claims: JWTPayload, more: { alg?: string; kid?: string; key?: CryptoKey | Uint8Array; iat?: number; exp?: string | number } = {}): Promise<string> =>
  new SignJWT({ iss: issuer, aud: audience, jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg: more.alg ?? 'RS256', kid: more.kid ?? 'rsa' })
    .setIssuedAt(more.iat).setExpirationTime(more.exp ?? '1h').sign(more.key ?? rsa.privateKey);

interface Who { status: number; code: string | undefined; user: { email: string; role: string; tenantId: string } | null | undefined }

async function ask(token: string, query = '{ currentUser { email role tenantId } }', url = server.url): Promise<Who & { data: Record<string, unknown> | undefined }> {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ query }) });
  const { data, errors } = await response.json() as { data?: Record<string, unknown>; errors?: { extensions: { code: string } }[] };
  return { status: response.status, code: errors?.[0]?.extensions.code, user: data?.['currentUser'] as Who['user'], data };
}

test('a verified address says who comes for the first time; afterwards it is the subject', async () => {
  expect(await ask(await sign(john))).toMatchObject({ status: 200, user: { email: 'john@example.com', role: 'ADMIN' } });
  expect(await ask(await sign({ sub: john.sub }))).toMatchObject({ user: { email: 'john@example.com' } });
  expect(await ask(await sign({ sub: john.sub, email: 'admin@globex.example', email_verified: true }))).toMatchObject({ user: { email: 'john@example.com' } });
  expect(await ask(await sign({ ...john, sub: 'somebody else with this address' }))).toMatchObject({ status: 401, code: 'TOKEN_INVALID' });
  const { rows } = await db.owner.query(`select new_value from audit_logs where action = 'sign_in' and new_value ->> 'subject' = $1`, [john.sub]);
  expect(rows).toContainEqual({ new_value: { issuer, subject: john.sub } });
});

test('a key of another kind works as well, and a token is good until it is ended here', async () => {
  const token = await sign(john, { alg: 'ES256', kid: 'ec', key: ec.privateKey });
  expect((await ask(token)).user).toMatchObject({ email: 'john@example.com' });
  expect((await ask(token)).user).toMatchObject({ email: 'john@example.com' });
  expect((await ask(token, 'mutation { logout { ok } }')).data).toEqual({ logout: { ok: true } });
  expect(await ask(token)).toMatchObject({ status: 401, code: 'TOKEN_INVALID' });
  expect((await ask(await sign(john))).user).toMatchObject({ email: 'john@example.com' });
});

test('an invitation is accepted by the address that the provider vouches for', async () => {
  await db.owner.query(`insert into access_links (tenant_id, kind, email, name, role, token_hash, expires_at) values ($1, 'invitation', 'new@example.com', 'New', 'developer', 'h', now() + interval '1 day')`, [tenant.id]);
  expect(await ask(await sign({ sub: 'new', email: 'new@example.com', email_verified: false }))).toMatchObject({ status: 401 });
  const token = await sign({ sub: 'new', email: 'New@example.com', email_verified: true });
  expect((await ask(token)).user).toEqual({ email: 'new@example.com', role: 'DEVELOPER', tenantId: tenant.id });
  await db.owner.query(`update users set status = 'inactive' where email = 'new@example.com'`);
  expect(await ask(token)).toMatchObject({ status: 401, code: 'TOKEN_INVALID' });
  expect(await ask(await sign({ sub: 'new', email: 'new@example.com', email_verified: true }))).toMatchObject({ status: 401 });
});

test('many requests with a new token at the same time open one session', async () => {
  const token = await sign({ sub: 'p-jane', email: 'jane@example.com', email_verified: true });
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(token)));
  expect(answers.map(({ user }) => user?.email)).toEqual(Array(8).fill('jane@example.com'));
  const { rows } = await db.owner.query(`select from audit_logs where action = 'sign_in' and new_value ->> 'subject' = 'p-jane'`);
  expect(rows).toHaveLength(1);
});

test('nobody signs in here by a password', async () => {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: 'mutation { authenticate(input: {email: "john@example.com", password: "x"}) { jwt } }' }),
  });
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_SUPPORTED' } }] });
});

const hour = 3_600;
const now = (): number => Math.floor(Date.now() / 1_000);

test.each([
  ['of another issuer', () => sign({ ...john, iss: 'https://evil.example' })],
  ['for another audience', () => sign({ ...john, aud: 'another' })],
  ['without a subject', () => sign({ ...john, sub: undefined })],
  ['with an endless subject', () => sign({ ...john, sub: 'x'.repeat(300) })],
  ['without an end', async () => new SignJWT({ iss: issuer, aud: audience, ...john }).setProtectedHeader({ alg: 'RS256', kid: 'rsa' }).setIssuedAt().sign(rsa.privateKey)],
  ['that is not good yet', () => sign({ ...john, nbf: now() + hour })],
  ['of nobody', () => sign({ sub: 'nobody' })],
  ['of an unknown address', () => sign({ sub: 'x', email: 'x@example.com', email_verified: true })],
  ['with an unknown key', async () => sign(john, { kid: 'unknown', key: (await generateKeyPair('RS256')).privateKey })],
  ['with another key of that name', async () => sign(john, { key: (await generateKeyPair('RS256')).privateKey })],
  ['without a signature', () => Promise.resolve(new UnsecuredJWT({ iss: issuer, aud: audience, ...john }).setExpirationTime('1h').setIssuedAt().encode())],
  ['signed with the public key as a secret', () => sign(john, { alg: 'HS256', key: new TextEncoder().encode(JSON.stringify(publicJwk)) })],
  ['signed with the secret of the installation', () => sign(john, { alg: 'HS256', key: new TextEncoder().encode(secretKey) })],
])('a token %s is refused', async (_what, make) => {
  expect(await ask(await make())).toMatchObject({ status: 401, code: 'TOKEN_INVALID' });
});

test('an end that is further away than a day is none: the session ends when the token is a day old', async () => {
  const iat = now() - hour;
  for (const exp of [iat + 30 * 24 * hour, 9e15]) {
    const jti = randomUUID();
    expect((await ask(await sign({ ...john, jti }, { iat, exp }))).user).toMatchObject({ email: 'john@example.com' });
    const { rows } = await db.owner.query<{ expires_at: Date }>('select max(expires_at) as expires_at from app_private.sessions');
    expect(rows[0]!.expires_at.getTime()).toBeLessThanOrEqual((iat + 24 * hour) * 1_000);
  }
});

test('an expired one is told so, and one that is older than a day', async () => {
  expect(await ask(await sign(john, { iat: now() - 25 * hour }))).toMatchObject({ status: 401, code: 'TOKEN_EXPIRED' });
  expect(await ask(await sign(john, { iat: now() - 2 * hour, exp: now() - hour }))).toMatchObject({ status: 401, code: 'TOKEN_EXPIRED' });
});

test('of 500 malformed tokens none is accepted, and none breaks anything', async () => {
  const good = await sign(john);
  const [head, body, signature] = good.split('.') as [string, string, string];
  const broken = (turn: number): string => {
    const text = [head, body, signature];
    const part = Math.floor(turn / 7) % 3;
    const bytes = Buffer.from(text[part]!, 'base64url');
    switch (turn % 7) {
      case 0: bytes[turn % bytes.length]! ^= 1 << (turn % 8); break;
      case 1: return text.slice(0, 1 + (turn % 2)).join('.');
      case 2: return `${good}.${randomBytes(turn % 50).toString('base64url')}`;
      case 3: text[part] = randomBytes(1 + (turn % 90)).toString('base64url'); return text.join('.');
      case 4: text[part] = Buffer.from(JSON.stringify({ alg: ['none', 'HS256', 'RS256', 'PS512', 7, null][turn % 6], kid: turn, crit: ['exp'], jku: 'http://127.0.0.1:1/' })).toString('base64url'); return text.join('.');
      case 5: return good.slice(0, -1) + String.fromCodePoint(good.codePointAt(good.length - 1)! ^ 1);
      default: return good.slice(0, turn % good.length) + String.fromCodePoint(33 + (turn % 90)) + good.slice(turn % good.length);
    }
    text[part] = bytes.toString('base64url');
    return text.join('.');
  };
  const answers: Who[] = [];
  for (let turn = 0; turn < 500; turn += 20) answers.push(...await Promise.all(Array.from({ length: 20 }, (_, index) => ask(broken(turn + index)))));
  expect(answers.filter(({ status, user }) => status !== 401 || user != null)).toEqual([]);
  expect((await ask(good)).user).toMatchObject({ email: 'john@example.com' });
}, 180_000);

describe('the keys of the provider', () => {
  let answer: (response: http.ServerResponse) => void;
  let asked = 0;
  let clock = 0;
  let source: http.Server;
  let url: URL;
  beforeAll(async () => {
    source = http.createServer((_request, response) => {
      asked += 1;
      answer(response);
    });
    await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
    url = new URL(`http://127.0.0.1:${(source.address() as AddressInfo).port}/`);
  });
  afterAll(() => {
    source.closeAllConnections();
    source.close();
  });
  beforeEach(() => {
    [asked, clock] = [0, 1e12];
  });
  const gives = (...keys: unknown[]) => (response: http.ServerResponse): void => void response.end(JSON.stringify({ keys }));
  const verify = (keys: JWTVerifyGetKey, token: string): Promise<string> =>
    verifyProviderToken(token, { issuer, audience, keys }).then(() => 'good', (error: { code: string }) => error.code);
  const unsigned = async (): Promise<string> => sign(john, { kid: 'unknown', key: (await generateKeyPair('RS256')).privateKey });

  test.each<[string, () => void]>([
    ['HTML', () => { answer = (response) => void response.end('<html>Sign in</html>'); }],
    ['nothing', () => { answer = (response) => void response.end(); }],
    ['an error', () => { answer = (response) => void response.writeHead(500).end(JSON.stringify({ keys: [publicJwk] })); }],
    ['a redirect', () => { answer = (response) => void response.writeHead(302, { location: '/elsewhere' }).end(); }],
    ['JSON of another form', () => { answer = (response) => void response.end('{"keys": {"rsa": 1}}'); }],
    ['a body that is cut off', () => { answer = (response) => { response.writeHead(200, { 'content-length': 1_000 }); response.write('{', () => response.destroy()); }; }],
    ['no end', () => {
      answer = (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(' '.repeat(65_536)));
        };
        response.on('drain', more);
        more();
      };
    }],
  ])('that come as %s are none, and the token is not blamed', async (_what, prepare) => {
    prepare();
    expect(await verify(providerKeys(url, () => clock), await sign(john))).toBe('UNAVAILABLE');
  });

  test('are good through an outage of an hour, and asked for in vain only now and then', async () => {
    answer = gives(publicJwk);
    const keys = providerKeys(url, () => clock);
    const token = await sign(john);
    expect(await verify(keys, token)).toBe('good');
    answer = (response) => void response.writeHead(503).end();
    for (const minutes of [5, 6, 48]) {
      clock += minutes * 60_000;
      for (let turn = 0; turn < 3; turn += 1) expect(await verify(keys, token)).toBe('good');
    }
    expect(asked).toBe(3);
    clock += 2 * 60_000;
    expect(await verify(keys, token)).toBe('UNAVAILABLE');
    answer = gives(publicJwk);
    expect(await verify(keys, token)).toBe('good');
  });

  test('may be changed: a new one is found at once, one that was taken back is refused soon', async () => {
    answer = gives(publicJwk);
    const keys = providerKeys(url, () => clock);
    const [old, next] = [await sign(john), await sign(john, { alg: 'ES256', kid: 'next', key: ec.privateKey })];
    expect(await verify(keys, old)).toBe('good');
    answer = gives({ ...await exportJWK(ec.publicKey), kid: 'next', alg: 'ES256' });
    clock += 11_000;
    expect([await verify(keys, next), await verify(keys, old)]).toEqual(['good', 'TOKEN_INVALID']);
    for (let turn = 0; turn < 5; turn += 1) expect(await verify(keys, await unsigned())).toBe('TOKEN_INVALID');
    expect(asked).toBe(2);
  });

  test('need no names', async () => {
    const others = await Promise.all([1, 2, 3].map(async () => exportJWK((await generateKeyPair('RS256')).publicKey)));
    answer = gives(...others, { ...publicJwk, kid: undefined });
    const keys = providerKeys(url, () => clock);
    const nameless = (key: CryptoKey): Promise<string> => new SignJWT({ iss: issuer, aud: audience, ...john }).setProtectedHeader({ alg: 'RS256' }).setIssuedAt().setExpirationTime('1h').sign(key);
    expect(await verify(keys, await nameless(rsa.privateKey))).toBe('good');
    expect(await verify(keys, await nameless((await generateKeyPair('RS256')).privateKey))).toBe('TOKEN_INVALID');
  });
});

test('when the provider does not answer, that is said, and keys work as before', async () => {
  const other = await start('http://127.0.0.1:1/keys');
  try {
    expect(await ask(await sign(john), undefined, other.url)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    expect(await ask('no token', undefined, other.url)).toMatchObject({ status: 401, code: 'TOKEN_INVALID' });
  } finally {
    await other.close(1_000);
  }
});
