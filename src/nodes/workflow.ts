/** workflow: runs another workflow as a child execution, holding no worker. */
import { NodeError } from '../errors.ts';
import { isObject, ownValue } from '../engine/json.ts';
import { fillValue } from '../engine/template.ts';
import { missingWarnings, numberParameter, scopeOf, textParameter } from './shared.ts';
import type { Json, JsonObject, NodeContext, NodeResult, NodeSpec, NodeType, Problem } from '../engine/types.ts';

export const workflow: NodeType = {
  type: 'workflow',
  summary: 'Runs another workflow of the tenant; its final state is the output.',
  parameters: {
    type: 'object',
    properties: {
      workflow_id: { type: 'string', minLength: 1, description: 'Id of the workflow.' },
      workflow: { type: 'string', minLength: 1, description: 'Its name, when no id is given.' },
      version: { type: 'integer', minimum: 1, description: 'The published one when left out.' },
      input: { type: 'object', description: 'Its initial state; texts are templates. user_input when left out.' },
    },
  },
  sourceKind: null,
  sourceRequired: false,
  hasEffect: () => true,
  defaultOutputKey: () => 'workflow_result',
  validate: checkNamed,
  example: { workflow: 'Translate', input: { user_input: '{text_result}' } },
  run: (context) => (context.resumedWith === undefined ? start(context) : finished(context.resumedWith, context)),
};

function start(context: NodeContext): NodeResult {
  const { parameters } = context;
  const input = childInput(context);
  for (const warning of missingWarnings(input.missing)) context.log('warn', warning);
  return {
    kind: 'wait', reason: 'child', until: null, afterSeconds: context.node.timeoutSeconds,
    details: { workflow_id: textParameter(parameters, 'workflow_id'), workflow: textParameter(parameters, 'workflow'), version: numberParameter(parameters, 'version'), input: input.value },
  };
}

function childInput(context: NodeContext): { value: Json; missing: string[] } {
  const given = context.parameters.input;
  if (isObject(given)) return fillValue(given, scopeOf(context));
  const userInput = ownValue(context.state, 'user_input');
  return { value: userInput === undefined ? {} : { user_input: userInput }, missing: [] };
}

/** @throws NodeError NODE_TIMEOUT, NODE_FAILED when the child did not complete, or why it was never started. */
function finished(child: Json, { node, resumedWith }: NodeContext): NodeResult {
  if (resumedWith === null) throw new NodeError('NODE_TIMEOUT', `the child execution took longer than the node's timeout of ${node.timeoutSeconds ?? 0} s`);
  const result: JsonObject = isObject(child) ? child : {};
  if (result.status === 'completed') return { kind: 'done', output: result.final_state ?? null };
  if (result.status === 'refused') throw new NodeError(refusalOf(result.error_code), String(result.error_message));
  throw new NodeError('NODE_FAILED', `the child execution ended as ${String(result.status ?? 'unknown')}: ${String(result.error_message ?? 'no reason given')}`);
}

function refusalOf(code: Json | undefined): 'NOT_FOUND' | 'LIMIT_DEPTH' | 'TOO_LARGE' {
  return code === 'LIMIT_DEPTH' || code === 'TOO_LARGE' ? code : 'NOT_FOUND';
}

function checkNamed({ parameters }: NodeSpec): Problem[] {
  if (parameters.workflow_id !== undefined || parameters.workflow !== undefined) return [];
  return [{ code: 'E002', field: 'workflow', message: 'is missing: name the workflow to run, or give workflow_id', nodeId: null }];
}
