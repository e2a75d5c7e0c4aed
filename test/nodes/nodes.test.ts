import { describe, expect, test } from '@jest/globals';
import { NodeError } from '../../src/errors.ts';
import { validateSpec } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { runAlone, type RunAlone } from '../support/node-context.ts';
import type { Json, JsonObject, NodeDone } from '../../src/engine/types.ts';

async function output(given: RunAlone): Promise<Json> {
  return ((await runAlone(given)).result as NodeDone).output;
}

async function refusal(given: RunAlone): Promise<NodeError> {
  try {
    await runAlone(given);
  } catch (error) {
    expect(error).toBeInstanceOf(NodeError);
    return error as NodeError;
  }
  throw new Error('the node did not refuse');
}

test('the example of every type is valid', () => {
  for (const { type, example, sourceKind } of nodeTypes) {
    const needs = typeof example.source === 'string' && sourceKind ? [{ name: example.source, kind: sourceKind }] : [];
    const routes = type === 'router' ? [{ id: 'painter', type: 'input' }] : [];
    const spec = { nodes: [{ id: 'n', type, metadata: example }, ...routes], edges: routes.map(({ id }) => ({ from: 'n', to: id })), start_node: 'n' };
    expect({ type, ...validateSpec(spec, { nodeTypes, sources: needs }) }).toEqual({ type, valid: true, errors: [], warnings: [] });
  }
});

test('types without an effect answer at once', async () => {
  for (const given of [{ type: 'input' }, { type: 'router' }, { type: 'aggregator' }, { type: 'transform', parameters: { expression: '1' } }]) expect({ type: given.type, atOnce: (await runAlone(given)).atOnce }).toEqual({ type: given.type, atOnce: true });
  expect((await runAlone({ type: 'llm', state: { user_input: 'x' } })).atOnce).toBe(false);
});

describe('input', () => {
  test('tells every rule that is broken', async () => {
    const validation = { required: true, min_length: 5, required_fields: ['lang', 'user'], schema: { pattern: '^[a-z]+$' } };
    const { code, message, transient } = await refusal({ type: 'input', parameters: { validation }, state: { user_input: 'A1', lang: 'en' } });
    expect({ code, transient }).toEqual({ code: 'INPUT_INVALID', transient: false });
    expect(message.split('; ')).toEqual(['min_length: user_input has a length of 2, at least 5 is asked for', 'required_fields: user is missing in the state', 'schema: user_input must match ^[a-z]+$']);
  });

  test.each<[string, JsonObject, JsonObject, string]>([
    ['required', { required: true }, {}, 'required'], ['required and empty', { required: true }, { user_input: '' }, 'required'], ['too long', { max_length: 1 }, { user_input: 'ab' }, 'max_length'],
    ['fields of an object', { required_fields: ['b'] }, { user_input: { a: 1, b: null }, b: 1 }, 'b is missing in user_input'], ['a list too short', { min_length: 2 }, { user_input: [1] }, 'min_length'],
  ])('%s', async (_name, validation, state, words) => {
    expect((await refusal({ type: 'input', parameters: { validation }, state })).message).toContain(words);
  });

  test('transforms texts, alone or in a row, and leaves the rest', async () => {
    const run = (transform: Json, value: Json): Promise<Json> => output({ type: 'input', parameters: { transform, input_key: 'k' }, state: { k: value } });
    expect([await run('trim', ' A '), await run(['strip', 'lowercase'], ' A '), await run('uppercase', 'é'), await run('trim', [' x '])]).toEqual(['A', 'a', 'É', [' x ']]);
  });
});

