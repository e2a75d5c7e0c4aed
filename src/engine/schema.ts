/**
 * JSON Schema (2020-12, assertions) for parameters of nodes, inputs and answers of models. Schemas come from users, so nothing is compiled to code,
 * patterns are RE2, references stay inside the schema, and the work is bounded.
 */
import { AgentFlowError } from '../errors.ts';
import { compilePattern } from './pattern.ts';
import { isObject, ownValue, valueAt } from './json.ts';
import { checkArray, checkNumber, checkObject, checkText, listOf, sameJson, type SchemaProblem, type SchemaWork } from './schema-types.ts';
import type { Json, JsonObject } from './types.ts';

export type { SchemaProblem } from './schema-types.ts';

const maxSteps = 50_000;
const maxProblems = 50;
const maxDepth = 100;

/** All faults of a value, in the order of the schema. @throws AgentFlowError INVALID_VALUE when the schema itself is unusable or too costly. */
export function schemaProblems(value: Json, schema: JsonObject): SchemaProblem[] {
  return new Checker(schema).run(value);
}

/** What is wrong with a schema, or null: unknown references, patterns that are not RE2, keywords that are not supported. */
export function schemaFault(schema: JsonObject): string | null {
  try {
    inspect(schema, schema, 0);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

class Checker implements SchemaWork {
  readonly root: JsonObject;
  problems: SchemaProblem[] = [];
  #steps = maxSteps;
  #depth = 0;

  constructor(root: JsonObject) {
    this.root = root;
  }

  run(value: Json): SchemaProblem[] {
    this.check(value, this.root, []);
    return this.problems.slice(0, maxProblems);
  }

  spend(cost: number): void {
    this.#steps -= cost;
    if (this.#steps < 0 || this.#depth > maxDepth) throw new AgentFlowError('INVALID_VALUE', 'the JSON Schema takes too many steps on this value', { remedy: 'Make the schema simpler.' });
  }

  fail(path: string[], keyword: string, message: string): void {
    this.problems.push({ path, keyword, message });
  }

  satisfies(value: Json, schema: Json): boolean {
    return this.#problemsOf(value, schema, []).length === 0;
  }

  #problemsOf(value: Json, schema: Json, path: string[]): SchemaProblem[] {
    const kept = this.problems;
    this.problems = [];
    this.check(value, schema, path);
    const found = this.problems;
    this.problems = kept;
    return found;
  }

  check(value: Json, schema: Json, path: string[]): void {
    this.#depth += 1;
    this.spend(1);
    if (schema === false) this.fail(path, 'false', 'is not allowed');
    else if (isObject(schema)) this.#checkObject(value, schema, path);
    this.#depth -= 1;
  }

  #checkObject(value: Json, schema: JsonObject, path: string[]): void {
    if (typeof schema.$ref === 'string') this.check(value, referred(this.root, schema.$ref), path);
    if (schema.type !== undefined && !hasType(value, schema.type)) {
      this.fail(path, 'type', `must be ${typeWords(schema.type)}`);
      return;
    }
    if (Array.isArray(schema.enum) && !schema.enum.some((allowed) => sameJson(allowed, value, this))) {
      this.fail(path, 'enum', `must be one of ${schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ')}`);
    }
    if (schema.const !== undefined && !sameJson(schema.const, value, this)) this.fail(path, 'const', `must be ${JSON.stringify(schema.const)}`);
    if (typeof value === 'number') checkNumber(value, schema, path, this);
    else if (typeof value === 'string') checkText(value, schema, path, this);
    else if (Array.isArray(value)) checkArray(value, schema, path, this);
    else if (isObject(value)) checkObject(value, schema, path, this);
    this.#checkCombined(value, schema, path);
  }

  #checkCombined(value: Json, schema: JsonObject, path: string[]): void {
    for (const part of listOf(schema.allOf)) this.check(value, part, path);
    this.#checkAny(value, listOf(schema.anyOf), path);
    const one = listOf(schema.oneOf);
    if (one.length > 0 && one.filter((part) => this.satisfies(value, part)).length !== 1) this.fail(path, 'oneOf', 'must fit exactly one of the forms that are allowed');
    if (schema.not !== undefined && this.satisfies(value, schema.not)) this.fail(path, 'not', 'has a form that is not allowed');
    if (schema.if !== undefined) {
      const branch = this.satisfies(value, schema.if) ? schema.then : schema.else;
      if (branch !== undefined) this.check(value, branch, path);
    }
  }

  /** Of several forms that all fail, the problems of the one form of the right type are told. */
  #checkAny(value: Json, parts: Json[], path: string[]): void {
    const tried = parts.map((part) => this.#problemsOf(value, part, path));
    if (tried.length === 0 || tried.some((problems) => problems.length === 0)) return;
    const near = tried.filter((problems) => !problems.some((problem) => problem.keyword === 'type' && problem.path.length === path.length));
    if (near.length === 1) this.problems.push(...near.flat());
    else this.fail(path, 'anyOf', 'fits none of the forms that are allowed');
  }
}

