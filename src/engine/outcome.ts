/** From what a node returned or threw to the outcome that is stored and replayed. */
import { AgentFlowError } from '../errors.ts';
import { isObject, jsonBytes } from './json.ts';
import { normalise } from './normalise.ts';
import type { JsonObject, NodeDone, NodeOutcome, Plan, RunState } from './types.ts';

/** How a node ended. A failure may have used tokens as well. */
export type NodeEnd =
  | { status: 'completed'; result: NodeDone }
  | { status: 'failed' | 'timed_out' | 'cancelled'; error: { code: string; message: string }; tokens?: number; costUnits?: number };

export interface Settled {
  outcome: NodeOutcome;
  /** What normalising changed, for the node's log. */
  warnings: string[];
}

/** The outcome of a running node as of now. Store exactly this object, and hand it to `step`. */
export function outcomeOf(plan: Plan, state: RunState, nodeId: string, end: NodeEnd): Settled {
  const used = end.status === 'completed' ? end.result : end;
  const outcome: NodeOutcome = {
    nodeId, status: end.status, sequence: state.nodes.get(nodeId)?.sequence ?? null, finishOrder: state.nextFinishOrder,
    output: null, writes: {}, error: null, routeTarget: null, tokens: used.tokens ?? 0, costUnits: used.costUnits ?? 0,
  };
  if (end.status !== 'completed') {
    outcome.error = end.error;
    return { outcome, warnings: [] };
  }
  const { result } = end;
  try {
    const limit = plan.document.limits.maxOutputBytes;
    const output = normalise(result.output, limit);
    const writes = result.writes === undefined ? null : normalise(result.writes, limit);
    if (output.mostBytes > limit && jsonBytes(output.value) > limit) throw new AgentFlowError('TOO_LARGE');
    outcome.output = output.value;
    if (writes !== null && isObject(writes.value)) outcome.writes = writes.value;
    outcome.routeTarget = result.routeTarget ?? null;
    return { outcome, warnings: writes === null ? output.warnings : [...new Set([...output.warnings, ...writes.warnings])] };
  } catch (error) {
    if (!(error instanceof AgentFlowError)) throw error;
    outcome.status = 'failed';
    outcome.error = refusal(error, plan);
    return { outcome, warnings: [] };
  }
}

function refusal({ code, message }: AgentFlowError, plan: Plan): { code: string; message: string } {
  if (code !== 'TOO_LARGE') return { code, message };
  return { code: 'LIMIT_OUTPUT', message: `the output is larger than the ${plan.document.limits.maxOutputBytes} bytes that are allowed` };
}

/** Outcome of a node that can no longer be reached. */
export function skippedOutcome(nodeId: string, finishOrder: number): NodeOutcome {
  const writes: JsonObject = {};
  return { nodeId, status: 'skipped', sequence: null, finishOrder, output: null, writes, error: null, routeTarget: null, tokens: 0, costUnits: 0 };
}