describe('router', () => {
  const decide = async (parameters: JsonObject, state: JsonObject): Promise<Json> => output({ type: 'router', parameters, state });
  const routes = [{ intent: 'a', keywords: ['Apple', 'pear'], pattern: 'ap+', condition: "starts_with('AP') && length_lt(6)" }, { intent: 'b', keywords: ['e'], pattern: '.*e$', condition: 'level > 1' }];

  test.each<[string, JsonObject, JsonObject, string]>([
    ['keyword is the strategy when there are routes', { routes }, { user_input: 'an APPLE' }, 'a'], ['the first route in order wins', { routes }, { user_input: 'pear e' }, 'a'], ['no match', { routes }, { user_input: 'x' }, 'unknown'],
    ['no match, own default', { routes, default_intent: 'd' }, { user_input: 'x' }, 'd'], ['a pattern matches at the start', { strategy: 'pattern', routes }, { user_input: 'an apple' }, 'b'], ['ignoring case', { strategy: 'pattern', routes }, { user_input: 'APPX' }, 'a'],
    ['rules', { strategy: 'rules', routes }, { user_input: 'apple', level: 0 }, 'a'], ['rules with the state', { strategy: 'rules', routes }, { user_input: 'xyz', level: 2 }, 'b'], ['default', { strategy: 'default', routes, default_intent: 'd' }, { user_input: 'apple' }, 'd'],
    ['a path and JSON as text', { routes: [{ intent: 'x', keywords: ['"n":3'] }], input_key: 'order.lines' }, { order: { lines: [{ n: 3 }] } }, 'x'], ['nothing there', { routes }, {}, 'unknown'],
    ['built-in: image', {}, { user_input: 'Generate something' }, 'image'], ['built-in: database', {}, { user_input: 'query the orders' }, 'database'], ['built-in: text', {}, { user_input: 'What is your return policy?' }, 'text'],
  ])('%s', async (_name, parameters, state, intent) => {
    expect(await decide(parameters, state)).toBe(intent);
  });

  test.each<[string, string]>([['b', 'b'], ['"B".', 'b'], ['I would say billing, or a.', 'billing'], ['none of them', 'other']])('llm: the answer %j means %s', async (answer, intent) => {
    const list: JsonObject[] = [{ intent: 'a', description: 'fruit' }, { intent: 'b' }, { intent: 'billing', to: 'clerk' }];
    const { result, asked } = await runAlone({ type: 'router', answers: [answer], state: { user_input: 'hello' }, parameters: { strategy: 'llm', routes: list, default_intent: 'other' } });
    expect(result).toMatchObject({ output: intent, writes: { intent }, routeTarget: intent === 'billing' ? 'clerk' : null, tokens: 10 + answer.length, costUnits: 100 });
    expect(asked.llm[0]).toMatchObject({ temperature: 0, prompt: expect.stringContaining('- a: fruit\n- b\n') });
    expect(asked.llm[0]?.prompt).toContain('hello');
  });
});

describe('llm', () => {
  test('sends what it is told and leaves the rest to the source', async () => {
    const { asked, result } = await runAlone({ type: 'llm', answers: ['hi'], state: { user_input: 'x' }, parameters: { prompt: 'P {user_input} {gone}', system_prompt: 'S {user_input}', top_p: 0.5 } });
    expect(asked.llm).toEqual([{ prompt: 'P x {gone}', system: 'S x', temperature: null, maxTokens: null, topP: 0.5, json: null }]);
    expect(result).toEqual({ kind: 'done', output: 'hi', tokens: 12, costUnits: 100, input: { prompt: 'P x {gone}', system: 'S x' }, warnings: ['{gone} is not in the state and was left as it stands'] });
  });

  test('without a prompt it asks what the user asked, and refuses to ask nothing', async () => {
    expect((await runAlone({ type: 'llm', answers: ['hi'], state: { user_input: ['x'] } })).asked.llm[0]?.prompt).toBe('["x"]');
    expect(await refusal({ type: 'llm', state: {} })).toMatchObject({ code: 'INPUT_INVALID' });
  });

  test('a repair names the fault and counts both calls', async () => {
    const schema = { type: 'object', required: ['n'] };
    const { asked, result, log } = await runAlone({ type: 'llm', answers: ['{"m":1}', '{"n":1}'], state: { user_input: 'x' }, parameters: { response_format: 'schema', schema } });
    expect(asked.llm[0]?.json).toEqual({ schema });
    expect(asked.llm[1]?.prompt).toContain('n is missing');
    expect(result).toMatchObject({ output: { n: 1 }, tokens: 34, costUnits: 200 });
    expect(log).toEqual([expect.stringContaining('n is missing')]);
  });
});

