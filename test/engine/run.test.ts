import { describe, expect, test } from '@jest/globals';
import { AgentFlowError } from '../../src/errors.ts';
import { initialRun, outcomeOf, planOf, restoreRun, step, type NodeEnd } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import type { JsonObject, NodeOutcome, Plan, RunCommand, RunState } from '../../src/engine/types.ts';

const side = (id: string): JsonObject => ({ id, type: 'transform', metadata: { expression: '1', output_key: id } });
const fork = { nodes: [side('a'), side('b'), side('c'), side('d')], edges: [{ from: 'a', to: ['b', 'c'] }, { from: 'b', to: 'd' }, { from: 'c', to: 'd' }], start_node: 'a' };
const plan = planOf(fork, { nodeTypes });

/** Finishes a node and says what is to be done then. */
function finish(state: RunState, nodeId: string, end: NodeEnd = { status: 'completed', result: { kind: 'done', output: nodeId } }, on: Plan = plan): { commands: RunCommand[]; outcome: NodeOutcome } {
  const { outcome } = outcomeOf(on, state, nodeId, end);
  return { outcome, commands: step(on, state, { type: 'node_finished', outcome }).commands };
}

function started(): RunState {
  const state = initialRun(plan, { user_input: 'x' });
  step(plan, state, { type: 'start' });
  return state;
}

const words = (commands: RunCommand[]): string[] => commands.map((command) => (command.type === 'run' ? `run ${command.nodeId} ${command.sequence}` : command.type === 'finish' ? `finish ${command.status}` : command.type === 'abort' ? `abort ${command.nodeIds.join(' ')}` : `skip ${command.outcome.nodeId}`));

