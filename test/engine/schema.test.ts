import { describe, expect, test } from '@jest/globals';
import Ajv2020 from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { schemaFault, schemaProblems } from '../../src/engine/schema.ts';
import type { Json, JsonObject } from '../../src/engine/types.ts';

const leaf: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'number', 'integer', 'boolean', 'null', 'object', 'array') }),
  fc.record({ enum: fc.uniqueArray(fc.constantFrom<Json>(1, 'a', null, true, 2.5), { minLength: 1, maxLength: 3 }) }),
  fc.record({ const: fc.constantFrom<Json>(1, 'a', null, [1], { a: 1 }) }),
  fc.record({ minimum: fc.integer({ min: -3, max: 3 }), exclusiveMaximum: fc.integer({ min: -3, max: 5 }) }),
  fc.record({ multipleOf: fc.constantFrom(2, 3) }),
  fc.record({ minLength: fc.nat(3), maxLength: fc.nat(4) }),
  fc.record({ pattern: fc.constantFrom('^a', 'b$', '[0-9]+') }),
  fc.record({ minItems: fc.nat(2), maxItems: fc.nat(3), uniqueItems: fc.boolean() }),
  fc.record({ minProperties: fc.nat(2), maxProperties: fc.nat(3) }),
  fc.record({ required: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }) }),
  fc.record({ dependentRequired: fc.constantFrom<JsonObject>({ a: ['b'] }, { c: ['a', 'b'] }) }),
);

const { schema } = fc.letrec<{ schema: JsonObject }>((tie) => ({
  schema: fc.oneof({ maxDepth: 3, depthIdentifier: 'schema' }, leaf,
    fc.record({ properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('schema')), additionalProperties: fc.oneof(fc.boolean(), tie('schema')) }, { requiredKeys: ['properties'] }),
    fc.record({ items: tie('schema') }), fc.record({ prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }), items: fc.oneof(fc.boolean(), tie('schema')) }),
    fc.record({ contains: tie('schema'), minContains: fc.constantFrom(1, 2), maxContains: fc.constantFrom(2, 3) }), fc.record({ propertyNames: tie('schema') }), fc.record({ patternProperties: fc.dictionary(fc.constantFrom('^a', 'b'), tie('schema')) }),
    fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }), fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }), fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
    fc.record({ not: tie('schema') }), fc.record({ if: tie('schema'), then: tie('schema'), else: tie('schema') }), // oxlint-disable-line unicorn/no-thenable -- a keyword of JSON Schema
     fc.record({ dependentSchemas: fc.dictionary(fc.constantFrom('a', 'b'), tie('schema')) })),
}));

const values: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof({ maxDepth: 2, depthIdentifier: 'value' }, fc.constantFrom<Json>(null, true, false, 0, 1, 2, 3, 2.5, -1, '', 'a', 'ab', 'b', 'abc1', '😀'),
    fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(fc.constantFrom('a', 'b', 'c', 'ab'), tie('value'), { maxKeys: 3, noNullPrototype: true })),
})).value;

test('agrees with a full implementation on schemas and values at random', () => {
  const ajv = new Ajv2020.default({ strict: false, allErrors: true });
  let fitting = 0;
  fc.assert(fc.property(schema, values, (rules, value) => {
    const validate = ajv.compile(rules);
    const fits = validate(value);
    fitting += fits ? 1 : 0;
    expect(schemaProblems(value, rules).length === 0).toBe(fits);
    ajv.removeSchema();
  }), { numRuns: 500 });
  expect(fitting).toBeGreaterThan(25);
});

describe('what is said', () => {
  test('every problem has its path and words', () => {
    const rules: JsonObject = { type: 'object', required: ['id', 'name'], properties: { id: { type: 'integer' }, tags: { type: 'array', items: { type: 'string', minLength: 1 } }, size: { enum: ['S', 'L'] } }, additionalProperties: false };
    expect(schemaProblems({ id: 'x', tags: ['a', '', 3], size: 'M', extra: 1 }, rules).map(({ path, message }) => `${path.join('.')} ${message}`)).toEqual([
      'name is missing', 'id must be a whole number', 'tags.1 must not be empty', 'tags.2 must be a text', 'size must be one of "S", "L"', 'extra is not known here',
    ]);
  });

  test('references stay inside the schema', () => {
    const rules: JsonObject = { $defs: { 'a/b': { type: 'integer' } }, type: 'array', items: { $ref: '#/$defs/a~1b' } };
    expect(schemaProblems([1, 'x'], rules)).toEqual([{ path: ['1'], keyword: 'type', message: 'must be a whole number' }]);
    expect(schemaFault({ $ref: 'https://example.com/schema' })).toContain('leads to nothing inside');
  });

  test.each<[JsonObject, string]>([
    [{ pattern: '(?=x)' }, '(?='], [{ type: 'text' }, 'no type of JSON Schema'], [{ unevaluatedProperties: false }, 'not supported'], [{ properties: { a: { items: 3 } } }, 'is an object, true or false'], [{ anyOf: [{ $ref: '#/nowhere' }] }, 'leads to nothing'],
  ])('a schema that cannot be used: %j', (rules, words) => {
    expect(schemaFault(rules)).toContain(words);
  });

  test.each<[string, JsonObject]>([['a ring of references', { $ref: '#' }], ['doubling references', doubling(40)]])('%s is refused, not followed for ever', (_name, rules) => {
    expect(() => schemaProblems('x', rules)).toThrow('too many steps');
  });
});

/** Each definition asks for the next one twice. */
function doubling(levels: number): JsonObject {
  const definitions = Array.from({ length: levels }, (_, i): [string, JsonObject] => [`d${i}`, { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] }]);
  return { $defs: { ...Object.fromEntries(definitions), [`d${levels}`]: { type: 'string' } }, $ref: '#/$defs/d0' };
}
