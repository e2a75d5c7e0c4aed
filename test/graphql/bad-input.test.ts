/** What hostile documents, states and models do to the API and to a worker: each ends in a code, and the worker goes on. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { codesOf, type Data } from '../support/api.ts';
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';
import { useLocalServer } from '../support/sources.ts';

const service = useLocalServer();
let hostile: http.Server;
let answer: (response: http.ServerResponse) => void;

beforeAll(async () => {
  hostile = http.createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => {
    hostile.listen(0, '127.0.0.1', resolve);
  });
});
afterAll(() => {
  hostile.closeAllConnections();
  hostile.close();
});

const platform = usePlatform(() => ({ llmGateway: { url: `http://127.0.0.1:${(hostile.address() as AddressInfo).port}/v1`, key: null }, allowHosts: [service.host()] }));

const llm = (metadata: object = {}): object => ({
  nodes: [{ id: 'a', type: 'llm', metadata: { source: 'm', prompt: 'p', timeout: 1, retry: { max_attempts: 1 }, ...metadata } }], edges: [],
  sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'a',
});
const pure = (nodes: object[], edges: object[] = []): object => ({ nodes, edges, sources: [], start_node: (nodes[0] as { id: string }).id });
const completion = (text: string): string => JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1 } });

/** The worker does ordinary work as before. */
async function expectHealthy(): Promise<void> {
  expect(await platform.run(pure([{ id: 'x', type: 'transform', metadata: { expression: '1 + 1' } }]), {})).toMatchObject({ status: 'COMPLETED', finalState: { transform_result: 2 } });
}

