import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { flowContext, flowPlan, flowState, initialRun, outcomeOf, restoreRun, step } from '../../src/engine/index.ts';
import type { JsonObject, NodeOutcome, RunCommand, RunState } from '../../src/engine/types.ts';

interface Script {
  definition: JsonObject;
  /** Of each task. */
  fails: boolean[];
}

/** Tasks lead to later ones only, so that there is no ring; a task without a condition ends the flow. */
const scripts: fc.Arbitrary<Script> = fc.integer({ min: 1, max: 9 }).chain((count) => fc.record({
  targets: fc.array(fc.tuple(fc.nat(12), fc.nat(12), fc.boolean(), fc.constantFrom('success', 'failure', 'any')), { minLength: count, maxLength: count }),
  fails: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
})).map(({ targets, fails }) => {
  const later = (from: number, by: number): string => (from + 1 + by < targets.length ? `t${from + 1 + by}` : 'end');
  return {
    fails,
    definition: {
      id: 'f', name: 'f', start_task: 't0', tasks: targets.map((_, index) => ({ name: `t${index}` })),
      conditions: targets.flatMap(([success, failure, has, outcome], index) => (has || index === 0 ? [{
        name: `c${index}`, source_task: `t${index}`, outcome, target_task_success: later(index, success), target_task_failure: later(index, failure),
      }] : [])),
    },
  };
});

interface Driven {
  state: RunState;
  outcomes: NodeOutcome[];
  /** How often each task ran. */
  runs: Record<string, number>;
  /** What each task was handed. */
  seen: Record<string, JsonObject>;
  end: Extract<RunCommand, { type: 'finish' }> | null;
}

const input = { customer: 'c1', amount: 3 };

/** Loses everything but the outcomes after so many commands, and goes on from them, as a worker that takes over does. */
function drive({ definition, fails }: Script, crashAfter: number): Driven & { commands: number } {
  const plan = flowPlan(definition);
  const driven: Driven = { state: initialRun(plan, flowState(input)), outcomes: [], runs: {}, seen: {}, end: null };
  const open: Extract<RunCommand, { type: 'run' }>[] = [];
  const obey = (commands: RunCommand[]): void => {
    for (const command of commands) {
      if (command.type === 'run') open.push(command);
      else if (command.type === 'finish') driven.end = command;
      else if (command.type === 'skip') driven.outcomes.push(structuredClone(command.outcome));
    }
  };
  obey(step(plan, driven.state, { type: 'start' }).commands);
  let commands = 0;
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    commands += 1;
    const { nodeId } = next;
    // Dying in the middle of a task: it is begun anew, and the outcomes before it are all that is known.
    if (commands === crashAfter) {
      open.length = 0;
      const restored = restoreRun(plan, JSON.parse(JSON.stringify(flowState(input))) as JsonObject, JSON.parse(JSON.stringify(driven.outcomes.toReversed())) as NodeOutcome[]);
      driven.state = restored.state;
      obey(restored.commands);
      continue;
    }
    driven.runs[nodeId] = (driven.runs[nodeId] ?? 0) + 1;
    driven.seen[nodeId] = flowContext(next.data);
    const failed = fails[Number(nodeId.slice(1))]!;
    const { outcome } = outcomeOf(plan, driven.state, nodeId, failed ? { status: 'failed', error: { code: 'NODE_FAILED', message: `${nodeId} failed` } } : { status: 'completed', result: { kind: 'done', output: { of: nodeId, commands: Object.keys(driven.seen[nodeId]).length } } });
    driven.outcomes.push(structuredClone(outcome));
    obey(step(plan, driven.state, { type: 'node_finished', outcome }).commands);
  }
  return { ...driven, commands };
}

const summary = ({ state, outcomes, runs, seen, end }: Driven): unknown => ({ status: state.status, data: state.data, outcomes, runs, seen, end });

test('any flow ends the same after a crash at any command, without running a finished task again', () => {
  fc.assert(fc.property(scripts, (script) => {
    const whole = drive(script, Infinity);
    expect(whole.state.status).not.toBe('running');
    expect(Math.max(...Object.values(whole.runs))).toBe(1);
    for (let crashAfter = 1; crashAfter <= whole.commands; crashAfter += 1) expect(summary(drive(script, crashAfter))).toEqual(summary(whole));
  }), { numRuns: 300 });
});
