/** delay: waits, holding no worker. */
import { NodeError } from '../errors.ts';
import { filled, numberParameter, textParameter } from './shared.ts';
import type { NodeContext, NodeSpec, NodeType, NodeWaits, Problem } from '../engine/types.ts';

export const delay: NodeType = {
  type: 'delay',
  summary: 'Waits for some seconds or until a moment.',
  parameters: {
    type: 'object',
    properties: {
      seconds: { type: 'number', minimum: 0, maximum: 31_536_000, description: 'How long.' },
      until: { type: 'string', minLength: 1, description: 'Until when: a time like 2026-01-31T12:00:00Z, a template.' },
    },
  },
  sourceKind: null,
  sourceRequired: false,
  hasEffect: () => true,
  defaultOutputKey: () => null,
  validate: checkOneOf,
  example: { seconds: 3600 },
  run: (context) => (context.resumedWith === undefined ? wait(context) : { kind: 'done', output: null }),
};

function wait(context: NodeContext): NodeWaits {
  const until = textParameter(context.parameters, 'until');
  if (until === null) return { kind: 'wait', reason: 'delay', until: null, afterSeconds: numberParameter(context.parameters, 'seconds') ?? 0, details: {} };
  const moment = filled(until, context).text;
  const ms = /^\d{4}-\d\d-\d\dT/.test(moment) ? Date.parse(moment) : Number.NaN;
  if (Number.isNaN(ms)) throw new NodeError('INVALID_VALUE', `until is no time like 2026-01-31T12:00:00Z: ${moment.slice(0, 100)}`, { details: { field: 'until' } });
  return { kind: 'wait', reason: 'delay', until: new Date(ms).toISOString(), afterSeconds: null, details: {} };
}

function checkOneOf({ parameters }: NodeSpec): Problem[] {
  const { seconds, until } = parameters;
  if (seconds === undefined && until === undefined) return [{ code: 'E002', field: 'seconds', message: 'is missing: a delay has seconds or until', nodeId: null }];
  return seconds !== undefined && until !== undefined ? [{ code: 'E003', field: 'until', message: 'stands beside seconds: only one of the two is used', nodeId: null }] : [];
}