describe('a model that answers with', () => {
  const json = { 'content-type': 'application/json' };
  const answers: [string, (response: http.ServerResponse) => void, string][] = [
    ['nothing at all', (response) => response.destroy(), 'SOURCE_UNAVAILABLE'],
    ['an empty body', (response) => response.writeHead(200, json).end(), 'SOURCE_FAILED'],
    ['silence', () => undefined, 'NODE_TIMEOUT'],
    ['one byte a second', (response) => {
      response.writeHead(200, json);
      const timer = setInterval(() => response.write(' '), 200);
      response.on('close', () => clearInterval(timer));
    }, 'NODE_TIMEOUT'],
    ['no end', (response) => {
      const chunk = Buffer.alloc(1_048_576, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.writeHead(200, json).on('drain', more);
      more();
    }, 'LIMIT_OUTPUT'],
    ['HTML', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>'), 'SOURCE_FAILED'],
    ['broken JSON', (response) => response.writeHead(200, json).end('{"choices": ['), 'SOURCE_FAILED'],
    ['JSON of another form', (response) => response.writeHead(200, json).end('{"hello": "world"}'), 'SOURCE_FAILED'],
    ['a redirect to itself', (response) => response.writeHead(302, { location: '/v1/chat/completions' }).end(), 'SOURCE_FAILED'],
  ];
  test.each(answers)('%s', async (_about, given, code) => {
    answer = given;
    const over = await platform.run(llm({ timeout: code === 'NODE_TIMEOUT' ? 3 : 60 }), {});
    expect(over).toMatchObject({ status: 'FAILED', errorNodeId: 'a', errorCode: code });
    expect(over.errorMessage).toContain("'a'");
    await expectHealthy();
  });

  test('more than a node may return', async () => {
    answer = (response) => response.writeHead(200, json).end(completion('x'.repeat(2_000_000)));
    expect(await platform.run(llm(), {})).toMatchObject({ status: 'FAILED', errorCode: 'LIMIT_OUTPUT', errorNodeId: 'a' });
  });

  test('JSON that is not as asked, however often', async () => {
    answer = (response) => response.writeHead(200, json).end(completion('{"age": "old"}'));
    const schema = { type: 'object', properties: { age: { type: 'integer' } } };
    expect(await platform.run(llm({ response_format: 'schema', schema }), {})).toMatchObject({ status: 'FAILED', errorCode: 'ANSWER_INVALID' });
  });

  test('NUL, half a surrogate pair and instructions: it is a text like any other', async () => {
    answer = (response) => response.writeHead(200, json).end(completion('a\u0000b\ud800 {user_input} {{x}} ${process.env}'));
    const over = await platform.run(llm(), { user_input: 'secret' });
    expect(over).toMatchObject({ status: 'COMPLETED', finalState: { text_result: 'a\ufffdb\ufffd {user_input} {{x}} ${process.env}' } });
    expect(JSON.stringify(nodeOf(over, 'a').logs)).toContain('U+FFFD');
  });
});

describe('documents', () => {
  const validate = 'query ($spec: JSON!) { validateWorkflow(spec: $spec) { valid errors { code field } } }';

  test.each<[string, object, string]>([
    ['too many nodes', pure(Array.from({ length: 20_000 }, (_, index) => ({ id: `n${index}`, type: 'input' }))), 'E001'],
    ['__proto__ as an id', JSON.parse('{"nodes": [{"id": "__proto__", "type": "input"}], "start_node": "__proto__"}') as object, 'E003'],
    ['a condition without an end', pure([{ id: 'a', type: 'input' }, { id: 'b', type: 'input' }], [{ from: 'a', to: 'b', condition: '('.repeat(3_000) }]), 'E003'],
    ['a pattern that is no pattern', pure([{ id: 'a', type: 'router', metadata: { strategy: 'pattern', routes: [{ intent: 'x', pattern: '(' }] } }]), 'E003'],
  ])('with %s are refused by code and place', async (_about, spec, code) => {
    const { validateWorkflow } = await platform.data('john', validate, { spec });
    expect(validateWorkflow.valid).toBe(false);
    expect(validateWorkflow.errors).toContainEqual({ code, field: expect.any(String) });
  });

  test('of ten megabytes are refused before they are looked at', async () => {
    const answered = await platform.query('john', validate, { spec: llm({ prompt: 'x'.repeat(10_000_000) }) });
    expect(codesOf(answered)).toEqual(['TOO_LARGE']);
    expect(answered.status).toBe(413);
    await expectHealthy();
  });

  test('patterns and expressions made to run long do not', async () => {
    const spec = pure([{ id: 'r', type: 'router', metadata: { strategy: 'pattern', routes: [{ intent: 'x', pattern: '(a+)+$' }], default_intent: 'none' } }]);
    expect(await platform.run(spec, { user_input: `${'a'.repeat(50_000)}!` })).toMatchObject({ status: 'COMPLETED', finalState: { intent: 'none' } });
    const endless = 'list.all(a, list.all(b, list.all(c, list.all(d, a + b + c + d >= 0))))';
    const over = await platform.run(pure([{ id: 't', type: 'transform', metadata: { expression: endless } }]), { list: Array.from({ length: 500 }, (_, index) => index) });
    expect(over).toMatchObject({ status: 'FAILED', errorCode: 'EXPRESSION_FAILED', errorNodeId: 't' });
    await expectHealthy();
  });
});

describe('states', () => {
  const echo = pure([{ id: 't', type: 'transform', metadata: { values: { said: '{user_input}' } } }]);

  test('keys that mean something to JavaScript mean nothing here', async () => {
    const state = JSON.parse('{"user_input": "x", "__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}') as object;
    const over = await platform.run(echo, state);
    expect(over).toMatchObject({ status: 'COMPLETED', finalState: { transform_result: { said: 'x' } } });
    expect(({} as Data).polluted).toBeUndefined();
    expect(Object.keys(over.finalState)).toEqual(expect.arrayContaining(['__proto__', 'constructor']));
  });

  test('NUL and half surrogates are replaced, and said to be', async () => {
    const over = await platform.run(echo, { user_input: 'a\u0000b\ud800' });
    expect(over).toMatchObject({ status: 'COMPLETED', finalState: { transform_result: { said: 'a\ufffdb\ufffd' } } });
    expect(over.nodeExecutions.nodes[0].logs).toEqual([expect.objectContaining({ level: 'warn', message: expect.stringMatching(/^W011: initial state: .*U\+FFFD/) })]);
    const inputs = [{ workflowId: await platform.publish(echo), initialState: { 'k\u0000': 'x\ud800' } }, { workflowId: await platform.publish(echo), initialState: {} }];
    const { executeWorkflows } = await platform.data('john', 'mutation ($inputs: [WorkflowStartInput!]!) { executeWorkflows(input: {inputs: $inputs}) { executions { initialState } } }', { inputs });
    expect(executeWorkflows.executions).toEqual([{ initialState: { 'k\ufffd': 'x\ufffd' } }, { initialState: {} }]);
  });

  test('more than a mebibyte is refused; what grows beyond it fails with the limit', async () => {
    const id = await platform.publish(echo);
    const start = 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: {workflowId: $id, initialState: $state}) { execution { id } } }';
    expect(codesOf(await platform.query('john', start, { id, state: { user_input: 'x'.repeat(1_100_000) } }))).toEqual(['TOO_LARGE']);
    expect(await platform.until(await platform.execute(id, { user_input: 'x'.repeat(700_000) }), isOver)).toMatchObject({ status: 'FAILED', errorCode: 'LIMIT_STATE', errorNodeId: 't' });
  });

  test('a service that answers without end is cut off', async () => {
    service.answer((_request, response) => {
      const chunk = Buffer.alloc(1_048_576, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.writeHead(200, { 'content-type': 'application/json' }).on('drain', more);
      more();
    });
    const over = await platform.run({ nodes: [{ id: 'c', type: 'api', metadata: { source: 's', path: '/' } }], edges: [], sources: [{ id: 's', kind: 'api', config: { base_url: service.url() } }], start_node: 'c' }, {});
    expect(over).toMatchObject({ status: 'FAILED', errorCode: 'LIMIT_OUTPUT', errorNodeId: 'c' });
    await expectHealthy();
  });
});
