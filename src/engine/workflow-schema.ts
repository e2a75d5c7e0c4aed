/**
 * JSON Schema (2020-12) of workflow documents, for editors and other programs, made from the schemas that validation uses. It says the shape, of both
 * dialects: E001 to E004 and E014 but for what needs a parser (expressions, SQL, patterns, schemas in schemas). Names that must exist are not its business.
 */
import { bandwidthSchema, commonProperties, limitsSchema, samplingProperties } from './document-schemas.ts';
import { reservedIds } from './draft.ts';
import { inlineSourceKeys, metadataAliases } from './keys.ts';
import { documentBounds } from './limits.ts';
import { sourceKinds } from './parse.ts';
import { anyCase, has, orNull, withNulls } from './schema-dialect.ts';
import { secretKeys } from './secrets.ts';
import { isObject } from './json.ts';
import type { Json, JsonObject, NodeType } from './types.ts';

const text: JsonObject = { type: 'string' };
const name: JsonObject = { type: 'string', minLength: 1, maxLength: 255 };
const list = (part: string, bounds: JsonObject = {}): JsonObject => ({ type: 'array', items: { $ref: `#/$defs/${part}` }, ...bounds });

const secretText: JsonObject = { type: 'string', minLength: 1 };
const secretPattern = `^(?:${[...secretKeys].map((key) => anyCase(key).replaceAll('_', '[-_]')).join('|')})$`;

export function workflowSchema(types: readonly NodeType[]): JsonObject {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:agentflow:workflow',
    title: 'AgentFlow workflow',
    description: 'A graph of nodes that works on one JSON object, its state.',
    type: 'object',
    required: ['nodes', 'start_node'],
    properties: {
      $schema: { description: 'Where this schema is, for editors. Means nothing to AgentFlow.' },
      name: orNull({ ...text, description: 'For people; the name of the workflow when it is applied from a file.' }),
      description: orNull({ ...text, description: 'For people.' }),
      version: { description: 'For people; versions are counted by AgentFlow itself.' },
      metadata: orNull({ type: 'object', description: 'For people and programs of yours.' }),
      start_node: { ...text, description: 'Id of the node that runs first.' },
      nodes: { ...list('node', { minItems: 1, maxItems: documentBounds.nodes }), description: 'What is done.' },
      edges: orNull({ ...list('edge', { maxItems: documentBounds.edges }), description: 'What follows what.' }),
      sources: orNull({ ...list('source'), description: 'Models, databases and services that nodes use.' }),
      queues: orNull({ ...list('queue'), description: 'Rate limits in front of nodes.' }),
      initial_state: orNull({ type: 'object', description: 'What the state starts with, under what the caller gives.' }),
      limits: orNull({ ...(withNulls(limitsSchema) as JsonObject), description: 'How much an execution may use.' }),
    },
    $defs: {
      node: nodeSchema(types), edge: edgeSchema(), queue: queueSchema(), source: sourceSchema(),
      common: commonParameters(),
      ...Object.fromEntries(types.map((type) => [parametersName(type), parametersSchema(type)])),
      free_of_secrets: freeOfSecrets(),
    },
  };
}

function parametersName({ type }: NodeType): string {
  return `${type}_parameters`;
}

function nodeSchema(types: readonly NodeType[]): JsonObject {
  return {
    type: 'object', required: ['id', 'type'],
    properties: {
      id: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,100}$', not: { enum: [...reservedIds] }, description: 'Unique in the workflow.' },
      type: { description: 'What the node does.', anyOf: types.map(({ type, summary }) => ({ const: type, description: summary })) },
      description: orNull({ ...text, description: 'For people.' }),
      metadata: orNull({ type: 'object', description: 'The parameters of the node.' }),
    },
    allOf: types.map((type) => ({
      if: { required: ['type'], properties: { type: { const: type.type } } },
      then: { properties: { metadata: { $ref: `#/$defs/${parametersName(type)}` } }, ...(needsSomething(type) ? { required: ['metadata'] } : {}) },
    })),
  };
}

function needsSomething({ parameters, sourceRequired }: NodeType): boolean {
  return sourceRequired || (Array.isArray(parameters.required) && parameters.required.length > 0);
}

function parametersSchema(type: NodeType): JsonObject {
  const { required, ...form } = type.parameters;
  const { properties, ...rest } = withNulls(form) as JsonObject;
  const own = Object.entries(isObject(properties) ? properties : {}).filter(([key]) => !Object.hasOwn(shared, key));
  const { named, conditions } = inBothDialects(Object.fromEntries(own));
  const needed = (Array.isArray(required) ? required : []).map((key) => ({ anyOf: namesOf(String(key)).map(has) }));
  return {
    ...rest,
    type: needsSomething(type) ? 'object' : ['object', 'null'],
    description: type.summary,
    examples: [type.example],
    properties: named,
    allOf: [{ $ref: '#/$defs/common' }, ...conditions, ...needed, ...(type.sourceRequired ? [{ anyOf: sourceNames(type).map(has) }] : [])],
  };
}

