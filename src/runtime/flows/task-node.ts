/** Runs one task of a flow as what it is to the engine: a node. */
import { flowContext, jsonCopy } from '../../engine/index.ts';
import { fillValue } from '../../engine/template.ts';
import type { Json, NodeContext, NodeResult, NodeType } from '../../engine/types.ts';
import { AgentFlowError, NodeError } from '../../errors.ts';
import type { FlowTaskTools } from '../flow-task.ts';
import type { FlowRun } from './flow-run.ts';
import { runNodeInTask, sourceOfTask, TaskWaits, type TaskPlace } from './node-in-task.ts';
import { storable } from '../storable.ts';

const maxMessageCharacters = 5_000;

/** The node type `task` of one flow execution. */
export function taskNodeType(run: FlowRun): NodeType {
  return {
    type: 'task', summary: 'One task of a flow.', parameters: {}, sourceKind: null, sourceRequired: false, example: {},
    hasEffect: () => true, defaultOutputKey: () => null, run: (node) => runTask(run, node),
  };
}

async function runTask(run: FlowRun, node: NodeContext): Promise<NodeResult> {
  const name = node.node.id;
  const task = run.registry.find(name);
  if (task === null) throw new NodeError('TASK_MISSING', `Task '${name}' not found in task registry`);
  const context = flowContext(node.state);
  run.notes.begins(name, context);
  try {
    const tools = toolsFor({ run, node, context, idempotencyKey: `${run.claim.tenantId}:${run.claim.flowExecutionId}:${name}` });
    return { kind: 'done', output: dataOf(name, await task.run(jsonCopy(context), task.isScripted ? { ...tools, config: run.scriptOf(name) } : tools)) };
  } catch (thrown) {
    if (thrown instanceof TaskWaits) return thrown.wait;
    if (!node.signal.aborted) run.notes.fails(name, thrown);
    throw failureOf(thrown);
  }
}

/** What a task returned, as JSON. Nothing at all is null. */
function dataOf(name: string, data: unknown): Json {
  if (typeof data === 'function' || typeof data === 'symbol') throw new NodeError('TASK_FAILED', `Task '${name}' returned a ${typeof data}; a task returns JSON`);
  return (data ?? null) as Json;
}

function failureOf(thrown: unknown): AgentFlowError {
  if (thrown instanceof AgentFlowError) return thrown;
  return new NodeError('TASK_FAILED', storable(messageOf(thrown), maxMessageCharacters), { cause: thrown });
}

function messageOf(thrown: unknown): string {
  const hasMessage = typeof thrown === 'object' && thrown !== null && 'message' in thrown;
  const message: unknown = hasMessage ? thrown.message : thrown;
  const text = typeof message === 'object' ? JSON.stringify(message) : String(message);
  return text === '' ? 'the task threw an error without a message' : text;
}

function toolsFor(place: TaskPlace): FlowTaskTools {
  const { node, context, idempotencyKey } = place;
  return {
    config: node.parameters, attempt: node.attempt, signal: node.signal, idempotencyKey,
    log: { info: (text) => node.log('info', text), warn: (text) => node.log('warn', text), error: (text) => node.log('error', text) },
    source: (name) => sourceOfTask(place, { ...node.node, parameters: { source: name } })!,
    fill: (value) => fillValue(value, { state: context }).value,
    runNode: (type, parameters) => runNodeInTask(place, type, parameters),
  };
}

