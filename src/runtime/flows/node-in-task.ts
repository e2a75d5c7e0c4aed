/** Lets a task do what a node of a workflow does: the ready-made tasks are made of it. */
import { planOf } from '../../engine/index.ts';
import { loadSelectChecker } from '../../engine/sql.ts';
import type { Json, JsonObject, NodeContext, NodeResult, NodeWaits, Plan, PlanNode, Problem, SourcePort } from '../../engine/types.ts';
import { AgentFlowError, NodeError } from '../../errors.ts';
import { nodeTypes } from '../../nodes/index.ts';
import { sourcePortFor } from '../node-sources.ts';
import type { FlowRun } from './flow-run.ts';

export interface TaskPlace {
  run: FlowRun;
  /** The task, as the engine sees it. */
  node: NodeContext;
  /** The flow's context before the task. */
  context: JsonObject;
  idempotencyKey: string;
}

/** Thrown through a task that must wait: it is run again from the start when the wait is over. */
export class TaskWaits extends Error {
  readonly wait: NodeWaits;

  constructor(wait: NodeWaits) {
    super('the task waits');
    this.wait = wait;
  }
}

const sourceKinds = ['llm', 'image', 'db', 'api'];

/** @throws NodeError INVALID_VALUE for parameters that the node type refuses; TaskWaits; what the node throws. */
export async function runNodeInTask(place: TaskPlace, typeName: string, parameters: JsonObject): Promise<Json> {
  const type = nodeTypes.find((known) => known.type === typeName);
  if (type === undefined) throw new NodeError('INVALID_VALUE', `There is no node type '${typeName}'.`);
  const { node, context } = place;
  const { planned, plan } = await plannedNode(node.node, typeName, parameters);
  const inner: NodeContext = {
    node: planned, parameters: planned.parameters, state: context, outputs: {}, attempt: node.attempt, idempotencyKey: place.idempotencyKey,
    signal: node.signal, log: node.log, source: sourceOfTask(place, planned, plan), resumedWith: node.resumedWith,
  };
  if (typeName === 'workflow') return runWorkflow(place, inner, (given) => type.run(given));
  const result = await type.run(inner);
  if (result.kind === 'done') return told(result, node);
  if (result.reason !== 'delay') throw new NodeError('NOT_SUPPORTED', `A task cannot wait for what a node of type ${typeName} waits for.`);
  throw new TaskWaits(withinTime(place, result));
}

/** The source that the parameters name. */
export function sourceOfTask({ run, idempotencyKey, node }: TaskPlace, planned: PlanNode, plan: Plan = run.plan): SourcePort | null {
  return sourcePortFor({
    plan, node: { ...planned, sourceId: null }, signal: node.signal, idempotencyKey,
    tenantId: run.claim.tenantId, tenantSlug: run.claim.tenantSlug, runId: run.claim.executionId, pricing: run.pricing,
    teller: { warn: (message) => node.log('warn', message), onAnswer: () => undefined },
  }, run.finder);
}

/** Checked, and with its defaults, as a workflow of this one node would be. */
async function plannedNode(task: PlanNode, type: string, parameters: JsonObject): Promise<{ planned: PlanNode; plan: Plan }> {
  const { timeout_seconds: _, base_url: baseUrl, ...metadata } = parameters;
  const name = metadata.source;
  // An address of its own instead of a saved source.
  const own = name === undefined && typeof baseUrl === 'string' ? [{ id: 'own', kind: 'api', config: { base_url: baseUrl } }] : [];
  if (own.length > 0) metadata.source = 'own';
  const document = { nodes: [{ id: 'task', type, metadata }], edges: [], start_node: 'task', sources: own };
  const sources = typeof name === 'string' ? sourceKinds.map((kind) => ({ name, kind })) : [];
  try {
    const plan = planOf(document, { nodeTypes, sources, checkSelect: type === 'db' ? await loadSelectChecker() : null });
    return { plan, planned: { ...plan.nodes.get('task')!, id: task.id } };
  } catch (error) {
    if (!(error instanceof AgentFlowError) || error.code !== 'INVALID_WORKFLOW') throw error;
    const problems = (error.details['errors'] as Problem[]).map(({ message }) => message.replaceAll('nodes.0.metadata', 'config'));
    throw new NodeError('INVALID_VALUE', `The config of task '${task.id}' is not acceptable: ${problems.join('; ')}`);
  }
}

function told({ output, warnings }: Extract<NodeResult, { kind: 'done' }>, node: NodeContext): Json {
  for (const warning of warnings ?? []) node.log('warn', warning);
  return output;
}

/** A wait that would outlast the task's time fails at once, and not when that time is up. @throws NodeError INVALID_VALUE */
function withinTime({ run, node }: TaskPlace, wait: NodeWaits): NodeWaits {
  const untilMs = wait.until !== null ? Date.parse(wait.until) : run.clock.now() + (wait.afterSeconds ?? 0) * 1_000;
  if (untilMs <= run.deadlineOf(node.node)) return wait;
  throw new NodeError('INVALID_VALUE', `Task '${node.node.id}' would wait beyond its time limit of ${node.node.timeoutSeconds} s, or the flow's; raise timeout_seconds.`);
}

/** Starts the workflow at the first go, looks after it at every later one. */
async function runWorkflow(place: TaskPlace, inner: NodeContext, run: (context: NodeContext) => NodeResult | Promise<NodeResult>): Promise<Json> {
  const { node } = place;
  const started = await run({ ...inner, resumedWith: undefined });
  if (started.kind === 'done') return told(started, node);
  const { workflow_id: id, workflow: name, input } = started.details;
  const wanted = String(id ?? name);
  const child = await place.run.store.runWorkflow(place.run.claim, node.node.id, wanted, input as JsonObject);
  if (child === null) throw new NodeError('NODE_FAILED', `There is no published workflow '${wanted}'.`);
  if (['completed', 'failed', 'cancelled'].includes(child.status)) {
    const result = await run({ ...inner, resumedWith: { status: child.status, final_state: child.finalState, error_message: child.errorMessage, execution_id: child.executionId } });
    if (result.kind === 'done') return told(result, node);
  }
  const deadline = place.run.deadlineOf(node.node);
  if (place.run.clock.now() >= deadline) throw new NodeError('NODE_TIMEOUT', `Task '${node.node.id}' took longer than its time limit; it waited for execution ${child.executionId}.`);
  throw new TaskWaits({ kind: 'wait', reason: 'delay', until: new Date(deadline).toISOString(), afterSeconds: null, details: { execution_id: child.executionId } });
}
