/** Where a model call goes, what it needs, and what its failures become. */
import { createSources, type SourceBinding, type SourceSettings } from '../../src/sources/index.ts';
import type { JsonObject, LlmRequest } from '../../src/engine/types.ts';
import { startModelServer, type ModelReply, type ModelServer } from '../support/model-server.ts';

let server: ModelServer;
let reply: () => ModelReply;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startModelServer(() => reply());
});
beforeEach(() => {
  server.requests.length = 0;
  reply = () => 'hello';
});
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));
afterAll(() => server.close());

const plain: LlmRequest = { prompt: 'Hi', system: null, temperature: null, maxTokens: null, topP: null, json: null };

function ask(settings: Partial<SourceSettings>, config: JsonObject = { model: 'm-1' }, request: Partial<LlmRequest> = {}, binding: Partial<SourceBinding> = {}): ReturnType<ReturnType<ReturnType<typeof createSources>['port']>['llm']> {
  const sources = createSources({ sourceVariables: [], sourceValues: {}, allowHosts: [], llmGateway: null, mockLlm: null, ...settings });
  closing.push(sources.close);
  return sources.port({
    nodeId: 'n', tenantSlug: 'acme', sourceName: 's', config, signal: new AbortController().signal, idempotencyKey: 'key-1',
    costUnits: (_model, input, output) => input + 100 * output, imageCostUnits: () => 7, ...binding,
  }).llm({ ...plain, ...request });
}

const gateway = (): Partial<SourceSettings> => ({ llmGateway: { url: server.url, key: 'gw-key' } });
const local = (config: JsonObject = {}): JsonObject => ({ provider: 'openai-compatible', base_url: server.url, model: 'm-1', ...config });
const allowed = (): Partial<SourceSettings> => ({ allowHosts: [new URL(server.url).host] });

test('the gateway gets every call, with the name of the model, and needs no key of the provider', async () => {
  const answer = await ask(gateway(), { provider: 'anthropic', model: 'claude-x', api_key_env: 'NOT_SET' });
  expect(answer).toEqual({ text: 'hello', model: 'claude-x', inputTokens: 2, outputTokens: 5, estimated: false, costUnits: 502, mock: false });
  expect(server.requests[0]).toMatchObject({ model: 'claude-x', prompt: 'Hi', headers: { authorization: 'Bearer gw-key', 'idempotency-key': 'key-1' }, body: { temperature: 0.7, max_tokens: 4096 } });
});

test('the gateway comes before the mock, the mock before the provider', async () => {
  expect(await ask({ ...gateway(), mockLlm: true })).toMatchObject({ text: 'hello', mock: false });
  const mocked = await ask({ mockLlm: true });
  expect(mocked).toMatchObject({ mock: true, costUnits: 0, estimated: true });
  expect(mocked.text).toContain('[mock]');
  expect(await ask({ mockLlm: true })).toEqual(mocked);
});

test('the node says how it is sampled, else the source does', async () => {
  await ask(gateway(), { model: 'm', temperature: 0.1, max_tokens: 9, top_p: 0.5 });
  await ask(gateway(), { model: 'm', temperature: 0.1, max_tokens: 9, top_p: 0.5 }, { temperature: 0.9, maxTokens: 3, topP: 0.2 });
  expect(server.requests.map(({ body }) => [body['temperature'], body['max_tokens'], body['top_p']])).toEqual([[0.1, 9, 0.5], [0.9, 3, 0.2]]);
});

test('a JSON answer is asked for in the form of the interface', async () => {
  await ask(gateway(), undefined, { json: { schema: null } });
  await ask(gateway(), undefined, { json: { schema: { type: 'object', properties: {} } } });
  expect(server.requests.map(({ body }) => (body['response_format'] as { type: string }).type)).toEqual(['json_object', 'json_schema']);
});

test('tokens that a provider does not count are estimated, and marked so', async () => {
  reply = () => ({ text: 'x'.repeat(40), usage: null });
  expect(await ask(gateway(), undefined, { prompt: 'y'.repeat(8) })).toMatchObject({ inputTokens: 2, outputTokens: 10, estimated: true });
});

test.each([
  [{ model: 'm' }, 'OPENAI_API_KEY'], [{ model: 'm', provider: 'anthropic' }, 'ANTHROPIC_API_KEY'],
  [{ model: 'm', provider: 'google' }, 'GOOGLE_GENERATIVE_AI_API_KEY'], [{ model: 'm', provider: 'groq' }, 'GROQ_API_KEY'],
])('a missing key names the variable and the node: %j', async (config, variable) => {
  await expect(ask({}, config)).rejects.toMatchObject({ code: 'SOURCE_KEY_MISSING', transient: false, message: `Node 'n': source 's' needs ${variable}, and it is not set.` });
});

