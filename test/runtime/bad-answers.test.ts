/** Sources that answer badly, each through an execution: a stable code, a sentence that names node and source, what to do about it, and no secret. */
import type http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { withClient } from '../../src/schema/connection.ts';
import { useApi } from '../support/api.ts';
import { useLocalServer, type LocalRequest } from '../support/sources.ts';
import { startTestWorker, untilOver, type ExecutionRow } from '../support/worker.ts';

const service = useLocalServer();
const api = useApi();
const key = 'the-key-of-the-provider-93c1';
const silent = net.createServer();
const taken: net.Socket[] = [];
let worker: { close(graceMs: number): Promise<void> };
let shop: string;
let target: string;

beforeAll(async () => {
  silent.on('connection', (socket) => taken.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  target = `${api.db.name}_bad`;
  const admin = new URL('/postgres', api.db.url('postgres'));
  await withClient(admin.href, (client) => client.query(`create database ${target}`));
  admin.pathname = `/${target}`;
  shop = admin.href;
  const silentHost = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const values = { OPENAI_API_KEY: key, SHOP_URL: shop, SILENT_URL: `postgres://u:${key}@${silentHost}/d`, WRONG_URL: shop.replace(/\/\/[^@]*@/, `//postgres:${key}@`) };
  worker = await startTestWorker(api.db, {
    allowHosts: [service.host(), silentHost, new URL(shop).host], sourceValues: values,
    sourceVariables: [...Object.keys(values), 'EMPTY_KEY'].map((name) => ({ name, tenant: null, hosts: ['127.0.0.1'] })),
  });
});
afterAll(async () => {
  await worker.close(2_000);
  for (const socket of taken) socket.destroy();
  silent.close();
  await withClient(new URL('/postgres', api.db.url('postgres')).href, (client) => client.query(`drop database ${target} with (force)`));
});

async function run(type: string, config: object, metadata: object = {}): Promise<ExecutionRow> {
  const spec = {
    nodes: [{ id: 'ask', type, metadata: { source: 'the-source', ...(type === 'llm' ? { prompt: 'why?' } : {}), retry: { max_attempts: 2, initial_seconds: 0, max_seconds: 0 }, ...metadata } }],
    edges: [], sources: [{ id: 'the-source', kind: type, config: { circuit_breaker: false, ...config } }], start_node: 'ask',
  };
  const { createWorkflow } = await api.data('john', 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "bad", spec: $spec}}) { workflow { id } } }', { spec });
  const { executeWorkflow } = await api.data('john', 'mutation ($id: UUID!) { executeWorkflow(input: {workflowId: $id, initialState: {}}) { execution { id } } }', { id: createWorkflow.workflow.id });
  return untilOver(api.db, executeWorkflow.execution.id, 25);
}

type Bad = (request: LocalRequest, response: http.ServerResponse) => void;
const status = (code: number, headers: Record<string, string> = {}): Bad => (request, response) => void response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ error: { message: `no: ${JSON.stringify(request.headers)}` } }));
const bomb = gzipSync(Buffer.alloc(48 * 1024 * 1024));
const endless: Bad = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(256 * 1024, ' ');
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more).on('error', () => undefined);
  more();
};
const trickle: Bad = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 50);
  response.on('close', () => clearInterval(timer));
};
const cut: Bad = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"cho', () => response.destroy());
};
const html: Bad = (_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome</html>');
const zipped: Bad = (_request, response) => void response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb);
const redirect: Bad = (_request, response) => void response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();

/** What every one of them must say. */
function expectTold(row: ExecutionRow, code: string, says: RegExp): void {
  const [node] = row.nodes;
  expect({ status: row.status, code: row.error_code, node: row.error_node_id }).toEqual({ status: 'failed', code, node: 'ask' });
  expect(row.error_message).toMatch(says);
  expect(row.error_message).toMatch(/'ask'.*source 'the-source'.*[.!?] .*[.?]$/s);
  expect(node!.error_code).toBe(code);
  expect(JSON.stringify(row)).not.toContain(key);
}

const model = { provider: 'openai', model: 'gpt-4o' };

test.each<[string, Bad, string, RegExp, number]>([
  ['401', status(401), 'SOURCE_UNAUTHORIZED', /answered 401.*Check the key/s, 1],
  ['402', status(402), 'SOURCE_UNPAID', /answered 402.*Add credit/s, 1],
  ['404', status(404), 'SOURCE_FAILED', /answered 404.*Correct the request/s, 1],
  ['429 without Retry-After', status(429), 'SOURCE_UNAVAILABLE', /answered 429.*put a queue/s, 2],
  ['429 with Retry-After', status(429, { 'retry-after': '1' }), 'SOURCE_UNAVAILABLE', /answered 429/, 2],
  ['500', status(500), 'SOURCE_UNAVAILABLE', /answered 500.*tried again/s, 2],
  ['a cut connection', cut, 'SOURCE_UNAVAILABLE', /could not be reached.*Check its address/s, 2],
  ['HTML instead of JSON', html, 'SOURCE_FAILED', /another form than expected.*Check provider and base_url/s, 1],
  ['an endless body', endless, 'LIMIT_OUTPUT', /more than 33554432 bytes/, 1],
  ['a gzip of a thousand to one', zipped, 'LIMIT_OUTPUT', /more than 33554432 bytes/, 1],
  ['a redirect to the metadata service', redirect, 'SOURCE_NOT_ALLOWED', /169\.254\.169\.254 is not a public address.*AGENTFLOW_ALLOW_HOSTS/s, 1],
])('a model: %s', async (_what, bad, code, says, attempts) => {
  service.answer(bad);
  const row = await run('llm', { ...model, base_url: `${service.url()}/v1` });
  expectTold(row, code, says);
  expect(row.nodes[0]!.attempts).toBe(attempts);
});

