import { gzipSync } from 'node:zlib';
import { maxPageSize } from '../../src/server/limits.ts';
import { type Answer, codesOf, type Data, sampleWorkflow, useApi } from '../support/api.ts';

const api = useApi();
const get = (path: string, init?: RequestInit) => fetch(`${api.url}${path}`, init);

describe('health', () => {
  test('healthz says that the process is alive', async () => {
    const response = await get('/healthz');
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
  });

  test('the schemas of documents are there for every editor, and nothing else beside them', async () => {
    for (const [name, required] of [['workflow', ['nodes', 'start_node']], ['flow', ['id', 'name', 'start_task', 'tasks']]] as const) {
      const response = await get(`/schemas/${name}.json`);
      expect([response.status, response.headers.get('content-type'), response.headers.get('access-control-allow-origin')]).toEqual([200, expect.stringContaining('application/schema+json'), '*']);
      expect(await response.json()).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', required });
    }
    for (const name of ['other.json', '__proto__', 'workflow']) expect((await get(`/schemas/${name}`)).status).toBe(404);
  });

  test('readyz names each part', async () => {
    const response = await get('/readyz');
    expect(response.status).toBe(200);
    const { status, checks } = (await response.json()) as { status: string; checks: { name: string; ok: boolean }[] };
    expect(status).toBe('ready');
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([['serving', true], ['database', true], ['migrations', true], ['worker', true]]);
  });
});

describe('pages', () => {
  test('the start page says what is where', async () => {
    const response = await get('/');
    const page = await response.text();
    expect(response.headers.get('content-type')).toContain('text/html');
    for (const place of ['/graphql', '/graphiql', '/healthz', '/readyz']) expect(page).toContain(place);
  });

  test('GraphiQL loads from this server alone, and what it loads is there', async () => {
    const page = await (await get('/graphiql')).text();
    const places = [...page.matchAll(/"(\/ruru-static\/[^"]+\.\w+)"/g)].map((match) => match[1]!);
    expect(places).toEqual(expect.arrayContaining(['/ruru-static/ruru.js', '/ruru-static/ruru.css']));
    for (const place of places) expect([place, (await get(place)).status]).toEqual([place, 200]);
    expect(page).not.toMatch(/["'(](?:https?:)?\/\/(?!www\.w3\.org)/);
    expect(page).toContain('authenticate(input');
  });

  test('the content policy lets pages load nothing from elsewhere', async () => {
    const policy = (await get('/graphiql')).headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:|\*/);
  });

  test.each(['/nowhere', '/ruru-static/nowhere.js', '/graphiql/nowhere'])('an unknown address is answered in JSON: %s', async (place) => {
    const response = await get(place);
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/json; charset=utf-8']);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND', remedy: 'GET / says what is where.' } }] });
  });
});