describe('an execution', () => {
  test('starts, forks, joins and ends', () => {
    const state = initialRun(plan, { user_input: 'x' });
    expect(words(step(plan, state, { type: 'start' }).commands)).toEqual(['run a 1']);
    expect(words(finish(state, 'a').commands)).toEqual(['run b 2', 'run c 3']);
    expect(words(finish(state, 'c').commands)).toEqual([]);
    expect(words(finish(state, 'b').commands)).toEqual(['run d 4']);
    expect(words(finish(state, 'd').commands)).toEqual(['finish completed']);
    expect(state.data).toEqual({ user_input: 'x', a: 'a', b: 'b', c: 'c', d: 'd', execution_path: ['a', 'b', 'c', 'd'], tokens_used: 0, cost: 0, errors: [] });
  });

  test('a command carries what its node may see, whatever happens later', () => {
    const state = started();
    const [runB] = finish(state, 'a').commands;
    const before = JSON.stringify(runB);
    finish(state, 'c');
    expect(JSON.stringify(runB)).toBe(before);
    expect(runB).toMatchObject({ data: { a: 'a', execution_path: ['a', 'b'] }, outputs: { a: 'a' } });
  });

  test('cancelling aborts what runs, starts nothing more and ends when all is quiet', () => {
    const state = started();
    finish(state, 'a');
    expect(words(step(plan, state, { type: 'cancel' }).commands)).toEqual(['abort b c']);
    expect(words(finish(state, 'b').commands)).toEqual([]);
    expect(words(finish(state, 'c', { status: 'cancelled', error: { code: 'CANCELLED', message: 'cancelled' } }).commands)).toEqual(['finish cancelled']);
    expect(state.data).toMatchObject({ a: 'a', b: 'b' });
  });

  test('cancelling when nothing runs ends at once', () => {
    expect(words(step(plan, initialRun(plan, {}), { type: 'cancel' }).commands)).toEqual(['finish cancelled']);
  });

  test('a limit from outside fails it with its code', () => {
    const state = started();
    expect(words(step(plan, state, { type: 'limit_hit', code: 'LIMIT_TIME', message: 'the execution took longer than 3600 seconds' }).commands)).toEqual(['abort a']);
    const { commands } = finish(state, 'a', { status: 'cancelled', error: { code: 'LIMIT_TIME', message: 'stopped' } });
    expect(commands).toEqual([{ type: 'finish', status: 'failed', error: { code: 'LIMIT_TIME', message: 'the execution took longer than 3600 seconds', nodeId: null } }]);
  });

  test('the first failure is told, siblings keep what they give', () => {
    const state = started();
    finish(state, 'a');
    finish(state, 'c', { status: 'timed_out', error: { code: 'NODE_TIMEOUT', message: 'longer than 5 seconds' } });
    const { commands } = finish(state, 'b', { status: 'failed', error: { code: 'SOURCE_FAILED', message: 'no' }, tokens: 4, costUnits: 10 });
    expect(commands).toEqual([{ type: 'finish', status: 'failed', error: { code: 'NODE_TIMEOUT', nodeId: 'c', message: "Node 'c' failed: longer than 5 seconds" } }]);
    expect(state.data).toMatchObject({ tokens_used: 4, cost: 1e-9, errors: [{ node: 'c', code: 'NODE_TIMEOUT' }, { node: 'b', code: 'SOURCE_FAILED' }] });
    expect(state.data).not.toHaveProperty('b');
  });

  test('after a failure nothing is followed any more, not even to be skipped', () => {
    const forked = planOf({ nodes: [side('a'), side('b'), side('c'), side('d')], edges: [{ from: 'a', to: ['b', 'c'] }, { from: 'c', to: 'd', condition: 'nowhere' }], start_node: 'a' }, { nodeTypes });
    const state = initialRun(forked, {});
    step(forked, state, { type: 'start' });
    finish(state, 'a', undefined, forked);
    finish(state, 'b', { status: 'failed', error: { code: 'SOURCE_FAILED', message: 'no' } }, forked);
    expect(finish(state, 'c', undefined, forked).commands).toEqual([{ type: 'finish', status: 'failed', error: { code: 'SOURCE_FAILED', nodeId: 'b', message: "Node 'b' failed: no" } }]);
    const quiet = planOf({ ...fork, edges: [{ from: 'a', to: ['b', 'c'] }, { from: 'c', to: 'd', condition: 'false' }] }, { nodeTypes });
    const other = initialRun(quiet, {});
    step(quiet, other, { type: 'start' });
    finish(other, 'a', undefined, quiet);
    finish(other, 'b', { status: 'failed', error: { code: 'SOURCE_FAILED', message: 'no' } }, quiet);
    expect(words(finish(other, 'c', undefined, quiet).commands)).toEqual(['finish failed']);
  });

  test('events that come too late, twice, or for what does not run change nothing', () => {
    const state = started();
    const { outcome } = finish(state, 'a');
    const before = structuredClone({ ...state });
    expect(step(plan, state, { type: 'node_finished', outcome }).commands).toEqual([]);
    expect(step(plan, state, { type: 'start' }).commands).toEqual([]);
    expect(step(plan, state, { type: 'node_finished', outcome: { ...outcome, nodeId: 'd' } }).commands).toEqual([]);
    expect({ ...state }).toEqual(before);
    for (const id of ['b', 'c', 'd']) finish(state, id);
    expect(step(plan, state, { type: 'cancel' }).commands).toEqual([]);
    expect(state.status).toBe('completed');
  });
});

