/** Joins: a node runs once, when every predecessor is settled and one of them leads to it; when none does, it is skipped. */
import { skippedOutcome } from './outcome.ts';
import type { Plan, PlanNode, RunCommand, RunNode, RunState } from './types.ts';

/** Tells the successors of a settled node, and what follows from that, whether they were chosen. */
export function settleSuccessors(plan: Plan, state: RunState, nodeId: string, taken: ReadonlySet<string>, commands: RunCommand[]): void {
  const pending: { nodeId: string; taken: ReadonlySet<string> }[] = [{ nodeId, taken }];
  for (const settled of pending) {
    for (const id of plannedNode(plan, settled.nodeId).successors) {
      const run = state.nodes.get(id) as RunNode;
      run.arrivals = (run.arrivals ?? new Map<string, boolean>()).set(settled.nodeId, settled.taken.has(id));
      if (run.status !== 'pending' || run.arrivals.size < plannedNode(plan, id).predecessors.length) continue;
      if ([...run.arrivals.values()].includes(true)) {
        becomeReady(plan, state, id);
      } else {
        run.status = 'skipped';
        commands.push({ type: 'skip', outcome: skippedOutcome(id, state.nextFinishOrder++) });
        pending.push({ nodeId: id, taken: new Set() });
      }
    }
  }
}

/** Ready nodes stand in document order. */
function becomeReady(plan: Plan, state: RunState, id: string): void {
  const { index } = plannedNode(plan, id);
  const before = state.ready.findIndex((other) => plannedNode(plan, other).index > index);
  state.ready.splice(before === -1 ? state.ready.length : before, 0, id);
}

/** The intent that a node inherits: of those that led to it, the one settled last that has one. */
export function inheritedIntent(run: RunNode, state: RunState): RunNode['intent'] {
  let intent: RunNode['intent'];
  for (const [id, taken] of run.arrivals ?? []) intent = (taken ? state.nodes.get(id)?.intent : undefined) ?? intent;
  return intent;
}

export function plannedNode(plan: Plan, id: string): PlanNode {
  const node = plan.nodes.get(id);
  if (!node) throw new RangeError(`the plan has no node '${id}'`);
  return node;
}