test.each(['DATABASE_URL', 'JWT_SECRET', 'AGENTFLOW_SECRET_KEY', 'PATH', '__proto__', 'constructor', 'ANTHROPIC_API_KEY'])('a source may not read %s', async (variable) => {
  await expect(ask({ sourceValues: { [variable]: 'secret' } }, { model: 'm', api_key_env: variable })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
});

test("a provider's own key goes to that provider's hosts only", async () => {
  await expect(ask({ ...allowed(), sourceValues: { OPENAI_API_KEY: 'secret' } }, local({ provider: 'openai' }))).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  expect(server.requests).toEqual([]);
});

test('a listed variable goes to the listed host, for the listed tenant', async () => {
  const sourceVariables = [{ name: 'MY_KEY', tenant: 'acme', hosts: ['127.0.0.1'] }];
  const settings = { ...allowed(), sourceVariables, sourceValues: { MY_KEY: 'my-secret' } };
  expect(await ask(settings, local({ api_key_env: 'MY_KEY' }))).toMatchObject({ text: 'hello' });
  expect(server.requests[0]!.headers).toMatchObject({ authorization: 'Bearer my-secret' });
  await expect(ask(settings, local({ api_key_env: 'MY_KEY' }), {}, { tenantSlug: 'globex' })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  const elsewhere = { ...settings, sourceVariables: [{ name: 'MY_KEY', tenant: null, hosts: ['api.example.com'] }] };
  await expect(ask(elsewhere, local({ api_key_env: 'MY_KEY' }))).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
});

test('a private address is refused unless the operator lists it', async () => {
  await expect(ask({}, local())).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED', transient: false });
  expect(server.requests).toEqual([]);
  expect(await ask(allowed(), local())).toMatchObject({ text: 'hello' });
});

test.each([408, 409, 429, 500, 502, 503, 504])('%d passes by itself', async (status) => {
  reply = () => ({ status, text: 'later' });
  await expect(ask(gateway())).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true, message: `Node 'n': source 's' (model m-1) answered ${status}: later` });
});

test.each([[400, 'SOURCE_FAILED'], [401, 'SOURCE_UNAUTHORIZED'], [402, 'SOURCE_UNPAID'], [403, 'SOURCE_UNAUTHORIZED'], [404, 'SOURCE_FAILED'], [413, 'SOURCE_FAILED'], [422, 'SOURCE_FAILED']])('%d does not pass by itself', async (status, code) => {
  reply = () => ({ status, text: 'no' });
  await expect(ask(gateway())).rejects.toMatchObject({ code, transient: false, message: `Node 'n': source 's' (model m-1) answered ${status}: no` });
});

test('Retry-After is handed on', async () => {
  reply = () => ({ status: 429, text: 'later', headers: { 'retry-after': '7' } });
  await expect(ask(gateway())).rejects.toMatchObject({ retryAfterSeconds: 7 });
});

test('one call, one request: nothing below the node tries again', async () => {
  reply = () => ({ status: 503, text: 'busy' });
  await expect(ask(gateway())).rejects.toMatchObject({ transient: true });
  expect(server.requests).toHaveLength(1);
});

test('a server that is not there passes by itself', async () => {
  await expect(ask({ llmGateway: { url: 'http://127.0.0.1:1/v1', key: null } })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true });
});

test('keys are taken out of what a provider says', async () => {
  reply = () => ({ status: 401, text: 'Incorrect API key provided: gw-key, or sk-proj-abc***xyz' });
  await expect(ask(gateway())).rejects.toMatchObject({ message: "Node 'n': source 's' (model m-1) answered 401: Incorrect API key provided: [redacted], or [redacted]" });
});

test('an unknown provider and a source without a model are told with their place', async () => {
  await expect(ask({}, { provider: 'nobody', model: 'm' })).rejects.toMatchObject({ code: 'INVALID_VALUE', message: expect.stringContaining("Node 'n': source 's': provider 'nobody'") as string });
  await expect(ask(gateway(), {})).rejects.toMatchObject({ code: 'INVALID_VALUE', message: expect.stringContaining('names no model') as string });
  await expect(ask({}, { provider: 'openai-compatible', model: 'm' })).rejects.toMatchObject({ code: 'INVALID_VALUE', message: expect.stringContaining('base_url') as string });
});

test('mock answers have the form that is asked for', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 3 }, tags: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 2 } } };
  const answer = await ask({ mockLlm: true }, undefined, { json: { schema } });
  expect(JSON.parse(answer.text)).toEqual({ name: '[mock]', age: 3, tags: ['a', 'a'] });
});

test('an abort ends the call with its own reason', async () => {
  const abort = new AbortController();
  reply = () => {
    abort.abort(new Error('enough'));
    return { text: 'late', delayMs: 1_000 };
  };
  await expect(ask(gateway(), undefined, {}, { signal: abort.signal })).rejects.toThrow('enough');
});