describe('aggregator', () => {
  const state: JsonObject = { text_result: 'T', image_result: {}, db_result: [{ a: 1 }], deep: { x: 'X' }, execution_path: ['n'], tokens_used: 5, cost: 0.5, user_input: 'q' };
  const join = (parameters: JsonObject): Promise<Json> => output({ type: 'aggregator', state, parameters: { include_metadata: false, ...parameters } });

  test('each strategy', async () => {
    expect(await join({})).toEqual({ text_result: 'T', db_result: [{ a: 1 }] });
    expect(await join({ strategy: 'priority', priority_order: ['image_result', 'deep.x', 'text_result'] })).toBe('X');
    expect(await join({ strategy: 'priority', priority_order: ['image_result'] })).toBeNull();
    expect(await join({ strategy: 'template', template: '{text_result}/{db_result}' })).toBe('T/[{"a":1}]');
    expect(await join({ strategy: 'concat', separator: '+' })).toBe('T+[{"a":1}]');
    expect(await join({ strategy: 'select', select_key: 'db_result.0.a' })).toBe(1);
    expect(await join({ strategy: 'select', select_key: 'gone' })).toBeNull();
  });

  test('metadata and own fields', async () => {
    expect(await join({ include_metadata: true, source_keys: ['text_result'], custom_fields: { q: '{user_input}' } })).toEqual({ result: { text_result: 'T' }, execution_path: ['n'], tokens_used: 5, cost: 0.5, q: 'q' });
    expect(await join({ strategy: 'concat', source_keys: ['text_result'], custom_fields: { q: 1 } })).toEqual({ result: 'T', q: 1 });
  });

  test('with a source it asks for a summary', async () => {
    const { asked, result } = await runAlone({ type: 'aggregator', state, answers: ['in short'], parameters: { strategy: 'merge' } });
    expect(asked.llm[0]?.prompt).toContain('They asked:\nq\n\nResults:\n{"text_result":"T","db_result":[{"a":1}]}');
    expect(result).toMatchObject({ output: { result: 'in short', tokens_used: 23 }, tokens: 18 });
  });
});

describe('transform', () => {
  test('by expression and by values', async () => {
    expect(await output({ type: 'transform', parameters: { expression: "outputs['a'] + n" }, state: { n: 2 }, outputs: { a: 1 } })).toBe(3);
    expect(await output({ type: 'transform', parameters: { values: { n: '{n}', t: 'n={n}' } }, state: { n: 2 } })).toEqual({ n: 2, t: 'n=2' });
  });
});

describe('api', () => {
  test('fills path, query, headers and body', async () => {
    const { asked, result } = await runAlone({
      type: 'api', state: { id: 'a/b ?', n: 3, lang: 'en' }, api: { status: 404, headers: { x: 'y' }, body: { no: true } },
      parameters: { method: 'post', path: '/things/{id}', query: { n: '{n}' }, headers: { 'Accept-Language': '{lang}' }, body: { list: ['{n}', '{gone}'] } },
    });
    expect(asked.api).toEqual([{ method: 'POST', path: '/things/a%2Fb%20%3F', query: { n: 3 }, headers: { 'Accept-Language': 'en' }, body: { list: [3, '{gone}'] } }]);
    expect(result).toMatchObject({ output: { status: 404, headers: { x: 'y' }, body: { no: true } }, warnings: [expect.stringContaining('{gone}')] });
  });

  test.each([429, 500, 503])('%s is for now, honouring Retry-After', async (status) => {
    expect(await refusal({ type: 'api', api: { status, headers: { 'retry-after': '7' }, body: null } })).toMatchObject({ code: 'SOURCE_UNAVAILABLE', transient: true, retryAfterSeconds: 7 });
  });

  test('a value cannot leave its place', async () => {
    expect(await refusal({ type: 'api', parameters: { path: '/a/{id}' }, state: { id: '..' } })).toMatchObject({ code: 'INVALID_VALUE' });
    expect(await refusal({ type: 'api', parameters: { headers: { X: '{id}' } }, state: { id: 'a\r\nHost: b' } })).toMatchObject({ code: 'INVALID_VALUE' });
  });
});

