/** The assertions of JSON Schema that belong to one type of value, and what they share. */
import { compilePattern } from './pattern.ts';
import { isObject, ownValue } from './json.ts';
import type { Json, JsonObject } from './types.ts';

export interface SchemaProblem {
  /** Keys and positions from the value checked to the fault. */
  path: string[];
  keyword: string;
  message: string;
}

/** What the checks of one type are handed. */
export interface SchemaWork {
  root: JsonObject;
  problems: SchemaProblem[];
  /** Checks a part against a subschema. */
  check(value: Json, schema: Json, path: string[]): void;
  /** Does a part satisfy a subschema? Its problems are not kept. */
  satisfies(value: Json, schema: Json): boolean;
  fail(path: string[], keyword: string, message: string): void;
  spend(cost: number): void;
}

export function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** Equality of JSON values; numbers by value, objects whatever the order of keys. */
export function sameJson(left: Json, right: Json, work: Pick<SchemaWork, 'spend'>): boolean {
  work.spend(1);
  if (left === right) return true;
  if (Array.isArray(left)) return Array.isArray(right) && left.length === right.length && left.every((entry, i) => sameJson(entry, right[i] as Json, work));
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key] as Json, right[key] as Json, work));
}


export function checkNumber(value: number, schema: JsonObject, path: string[], work: SchemaWork): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === 'number' && value < minimum) work.fail(path, 'minimum', `must be at least ${minimum}`);
  if (typeof maximum === 'number' && value > maximum) work.fail(path, 'maximum', `must be at most ${maximum}`);
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) work.fail(path, 'exclusiveMinimum', `must be more than ${exclusiveMinimum}`);
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) work.fail(path, 'exclusiveMaximum', `must be less than ${exclusiveMaximum}`);
  if (typeof multipleOf === 'number' && multipleOf > 0 && !Number.isInteger(value / multipleOf)) work.fail(path, 'multipleOf', `must be a multiple of ${multipleOf}`);
}

export function checkText(value: string, schema: JsonObject, path: string[], work: SchemaWork): void {
  const { minLength, maxLength, pattern } = schema;
  if (typeof minLength === 'number' || typeof maxLength === 'number') {
    const length = [...value].length;
    if (typeof minLength === 'number' && length < minLength) work.fail(path, 'minLength', minLength === 1 ? 'must not be empty' : `must be at least ${minLength} characters long`);
    if (typeof maxLength === 'number' && length > maxLength) work.fail(path, 'maxLength', `must be at most ${maxLength} characters long`);
  }
  if (typeof pattern === 'string') {
    work.spend((value.length * pattern.length) >> 4);
    if (!compilePattern(pattern).finds(value)) work.fail(path, 'pattern', `must match ${pattern}`);
  }
}

export function checkArray(value: Json[], schema: JsonObject, path: string[], work: SchemaWork): void {
  const { minItems, maxItems, uniqueItems, items } = schema;
  if (typeof minItems === 'number' && value.length < minItems) work.fail(path, 'minItems', minItems === 1 ? 'must not be an empty list' : `must have at least ${minItems} entries`);
  if (typeof maxItems === 'number' && value.length > maxItems) work.fail(path, 'maxItems', `must have at most ${maxItems} entries`);
  if (uniqueItems === true && value.some((entry, i) => value.slice(0, i).some((other) => sameJson(other, entry, work)))) work.fail(path, 'uniqueItems', 'must not hold the same entry twice');
  const prefix = listOf(schema.prefixItems);
  value.forEach((entry, i) => {
    const part = i < prefix.length ? prefix[i] : items;
    if (part !== undefined) work.check(entry, part, [...path, String(i)]);
  });
  checkContains(value, schema, path, work);
}

function checkContains(value: Json[], schema: JsonObject, path: string[], work: SchemaWork): void {
  const { contains, minContains, maxContains } = schema;
  if (contains === undefined) return;
  const count = value.filter((entry) => work.satisfies(entry, contains)).length;
  const least = typeof minContains === 'number' ? minContains : 1;
  if (count < least) work.fail(path, 'contains', `must hold at least ${least} entries of the form asked for`);
  if (typeof maxContains === 'number' && count > maxContains) work.fail(path, 'maxContains', `must hold at most ${maxContains} entries of that form`);
}

export function checkObject(value: JsonObject, schema: JsonObject, path: string[], work: SchemaWork): void {
  const keys = Object.keys(value);
  work.spend(keys.length);
  for (const key of listOf(schema.required)) if (typeof key === 'string' && !Object.hasOwn(value, key)) work.fail([...path, key], 'required', 'is missing');
  const { minProperties, maxProperties } = schema;
  if (typeof minProperties === 'number' && keys.length < minProperties) work.fail(path, 'minProperties', `must have at least ${minProperties} keys`);
  if (typeof maxProperties === 'number' && keys.length > maxProperties) work.fail(path, 'maxProperties', `must have at most ${maxProperties} keys`);
  for (const key of keys) checkProperty(key, value[key] as Json, schema, path, work);
  checkDependents(value, schema, path, work);
}

function checkProperty(key: string, entry: Json, schema: JsonObject, path: string[], work: SchemaWork): void {
  const here = [...path, key];
  if (schema.propertyNames !== undefined && !work.satisfies(key, schema.propertyNames)) work.fail(here, 'propertyNames', 'has a name that is not allowed');
  const own = isObject(schema.properties) ? ownValue(schema.properties, key) : undefined;
  if (own !== undefined) work.check(entry, own, here);
  let matched = own !== undefined;
  for (const [pattern, part] of Object.entries(isObject(schema.patternProperties) ? schema.patternProperties : {})) {
    work.spend((key.length * pattern.length) >> 4);
    if (!compilePattern(pattern).finds(key)) continue;
    matched = true;
    work.check(entry, part, here);
  }
  if (matched || schema.additionalProperties === undefined) return;
  if (schema.additionalProperties === false) work.fail(here, 'additionalProperties', 'is not known here');
  else work.check(entry, schema.additionalProperties, here);
}

function checkDependents(value: JsonObject, schema: JsonObject, path: string[], work: SchemaWork): void {
  if (isObject(schema.dependentRequired)) {
    for (const [key, needed] of Object.entries(schema.dependentRequired)) {
      if (!Object.hasOwn(value, key)) continue;
      for (const other of listOf(needed)) if (typeof other === 'string' && !Object.hasOwn(value, other)) work.fail([...path, other], 'dependentRequired', `is missing beside ${key}`);
    }
  }
  if (!isObject(schema.dependentSchemas)) return;
  for (const [key, part] of Object.entries(schema.dependentSchemas)) if (Object.hasOwn(value, key)) work.check(value, part, path);
}