function hasType(value: Json, type: Json): boolean {
  return (Array.isArray(type) ? type : [type]).some((name) => {
    switch (name) {
      case 'null': return value === null;
      case 'array': return Array.isArray(value);
      case 'object': return isObject(value);
      case 'integer': return Number.isInteger(value);
      default: return typeof value === name;
    }
  });
}

const words: Readonly<Record<string, string>> = {
  null: 'null', array: 'a list', object: 'an object', integer: 'a whole number', number: 'a number', string: 'a text', boolean: 'true or false',
};

function typeWords(type: Json): string {
  return (Array.isArray(type) ? type : [type]).map((name) => words[String(name)] ?? String(name)).join(' or ');
}

/** @throws AgentFlowError INVALID_VALUE when the reference leads nowhere or out of the schema. */
function referred(root: JsonObject, reference: string): Json {
  const path = reference === '#' ? [] : reference.startsWith('#/') ? reference.slice(2).split('/') : null;
  const target = path && valueAt(root, path.map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')));
  if (target === null || target === undefined) throw new AgentFlowError('INVALID_VALUE', `$ref ${reference} leads to nothing inside the schema`);
  return target;
}

const unsupported = ['$dynamicRef', '$recursiveRef', 'unevaluatedProperties', 'unevaluatedItems'];
const childSchemas = ['items', 'additionalProperties', 'contains', 'propertyNames', 'not', 'if', 'then', 'else'];
const childLists = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const childMaps = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/** Visits every subschema. @throws Error naming the first fault. */
function inspect(schema: Json, root: JsonObject, depth: number): void {
  if (typeof schema === 'boolean') return;
  if (!isObject(schema)) throw new Error('a JSON Schema is an object, true or false');
  if (depth > maxDepth) throw new Error('the JSON Schema is nested too deeply');
  for (const keyword of unsupported) if (keyword in schema) throw new Error(`${keyword} is not supported`);
  for (const name of Array.isArray(schema.type) ? schema.type : schema.type === undefined ? [] : [schema.type]) {
    if (!Object.hasOwn(words, String(name))) throw new Error(`${JSON.stringify(name)} is no type of JSON Schema`);
  }
  if (schema.$ref !== undefined) referred(root, String(schema.$ref));
  const patterns = [...(schema.pattern === undefined ? [] : [String(schema.pattern)]), ...Object.keys(isObject(schema.patternProperties) ? schema.patternProperties : {})];
  for (const pattern of patterns) compilePattern(pattern);
  for (const key of childSchemas) if (schema[key] !== undefined) inspect(schema[key], root, depth + 1);
  for (const key of childLists) for (const part of listOf(schema[key])) inspect(part, root, depth + 1);
  for (const key of childMaps) {
    const map = ownValue(schema, key);
    if (isObject(map)) for (const part of Object.values(map)) inspect(part, root, depth + 1);
  }
}
