/** Workflows as people write them, in both dialects, with every kind of source: models and pictures by the gateway, a database, an HTTP service. */
import { withClient } from '../../src/schema/connection.ts';
import type { Data } from '../support/api.ts';
import { clusterUrl, testCluster } from '../support/database.ts';
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';
import { useLocalServer } from '../support/sources.ts';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkaAAAAIMAgbZgU7MAAAAASUVORK5CYII=';
const service = useLocalServer();
const shop = { name: '' };

const platform = usePlatform(async (api) => {
  shop.name = `${api.db.name}_shop`;
  const info = testCluster();
  await withClient(clusterUrl(info, 'postgres', 'postgres'), (client) => client.query(`create database ${shop.name}`));
  const dsn = clusterUrl(info, 'postgres', shop.name);
  await withClient(dsn, (client) => client.query(`
    create table products (id bigint primary key, name text, price numeric(8, 2), tags text[], added timestamptz);
    insert into products values (1, 'blue mug', 9.5, '{kitchen}', '2026-01-02T03:04:05Z'), (2, 'red mug', 12, '{}', null), (3, 'O''Neill''s lamp', 30, null, null)`));
  return {
    sourceVariables: ['SHOP_DSN', 'OWN_DSN'].map((name) => ({ name, tenant: null, hosts: ['127.0.0.1'] })),
    sourceValues: { SHOP_DSN: dsn, OWN_DSN: api.db.url('agentflow_owner') }, allowHosts: [service.host(), `127.0.0.1:${info.port}`],
  };
});

afterAll(() => withClient(clusterUrl(testCluster(), 'postgres', 'postgres'), (client) => client.query(`drop database if exists ${shop.name} with (force)`)));

beforeEach(() => {
  platform.models.requests.length = 0;
  platform.reply = ({ prompt, isImage }) => (isImage ? 'https://pictures.example/1.png' : `answer to ${prompt}`);
});

const sources = [
  { id: 'openai', kind: 'llm', config: { provider: 'openai', model_name: 'gpt-4', api_key_env: 'OPENAI_API_KEY' } },
  { id: 'dalle', kind: 'image', config: { model_name: 'dall-e-3', size: '512x512' } },
  { id: 'shop', kind: 'db', config: { dsn_env: 'SHOP_DSN' } },
];

/** The router of the first dialect, without any routes: the built-in classifier and targets by type. */
const assistant = {
  name: 'Assistant', version: '1.0',
  nodes: [
    { id: 'input', type: 'input', metadata: {} },
    { id: 'router', type: 'router', metadata: null },
    { id: 'answer', type: 'llm', metadata: { source_id: 'openai', prompt_template: 'Answer: {user_input}' } },
    { id: 'paint', type: 'image', metadata: { source_id: 'dalle' } },
    { id: 'lookup', type: 'db', metadata: { source_id: 'shop', query_template: "select name, price from products where name like '%{word}%' order by id" } },
    { id: 'result', type: 'aggregator', metadata: {} },
  ],
  edges: [
    { from: 'input', to: 'router' }, { from: 'router', to: ['answer', 'paint', 'lookup'] },
    { from: 'answer', to: 'result' }, { from: 'paint', to: 'result' }, { from: 'lookup', to: 'result' }, { from: 'result', to: 'end' },
  ],
  queues: [], sources, start_node: 'input',
};

test.each([
  ['What is a mug?', 'text', ['input', 'router', 'answer', 'result'], { text_result: 'answer to Answer: What is a mug?' }],
  ['Generate a picture of a mug', 'image', ['input', 'router', 'paint', 'result'], { image_result: { type: 'image', url: 'https://pictures.example/1.png', prompt: 'Generate a picture of a mug', model: 'dall-e-3', size: '512x512' } }],
  ['Query the mugs', 'database', ['input', 'router', 'lookup', 'result'], { db_result: [{ name: 'blue mug', price: 9.5 }, { name: 'red mug', price: 12 }] }],
])('the assistant routes %j to %s', async (text, intent, path, results) => {
  const over = await platform.run(assistant, { user_input: text, word: 'mug' });
  expect(over).toMatchObject({ status: 'COMPLETED', finalState: { intent, execution_path: path, ...results, final_output: { result: results, execution_path: path } } });
  expect(over.nodeExecutions.nodes.filter(({ status }: Data) => status === 'SKIPPED')).toHaveLength(2);
});