/** A parameter under its other name counts when its own name is absent. */
function inBothDialects(properties: JsonObject): { named: JsonObject; conditions: JsonObject[] } {
  const aliases = Object.entries(metadataAliases).filter(([, key]) => Object.hasOwn(properties, key));
  return {
    named: { ...properties, ...Object.fromEntries(aliases.map(([alias, key]) => [alias, { description: `Another name of ${key}.` }])) },
    conditions: aliases.map(([alias, key]) => ({ if: has(key), else: { properties: { [alias]: properties[key] as Json } } })),
  };
}

/** Both names of a parameter. */
function namesOf(key: string): string[] {
  return [key, ...Object.entries(metadataAliases).filter(([, canonical]) => canonical === key).map(([alias]) => alias)];
}

function sourceNames({ sourceKind }: NodeType): string[] {
  const inline = sourceKind === 'llm' || sourceKind === 'image' ? inlineSourceKeys.flatMap(namesOf) : [];
  return [...namesOf('source'), ...inline];
}

function optional(properties: JsonObject): JsonObject {
  return (withNulls({ properties }) as { properties: JsonObject }).properties;
}

/** Parameters of every node, whatever its type. */
const shared: JsonObject = optional({ ...commonProperties, ...samplingProperties });

function commonParameters(): JsonObject {
  const { named, conditions } = inBothDialects(shared);
  return {
    type: ['object', 'null'],
    properties: { ...named, headers: { patternProperties: { [secretPattern]: { not: { ...secretText, pattern: '^[^{]*$' } } } } },
    patternProperties: { [secretPattern]: { not: secretText } },
    allOf: conditions,
  };
}

function edgeSchema(): JsonObject {
  return {
    type: 'object', required: ['from', 'to'],
    properties: {
      from: { ...text, description: 'Id of a node.' },
      to: { description: 'Id of a node, or of several that run at the same time; end ends the path.', anyOf: [text, { type: 'array', minItems: 1, items: text }] },
      condition: orNull({ ...text, pattern: '\\S', description: 'CEL: the edge is taken when it is true. The bare word intent chooses by the intent.' }),
      default: orNull({ type: 'boolean', description: 'Taken when no other edge of the node was.' }),
      queue: orNull({ ...text, description: 'Id of a queue.' }),
    },
  };
}

function queueSchema(): JsonObject {
  return {
    type: 'object', required: ['id', 'from', 'to'],
    properties: {
      id: { ...name, description: 'Unique among the queues.' }, from: { ...text, description: 'Id of a node.' }, to: { ...text, description: 'Id of a node.' },
      bandwidth: orNull({ ...(withNulls(bandwidthSchema) as JsonObject), description: 'How much passes.' }),
    },
  };
}

function sourceSchema(): JsonObject {
  const ofKind = (...kinds: string[]): JsonObject => ({ required: ['kind'], properties: { kind: { enum: kinds } } });
  const connection = { anyOf: ['connection_string_env', 'dsn_env', 'connection_string', 'dsn'].map(has) };
  return {
    type: 'object', required: ['id', 'kind'],
    properties: {
      id: { ...name, description: 'Unique among the sources.' },
      kind: { enum: [...sourceKinds], description: 'What it is.' },
      config: orNull({ type: 'object', $ref: '#/$defs/free_of_secrets', description: 'How to reach it; secrets stay in the environment, named by keys like api_key_env.' }),
      ref: orNull({ ...text, description: 'Instead of config: the name of a source of the tenant.' }),
      fallback: orNull({ anyOf: [text, { type: 'array', items: text }], description: 'Sources that are asked instead, in order, when this one cannot be used.' }),
    },
    allOf: [
      { if: ofKind('llm', 'image'), then: { properties: { config: { properties: optional(samplingProperties) } } } },
      { if: { allOf: [ofKind('db'), { not: has('ref') }] }, then: { ...has('config'), properties: { config: { type: 'object', ...connection } } } },
    ],
  };
}

/** At any depth. */
function freeOfSecrets(): JsonObject {
  const reference: JsonObject = { type: 'object', required: ['secret'], maxProperties: 1, properties: { secret: { type: 'string', description: 'The name of a stored secret.' } } };
  const inside: JsonObject = { anyOf: [reference, { $ref: '#/$defs/free_of_secrets' }] };
  return { patternProperties: { [secretPattern]: { not: secretText, ...inside } }, additionalProperties: inside, items: inside };
}
