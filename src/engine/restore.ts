/** Rebuilds an execution from the outcomes that were stored before a crash, by replaying them in the order in which they finished. */
import { initialRun, step } from './step.ts';
import type { NodeOutcome, Plan, RunCommand, RunEvent, StepResult } from './types.ts';

type RunNow = Extract<RunCommand, { type: 'run' }>;

/**
 * The state as it was, and the commands to go on: what ran and did not finish runs (with the snapshot that it had), skips that were not stored are told again,
 * and `finish` when nothing is left. Skipped nodes follow from the others; outcomes of nodes that could not have run are ignored.
 */
export function restoreRun(plan: Plan, initialState: unknown, outcomes: readonly NodeOutcome[]): StepResult {
  const state = initialRun(plan, initialState);
  const stored = new Set(outcomes.map(({ nodeId }) => nodeId));
  const open = new Map<string, RunNow>();
  const others: RunCommand[] = [];
  const play = (event: RunEvent): void => {
    for (const command of step(plan, state, event).commands) {
      if (command.type === 'run') open.set(command.nodeId, command);
      else if (command.type !== 'skip' || !stored.has(command.outcome.nodeId)) others.push(command);
    }
  };
  play({ type: 'start' });
  const ended = outcomes.filter(({ status }) => status !== 'skipped').sort((a, b) => a.finishOrder - b.finishOrder);
  for (const outcome of ended) {
    open.delete(outcome.nodeId);
    play({ type: 'node_finished', outcome });
  }
  return { state, commands: [...open.values(), ...others] };
}
