import { describe, expect, test } from '@jest/globals';
import { AgentFlowError } from '../../src/errors.ts';
import { initialRun, outcomeOf, planOf, step } from '../../src/engine/index.ts';
import { evaluateExpression } from '../../src/engine/expression.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { runAlone, type RunAlone } from '../support/node-context.ts';
import type { JsonObject } from '../../src/engine/types.ts';

/** One large value under one name; what follows asks for it a great many times. */
const state: JsonObject = { big: 'x'.repeat(500_000), list: Array.from({ length: 20_000 }, (_, i) => i) };
const many = (text: string): string[] => Array.from({ length: 5_000 }, () => text);
const entries = (text: string): JsonObject => Object.fromEntries(many(text).map((value, i) => [`k${i}`, value]));

async function refusal(given: RunAlone): Promise<string> {
  try {
    await runAlone({ state, ...given });
    return 'no refusal';
  } catch (error) {
    return error instanceof AgentFlowError ? error.code : String(error);
  }
}

describe('a value asked for thousands of times', () => {
  test.each<[string, RunAlone]>([
    ['in a prompt', { type: 'llm', parameters: { prompt: many('{big}').join(' ') } }],
    ['in values', { type: 'transform', parameters: { values: entries('{big}') } }],
    ['in values, as lists', { type: 'transform', parameters: { values: { all: many('{list}') } } }],
    ['in bind parameters', { type: 'db', parameters: { query: `select ${many('{big}').join(',')}` } }],
    ['in a body', { type: 'api', parameters: { body: many('{big}') } }],
    ['in a path', { type: 'api', parameters: { path: `/${many('{big}').join('/')}` } }],
    ['in headers', { type: 'api', parameters: { headers: entries('{big}') } }],
    ['in a join', { type: 'aggregator', parameters: { strategy: 'concat', source_keys: ['outputs.o', 'outputs[o]'] }, outputs: { o: 'x'.repeat(3_000_000) } }],
    ['in own fields', { type: 'aggregator', parameters: { custom_fields: entries('{big}') } }],
  ])('%s is refused', async (_name, given) => {
    expect(await refusal(given)).toBe('TOO_LARGE');
  });

  test('in an expression is refused', () => {
    expect(() => evaluateExpression('list.map(x, big)', { state }, 'here')).toThrow('too large a value');
  });
});

test('an output is not copied beyond the limit, however often one part stands in it', () => {
  const plan = planOf({ nodes: [{ id: 'a', type: 'input' }], start_node: 'a' }, { nodeTypes });
  const run = initialRun(plan, {});
  step(plan, run, { type: 'start' });
  let output: unknown = 'x';
  for (let i = 0; i < 100; i += 1) output = [output, output];
  expect(outcomeOf(plan, run, 'a', { status: 'completed', result: { kind: 'done', output: output as never } }).outcome).toMatchObject({ status: 'failed', error: { code: 'LIMIT_OUTPUT' } });
});
