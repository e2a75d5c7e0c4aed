/** transform: makes a value from the state, by an expression or by templates. */
import { evaluateExpression, expressionProblem } from '../engine/expression.ts';
import { fillValue } from '../engine/template.ts';
import { missingWarnings, scopeOf, textParameter } from './shared.ts';
import type { NodeSpec, NodeType, Problem } from '../engine/types.ts';

export const transform: NodeType = {
  type: 'transform',
  summary: 'Makes a value from the state, by an expression or by templates, without reaching outside.',
  parameters: {
    type: 'object',
    properties: {
      expression: { type: 'string', minLength: 1, description: 'CEL; its value is the output.' },
      values: { type: 'object', description: 'Object whose texts are templates; a text that is one placeholder alone takes the value itself.' },
    },
  },
  sourceKind: null,
  sourceRequired: false,
  hasEffect: () => false,
  defaultOutputKey: () => 'transform_result',
  validate: checkOneOf,
  example: { expression: "size(db_result) > 0 ? db_result[0].name : 'nobody'" },
  run(context) {
    const expression = textParameter(context.parameters, 'expression');
    if (expression !== null) {
      const { node, state, outputs } = context;
      return { kind: 'done', output: evaluateExpression(expression, { state, outputs }, `expression of node '${node.id}'`) };
    }
    const { value, missing } = fillValue(context.parameters.values ?? {}, scopeOf(context));
    return { kind: 'done', output: value, warnings: missingWarnings(missing) };
  },
};

function checkOneOf({ parameters }: NodeSpec): Problem[] {
  const say = (code: string, field: string, message: string): Problem[] => [{ code, field, message, nodeId: null }];
  const { expression, values } = parameters;
  if (typeof expression !== 'string') return values === undefined ? say('E002', 'expression', 'is missing: a transform has an expression or values') : [];
  if (values !== undefined) return say('E003', 'values', 'stands beside expression: only one of the two is used');
  const problem = expressionProblem(expression);
  return problem === null ? [] : say('E003', 'expression', `is no expression: ${problem}`);
}
