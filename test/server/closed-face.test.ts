/** The API in production: what is shown to whom. */
import { codesOf, type Data, startApi, type TestApi } from '../support/api.ts';
import { openClient, watch } from '../support/subscriptions.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ face: { isClosed: true, corsOrigins: ['https://app.example'], trustProxy: 1 } });
});
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

const introspection = '{ __schema { queryType { name } } }';

describe('who is not signed in', () => {
  test.each([introspection, '{ __type(name: "Workflow") { name } }', '{ ...F } fragment F on Query { __schema { types { name } } }'])('may not ask %s', async (query) => {
    const answer = await api.query('visitor', query);
    expect([answer.status, ...codesOf(answer)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(answer.errors![0]!.extensions.remedy).toMatch(/authenticate/);
  });

  test('may not ask for the schema over WebSocket either', async () => {
    const connection = openClient(api.url);
    await expect(watch(connection, introspection).next()).rejects.toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code: 'UNAUTHENTICATED' }) })]);
    await connection.client.dispose();
  });

  test.each([
    ['a field', '{ workflow2 { id } }', {}], ['an argument', '{ workflows(frist: 1) { totalCount } }', {}], ['a type', 'query ($id: UUIDs!) { workflow(id: $id) { id } }', {}],
    ['an enum value', '{ workflows(filter: { status: { equalTo: PUBLISHT } }) { totalCount } }', {}],
    ['an enum value in a variable', 'query ($order: [WorkflowOrderBy!]) { workflows(orderBy: $order) { totalCount } }', { order: ['NAME_ASCENDING'] }],
    ['an input field in a variable', 'query ($filter: WorkflowFilter) { workflows(filter: $filter) { totalCount } }', { filter: { nam: {} } }],
  ])('is not told what %s is really called', async (_what, query, variables) => {
    const hidden = await api.query('visitor', query, variables);
    expect(codesOf(hidden)).toEqual(['BAD_REQUEST']);
    expect(hidden.text).not.toMatch(/Did you mean/);
    expect((await api.query('jane', query, variables)).text).toMatch(/Did you mean/);
  });

  test('is told one error of a document', async () => {
    expect(codesOf(await api.query('visitor', '{ a b c d }'))).toHaveLength(1);
    expect(codesOf(await api.query('jane', '{ a b c d }'))).toHaveLength(4);
  });

  test('gets a form to sign in instead of GraphiQL', async () => {
    const response = await fetch(`${api.url}/graphiql`);
    const page = await response.text();
    expect(response.status).toBe(401);
    expect(page).toContain('<form>');
    expect(page).not.toMatch(/ruru/i);
  });

  test('can sign in, and be invited', async () => {
    expect(codesOf(await api.query('visitor', 'mutation { authenticate(input: { email: "john@example.com", password: "wrong" }) { jwt } }'))).toEqual(['INVALID_CREDENTIALS']);
    expect((await fetch(`${api.url}/join`)).status).toBe(200);
  });
});

describe('who is signed in', () => {
  test.each(['john', 'jane', 'key'])('%s may ask for the schema', async (caller) => {
    expect(await api.data(caller, introspection)).toEqual({ __schema: { queryType: { name: 'Query' } } });
  });

  test('gets GraphiQL, with the own credentials in its headers', async () => {
    const headers = await api.headersOf('john');
    const response = await fetch(`${api.url}/graphiql`, { headers });
    const page = await response.text();
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(page).toContain('/ruru-static/ruru.js');
    expect(page).toContain(headers['authorization']!);
  });

  test('with credentials that are not good gets no page at all', async () => {
    expect((await fetch(`${api.url}/graphiql`, { headers: { 'x-api-key': 'sk_live_</script>' } })).status).toBe(401);
  });
});

test('no query comes by GET', async () => {
  const response = await fetch(`${api.url}/graphql?query={__typename}`);
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
});

describe('pages of other sites', () => {
  const preflight = (origin: string) => fetch(`${api.url}/graphql`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' } });

  test('may call from a listed origin', async () => {
    const allowed = await preflight('https://app.example');
    expect([allowed.status, allowed.headers.get('access-control-allow-origin'), allowed.headers.get('vary')]).toEqual([204, 'https://app.example', 'origin']);
    expect(allowed.headers.get('access-control-allow-headers')).toMatch(/authorization.*x-api-key/);
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    const answer = await api.post('{"query":"{ __typename }"}', { origin: 'https://app.example' });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
  });

  test.each(['https://app.example.evil', 'http://app.example', 'null'])('from %s are told nothing', async (origin) => {
    const refused = await preflight(origin);
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([405, null]);
  });

  test.each(['https://app.example', 'https://APP.example', 'https://app.example.evil'])('from %s are told the same on the short way and the long one', async (origin) => {
    const told = async (path: string): Promise<unknown> => {
      const response = await fetch(`${api.url}${path}`, {
        method: 'POST', body: '{"query":"{ __typename }"}',
        headers: { 'content-type': 'application/json', 'x-request-id': 'same', origin, 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' },
      });
      const { date: _date, ...headers } = Object.fromEntries(response.headers);
      return [response.status, headers, await response.text()];
    };
    const [short, long] = [await told('/graphql'), await told('/graphql?')];
    expect(short).toEqual(long);
    expect(short).toEqual([200, expect.objectContaining({ vary: 'origin', 'strict-transport-security': expect.stringContaining('max-age') }), expect.any(String)]);
  });

  test('read errors, too', async () => {
    const answer = await api.post('{', { origin: 'https://app.example' });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([400, 'https://app.example']);
  });
});

test('behind a proxy, the caller is who the proxy says, and TLS is remembered', async () => {
  const response = await fetch(`${api.url}/healthz`, { headers: { 'x-forwarded-for': '198.51.100.7, 203.0.113.9', 'x-forwarded-proto': 'https' } });
  expect(response.headers.get('strict-transport-security')).toMatch(/max-age=\d+/);
  const headers = { ...(await api.headersOf('john')), 'x-forwarded-for': '198.51.100.7, 203.0.113.9', 'content-type': 'application/json' };
  await fetch(`${api.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query: 'mutation { createWorkflow(input: { workflow: { name: "by proxy", spec: {} } }) { workflow { id } } }' }) });
  const { rows } = await api.db.owner.query<Data>(`select host(ip_address::inet) as ip from audit_logs where entity_type = 'workflow' order by created_at desc limit 1`);
  expect(rows).toEqual([{ ip: '203.0.113.9' }]);
});
