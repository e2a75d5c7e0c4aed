/** What an execution that tries another one again takes over from it: outcomes of nodes that need not run again. They cost nothing here. */
import type { NodeOutcome, Plan, RunState } from '../engine/types.ts';
import type { ClaimedExecution, NodeRow, StoredNode } from '../store/rows.ts';
import type { DatabaseClock } from './clock.ts';
import { storedOutcomes } from './stored-nodes.ts';

export interface TakenOver {
  outcomes: NodeOutcome[];
  /** Their rows, once the run has numbered them; what an earlier claim has stored already is not among them. */
  rows(state: RunState, clock: DatabaseClock): NodeRow[];
}

export function takenOver({ repeats, nodes }: Pick<ClaimedExecution, 'repeats' | 'nodes'>, plan: Plan): TakenOver {
  if (repeats === null) return { outcomes: [], rows: () => [] };
  const again = repeats.fromNode === null ? new Set<string>() : withDescendants(plan, repeats.fromNode);
  const known = new Set((nodes ?? []).map(({ node_id }) => node_id));
  const stored = repeats.nodes.filter((node) => !again.has(node.node_id) && !known.has(node.node_id) && hasEnded(node, plan));
  const outcomes = storedOutcomes(stored).map((outcome) => ({ ...outcome, tokens: 0, costUnits: 0 }));
  return {
    outcomes,
    rows: (state, clock) => outcomes.flatMap((outcome) => {
      const run = state.nodes.get(outcome.nodeId);
      const node = stored.find(({ node_id }) => node_id === outcome.nodeId);
      return run === undefined || run.sequence === null || node === undefined ? [] : [rowOf({ ...outcome, sequence: run.sequence }, node, plan, repeats.executionId, clock)];
    }),
  };
}

function withDescendants(plan: Plan, first: string): Set<string> {
  const found = new Set([first]);
  for (const id of found) for (const next of plan.nodes.get(id)?.successors ?? []) found.add(next);
  return found;
}

/** Completed, or failed where that was allowed: its successors have seen the error. */
function hasEnded({ status, node_id }: StoredNode, plan: Plan): boolean {
  return status === 'completed' || ((status === 'failed' || status === 'timed_out') && plan.nodes.get(node_id)?.onError === 'continue');
}

function rowOf(outcome: NodeOutcome, stored: StoredNode, plan: Plan, from: string, clock: DatabaseClock): NodeRow {
  const at = new Date(clock.now()).toISOString();
  return {
    nodeId: outcome.nodeId, nodeType: plan.nodes.get(outcome.nodeId)!.type, sequence: outcome.sequence, finishOrder: outcome.finishOrder, attempts: 0,
    status: outcome.status, input: stored.input ?? undefined, output: outcome.output, writes: outcome.writes, routeTarget: outcome.routeTarget,
    error: outcome.error, tokens: 0, costUnits: 0, waitSeconds: 0, wait: null, startedMs: stored.started_ms, completedMs: stored.completed_ms,
    logs: [{ at, level: 'info', message: `taken over from execution ${from}` }],
  };
}
