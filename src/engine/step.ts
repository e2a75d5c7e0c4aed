/**
 * What happens next in an execution: pure, one event at a time. The state is changed in place and belongs to `step` (see RunState); the commands say what the
 * driver has to do.
 */
import { AgentFlowError } from '../errors.ts';
import { engineData, entryBytes, errorEntry, initialData, writeOutcome } from './data.ts';
import { takeEdges } from './dispatch.ts';
import { inheritedIntent, plannedNode, settleSuccessors } from './join.ts';
import { crossedLimit } from './run-limits.ts';
import { engineKeys } from './keys.ts';
import type { Json, JsonObject, NodeOutcome, Plan, PlanNode, Problem, RunCommand, RunEvent, RunNode, RunState, StepResult } from './types.ts';

/** The state of an execution that has not started. An initial state that cannot be kept is a failure that the start tells. */
export function initialRun(plan: Plan, initialState: unknown): RunState {
  try {
    return blankRun(plan, initialData(plan, initialState));
  } catch (error) {
    if (!(error instanceof AgentFlowError)) throw error;
    return { ...blankRun(plan, { data: engineData(), warnings: [] }), failure: { code: error.code, message: `initial state: ${error.message}`, nodeId: null } };
  }
}

function blankRun(plan: Plan, { data, warnings }: { data: JsonObject; warnings: Problem[] }): RunState {
  const keyBytes = new Map(Object.entries(data).filter(([key]) => !engineKeys.has(key)).map(([key, value]) => [key, entryBytes(key, value)]));
  return {
    status: 'running', data, outputs: {}, writers: new Map(), keyBytes, dataBytes: [...keyBytes.values()].reduce((sum, bytes) => sum + bytes, 2),
    nodes: new Map([...plan.nodes.keys()].map((nodeId): [string, RunNode] => [nodeId, { nodeId, status: 'pending', sequence: null, arrivals: null, intent: undefined }])),
    nextSequence: 1, nextFinishOrder: 1, ready: [], running: new Set(), tokens: 0, costUnits: 0, nodesRun: 0, warnings, cancelled: false, failure: null,
  };
}

/** Events of an execution that has ended, and of nodes that do not run, change nothing. */
export function step(plan: Plan, state: RunState, event: RunEvent): StepResult {
  const commands: RunCommand[] = [];
  if (state.status !== 'running') return { state, commands };
  switch (event.type) {
    case 'start': start(plan, state); break;
    case 'node_finished': finishNode(plan, state, event.outcome, commands); break;
    case 'limit_hit':
      fail(state, event.code, event.message, null);
      abortRunning(state, commands);
      break;
    case 'cancel':
      state.cancelled = true;
      abortRunning(state, commands);
      break;
  }
  startReady(plan, state, commands);
  finishWhenDone(state, commands);
  return { state, commands };
}

function start(plan: Plan, state: RunState): void {
  if (state.nextSequence > 1 || state.ready.length > 0) return;
  const crossed = crossedLimit(plan.document.limits, state);
  if (crossed) fail(state, crossed.code, crossed.message, null);
  else state.ready.push(plan.startNode);
}

/** Starts what is ready, in document order, as far as places are free. */
function startReady(plan: Plan, state: RunState, commands: RunCommand[]): void {
  const { maxParallelNodes, maxNodes } = plan.document.limits;
  while (!isEnding(state) && state.ready.length > 0 && state.running.size < maxParallelNodes) {
    if (state.nodesRun >= maxNodes) {
      fail(state, 'LIMIT_NODES', `the execution ran ${state.nodesRun} nodes, no more are allowed`, null);
      return;
    }
    const nodeId = state.ready.shift() as string;
    const run = state.nodes.get(nodeId) as RunNode;
    run.status = 'running';
    run.sequence = state.nextSequence++;
    run.intent = inheritedIntent(run, state);
    state.running.add(nodeId);
    state.nodesRun += 1;
    state.data = { ...state.data, execution_path: [...(state.data.execution_path as Json[]), nodeId] };
    commands.push({ type: 'run', nodeId, sequence: run.sequence, data: state.data, outputs: state.outputs });
  }
}

