/**
 * Flows as plans: a task is a node with an effect, a condition is an edge on success and one on failure. From here on a flow is run by what runs workflows.
 * The definition must be one that the database has accepted.
 */
import { setOwn, isObject, ownValue } from './json.ts';
import { defaultLimits } from './limits.ts';
import { planFromDocument } from './plan.ts';
import type { EdgeSpec, Json, JsonObject, NodeSpec, NodeType, Plan } from './types.ts';

export interface FlowPlanOptions {
  /** A task that is not registered ends the flow, whatever its conditions say. Default: all are. */
  isRegistered?(task: string): boolean;
  /** Tasks without effect are not checkpointed one by one. Default: none. */
  isPure?(task: string): boolean;
  /** Tasks that cannot be reached as well, to be drawn; a plan that is run must not hold them. */
  everyTask?: boolean;
}

interface Condition { source: string; outcome: string; onSuccess: string; onFailure: string }

/** Seconds. */
const defaultTaskTimeout = 300;
const defaultFlowTimeout = 3_600;
/** The input and what the tasks return, together. */
const maxContextBytes = 2 * 1_048_576;

/** What the engine needs to know of tasks; how they run is the runtime's. */
const taskType: NodeType = {
  type: 'task', summary: 'One task of a flow.', parameters: {}, sourceKind: null, sourceRequired: false, example: {},
  hasEffect: () => true, defaultOutputKey: () => null, run: () => ({ kind: 'done', output: null }),
};

export function flowPlan(definition: JsonObject, options: FlowPlanOptions = {}): Plan {
  const tasks = objectsIn(definition.tasks);
  const startNode = String(definition.start_task);
  const conditions = conditionsOf(definition);
  const allEdges = tasks.flatMap(({ name }) => edgesOf(String(name), conditions));
  const kept = options.everyTask === true ? new Set(tasks.map(({ name }) => String(name))) : reached(startNode, allEdges);
  const edges = allEdges.filter(({ from }) => kept.has(from));
  const nodes = tasks.filter(({ name }) => kept.has(String(name))).map((task) => nodeOf(task, edges, options));
  const plan = planFromDocument({
    nodes, edges, queues: [], sources: [], startNode, initialState: {},
    limits: { ...defaultLimits, maxParallelNodes: 1, maxNodes: nodes.length, maxSeconds: secondsIn(definition, defaultFlowTimeout), maxStateBytes: maxContextBytes },
  }, [taskType]);
  for (const node of plan.nodes.values()) node.hasEffect = !(options.isPure?.(node.id) ?? false);
  return plan;
}

function nodeOf(task: JsonObject, edges: readonly EdgeSpec[], { isRegistered }: FlowPlanOptions): NodeSpec {
  const id = String(task.name);
  const config = isObject(task.config) ? task.config : {};
  const goesOn = edges.some((edge) => edge.from === id && edge.condition !== onSuccess && !edge.to.includes('end'));
  return {
    id, type: taskType.type, description: typeof task.description === 'string' ? task.description : null, outputKey: taskOutputKey(id),
    timeoutSeconds: secondsIn(config, defaultTaskTimeout), retry: { maxAttempts: 1, initialSeconds: 1, maxSeconds: 1 },
    // A failure that nothing follows is the flow's; so is a task that nobody has written.
    onError: goesOn && (isRegistered?.(id) ?? true) ? 'continue' : 'fail', parameters: frozen(config),
  };
}

const onSuccess = 'error == null';
const onFailure = 'error != null';

/** Where each outcome of a task leads. Both ends are the same edge when they are the same task. */
function edgesOf(task: string, conditions: readonly Condition[]): EdgeSpec[] {
  const edge = (to: string | null, condition: string | null, label?: string): EdgeSpec[] =>
    (to === null ? [] : [{ from: task, to: [to], condition, isDefault: false, queue: null, ...(label === undefined ? {} : { label }) }]);
  const [success, failure] = [targetOf(task, 'success', conditions), targetOf(task, 'failure', conditions)];
  if (success === failure) return edge(success, null, 'any');
  return [...edge(success, onSuccess, 'success'), ...edge(failure, onFailure, 'failure')];
}

/** The condition whose outcome is the result, else the one for any, else the first; it holds for its own outcome and for any. */
function targetOf(task: string, result: 'success' | 'failure', conditions: readonly Condition[]): string | null {
  const own = conditions.filter(({ source }) => source === task);
  const chosen = own.find(({ outcome }) => outcome === result) ?? own.find(({ outcome }) => outcome === 'any') ?? own[0];
  if (chosen === undefined) return null;
  return chosen.outcome === result || chosen.outcome === 'any' ? chosen.onSuccess : chosen.onFailure;
}

/** Nothing else can happen; a task that never happens would keep those that follow it waiting. */
function reached(start: string, edges: readonly EdgeSpec[]): Set<string> {
  const found = new Set([start]);
  for (const from of found) for (const edge of edges) if (edge.from === from) for (const to of edge.to) if (to !== 'end') found.add(to);
  return found;
}

/** The state that a flow's run begins with: the context stands by itself, so that its keys and the engine's never meet. */
export function flowState(inputContext: Json): JsonObject {
  return { input: inputContext };
}

export function taskOutputKey(task: string): string {
  return `task:${task}`;
}

/** The context of a flow: the input, and under the name of each finished task how it ended, in the order in which they ran. */
export function flowContext(state: JsonObject): JsonObject {
  const context: JsonObject = {};
  if (isObject(state.input)) for (const [key, value] of Object.entries(state.input)) setOwn(context, key, value);
  const failures = new Map(objectsIn(state.errors).map(({ node, message }) => [node, message]));
  for (const task of Array.isArray(state.execution_path) ? state.execution_path.map(String) : []) {
    const error = failures.get(task);
    const data = ownValue(state, taskOutputKey(task));
    if (error !== undefined) setOwn(context, task, { status: 'FAILURE', error });
    else if (data !== undefined) setOwn(context, task, { status: 'SUCCESS', data });
  }
  return context;
}

function conditionsOf({ conditions }: JsonObject): Condition[] {
  return objectsIn(conditions).map((condition) => ({
    source: String(condition.source_task), outcome: String(condition.outcome),
    onSuccess: String(condition.target_task_success), onFailure: String(condition.target_task_failure),
  }));
}

function secondsIn({ timeout_seconds: seconds }: JsonObject, otherwise: number): number {
  return typeof seconds === 'number' ? seconds : otherwise;
}

function objectsIn(list: Json | undefined): JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** A config is shared by every execution of its definition. */
function frozen<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) frozen(part);
    Object.freeze(value);
  }
  return value;
}
