/** db: one read query; what the state gives are bind parameters, never text. */
import { isObject } from '../engine/json.ts';
import { boundValues, statementOf } from './db-statement.ts';
import { numberParameter, scopeOf, sourceOf, textParameter } from './shared.ts';
import type { JsonObject, NodeSpec, NodeType, Problem, ValidationTools } from '../engine/types.ts';

const defaultRows = 100;
const defaultSeconds = 30;

export const db: NodeType = {
  type: 'db',
  summary: 'Reads rows from a database with one SELECT.',
  parameters: {
    type: 'object',
    required: ['query'],
    properties: {
      query: { type: 'string', minLength: 1, description: 'One SELECT, a template: {path} and :name become bind parameters.' },
      params: { type: 'object', description: 'Values of :name; texts are templates, one placeholder alone keeps its type.' },
      limit: { type: 'integer', minimum: 1, maximum: 10_000, description: 'Rows at most; 100 when left out.' },
    },
  },
  sourceKind: 'db',
  sourceRequired: true,
  hasEffect: () => true,
  defaultOutputKey: () => 'db_result',
  validate: checkQuery,
  example: { source: 'shop', query: 'select name, price from products where name ilike :like order by price', params: { like: '%{user_input}%' }, limit: 20 },
  async run(context) {
    const params = paramsOf(context.parameters);
    const { text, bindings } = statementOf(textParameter(context.parameters, 'query') ?? '', params);
    const { values, missing } = boundValues(bindings, params, scopeOf(context));
    const { rows, truncated } = await sourceOf(context).db({
      text, values, limit: numberParameter(context.parameters, 'limit') ?? defaultRows, timeoutSeconds: context.node.timeoutSeconds ?? defaultSeconds,
    });
    const warnings = missing.map((placeholder) => `${placeholder} is not in the state and was bound as null`);
    return { kind: 'done', input: { query: text, values }, output: rows, warnings: truncated ? [...warnings, `there are more rows than the ${rows.length} returned`] : warnings };
  },
};

function paramsOf(parameters: JsonObject): JsonObject {
  return isObject(parameters.params) ? parameters.params : {};
}

function checkQuery({ parameters }: NodeSpec, { checkSelect }: ValidationTools): Problem[] {
  const { text } = statementOf(textParameter(parameters, 'query') ?? '', paramsOf(parameters));
  const fault = checkSelect?.(text) ?? null;
  return fault === null ? [] : [{ code: 'E003', field: 'query', message: `is refused: Invalid SQL: ${fault}`, nodeId: null }];
}
