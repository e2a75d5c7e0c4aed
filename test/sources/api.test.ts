/** HTTP sources: what is sent, with which identity, what comes back, and what every bad answer becomes. */
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { ApiAnswer, ApiRequest, JsonObject } from '../../src/engine/types.ts';
import type { SourceBinding, SourceSettings } from '../../src/sources/index.ts';
import { useLocalServer, useSources } from '../support/sources.ts';

const sources = useSources();
const server = useLocalServer();

const key = 'a-very-secret-token';

function ask(request: Partial<ApiRequest> = {}, config: JsonObject = {}, binding: Partial<SourceBinding> = {}, settings: Partial<SourceSettings> = {}): Promise<ApiAnswer> {
  const allowed = { allowHosts: [server.host()], sourceVariables: [{ name: 'CRM_KEY', tenant: null, hosts: ['127.0.0.1'] }], sourceValues: { CRM_KEY: key }, ...settings };
  return sources.port({ base_url: `${server.url()}/v1`, ...config }, allowed, binding).api({ method: 'GET', path: '', query: {}, headers: {}, body: undefined, ...request });
}

test('path, query, headers and body arrive as they were meant', async () => {
  server.json({ ok: true });
  const answer = await ask({ method: 'POST', path: '/customers/a%2Fb', query: { q: 'x y', n: 3, many: ['a', 'b'], none: null }, headers: { 'x-mine': 'yes' }, body: { note: 'hi' } });
  expect(answer).toMatchObject({ status: 200, body: { ok: true }, headers: { 'content-type': 'application/json' } });
  expect(server.requests[0]).toMatchObject({ method: 'POST', url: '/v1/customers/a%2Fb?q=x+y&n=3&many=a&many=b', body: '{"note":"hi"}', headers: { 'x-mine': 'yes', 'content-type': 'application/json', 'idempotency-key': 'key-1' } });
});

test.each([
  [{ token_env: 'CRM_KEY' }, { authorization: `Bearer ${key}` }],
  [{ auth_env: 'CRM_KEY', auth: 'bearer' }, { authorization: `Bearer ${key}` }],
  [{ auth: { type: 'header', header: 'X-Crm', token_env: 'CRM_KEY' } }, { 'x-crm': key }],
  [{ auth: 'header', api_key_env: 'CRM_KEY' }, { 'x-api-key': key }],
  [{ auth: { type: 'basic', username: 'me', password_env: 'CRM_KEY' } }, { authorization: `Basic ${Buffer.from(`me:${key}`).toString('base64')}` }],
  [{ headers: { 'x-tenant': 'acme' } }, { 'x-tenant': 'acme' }],
])('identity %j', async (config, headers) => {
  await ask({}, config);
  expect(server.requests[0]!.headers).toMatchObject(headers);
});

test('a node cannot replace the identity of the source, nor set what belongs to the connection', async () => {
  await ask({ headers: { authorization: 'Bearer mine' } }, { token_env: 'CRM_KEY' });
  expect(server.requests[0]!.headers['authorization']).toBe(`Bearer ${key}`);
  await expect(ask({ headers: { Host: 'other.example' } })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
});

test.each(['/../admin', '..\\admin', '/x/../../admin', '//evil.example/x', '\\\\evil.example\\x', 'http://evil.example/', '/%2e%2e/admin', '@evil.example/', '?x=1#y', '.', '/;/..;/'])('the path %s stays below the base address', async (path) => {
  await ask({ path }).catch((error: { code: string }) => expect(error.code).toBe('SOURCE_NOT_ALLOWED'));
  for (const { url, headers } of server.requests) {
    expect(url).toMatch(/^\/v1($|[/?])/);
    expect(headers.host).toBe(server.host());
  }
});

test('a stored secret goes where a saved source says, or to its hosts', async () => {
  const config = { token: { secret: 'crm' } };
  const open = (hosts: string[] | null) => ({ openSecret: (name: string) => Promise.resolve(name === 'crm' ? { value: key, hosts } : null) });
  await ask({}, config, { ...open(null), isSaved: true });
  await ask({}, config, open(['127.0.0.1']));
  expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual([`Bearer ${key}`, `Bearer ${key}`]);
  await expect(ask({}, config, open(null))).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  await expect(ask({}, config, { ...open(['crm.example']), isSaved: true })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  await expect(ask({}, { token: { secret: 'other' } }, open(null))).rejects.toMatchObject({ code: 'SOURCE_KEY_MISSING', message: expect.stringContaining("'other'") as string });
});

test('what a service says of the key is not handed on', async () => {
  server.answer((_request, response) => response.writeHead(200, { 'content-type': 'application/json', 'x-echo': key, 'set-cookie': 'sid=1' }).end(JSON.stringify({ headers: { authorization: `Bearer ${key}` }, again: encodeURIComponent(key) })));
  const answer = await ask({}, { token_env: 'CRM_KEY' });
  expect(JSON.stringify(answer)).not.toContain(key);
  expect(answer.headers).not.toHaveProperty('set-cookie');
  server.answer((_request, response) => response.writeHead(503).end(`no service for ${key}`));
  await expect(ask({}, { token_env: 'CRM_KEY' })).rejects.toMatchObject({ message: "Node 'n': source 's' answered 503: no service for [redacted]" });
});

test.each([
  [429, { 'retry-after': '7' }, 7], [429, {}, null], [503, { 'retry-after': '2' }, 2], [500, {}, null], [502, {}, null], [504, {}, null],
])('%d with %j passes by itself', async (status, headers, seconds) => {
  server.json({ error: 'later' }, status, headers);
  await expect(ask()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true, retryAfterSeconds: seconds });
});

test('Retry-After may be a date', async () => {
  server.json({}, 429, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
  const error = await ask().catch((caught: { retryAfterSeconds: number }) => caught) as { retryAfterSeconds: number };
  expect(error.retryAfterSeconds).toBeGreaterThan(50);
  expect(error.retryAfterSeconds).toBeLessThanOrEqual(60);
});

test.each([400, 401, 402, 404])('%d is an answer: the workflow decides', async (status) => {
  server.json({ no: true }, status);
  expect(await ask()).toMatchObject({ status, body: { no: true } });
});

test('texts stay texts, JSON that is none is told', async () => {
  server.answer((_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hi</h1>'));
  expect(await ask()).toMatchObject({ body: '<h1>hi</h1>' });
  server.answer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('<h1>hi</h1>'));
  await expect(ask()).rejects.toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringContaining("Node 'n': source 's'") as string });
});

test('an endless answer, and a small one that unpacks to a thousand times its size, are cut', async () => {
  server.answer((_request, response) => {
    const push = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
      if (!response.destroyed) response.once('drain', push);
    };
    push();
  });
  await expect(ask()).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
  server.answer((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(100_000_000))));
  await expect(ask()).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
});

