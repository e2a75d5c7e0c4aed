import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { JsonObject } from '../../src/engine/types.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { drive, type DriveOptions, type Driven, type Script } from '../support/engine-driver.ts';
import { workflowCases } from '../support/workflow-cases.ts';

/** Of each node type. Those that say much of the state show when it is another one. */
const parameters: Record<string, JsonObject> = {
  input: { transform: 'trim' },
  router: { strategy: 'keyword', routes: [{ intent: 'n3', keywords: ['n3'] }] },
  llm: { source: 'llm', prompt: '{user_input} {x} {y} {tokens_used} {execution_path}' },
  image: { source: 'image', prompt: '{x} {y} {cost}' },
  db: { source: 'db', query: 'select :x, :path', params: { x: '{x}', path: '{execution_path}' } },
  api: { source: 'api', method: 'POST', path: '/things', body: { x: '{x}', y: '{y}' } },
  transform: { values: { seen: '{x}', and: '{y}' } },
  aggregator: { source_keys: ['x', 'y', 'user_input'] },
  approval: { message: 'Is {x} right?' },
  delay: { seconds: 5 },
  workflow: { workflow: 'another', input: { x: '{x}', y: '{y}' } },
};

/** A random workflow: a start, then nodes that only follow earlier ones, so there is no ring and everything is reachable. */
const scripts: fc.Arbitrary<Script> = fc.integer({ min: 2, max: 9 }).chain((count) => fc.record({
  kinds: fc.array(fc.constantFrom(...Object.keys(parameters)), { minLength: count, maxLength: count }),
  parents: fc.tuple(...Array.from({ length: count - 1 }, (_, i) => fc.uniqueArray(fc.nat(i), { minLength: 1, maxLength: Math.min(3, i + 1) }))),
  conditions: fc.array(fc.constantFrom(null, null, null, 'flag', '!flag', 'intent', "error != null", 'default'), { minLength: 40, maxLength: 40 }),
  failing: fc.array(fc.constantFrom('fine', 'fine', 'fine', 'fails', 'may fail'), { minLength: count, maxLength: count }),
  keys: fc.array(fc.constantFrom('x', 'y', 'own'), { minLength: count, maxLength: count }),
  parallel: fc.integer({ min: 1, max: 4 }),
  flag: fc.boolean(),
})).map(({ kinds, parents, conditions, failing, keys, parallel, flag }) => {
  let edge = 0;
  const id = (i: number): string => `n${i}`;
  const nodes = kinds.map((kind, i) => ({ id: id(i), type: kind, metadata: { ...parameters[kind], output_key: keys[i] === 'own' ? id(i) : keys[i], ...(failing[i] === 'may fail' ? { on_error: 'continue' } : {}) } }));
  const edges = parents.flatMap((from, child) => from.map((parent) => {
    const condition = conditions[edge++ % conditions.length] ?? null;
    return { from: id(parent), to: id(child + 1), ...(condition === 'default' ? { default: true } : condition === null ? {} : { condition }) };
  }));
  return {
    spec: { nodes, edges, sources: ['llm', 'image', 'db', 'api'].map((kind) => ({ id: kind, kind, config: { model: 'any', base_url: 'https://service.example', connection_string_env: 'SHOP' } })), start_node: 'n0', limits: { max_parallel_nodes: parallel } },
    initial_state: { user_input: 'n3 data', flag },
    answers: Object.fromEntries(kinds.map((_, i) => [id(i), failing[i] === 'fine' ? `answer ${i}` : { status: 400, text: 'no' }])),
  };
});

/** Finishing in an order that looks random and is the same every time. */
function picker(seed: number): NonNullable<DriveOptions['pick']> {
  let state = seed;
  return (running) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return running[state % running.length] as string;
  };
}

/** The picks of a run, so that a second run can finish in the same order. */
async function recorded(script: Script, seed: number): Promise<{ driven: Driven; order: string[] }> {
  const order: string[] = [];
  const pick = picker(seed);
  const driven = await drive(script, { pick: (running) => {
    const chosen = pick(running);
    order.push(chosen);
    return chosen;
  } });
  return { driven, order };
}

function summary({ state, outcomes, nodeStatus, error, isOver, asked, runs }: Driven): unknown {
  return { isOver, asked, runs, status: state.status, data: state.data, outputs: state.outputs, nodeStatus, error, tokens: state.tokens, costUnits: state.costUnits, warnings: state.warnings, dataBytes: state.dataBytes, outcomes };
}

test('every node type is among those that are tried', () => {
  expect(Object.keys(parameters).toSorted()).toEqual(nodeTypes.map(({ type }) => type).toSorted());
});

/** What becomes of it, with a crash after each of its outcomes, those of skipped nodes included. */
async function afterCrashes(script: Script, { driven, order }: { driven: Driven; order: readonly string[] }): Promise<unknown[]> {
  const ends: unknown[] = [];
  for (let crashAfter = 1; crashAfter <= driven.outcomes.length; crashAfter += 1) {
    const picks = [...order];
    ends.push(summary(await drive(script, { crashAfter, pick: () => picks.shift() as string })));
  }
  return ends;
}

describe('any workflow', () => {
  test('ends the same after a crash at any moment, without running a finished node again', async () => {
    await fc.assert(fc.asyncProperty(scripts, fc.nat(), async (script, seed) => {
      const whole = await recorded(script, seed);
      expect(whole.driven.isOver).toBe(true);
      expect(await afterCrashes(script, whole)).toEqual(whole.driven.outcomes.map(() => summary(whole.driven)));
    }), { numRuns: 150 });
  });

  test.each(workflowCases)('so does %s', async (_name, script) => {
    const whole = await recorded(script, 1);
    expect(await afterCrashes(script, whole)).toEqual(whole.driven.outcomes.map(() => summary(whole.driven)));
  });

  test('runs every node at most once, never before its predecessors, and never more at a time than allowed', async () => {
    await fc.assert(fc.asyncProperty(scripts, fc.nat(), async (script, seed) => {
      const started: string[] = [];
      const pick = picker(seed);
      let most = 0;
      const driven = await drive(script, { pick: (running) => {
        most = Math.max(most, running.length);
        return pick(running);
      } });
      for (const { nodeId, sequence } of driven.outcomes) if (sequence !== null) started[sequence - 1] = nodeId;
      expect(started).toEqual(driven.state.data['execution_path']);
      expect(most).toBeLessThanOrEqual(driven.plan.document.limits.maxParallelNodes);
      expect(Math.max(...Object.values(driven.runs))).toBe(1);
      const finishOrder = new Map(driven.outcomes.map((outcome) => [outcome.nodeId, outcome.finishOrder]));
      for (const outcome of driven.outcomes) {
        for (const before of driven.plan.nodes.get(outcome.nodeId)?.predecessors ?? []) expect(finishOrder.get(before) ?? Infinity).toBeLessThan(outcome.finishOrder);
      }
    }), { numRuns: 300 });
  });

  test('settles every node when it completes', async () => {
    await fc.assert(fc.asyncProperty(scripts, fc.nat(), async (script, seed) => {
      const { driven } = await recorded(script, seed);
      const open = Object.values(driven.nodeStatus).filter((status) => status === 'pending' || status === 'running');
      if (driven.state.status === 'completed') expect(open).toEqual([]);
      else expect(driven.error).not.toBeNull();
    }), { numRuns: 300 });
  });
});
