/** input: checks what came in and transforms it. */
import { NodeError } from '../errors.ts';
import { isObject, ownValue } from '../engine/json.ts';
import { schemaFault, schemaProblems } from '../engine/schema.ts';
import { textParameter } from './shared.ts';
import type { Json, JsonObject, NodeContext, NodeType, Problem } from '../engine/types.ts';

const transforms: Readonly<Record<string, (text: string) => string>> = {
  lowercase: (text) => text.toLowerCase(),
  uppercase: (text) => text.toUpperCase(),
  trim: (text) => text.trim(),
  strip: (text) => text.trim(),
};

const defaultKey = 'user_input';

export const input: NodeType = {
  type: 'input',
  summary: 'Checks an entry of the state against rules and transforms it; the first node of most workflows.',
  parameters: {
    type: 'object',
    properties: {
      input_key: { type: 'string', minLength: 1, description: 'State key to check; user_input when left out.' },
      validation: {
        type: 'object', description: 'Rules; all that are broken are told at once.',
        properties: {
          required: { type: 'boolean', description: 'Must be there and not be empty.' },
          min_length: { type: 'integer', minimum: 0, description: 'Characters of a text, entries of a list.' },
          max_length: { type: 'integer', minimum: 0, description: 'Characters of a text, entries of a list.' },
          required_fields: { type: 'array', items: { type: 'string' }, description: 'Keys that must be in the input when it is an object, in the state otherwise.' },
          schema: { type: 'object', description: 'JSON Schema that the input must satisfy.' },
        },
        additionalProperties: false,
      },
      transform: {
        description: 'lowercase, uppercase, trim or strip, or a list of them; texts only.',
        anyOf: [{ type: 'string', enum: Object.keys(transforms) }, { type: 'array', items: { enum: Object.keys(transforms) } }],
      },
    },
  },
  sourceKind: null,
  sourceRequired: false,
  hasEffect: () => false,
  defaultOutputKey: (parameters) => textParameter(parameters, 'input_key') ?? defaultKey,
  validate(node) {
    const schema = rulesOf(node.parameters).schema;
    const fault = isObject(schema) ? schemaFault(schema) : null;
    return fault === null ? [] : [problem('validation.schema', `is no usable JSON Schema: ${fault}`)];
  },
  example: { validation: { required: true, max_length: 2000 }, transform: 'trim' },
  run(context) {
    const key = textParameter(context.parameters, 'input_key') ?? defaultKey;
    const value = ownValue(context.state, key) ?? null;
    const faults = brokenRules(key, value, context);
    if (faults.length > 0) throw new NodeError('INPUT_INVALID', faults.join('; '), { details: { field: key } });
    return { kind: 'done', input: value, output: transformed(value, context.parameters.transform) };
  },
};

function problem(field: string, message: string): Problem {
  return { code: 'E003', field, message, nodeId: null };
}

function rulesOf(parameters: JsonObject): JsonObject {
  return isObject(parameters.validation) ? parameters.validation : {};
}

function brokenRules(key: string, value: Json, { parameters, state }: NodeContext): string[] {
  const rules = rulesOf(parameters);
  const absent = value === null || value === '';
  const faults: string[] = [];
  if (rules.required === true && absent) faults.push(`required: ${key} must be given`);
  const length = absent && rules.required !== true ? null : lengthOf(value);
  if (typeof rules.min_length === 'number' && length !== null && length < rules.min_length) faults.push(`min_length: ${key} has a length of ${length}, at least ${rules.min_length} is asked for`);
  if (typeof rules.max_length === 'number' && length !== null && length > rules.max_length) faults.push(`max_length: ${key} has a length of ${length}, at most ${rules.max_length} is allowed`);
  const owner = isObject(value) ? value : state;
  for (const field of Array.isArray(rules.required_fields) ? rules.required_fields : []) {
    if ((ownValue(owner, String(field)) ?? null) === null) faults.push(`required_fields: ${String(field)} is missing in ${isObject(value) ? key : 'the state'}`);
  }
  if (isObject(rules.schema) && value !== null) {
    for (const { path, message } of schemaProblems(value, rules.schema)) faults.push(`schema: ${[key, ...path].join('.')} ${message}`);
  }
  return faults;
}

function lengthOf(value: Json): number | null {
  if (value === null) return 0;
  if (typeof value === 'string') return [...value].length;
  return Array.isArray(value) ? value.length : null;
}

function transformed(value: Json, names: Json | undefined): Json {
  if (typeof value !== 'string') return value;
  return (Array.isArray(names) ? names : [names]).reduce((text: string, name) => transforms[String(name)]?.(text) ?? text, value);
}