function finishNode(plan: Plan, state: RunState, outcome: NodeOutcome, commands: RunCommand[]): void {
  if (!state.running.delete(outcome.nodeId)) return;
  const node = plannedNode(plan, outcome.nodeId);
  const run = state.nodes.get(node.id) as RunNode;
  run.status = outcome.status;
  state.nextFinishOrder = Math.max(state.nextFinishOrder, outcome.finishOrder) + 1;
  writeOutcome(node, outcome, state);
  run.intent = ownIntent(node, outcome) ?? run.intent;
  if (endsExecution(node, outcome)) fail(state, outcome.error?.code ?? 'NODE_FAILED', failureOf(node.id, outcome.error?.message ?? outcome.status), node.id);
  const crossed = crossedLimit(plan.document.limits, state);
  if (crossed) fail(state, crossed.code, `${crossed.message}, after node '${node.id}'`, node.id);
  if (!isEnding(state)) followEdges(plan, state, node, run, outcome, commands);
}

/** What names the node already is not said twice. */
function failureOf(nodeId: string, cause: string): string {
  const named = `Node '${nodeId}'`;
  return `${named} failed: ${cause.startsWith(`${named}: `) ? cause.slice(named.length + 2) : cause}`;
}

/** `on_error: continue` forgives everything but a crossed limit. */
function endsExecution(node: PlanNode, outcome: NodeOutcome): boolean {
  return outcome.status !== 'completed' && (node.onError === 'fail' || (outcome.error?.code.startsWith('LIMIT_') ?? false));
}

function ownIntent(node: PlanNode, outcome: NodeOutcome): Json | undefined {
  if (outcome.status !== 'completed') return undefined;
  return node.type === 'router' || node.outputKey === 'intent' ? outcome.output : outcome.writes.intent;
}

function followEdges(plan: Plan, state: RunState, node: PlanNode, run: RunNode, outcome: NodeOutcome, commands: RunCommand[]): void {
  const error: JsonObject | undefined = outcome.status === 'completed' ? undefined : errorEntry(outcome);
  try {
    const { targets, fellBackTo } = takeEdges({
      node, outgoing: node.outgoing, intent: run.intent ?? state.data.intent, routeTarget: outcome.routeTarget,
      scope: { state: state.data, outputs: state.outputs, intent: run.intent, error }, typeOf: (id) => plan.nodes.get(id)?.type,
    });
    if (fellBackTo !== null) {
      state.warnings.push({ code: 'W010', field: `nodes.${node.index}`, nodeId: node.id, message: `No target of '${node.id}' fits the intent ${JSON.stringify(run.intent ?? null)}: the first one, '${fellBackTo}', was taken` });
    }
    settleSuccessors(plan, state, node.id, targets, commands);
  } catch (caught) {
    if (!(caught instanceof AgentFlowError)) throw caught;
    fail(state, caught.code, `Node '${node.id}': ${caught.message}`, node.id);
  }
}

/** The first failure stays. */
function fail(state: RunState, code: string, message: string, nodeId: string | null): void {
  state.failure ??= { code, message, nodeId };
}

function isEnding(state: RunState): boolean {
  return state.cancelled || state.failure !== null;
}

function abortRunning(state: RunState, commands: RunCommand[]): void {
  if (state.running.size > 0) commands.push({ type: 'abort', nodeIds: [...state.running] });
}

function finishWhenDone(state: RunState, commands: RunCommand[]): void {
  if (state.running.size > 0 || (!isEnding(state) && state.ready.length > 0)) return;
  const status = state.cancelled ? 'cancelled' : state.failure ? 'failed' : 'completed';
  state.status = status;
  commands.push({ type: 'finish', status, error: status === 'failed' ? state.failure : null });
}