test('a cut connection, and one that is not there, pass by themselves', async () => {
  server.answer((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setTimeout(() => response.destroy(), 10);
  });
  await expect(ask()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true });
  await expect(ask({}, { base_url: 'http://127.0.0.1:48998' }, {}, { allowHosts: ['127.0.0.1:48998'] })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true, message: expect.stringContaining('ECONNREFUSED') as string });
});

test('no HTTP at all is told', async () => {
  const taken: net.Socket[] = [];
  const odd = net.createServer((socket) => {
    taken.push(socket);
    socket.write('220 mail.example ESMTP\r\n');
  });
  await new Promise<void>((resolve) => {
    odd.listen(0, '127.0.0.1', resolve);
  });
  const at = `127.0.0.1:${(odd.address() as AddressInfo).port}`;
  await expect(ask({}, { base_url: `http://${at}` }, {}, { allowHosts: [at] })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  for (const socket of taken) socket.destroy();
  await new Promise((resolve) => odd.close(resolve));
});

test('a redirect to the address of a metadata service is refused', async () => {
  server.answer((_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end());
  await expect(ask()).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED', message: expect.stringContaining("Node 'n': source 's'") as string });
});

test('a timeout of the source passes by itself', async () => {
  server.answer(() => undefined);
  await expect(ask({}, { timeout: 0.05 })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true });
});

describe('pages', () => {
  const serve = (pages: number, by: 'link' | 'cursor' | 'body'): void => server.answer((request, response) => {
    const page = Number(new URL(request.url, 'http://x').searchParams.get('page') ?? 1);
    const next = page < pages ? `/v1/list?page=${page + 1}` : null;
    response.writeHead(200, { 'content-type': 'application/json', ...(by === 'link' && next !== null ? { link: `<${server.url()}/other>; rel="prev", <${server.url()}${next}>; rel="next"` } : {}) });
    response.end(JSON.stringify({ items: [page], meta: { cursor: next === null ? null : page + 1, url: next } }));
  });

  test.each([
    ['link', { type: 'link', items: 'items' }], ['body', { type: 'link', items: 'items', next: 'meta.url' }], ['cursor', { type: 'cursor', items: 'items', next: 'meta.cursor', parameter: 'page' }],
  ] as const)('by %s, all of them', async (by, pagination) => {
    serve(3, by);
    expect(await ask({ path: 'list', pagination })).toMatchObject({ body: [1, 2, 3], pages: 3, truncated: false });
  });

  test('not more than the bound', async () => {
    serve(1_000_000, 'link');
    expect(await ask({ path: 'list', pagination: { items: 'items', max_pages: 4 } })).toMatchObject({ body: [1, 2, 3, 4], truncated: true });
    expect(server.requests).toHaveLength(4);
  });

  test('a next page elsewhere is refused', async () => {
    server.json({ items: [1] }, 200, { link: '<http://other.example/>; rel="next"' });
    await expect(ask({ pagination: { items: 'items' } })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });
});
