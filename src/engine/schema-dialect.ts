/**
 * From the schemas that validation uses, which see documents without nulls and patterns of RE2, to plain JSON Schema 2020-12 for editors: null counts
 * as absent wherever a key may be left out, and patterns are ECMAScript's.
 */
import { isObject } from './json.ts';
import type { Json, JsonObject } from './types.ts';

/** The same schema for values in which an optional key may be null. */
export function withNulls(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const result: JsonObject = { ...schema };
  if (typeof schema.pattern === 'string') {
    const pattern = ecmaPattern(schema.pattern);
    if (pattern === null) delete result.pattern;
    else result.pattern = pattern;
  }
  if (isObject(schema.properties)) {
    result.properties = Object.fromEntries(Object.entries(schema.properties).map(([key, part]) => [key, required.has(key) ? present(withNulls(part)) : orNull(withNulls(part))]));
  }
  if (schema.additionalProperties === false) result.additionalProperties = { type: 'null' };
  else if (isObject(schema.additionalProperties)) result.additionalProperties = orNull(withNulls(schema.additionalProperties));
  if (schema.items !== undefined) result.items = withNulls(schema.items);
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    const parts = schema[key];
    if (Array.isArray(parts)) result[key] = parts.map(withNulls);
  }
  return result;
}

/** The schema, or null. */
export function orNull(schema: Json): Json {
  if (!isObject(schema)) return schema;
  if (typeof schema.$ref === 'string') {
    const { description, ...rest } = schema;
    return { ...(description === undefined ? {} : { description }), anyOf: [rest, { type: 'null' }] };
  }
  return {
    ...schema,
    ...(schema.type === undefined ? {} : { type: [schema.type, 'null'].flat() }),
    ...(Array.isArray(schema.enum) ? { enum: [...schema.enum, null] } : {}),
    ...(Array.isArray(schema.anyOf) ? { anyOf: [...schema.anyOf, { type: 'null' }] } : {}),
  };
}

/** The schema, and not null. */
function present(schema: Json): Json {
  if (!isObject(schema) || schema.type !== undefined || schema.enum !== undefined || schema.not !== undefined) return schema;
  return { ...schema, not: { type: 'null' } };
}

/** The key is there, and not null. */
export function has(key: string): JsonObject {
  return { required: [key], properties: { [key]: { not: { type: 'null' } } } };
}

/** Null where the pattern has no plain counterpart: it is left to validation then. */
function ecmaPattern(pattern: string): string | null {
  if (!pattern.startsWith('(?')) return pattern;
  return /^\(\?i\)[\w^$|()-]*$/.test(pattern) ? anyCase(pattern.slice('(?i)'.length)) : null;
}

/** Every letter in either case. */
export function anyCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
}