test('a picture that comes as bytes is kept and named by its id', async () => {
  platform.reply = () => png;
  const over = await platform.run(assistant, { user_input: 'an image' });
  const { image_result: image } = over.finalState;
  expect(image).toEqual({ type: 'image', artifact_id: expect.any(String), prompt: 'an image', model: 'dall-e-3', size: '512x512' });
  const { rows } = await platform.db.owner.query(`select media_type, replace(encode(bytes, 'base64'), E'\\n', '') as bytes, node_id, execution_id from app_private.artifacts where id = $1`, [image.artifact_id]);
  expect(rows).toEqual([{ media_type: 'image/png', bytes: png, node_id: 'paint', execution_id: over.id }]);
  expect(platform.models.requests[0]).toMatchObject({ model: 'dall-e-3', body: { n: 1, size: '512x512' } });
  expect(Number(over.cost)).toBe(0.04);
});

test('values of the state are bound, whatever is in them', async () => {
  for (const [word, names] of [["O'Neill", ["O'Neill's lamp"]], ["' or true --", []]] as const) {
    const over = await platform.run(assistant, { user_input: 'query', word });
    expect(over.finalState.db_result.map(({ name }: Data) => name)).toEqual(names);
  }
});

const query = (metadata: object): object => ({ nodes: [{ id: 'q', type: 'db', metadata: { source: 'shop', ...metadata } }], edges: [], sources, start_node: 'q' });

test('rows come as JSON has them, with named parameters and a limit', async () => {
  const over = await platform.run(query({ query: 'select * from products where id >= :least order by id', params: { least: '{from}' }, limit: 2, output_key: 'rows' }), { from: 1 });
  expect(over.finalState.rows).toEqual([
    { id: 1, name: 'blue mug', price: 9.5, tags: ['kitchen'], added: expect.stringMatching(/^2026-01-02T03:04:05/) },
    { id: 2, name: 'red mug', price: 12, tags: [], added: null },
  ]);
  expect(JSON.stringify(nodeOf(over, 'q').logs)).toContain('more rows');
});

test.each([
  ['a statement that fails', { query: 'select nothing from nowhere' }, 'SOURCE_FAILED'],
  ['a query that takes too long', { query: 'select pg_sleep(30)', timeout: 0.3 }, 'NODE_TIMEOUT'],
  ['our own database', { query: 'select 1', source: 'own' }, 'SOURCE_NOT_ALLOWED'],
  ['a variable that is not allowed', { query: 'select 1', source: 'secret' }, 'SOURCE_NOT_ALLOWED'],
])('%s ends the node with a code', async (_about, metadata, code) => {
  const spec = { ...query(metadata), sources: [...sources, { id: 'own', kind: 'db', config: { connection_string_env: 'OWN_DSN' } }, { id: 'secret', kind: 'db', config: { connection_string_env: 'DATABASE_URL' } }] };
  const over = await platform.run(spec, {});
  expect(over).toMatchObject({ status: 'FAILED', errorCode: code, errorNodeId: 'q' });
  expect(JSON.stringify(over)).not.toContain(testCluster().passwords.postgres);
});

test('an HTTP service gets what the templates say, and its answer is read', async () => {
  service.json({ id: 7, ok: true }, 201, { 'x-trace': 'abc' });
  const spec = {
    nodes: [
      { id: 'input', type: 'input' },
      { id: 'call', type: 'api', metadata: { source: 'crm', method: 'POST', path: '/customers/{customer.id}/notes', query: { lang: '{lang}' }, headers: { 'X-From': '{lang}' }, body: { text: '{user_input}', vip: '{customer.vip}' } } },
      { id: 'last', type: 'transform', metadata: { expression: 'api_result.status == 201 && api_result.body.ok' } },
    ],
    edges: [{ from: 'input', to: 'call' }, { from: 'call', to: 'last' }],
    sources: [{ id: 'crm', kind: 'api', config: { base_url: `${service.url()}/v1` } }], start_node: 'input',
  };
  const over = await platform.run(spec, { user_input: 'hi', lang: 'de', customer: { id: 'a/b', vip: true } });
  expect(over).toMatchObject({ status: 'COMPLETED', finalState: { transform_result: true, api_result: { status: 201, body: { id: 7, ok: true }, headers: { 'x-trace': 'abc' } } } });
  expect(service.requests).toMatchObject([{ method: 'POST', url: '/v1/customers/a%2Fb/notes?lang=de', headers: { 'x-from': 'de', 'idempotency-key': `${over.id}:call` } }]);
  expect(JSON.parse(service.requests[0]!.body)).toEqual({ text: 'hi', vip: true });
});