describe('headers', () => {
  test('every answer carries an id; one that the client gave comes back', async () => {
    expect((await get('/healthz')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect((await get('/healthz', { headers: { 'x-request-id': 'order-17' } })).headers.get('x-request-id')).toBe('order-17');
    const strange = await get('/healthz', { headers: { 'x-request-id': '<script>' } });
    expect(strange.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('no answer says what serves it, none can be framed or guessed at', async () => {
    for (const path of ['/', '/graphiql', '/healthz', '/nowhere']) {
      const { headers } = await get(path);
      expect(headers.get('x-powered-by')).toBeNull();
      expect([headers.get('x-content-type-options'), headers.get('x-frame-options')]).toEqual(['nosniff', 'DENY']);
    }
  });

  test('other sites are given no way in', async () => {
    const response = await get('/graphql', { method: 'OPTIONS', headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'POST' } });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    expect(response.status).toBe(405);
  });
});

describe('a malformed request', () => {
  const refusals: [string, string, Record<string, string>, number, string][] = [
    ['JSON that is cut off', '{"query": "{ __typename', {}, 400, 'BAD_REQUEST'],
    ['an empty body', '', {}, 400, 'BAD_REQUEST'],
    ['a list', '[{"query":"{ __typename }"}]', {}, 400, 'BAD_REQUEST'],
    ['a JSON text', '"{ __typename }"', {}, 400, 'BAD_REQUEST'],
    ['no query', '{"variables": {}}', {}, 400, 'BAD_REQUEST'],
    ['a query that is a number', '{"query": 1}', {}, 400, 'BAD_REQUEST'],
    ['variables that are a list', '{"query": "{ __typename }", "variables": []}', {}, 400, 'BAD_REQUEST'],
    ['an operation name that is an object', '{"query": "{ __typename }", "operationName": {}}', {}, 400, 'BAD_REQUEST'],
    ['extensions that are a number', '{"query": "{ __typename }", "extensions": 5}', {}, 400, 'BAD_REQUEST'],
    ['a form, as other sites can send one', 'query={__typename}', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'BAD_REQUEST'],
    ['text/plain, as other sites can send it', '{"query":"{ __typename }"}', { 'content-type': 'text/plain' }, 415, 'BAD_REQUEST'],
    ['an answer type that is not JSON', '{"query":"{ __typename }"}', { accept: 'image/png' }, 406, 'BAD_REQUEST'],
    ['an unknown encoding', '{"query":"{ __typename }"}', { 'content-encoding': 'zip' }, 400, 'BAD_REQUEST'],
    ['a body that is not gzip and says so', '{"query":"{ __typename }"}', { 'content-encoding': 'gzip' }, 400, 'BAD_REQUEST'],
    ['a query of more than 100,000 characters', JSON.stringify({ query: `{ __typename } # ${'x'.repeat(100_000)}` }), {}, 413, 'TOO_LARGE'],
  ];

  test.each(refusals)('%s is refused with a code and a remedy', async (_what, body, headers, status, code) => {
    const answer = await api.post(body, headers);
    expect([answer.status, ...codesOf(answer)]).toEqual([status, code]);
    expect(answer.errors![0]!.extensions.remedy).toMatch(/\w/);
    expect(answer.headers.get('content-type')).toMatch(/json/);
  });

  test('the content type may be written in capitals', async () => {
    expect((await api.post('{"query":"{ __typename }"}', { 'content-type': 'Application/JSON; Charset=UTF-8' })).data).toEqual({ __typename: 'Query' });
  });

  test('an address that cannot be decoded is refused', async () => {
    const answer = await get('/artifacts/%ff');
    expect([answer.status, ((await answer.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code]).toEqual([400, 'BAD_REQUEST']);
  });

  test('GET may ask and may change nothing', async () => {
    const asked = await get('/graphql?query={__typename}');
    expect([asked.status, await asked.json()]).toEqual([200, { data: { __typename: 'Query' } }]);
    const changed = await get(`/graphql?query=${encodeURIComponent('mutation { logout { clientMutationId } }')}`);
    expect([changed.status, changed.headers.get('allow')]).toEqual([405, 'POST']);
    const nothing = await get('/graphql');
    expect([nothing.status, nothing.headers.get('allow')]).toEqual([405, 'GET, POST']);
    const broken = await get('/graphql?query={__typename}&variables={');
    expect([broken.status, ((await broken.json()) as { errors: { extensions: { field: string } }[] }).errors[0]!.extensions.field]).toEqual([400, 'variables']);
  });
});

describe('size', () => {
  const bodyOf = (bytes: number): string => JSON.stringify({ query: 'query ($x: String) { __typename @skip(if: false) a: __typename }', variables: { pad: 'x'.repeat(bytes) } });

  test('a body of 3 MiB is too large, and the server goes on', async () => {
    const answer = await api.post(bodyOf(3 * 1024 * 1024));
    expect([answer.status, ...codesOf(answer)]).toEqual([413, 'TOO_LARGE']);
    expect((await api.query('visitor', '{ __typename }')).data).toEqual({ __typename: 'Query' });
  });

  test('a small body that unpacks to a large one is too large', async () => {
    const packed = gzipSync(bodyOf(20 * 1024 * 1024));
    expect(packed.length).toBeLessThan(100_000);
    const answer = await api.post(packed, { 'content-encoding': 'gzip' });
    expect([answer.status, ...codesOf(answer)]).toEqual([413, 'TOO_LARGE']);
  });

  test('a state of just under 1 MiB is taken, a larger one is refused', async () => {
    const execute = 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: { workflowId: $id, initialState: $state }) { execution { id } } }';
    const state = (length: number) => ({ id: sampleWorkflow, state: { user_input: 'x'.repeat(length) } });
    const taken = await api.query('john', execute, state(1_000_000));
    expect(taken.errors).toBeUndefined();
    expect(codesOf(await api.query('john', execute, state(1_100_000)))).toEqual(['TOO_LARGE']);
  });
});

describe('an answer', () => {
  const documents = (first: number, fields = 'spec'): Promise<Answer> => api.query('john', `query ($first: Int) { workflows(first: $first, filter: { name: { startsWith: "Heavy" } }) { nodes { id ${fields} } } }`, { first });
  beforeAll(async () => {
    await api.db.owner.query(`insert into workflows (tenant_id, user_id, name, spec)
      select users.tenant_id, users.id, 'Heavy ' || turn, jsonb_build_object('description', repeat('x', 2900000)) from users, generate_series(1, 13) as turn where users.email = 'john@example.com'`);
  });
  afterAll(() => api.db.owner.query(`delete from workflows where name like 'Heavy %'`));

  test('of more than 32 MiB is refused, and nobody else is disturbed', async () => {
    const [refused, ...others] = await Promise.all([documents(13), ...Array.from({ length: 5 }, () => api.query('jane', '{ currentUser { email } }'))]);
    expect(refused.errors).toMatchObject([{ extensions: { code: 'LIMIT_EXCEEDED', limit: 'answerBytes', allowed: 33_554_432 } }]);
    expect(others.map(({ data }) => data)).toEqual(others.map(() => ({ currentUser: { email: 'jane@example.com' } })));
    expect((await documents(5)).data.workflows.nodes).toHaveLength(5);
  });

  test('counts all that an operation reads, and what aliases repeat', async () => {
    const lists = Array.from({ length: 3 }, (_, index) => `a${index}: workflows(first: 1, offset: ${index}, filter: { name: { startsWith: "Heavy" } }) { nodes { spec } }`);
    expect(codesOf(await api.query('john', `{ ${lists.join(' ')} }`))).toContain('LIMIT_EXCEEDED');
    expect(codesOf(await documents(1, Array.from({ length: 12 }, (_, index) => `b${index}: spec`).join(' ')))).toEqual(['LIMIT_EXCEEDED']);
  });

  test('that is read as one value is bounded as well', async () => {
    const answer = await api.query('john', '{ currentUser { workflows(first: 13, filter: { name: { startsWith: "Heavy" } }) { nodes { spec } } } }');
    expect(codesOf(answer)).toEqual(['LIMIT_EXCEEDED']);
  });
});

describe('limits on a document', () => {
  const many = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');
  const nested = (levels: number): string => `{ workflow(id: "${sampleWorkflow}") ${'{ versions { nodes { workflow '.repeat(levels)}{ id }${' } } }'.repeat(levels)} }`;

  test.each([
    ['depth', nested(6), /20 levels deep/],
    ['fields', `{ workflow(id: "${sampleWorkflow}") { ${many(600, (index) => `a${index}: id`)} } }`, /601 fields/],
    ['fields at the top', `{ ${many(31, (index) => `a${index}: __typename`)} }`, /31 fields at the top/],
    ['fragments that multiply', `{ ...F0 } ${many(60, (index) => `fragment F${index} on Query { ${index === 59 ? '__typename' : `...F${index + 1} `.repeat(8)} }`)}`, /fields/],
    ['directives', `{ workflows { totalCount ${'@include(if: true) '.repeat(501)} } }`, /503 fields/],
    ['one field 5,000 times', `{ ${'__typename '.repeat(5_000)} }`, /5000 fields/],
    ['operations', many(51, (index) => `query Q${index} { __typename }`), /51 operations/],
    ['tokens', `{ ${'a '.repeat(20_001)} }`, /20000 tokens/],
    ['braces', `${'{ a '.repeat(6_000)}${'}'.repeat(6_000)}`, /200 levels deep/],
    ['fragments without a name', `${'{ ... '.repeat(6_000)}${'}'.repeat(6_000)}`, /200 levels deep/],
    ['lists', `{ workflows(first: ${'['.repeat(19_000)}`, /200 levels deep/],
    ['brackets behind texts that only look open', `{ a(b: "\\"", c: """\\""" " """, d: "") # "\n ${'[{('.repeat(3_000)}`, /200 levels deep/],
    ['values', `{ workflows(filter: ${'{ and: ['.repeat(16)}${']}'.repeat(16)}) { totalCount } }`, /32 levels deep/],
  ])('%s', async (_what, query, message) => {
    const answer = await api.query('john', query);
    expect(new Set(codesOf(answer))).toEqual(new Set(['LIMIT_EXCEEDED']));
    expect(answer.data).toBeUndefined();
    expect(answer.errors!.map((error) => error.message).join(' ')).toMatch(message);
  });

  test('brackets in texts and comments are none', async () => {
    const brackets = '[{('.repeat(1_000);
    const answer = await api.query('john', `{ a: workflows(filter: { name: { in: ["${brackets}", "\\"${brackets}", """" ${brackets} \\""" """] } }) { totalCount } # ${brackets}\n }`);
    expect(answer.data).toEqual({ a: { totalCount: 0 } });
  });

  const chain = (count: number, last: string): string => many(count, (index) => `fragment F${index} on Query { ...${index + 1 < count ? `F${index + 1}` : last} }`);
  test.each([
    ['a chain of fragments', `{ ...F0 } ${chain(2_000, 'Last')} fragment Last on Query { __typename }`, 'LIMIT_EXCEEDED'],
    ['a chain of deep fragments', `{ ...F0 } ${many(60, (index) => `fragment F${index} on Query { ${'... { '.repeat(100)} ...F${index + 1} ${'}'.repeat(100)} }`)} fragment F60 on Query { __typename }`, 'LIMIT_EXCEEDED'],
    ['a ring of fragments', `{ __typename } ${chain(2_000, 'F0')}`, 'BAD_REQUEST'],
    ['a chain of fragments that nobody spreads', `{ __typename } ${chain(250, 'Unknown')}`, 'LIMIT_EXCEEDED'],
  ])('%s', async (_what, query, code) => {
    const answer = await api.query('john', query);
    expect([codesOf(answer), answer.data]).toEqual([[code], undefined]);
  });

  test('variables', async () => {
    const nested = JSON.parse(`${'{"and":['.repeat(500)}${']}'.repeat(500)}`) as object;
    const answer = await api.query('john', 'query ($f: WorkflowFilter) { workflows(filter: $f) { totalCount } }', { f: nested });
    expect([answer.status, ...codesOf(answer)]).toEqual([400, 'LIMIT_EXCEEDED']);
    expect(answer.errors![0]!.extensions).toMatchObject({ limit: 'variableDepth', field: 'variables' });
  });

  test('a fragment that spreads itself is refused', async () => {
    const answer = await api.query('visitor', '{ ...A } fragment A on Query { ...A }');
    expect(codesOf(answer)).toContain('BAD_REQUEST');
    expect(answer.data).toBeUndefined();
  });

  test('introspection as GraphiQL sends it is within them', async () => {
    const { buildClientSchema, getIntrospectionQuery } = await import('postgraphile/graphql');
    const query = getIntrospectionQuery({ inputValueDeprecation: true, oneOf: true, schemaDescription: true, specifiedByUrl: true });
    expect(buildClientSchema(await api.data('visitor', query)).getType('Workflow')).toBeDefined();
  });
});

describe('pages of a connection', () => {
  test.each([
    ['{ workflows(first: 101) { totalCount } }', 'LIMIT_EXCEEDED'],
    ['{ workflows(last: 101) { totalCount } }', 'LIMIT_EXCEEDED'],
    ['{ workflows(first: 2147483647) { totalCount } }', 'LIMIT_EXCEEDED'],
    ['{ workflows(first: -1) { totalCount } }', 'BAD_REQUEST'],
    ['{ workflows(first: 1, last: 1) { totalCount } }', 'BAD_REQUEST'],
    [`{ workflow(id: "${sampleWorkflow}") { versions(first: 101) { nodes { id } } } }`, 'LIMIT_EXCEEDED'],
    [`{ searchWorkflows(contains: {}, first: 101) { nodes { id } } }`, 'LIMIT_EXCEEDED'],
  ])('%s is refused', async (query, code) => {
    const answer = await api.query('john', query);
    expect(codesOf(answer)).toEqual([code]);
    expect(answer.errors![0]!.extensions).toHaveProperty('field');
  });

  test('have 20 rows unless asked, and 100 at most', async () => {
    await api.db.owner.query(`insert into workflows (name, spec, user_id, tenant_id) select 'w' || n, '{}', '550e8400-e29b-41d4-a716-446655440000', '123e4567-e89b-12d3-a456-426614174000' from generate_series(1, 120) n`);
    const { byDefault, most, backwards } = await api.data('john', `{
      byDefault: workflows { nodes { id } } most: workflows(first: ${maxPageSize}) { nodes { id } pageInfo { hasNextPage } } backwards: workflows(last: 3) { nodes { id } }
    }`);
    expect([byDefault.nodes.length, most.nodes.length, most.pageInfo.hasNextPage, backwards.nodes.length]).toEqual([20, 100, true, 3]);
  });

  test('follow one another without gap or repetition', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { workflows }: Data = await api.data('john', 'query ($after: Cursor) { workflows(first: 50, after: $after, orderBy: [NAME_ASC]) { totalCount nodes { id } pageInfo { endCursor hasNextPage } } }', { after });
      seen.push(...workflows.nodes.map(({ id }: { id: string }) => id));
      after = workflows.pageInfo.hasNextPage ? workflows.pageInfo.endCursor : null;
      expect(seen.length).toBeLessThanOrEqual(workflows.totalCount);
    } while (after !== null);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(120);
  });

  test('a cursor that is none is refused', async () => {
    const answer = await api.query('john', '{ workflows(after: "nonsense") { nodes { id } } }');
    expect(codesOf(answer)).toEqual(['BAD_REQUEST']);
  });
});
