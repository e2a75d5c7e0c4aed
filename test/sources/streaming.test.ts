/** Streamed answers, in the language of each provider: whole at the end, growing on the way, and told when they break off. */
import type http from 'node:http';
import type { JsonObject, LlmAnswer } from '../../src/engine/types.ts';
import { useLocalServer, useSources } from '../support/sources.ts';

const service = useLocalServer();
const sources = useSources();

const event = (data: object | string, name?: string): string => `${name === undefined ? '' : `event: ${name}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
const chunk = (delta: object, reason: string | null = null): string => event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: reason }] });
const openai = [chunk({ role: 'assistant', content: 'Hello' }), chunk({ content: ', ' }), chunk({ content: 'world' }), chunk({}, 'stop'), event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } }), event('[DONE]')];
/** It tells usage beside the last part. */
const groq = [...openai.slice(0, 3), event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], x_groq: { id: 'r', usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } } }), event('[DONE]')];
const anthropic = [
  event({ type: 'message_start', message: { id: 'm', type: 'message', role: 'assistant', content: [], model: 'm', stop_reason: null, stop_sequence: null, usage: { input_tokens: 3, output_tokens: 1 } } }, 'message_start'),
  event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }, 'content_block_start'), event({ type: 'ping' }, 'ping'),
  ...['Hello', ', ', 'world'].map((text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }, 'content_block_delta')),
  event({ type: 'content_block_stop', index: 0 }, 'content_block_stop'), event({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } }, 'message_delta'), event({ type: 'message_stop' }, 'message_stop'),
];
const google = ['Hello', ', ', 'world'].map((text, index) => event({ candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0, ...(index === 2 ? { finishReason: 'STOP' } : {}) }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 5, totalTokenCount: 8 } }));

const send = (parts: readonly string[], end: (response: http.ServerResponse) => void = (response) => response.end()) => (_request: unknown, response: http.ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const part of parts) response.write(part);
  end(response);
};

async function ask(provider: string, over: JsonObject = {}): Promise<{ answer: LlmAnswer; texts: string[] }> {
  const texts: string[] = [];
  const config = { provider, model: 'm', base_url: `${service.url()}/v1`, api_key_env: 'STREAM_KEY', ...over };
  const port = sources.port(config, { allowHosts: [service.host()], sourceVariables: [{ name: 'STREAM_KEY', tenant: null, hosts: ['127.0.0.1'] }], sourceValues: { STREAM_KEY: 'key-of-the-stream-1' } });
  const answer = await port.llm({ prompt: 'Say hello', system: null, temperature: null, maxTokens: null, topP: null, json: null, onText: (text) => texts.push(text) });
  return { answer, texts };
}

test.each([['openai', openai], ['openai-compatible', openai], ['mistral', openai], ['groq', groq], ['azure', openai], ['ollama', openai], ['anthropic', anthropic], ['google', google]])('%s: the whole answer, its growth and its tokens', async (provider, parts) => {
  service.answer(send(parts));
  const { answer, texts } = await ask(provider);
  expect(answer).toMatchObject({ text: 'Hello, world', inputTokens: 3, outputTokens: 5, estimated: false });
  expect(texts.length).toBeGreaterThanOrEqual(2);
  for (const text of texts) expect('Hello, world'.startsWith(text)).toBe(true);
});

test('a refusal before the first word is one as without a stream', async () => {
  service.json({ error: { message: 'bad key key-of-the-stream-1' } }, 401);
  await expect(ask('openai')).rejects.toMatchObject({ code: 'SOURCE_UNAUTHORIZED', message: expect.not.stringContaining('key-of-the-stream-1') as string });
});

test.each<[string, string, readonly string[], (response: http.ServerResponse) => void]>([
  ['cut', 'openai', openai.slice(0, 2), (response) => setImmediate(() => response.destroy())],
  ['cut', 'anthropic', anthropic.slice(0, 4), (response) => setImmediate(() => response.destroy())],
  ['an error in the middle', 'anthropic', [...anthropic.slice(0, 4), event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded, key-of-the-stream-1' } }, 'error')], (response) => response.end()],
  ['an error in the middle', 'openai', [...openai.slice(0, 2), event({ error: { message: 'The server had an error', type: 'server_error' } })], (response) => response.end()],
])('%s (%s) passes by itself, and tells no key', async (_what, provider, parts, end) => {
  service.answer(send(parts, end));
  await expect(ask(provider)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true, message: expect.not.stringContaining('key-of-the-stream-1') as string });
});

test('tokens that are not told are estimated, and an empty answer is told', async () => {
  service.answer(send([...openai.slice(0, 4), event('[DONE]')]));
  expect((await ask('openai-compatible')).answer).toMatchObject({ text: 'Hello, world', estimated: true });
  service.answer(send([event('[DONE]')]));
  await expect(ask('openai')).rejects.toMatchObject({ code: expect.stringMatching(/SOURCE_(FAILED|UNAVAILABLE)/) as string });
});