test('429 and 503 of a service are tried again', async () => {
  let calls = 0;
  service.answer((_request, response) => {
    calls += 1;
    response.writeHead(calls === 1 ? 429 : calls === 2 ? 503 : 200, { 'content-type': 'application/json', 'retry-after': '0' }).end('{}');
  });
  const over = await platform.run({
    nodes: [{ id: 'call', type: 'api', metadata: { source: 'crm', path: '/x', retry: { initial_seconds: 0.01 } } }], edges: [],
    sources: [{ id: 'crm', kind: 'api', config: { base_url: service.url() } }], start_node: 'call',
  }, {});
  expect(over).toMatchObject({ status: 'COMPLETED', finalState: { api_result: { status: 200 } } });
  expect(nodeOf(over, 'call')).toMatchObject({ attempts: 3 });
});

test('routers by keyword, pattern, rules and model decide alike', async () => {
  const routes = [
    { intent: 'refund', keywords: ['money back'], pattern: '.*money back', condition: "contains('money back')", to: 'orders' },
    { intent: 'greeting', keywords: ['hello'], pattern: 'hello', condition: "starts_with('hello')", target_node: 'hi' },
  ];
  platform.reply = ({ prompt }) => (prompt.includes('Text:\nHello') ? 'The intent is: greeting.' : 'refund');
  for (const strategy of ['keyword', 'pattern', 'rules', 'llm']) {
    const spec = {
      nodes: [
        { id: 'router', type: 'router', metadata: { strategy, routes, default_intent: 'other', ...(strategy === 'llm' ? { source: 'openai' } : {}) } },
        { id: 'orders', type: 'transform', metadata: { expression: "'orders'", output_key: 'went' } },
        { id: 'hi', type: 'transform', metadata: { expression: "'hi'", output_key: 'went' } },
      ],
      edges: [{ from: 'router', to: 'orders' }, { from: 'router', to: 'hi' }], sources, start_node: 'router',
    };
    expect((await platform.run(spec, { user_input: 'I want my MONEY BACK' })).finalState).toMatchObject({ intent: 'refund', went: 'orders' });
    expect((await platform.run(spec, { user_input: 'Hello there' })).finalState).toMatchObject({ intent: 'greeting', went: 'hi' });
  }
});

test('tokens and cost of failed tries and repairs are counted', async () => {
  let calls = 0;
  platform.reply = () => ((calls += 1) === 1 ? 'no json' : '{"ok": true}');
  const over = await platform.run({
    nodes: [{ id: 'a', type: 'llm', metadata: { source: 'openai', prompt: 'p', response_format: 'json' } }], edges: [], sources, start_node: 'a',
  }, {});
  const [first, second] = platform.models.requests;
  expect(over).toMatchObject({ status: 'COMPLETED', tokensUsed: first!.prompt.length + 'no json'.length + second!.prompt.length + '{"ok": true}'.length });
  platform.reply = () => 'never json';
  const failed = await platform.run({
    nodes: [{ id: 'a', type: 'llm', metadata: { source: 'openai', prompt: 'p', response_format: 'json' } }], edges: [], sources, start_node: 'a',
  }, {});
  expect(failed).toMatchObject({ status: 'FAILED', errorCode: 'ANSWER_INVALID' });
  expect(failed.tokensUsed).toBeGreaterThan(0);
  expect(nodeOf(failed, 'a').tokensUsed).toBe(failed.tokensUsed);
});

test('what an execution does is told node by node', async () => {
  const id = await platform.execute(await platform.publish(assistant), { user_input: 'hello' });
  const over = await platform.until(id, isOver);
  expect(over.metrics).toEqual({ execution_time: expect.any(Number), tokens_used: over.tokensUsed, cost: Number(over.cost), node_execution_times: expect.objectContaining({ answer: expect.any(Number) }) });
});