describe('image', () => {
  test('gives a URL, or keeps the bytes', async () => {
    expect(await output({ type: 'image', parameters: { size: '1x1' }, state: { text_result: 'a fox', user_input: 'x' } })).toEqual({ type: 'image', url: 'https://pictures.example/1', prompt: 'a fox', model: 'm', size: '1x1' });
    const picture = { url: null, bytes: new Uint8Array([1]), mediaType: 'image/webp', model: 'm', costUnits: 1 };
    const kept: unknown[] = [];
    const saveArtifact = async (bytes: Uint8Array, type: string): Promise<string> => {
      kept.push([...bytes], type);
      return 'artifact-1';
    };
    expect(await output({ type: 'image', image: picture, saveArtifact, state: { user_input: 'x' } })).toMatchObject({ artifact_id: 'artifact-1' });
    expect(kept).toEqual([[1], 'image/webp']);
    expect(await refusal({ type: 'image', image: picture, state: { user_input: 'x' } })).toMatchObject({ code: 'NOT_SUPPORTED' });
  });
});

describe('nodes that wait', () => {
  const first = async (given: RunAlone): Promise<unknown> => (await runAlone(given)).result;

  test('delay', async () => {
    expect(await first({ type: 'delay', parameters: { seconds: 5 } })).toEqual({ kind: 'wait', reason: 'delay', until: null, afterSeconds: 5, details: {} });
    expect(await first({ type: 'delay', parameters: { until: '{at}' }, state: { at: '2026-01-31T12:00:00+01:00' } })).toMatchObject({ until: '2026-01-31T11:00:00.000Z', afterSeconds: null });
    expect(await first({ type: 'delay', parameters: { seconds: 5 }, resumedWith: null })).toEqual({ kind: 'done', output: null });
    expect(await refusal({ type: 'delay', parameters: { until: 'tomorrow' } })).toMatchObject({ code: 'INVALID_VALUE' });
  });

  test('approval', async () => {
    expect(await first({ type: 'approval', parameters: { message: 'Send {text}?', roles: ['operator'], timeout_seconds: 60 }, state: { text: 'T' } })).toEqual({
      kind: 'wait', reason: 'approval', until: null, afterSeconds: 60, details: { message: 'Send T?', roles: ['operator'], on_timeout: 'reject' },
    });
    const decision = { decision: 'approved', comment: 'fine', decided_by: 'u', decided_at: 't' };
    expect(await output({ type: 'approval', resumedWith: decision })).toEqual(decision);
    expect(await output({ type: 'approval', resumedWith: null })).toMatchObject({ decision: 'rejected', decided_by: null });
    expect(await output({ type: 'approval', parameters: { on_timeout: 'approve' }, resumedWith: null })).toMatchObject({ decision: 'approved' });
    expect(await refusal({ type: 'approval', parameters: { on_timeout: 'fail', timeout_seconds: 9 }, resumedWith: null })).toMatchObject({ code: 'NODE_TIMEOUT' });
  });

  test('workflow', async () => {
    expect(await first({ type: 'workflow', parameters: { workflow: 'Translate', input: { user_input: '{t}' } }, state: { t: [1] } })).toEqual({
      kind: 'wait', reason: 'child', until: null, afterSeconds: null, details: { workflow_id: null, workflow: 'Translate', version: null, input: { user_input: [1] } },
    });
    expect(await output({ type: 'workflow', parameters: { workflow: 'x' }, resumedWith: { status: 'completed', final_state: { a: 1 } } })).toEqual({ a: 1 });
    expect((await refusal({ type: 'workflow', parameters: { workflow: 'x' }, resumedWith: { status: 'failed', error_message: 'why' } })).message).toBe('the child execution ended as failed: why');
  });
});