test.each<[string, Bad, string, RegExp, number]>([
  ['429 without Retry-After', status(429), 'SOURCE_UNAVAILABLE', /answered 429/, 2],
  ['503', status(503), 'SOURCE_UNAVAILABLE', /answered 503/, 2],
  ['a cut connection', cut, 'SOURCE_UNAVAILABLE', /could not be reached/, 2],
  ['JSON that is none', (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>'), 'SOURCE_FAILED', /calls itself JSON and is none.*Check base_url/s, 1],
  ['an endless body', endless, 'LIMIT_OUTPUT', /more than 8388608 bytes/, 1],
  ['a gzip of a thousand to one', zipped, 'LIMIT_OUTPUT', /more than 8388608 bytes/, 1],
  ['a redirect to the metadata service', redirect, 'SOURCE_NOT_ALLOWED', /169\.254\.169\.254/, 1],
])('a service: %s', async (_what, bad, code, says, attempts) => {
  service.answer(bad);
  const row = await run('api', { base_url: service.url(), token_env: 'OPENAI_API_KEY' }, { path: '/x' });
  expectTold(row, code, says);
  expect(row.nodes[0]!.attempts).toBe(attempts);
});

test('a key that is not there, not set, or not allowed', async () => {
  expectTold(await run('llm', { ...model, base_url: `${service.url()}/v1`, api_key_env: 'EMPTY_KEY' }), 'SOURCE_KEY_MISSING', /needs EMPTY_KEY, and it is not set.*Set the variable/s);
  expectTold(await run('llm', { ...model, base_url: `${service.url()}/v1`, api_key: { secret: 'nowhere' } }), 'SOURCE_KEY_MISSING', /names the secret 'nowhere', and there is none.*createSecret/s);
  expectTold(await run('llm', { ...model, base_url: `${service.url()}/v1`, api_key_env: 'PATH' }), 'SOURCE_NOT_ALLOWED', /may not send PATH.*AGENTFLOW_SOURCE_ENV/s);
});

test('Retry-After is waited for, and the answer after it counts', async () => {
  let first = true;
  service.answer((request, response) => {
    if (first) status(429, { 'retry-after': '1' })(request, response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"fine": true}');
    first = false;
  });
  const started = performance.now();
  const row = await run('api', { base_url: service.url() }, { path: '/x' });
  expect(row).toMatchObject({ status: 'completed', final_state: { api_result: { body: { fine: true } } } });
  expect(performance.now() - started).toBeGreaterThan(990);
});

test('a body that comes byte by byte ends with the time of the node', async () => {
  service.answer(trickle);
  expectTold(await run('api', { base_url: service.url() }, { path: '/x', timeout: 1 }), 'NODE_TIMEOUT', /took longer than its timeout of 1 s; it asked source 'the-source'\. Raise timeout/);
});

describe('a database', () => {
  const ask = (config: object, metadata: object): Promise<ExecutionRow> => run('db', { connection_string_env: 'SHOP_URL', ...config }, metadata);

  test('that takes connections and says nothing', async () => {
    expectTold(await ask({ connection_string_env: 'SILENT_URL' }, { query: 'select 1', timeout: 1 }), 'NODE_TIMEOUT', /source 'the-source'/);
  });
  test('whose query has no end', async () => {
    expectTold(await ask({ timeout: 1 }, { query: 'select count(*) from generate_series(1, 100000000000) as n' }), 'NODE_TIMEOUT', /cancelled|longer than/);
  });
  test('that refuses the login', async () => {
    expectTold(await ask({ connection_string_env: 'WRONG_URL' }, { query: 'select 1' }), 'SOURCE_UNAUTHORIZED', /refused the login.*Check user and password/s);
  });
  test('whose query is wrong', async () => {
    expectTold(await ask({}, { query: 'select * from nothing_here' }), 'SOURCE_FAILED', /nothing_here.*Correct the query/s);
  });
  test('with a million rows: as many as were asked for, and a warning', async () => {
    const row = await ask({}, { query: 'select n from generate_series(1, 1000000) as n', limit: 50 });
    expect(row).toMatchObject({ status: 'completed', final_state: { db_result: { length: 50 } } });
    expect(row.nodes[0]!.logs!.map(({ message }) => message)).toContain('there are more rows than the 50 returned');
  });
  test('with rows that are too large', async () => {
    expectTold(await ask({}, { query: "select repeat('x', 100000) as big from generate_series(1, 1000000)", limit: 10_000 }), 'LIMIT_OUTPUT', /more than \d+ bytes/);
  });
});
