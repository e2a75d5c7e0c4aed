import { gzipSync } from 'node:zlib';
import { sampleWorkflow, useApi } from '../support/api.ts';

const api = useApi();
const json = { 'content-type': 'application/json' };
const both = 'application/graphql-response+json, application/json';

interface Shown {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** What differs between any two answers is left out. */
async function ask(path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Shown> {
  const response = await fetch(`${api.url}${path}`, { method: 'POST', headers: { ...json, ...headers }, body });
  const { date: _date, 'content-length': length, ...shown } = Object.fromEntries(response.headers);
  const text = await response.text();
  expect(length).toBe(String(Buffer.byteLength(text)));
  return { status: response.status, headers: shown, body: JSON.parse(text) };
}

/** An address that ends in `?` is served by express, one without it by the short way. */
async function demandSame(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Shown> {
  const named = { 'x-request-id': 'the-same', ...headers };
  const [short, long] = [await ask('/graphql', body, named), await ask('/graphql?', body, named)];
  expect(short).toEqual(long);
  return short;
}

describe('the short way answers as the long one does', () => {
  const asked = (query: string, variables: object = {}, more: object = {}): string => JSON.stringify({ query, variables, ...more });
  const workflow = asked('query ($id: UUID!) { workflow(id: $id) { id name spec createdAt user { email } } }', { id: sampleWorkflow });

  test.each([
    ['a query', workflow, 200],
    ['no rows', asked(`{ workflow(id: "00000000-0000-4000-8000-000000000000") { id } }`), 200],
    ['a list with its count', asked('{ executions(first: 3) { totalCount nodes { id status initialState } pageInfo { hasNextPage endCursor } } }'), 200],
    ['what computes', asked(`{ workflow(id: "${sampleWorkflow}") { diagram } currentUser { email } __typename }`), 200],
    ['a value that is none', asked('query ($id: UUID!) { workflow(id: $id) { id } }', { id: 'x' }), 200],
    ['a variable that is missing', asked('query ($id: UUID!) { workflow(id: $id) { id } }'), 200],
    ['a field that is not there', asked('{ nothing }'), 200],
    ['syntax', asked('{'), 200],
    ['too deep', asked(`{ a${'{a'.repeat(20)}${'}'.repeat(20)} }`), 200],
    ['two operations and no name', asked('query A { __typename } query B { __typename }'), 200],
    ['one of two operations', asked('query A { __typename } query B { b: __typename }', {}, { operationName: 'B' }), 200],
    ['a refused change', asked('mutation { deleteWorkflow(input: { id: "00000000-0000-4000-8000-000000000000" }) { workflow { id } } }'), 200],
    ['null variables', '{"query":"{ __typename }","variables":null,"operationName":null}', 200],
    ['an unknown document', '{"documentId":"0"}', 403],
    ['extensions', asked('{ __typename }', {}, { extensions: {} }), 200],
    ['a subscription', asked(`subscription { executionUpdated(id: "${sampleWorkflow}") { execution { id } } }`, {}, { operationName: 'none' }), 200],
    ['a mark of byte order', `\ufeff${asked('{ __typename }')}`, 200],
    ['letters of all kinds', asked('query ($n: String) { workflows(filter: { name: { equalTo: $n } }) { totalCount } }', { n: 'Grüße, 世界 🌍 \u0000' }), 200],
    ['no JSON', '{"query": "{ __typename', 400], ['a JSON text', '"x"', 400], ['null', 'null', 400], ['a list', '[]', 400], ['nothing in it', '{}', 400],
    ['a query that is a number', '{"query":1}', 400], ['extensions that are a number', '{"query":"{ __typename }","extensions":5}', 400],
  ])('%s', async (_what, body, status) => {
    const headers = await api.headersOf('john');
    expect((await demandSame(body, headers)).status).toBe(status);
    await demandSame(body, { ...headers, accept: both });
    await demandSame(body);
  });

  test.each<[string, Record<string, string>, number]>([
    ['an ended session', { authorization: 'Bearer x.y.z' }, 401], ['a bad key', { 'x-api-key': 'sk_live_x' }, 401], ['no bearer', { authorization: 'Basic eDp5' }, 401],
    ['both', { authorization: 'Bearer x', 'x-api-key': 'y' }, 400], ['a strange id', { 'x-request-id': '<script>' }, 200],
    ['another type', { 'content-type': 'text/plain' }, 415], ['another answer', { accept: 'image/png' }, 406], ['another character set', { 'content-type': 'application/json; charset=latin1' }, 400],
    ['a page elsewhere', { origin: 'https://elsewhere.example' }, 200], ['a proxy that nobody trusts', { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }, 200],
  ])('%s', async (_what, headers, status) => {
    if (headers['x-request-id'] !== undefined) {
      const { 'x-request-id': id } = (await ask('/graphql', asked('{ __typename }'), headers)).headers;
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      return;
    }
    expect((await demandSame(asked('{ __typename }'), headers)).status).toBe(status);
  });

  test('by a key', async () => {
    expect((await demandSame(workflow, await api.headersOf('key'))).body).toMatchObject({ data: { workflow: { id: sampleWorkflow } } });
  });

  test('packed', async () => {
    expect((await demandSame(gzipSync(workflow), { ...await api.headersOf('john'), 'content-encoding': 'gzip' })).status).toBe(200);
  });
});

test('a body that ends too early harms nobody', async () => {
  const { connect } = await import('node:net');
  const { hostname, port } = new URL(api.url);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.end('POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"query"'));
    socket.on('error', reject).on('close', () => resolve()).resume();
  });
  expect((await ask('/graphql', '{"query":"{ __typename }"}', {})).body).toEqual({ data: { __typename: 'Query' } });
});
