/** approval: waits for a person's decision, holding no worker. */
import { NodeError } from '../errors.ts';
import { filled, numberParameter, textParameter, textsParameter } from './shared.ts';
import type { Json, NodeContext, NodeResult, NodeType } from '../engine/types.ts';

export const approval: NodeType = {
  type: 'approval',
  summary: 'Asks a person: approved or rejected.',
  parameters: {
    type: 'object',
    properties: {
      message: { type: 'string', description: 'What is asked, a template.' },
      roles: { type: 'array', items: { enum: ['admin', 'architect', 'developer', 'operator'] }, description: 'Who may decide; everybody who may decide approvals when left out.' },
      timeout_seconds: { type: 'number', exclusiveMinimum: 0, description: 'How long to wait; for ever when left out. Waiting does not count as time of the execution.' },
      on_timeout: { enum: ['reject', 'approve', 'fail'], description: 'What silence means; reject when left out.' },
    },
  },
  sourceKind: null,
  sourceRequired: false,
  hasEffect: () => true,
  defaultOutputKey: () => 'approval',
  example: { message: 'Send this answer? {text_result}', roles: ['operator'], timeout_seconds: 86400, on_timeout: 'reject' },
  run(context) {
    if (context.resumedWith === undefined) return ask(context);
    return { kind: 'done', output: context.resumedWith ?? onSilence(context) };
  },
};

function ask(context: NodeContext): NodeResult {
  const { parameters } = context;
  const message = filled(textParameter(parameters, 'message') ?? 'Go on?', context).text;
  return {
    kind: 'wait', reason: 'approval', until: null, afterSeconds: numberParameter(parameters, 'timeout_seconds'),
    details: { message, roles: textsParameter(parameters, 'roles') ?? [], on_timeout: textParameter(parameters, 'on_timeout') ?? 'reject' },
  };
}

/** @throws NodeError NODE_TIMEOUT when silence is a failure. */
function onSilence({ parameters }: NodeContext): Json {
  const rule = textParameter(parameters, 'on_timeout') ?? 'reject';
  if (rule === 'fail') throw new NodeError('NODE_TIMEOUT', `nobody decided within ${numberParameter(parameters, 'timeout_seconds') ?? 0} seconds`);
  return { decision: rule === 'approve' ? 'approved' : 'rejected', comment: 'nobody decided in time', decided_by: null, decided_at: null };
}