describe('restoring', () => {
  test('an execution that did not start starts', () => {
    expect(words(restoreRun(plan, {}, []).commands)).toEqual(['run a 1']);
  });

  test('an execution that had ended says so again', () => {
    const state = started();
    const outcomes = ['a', 'b', 'c', 'd'].map((id) => finish(state, id).outcome);
    expect(words(restoreRun(plan, { user_input: 'x' }, outcomes).commands)).toEqual(['finish completed']);
  });

  test('a finished node whose predecessor was lost waits for it, and later order goes on', () => {
    const state = started();
    const [a, c] = [finish(state, 'a').outcome, finish(state, 'c').outcome];
    expect(words(restoreRun(plan, {}, [{ ...c, finishOrder: 9 }, a]).commands)).toEqual(['run b 2']);
    expect(restoreRun(plan, {}, [{ ...c, finishOrder: 9 }, a]).state.nextFinishOrder).toBe(10);
    expect(words(restoreRun(plan, {}, [c]).commands)).toEqual(['run a 1']);
  });

  test('skips that were not stored are told again', () => {
    const branching = planOf({ nodes: [side('a'), side('b'), side('c')], edges: [{ from: 'a', to: 'b', condition: 'false' }, { from: 'b', to: 'c' }], start_node: 'a' }, { nodeTypes });
    const state = initialRun(branching, {});
    step(branching, state, { type: 'start' });
    const { outcome, commands } = finish(state, 'a', undefined, branching);
    expect(words(commands)).toEqual(['skip b', 'skip c', 'finish completed']);
    const [first] = commands;
    expect(words(restoreRun(branching, {}, [outcome, ...(first?.type === 'skip' ? [first.outcome] : [])]).commands)).toEqual(['skip c', 'finish completed']);
  });
});

describe('outcomes', () => {
  test('are normalised, and say what that changed', () => {
    const state = started();
    const { outcome, warnings } = outcomeOf(plan, state, 'a', { status: 'completed', result: { kind: 'done', output: { bb: 'x\0', a: 1 }, tokens: 3, costUnits: 5, routeTarget: 'b' } });
    expect(JSON.stringify(outcome)).toBe('{"nodeId":"a","status":"completed","sequence":1,"finishOrder":1,"output":{"a":1,"bb":"x\ufffd"},"writes":{},"error":null,"routeTarget":"b","tokens":3,"costUnits":5}');
    expect(warnings).toEqual([expect.stringContaining('U+FFFD')]);
  });

  test('that cannot be kept are failures that still cost', () => {
    const ring: unknown[] = [];
    ring.push(ring);
    const { outcome } = outcomeOf(plan, started(), 'a', { status: 'completed', result: { kind: 'done', output: ring as never, tokens: 3 } });
    expect(outcome).toMatchObject({ status: 'failed', tokens: 3, output: null, error: { code: 'INVALID_VALUE' } });
  });
});

describe('the initial state', () => {
  test('that cannot be kept ends the execution before anything runs', () => {
    let abyss: unknown = 1;
    for (let i = 0; i < 300; i += 1) abyss = [abyss];
    const state = initialRun(plan, { abyss });
    expect(step(plan, state, { type: 'start' }).commands).toEqual([{ type: 'finish', status: 'failed', error: { code: 'INVALID_VALUE', nodeId: null, message: 'initial state: a value is nested deeper than 200 levels' } }]);
    expect(state.data).toEqual({ execution_path: [], tokens_used: 0, cost: 0, errors: [] });
  });

  test('keeps every key but those that the engine keeps itself', () => {
    const { data, warnings } = initialRun(plan, { execution_path: 'mine', z: '\ud800', list: [], cost: 5 });
    expect(data).toEqual({ execution_path: [], tokens_used: 0, cost: 0, errors: [], z: '\ufffd', list: [] });
    expect(warnings).toEqual([{ code: 'W011', field: 'initial_state', nodeId: null, message: expect.stringContaining('U+FFFD') }]);
  });
});

test('a document that is not valid has no plan, and the refusal tells everything', () => {
  try {
    planOf({ nodes: [{ id: 'a', type: 'warp' }], start_node: 'b' }, { nodeTypes });
    throw new Error('there is a plan');
  } catch (error) {
    expect(error).toBeInstanceOf(AgentFlowError);
    expect(error).toMatchObject({ code: 'INVALID_WORKFLOW', message: expect.stringContaining('(and 1 more)'), details: { errors: [{ code: 'E004' }, { code: 'E005' }] } });
  }
});
