/** Every provider in its own language: where the call goes, how it identifies itself, what is counted; and pictures. */
import type { ImageAnswer, JsonObject, LlmAnswer, LlmRequest } from '../../src/engine/types.ts';
import { mockPicture } from '../../src/sources/image/mock.ts';
import { imageTypeOf } from '../../src/sources/image/sniff.ts';
import type { SourceSettings } from '../../src/sources/index.ts';
import { useLocalServer, useSources } from '../support/sources.ts';

const sources = useSources();
const server = useLocalServer();
const key = 'provider-key-123';

const settings = (): Partial<SourceSettings> => ({
  allowHosts: [server.host()], sourceVariables: [{ name: 'MY_KEY', tenant: null, hosts: ['127.0.0.1'] }], sourceValues: { MY_KEY: key },
});

function ask(config: JsonObject, request: Partial<LlmRequest> = {}): Promise<LlmAnswer> {
  return sources.port({ api_key_env: 'MY_KEY', ...config }, settings()).llm({ prompt: 'Hi', system: 'Be short', temperature: 0.1, maxTokens: 9, topP: null, json: null, ...request });
}

const openaiAnswer = { id: 'a', object: 'chat.completion', created: 0, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const anthropicAnswer = { id: 'a', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 3, output_tokens: 2 } };
const googleAnswer = { candidates: [{ content: { role: 'model', parts: [{ text: 'hello' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } };

const bearer = { authorization: `Bearer ${key}` };
test.each([
  ['openai', openaiAnswer, '/v1/chat/completions', bearer, {}], ['groq', openaiAnswer, '/v1/chat/completions', bearer, {}],
  ['mistral', openaiAnswer, '/v1/chat/completions', bearer, {}], ['ollama', openaiAnswer, '/v1/chat/completions', bearer, {}],
  ['openai-compatible', openaiAnswer, '/v1/chat/completions', bearer, {}], ['OpenAI', openaiAnswer, '/v1/chat/completions', bearer, {}],
  ['anthropic', anthropicAnswer, '/v1/messages', { 'x-api-key': key }, {}],
  ['google', googleAnswer, '/v1/models/m:generateContent', { 'x-goog-api-key': key }, {}], ['gemini', googleAnswer, '/v1/models/m:generateContent', { 'x-goog-api-key': key }, {}],
  ['azure', openaiAnswer, '/v1/openai/v1/chat/completions', { 'api-key': key }, {}],
  ['azure', openaiAnswer, '/v1/openai/deployments/m/chat/completions?api-version=2024-10-21', { 'api-key': key }, { api_version: '2024-10-21' }],
])('%s', async (provider, answer, url, headers, more) => {
  server.json(answer);
  const said = await ask({ provider, model: 'm', base_url: `${server.url()}/v1`, ...more });
  expect(said).toMatchObject({ text: 'hello', inputTokens: 3, outputTokens: 2, estimated: false, mock: false, costUnits: 203 });
  expect(server.requests).toHaveLength(1);
  expect(server.requests[0]).toMatchObject({ method: 'POST', url, headers: { ...headers, 'idempotency-key': 'key-1' } });
  expect(server.requests[0]!.body).toContain('Be short');
});

test.each(['openai', 'anthropic', 'google', 'groq', 'mistral', 'azure'])('%s: each bad answer ends in a code, names node and source, and says nothing of the key', async (provider) => {
  const config = { provider, model: 'm', base_url: `${server.url()}/v1` };
  const answers: [number, Record<string, string>, string, string, boolean][] = [
    [401, {}, `{"error":{"message":"bad key ${key}"}}`, 'SOURCE_UNAUTHORIZED', false], [402, {}, '{"error":{"message":"pay"}}', 'SOURCE_UNPAID', false],
    [404, {}, 'no', 'SOURCE_FAILED', false], [429, { 'retry-after': '3' }, '{}', 'SOURCE_UNAVAILABLE', true], [429, {}, '{}', 'SOURCE_UNAVAILABLE', true],
    [500, {}, `<html>${key}</html>`, 'SOURCE_UNAVAILABLE', true], [200, { 'content-type': 'text/html' }, '<html>hello</html>', 'SOURCE_FAILED', false],
    [200, {}, '{"unexpected": true}', 'SOURCE_FAILED', false], [200, {}, '', 'SOURCE_FAILED', false],
  ];
  for (const [status, headers, body, code, transient] of answers) {
    server.answer((_request, response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body));
    const error = await ask(config).then(() => null, (caught: Error) => caught);
    expect({ status, body, error }).toMatchObject({ error: { code, transient, message: expect.stringContaining("Node 'n': source 's' (model m)") as string, remedy: expect.stringMatching(/[.?]$/) as string } });
    expect(error!.message).not.toContain(key);
    if (headers['retry-after']) expect(error).toMatchObject({ retryAfterSeconds: 3 });
  }
});

describe('pictures', () => {
  const picture = Buffer.from(mockPicture('x'));
  const paint = (config: JsonObject, more: Partial<SourceSettings> = {}): Promise<ImageAnswer> =>
    sources.port({ api_key_env: 'MY_KEY', model: 'dall-e-3', base_url: `${server.url()}/v1`, ...config }, { ...settings(), ...more }).image({ prompt: 'a cat', size: '1024x1024', quality: 'hd', style: null });

  test.each(['openai', 'openai-compatible', 'azure'])('%s gives bytes, and their kind is seen in them', async (provider) => {
    server.json({ created: 0, data: [{ b64_json: picture.toString('base64') }] });
    const answer = await paint({ provider });
    expect(answer).toMatchObject({ url: null, mediaType: 'image/png', model: 'dall-e-3', size: '1024x1024', costUnits: 7 });
    expect(Buffer.from(answer.bytes!).equals(picture)).toBe(true);
    expect(JSON.parse(server.requests[0]!.body)).toMatchObject({ prompt: 'a cat', size: '1024x1024', n: 1, model: 'dall-e-3', quality: 'hd' });
  });

  test('google', async () => {
    server.json({ candidates: [{ content: { role: 'model', parts: [{ inlineData: { mimeType: 'image/png', data: picture.toString('base64') } }] }, finishReason: 'STOP' }] });
    await expect(paint({ provider: 'google', model: 'imagen-4.0-generate-001' })).rejects.toMatchObject({ code: 'SOURCE_FAILED', transient: false });
    expect(await paint({ provider: 'google', model: 'gemini-2.5-flash-image', size: undefined as never })).toMatchObject({ url: null, mediaType: 'image/png' });
  });

  test("the provider's URL, where it gives only that", async () => {
    server.json({ created: 0, data: [{ url: 'https://pictures.example/1.png' }] });
    expect(await paint({})).toMatchObject({ url: 'https://pictures.example/1.png', bytes: null });
  });

  test.each([['<svg onload="alert(1)"/>'], ['<html>'], ['']])('%s is no picture', async (text) => {
    server.json({ created: 0, data: [{ b64_json: Buffer.from(text).toString('base64') }] });
    await expect(paint({})).rejects.toMatchObject({ code: 'ANSWER_INVALID' });
  });

  test('too large, wrong key and no pictures at all are told', async () => {
    server.json({ created: 0, data: [{ b64_json: Buffer.concat([picture, Buffer.alloc(17 * 1024 * 1024)]).toString('base64') }] });
    await expect(paint({})).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
    server.json({ error: { message: `no ${key}` } }, 401);
    await expect(paint({})).rejects.toMatchObject({ code: 'SOURCE_UNAUTHORIZED', message: "Node 'n': source 's' (model dall-e-3) answered 401: no [redacted]" });
    await expect(paint({ provider: 'anthropic' })).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
  });

  test('without any model: one colour, the same for the same prompt, marked', async () => {
    const first = await paint({}, { mockLlm: true });
    expect(first).toMatchObject({ mediaType: 'image/png', mock: true, costUnits: 0 });
    expect(first).toEqual(await paint({}, { mockLlm: true }));
    expect(imageTypeOf(first.bytes!)).toBe('image/png');
    expect(server.requests).toEqual([]);
  });
});
