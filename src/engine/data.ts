/** The one JSON object of an execution: how it starts, how nodes write into it. It is replaced, never changed. */
import { AgentFlowError } from '../errors.ts';
import { dollars } from './cost.ts';
import { isObject, jsonBytes, setOwn } from './json.ts';
import { normalise, type Normalised } from './normalise.ts';
import type { Json, JsonObject, NodeOutcome, Plan, PlanNode, Problem, RunState } from './types.ts';

/**
 * The document's initial state under the caller's; every key of both is kept, except those that the engine keeps itself.
 * @throws AgentFlowError INVALID_VALUE when it is nested too deeply, LIMIT_STATE when it is certainly too large.
 */
export function initialData(plan: Plan, initialState: unknown): { data: JsonObject; warnings: Problem[] } {
  const given = normalisedState({ ...plan.document.initialState, ...(isObject(initialState) ? initialState : {}) }, plan.document.limits.maxStateBytes);
  // What was replaced on the way into the database shows by what stands in its place.
  const losses = given.hasReplacement && given.warnings.length === 0 ? ['it holds U+FFFD, which stands where NUL characters, lone surrogates or broken bytes were'] : given.warnings;
  const warnings = losses.map((message): Problem => ({ code: 'W011', message: `initial state: ${message}`, field: 'initial_state', nodeId: null }));
  return { data: { ...(given.value as JsonObject), ...engineData() }, warnings };
}

function normalisedState(state: JsonObject, limit: number): Normalised {
  try {
    return normalise(state, limit);
  } catch (error) {
    if (!(error instanceof AgentFlowError) || error.code !== 'TOO_LARGE') throw error;
    throw new AgentFlowError('LIMIT_STATE', `the state is larger than the ${limit} bytes that are allowed`);
  }
}

/** What the engine keeps, at the start. */
export function engineData(): JsonObject {
  return { execution_path: [], tokens_used: 0, cost: 0, errors: [] };
}

export function entryBytes(key: string, value: Json): number {
  return jsonBytes(key) + jsonBytes(value) + 2;
}

/** Writes what a node gave, and counts what it used. */
export function writeOutcome(node: PlanNode, outcome: NodeOutcome, state: RunState): void {
  const changes: JsonObject = {};
  const failed = outcome.status !== 'completed';
  if (!failed || node.onError === 'continue') {
    state.outputs = withOwn(state.outputs, node.id, outcome.output);
    if (node.outputKey !== null) writeKey(node, node.outputKey, outcome.output, state, changes);
    for (const [key, value] of Object.entries(outcome.writes)) if (key !== node.outputKey) writeKey(node, key, value, state, changes);
  }
  state.tokens += outcome.tokens;
  state.costUnits += outcome.costUnits;
  if (outcome.tokens !== 0) changes.tokens_used = state.tokens;
  if (outcome.costUnits !== 0) changes.cost = dollars(state.costUnits);
  if (failed) changes.errors = [...(state.data.errors as Json[]), errorEntry(outcome)];
  state.data = { ...state.data, ...changes };
}

/** What `errors` and the variable `error` hold about a failed node. */
export function errorEntry(outcome: NodeOutcome): JsonObject {
  return { node: outcome.nodeId, code: outcome.error?.code ?? 'NODE_FAILED', message: outcome.error?.message ?? outcome.status };
}

/** The last write wins; of two nodes that can run at once, the one later in the document. */
function writeKey(node: PlanNode, key: string, value: Json, state: RunState, changes: JsonObject): void {
  const writer = state.writers.get(key);
  if (writer !== undefined && node.yields.get(key)?.has(writer)) return;
  state.writers.set(key, node.id);
  setOwn(changes, key, value);
  const bytes = entryBytes(key, value);
  state.dataBytes += bytes - (state.keyBytes.get(key) ?? 0);
  state.keyBytes.set(key, bytes);
}

function withOwn(object: JsonObject, key: string, value: Json): JsonObject {
  const copy = { ...object };
  setOwn(copy, key, value);
  return copy;
}
