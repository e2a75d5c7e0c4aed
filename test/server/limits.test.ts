import fc from 'fast-check';
import { buildSchema, parse } from 'postgraphile/graphql';
import { Documents } from '../../src/server/documents.ts';
import { limitsOf, maxDepth, maxFields, maxVariableParts } from '../../src/server/limits.ts';
import { pageFirst, pageLast } from '../../src/server/plugins/page-size.ts';
import { valuesOfCheck } from '../../src/server/plugins/check-enums.ts';

const messages = (query: string): string[] => limitsOf(parse(query)).errors.map(({ message }) => message);

describe('documents', () => {
  test('are measured as they would be with their fragments written out', () => {
    // Either form of the same selection is refused or let through, alike.
    fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (spreads, fields) => {
      const inner = Array.from({ length: fields }, (_, index) => `f${index}`).join(' ');
      const written = `{ a { ${`b { ${inner} } `.repeat(spreads)} } }`;
      const spread = `{ a { ${'...F '.repeat(spreads)} } } fragment F on X { b { ${inner} } }`;
      expect(messages(spread)).toEqual(messages(written));
      expect(messages(written).length > 0).toBe(1 + spreads * (fields + 1) > maxFields);
    }));
  });

  test('may be as deep as is allowed, and no deeper', () => {
    const deep = (levels: number): string => `${'{ a '.repeat(levels)}${'}'.repeat(levels)}`;
    expect(messages(deep(maxDepth))).toEqual([]);
    expect(messages(deep(maxDepth + 1))).toEqual([`The operation is ${maxDepth + 1} levels deep; at most ${maxDepth} are allowed.`]);
  });

  test('have each operation measured', () => {
    expect(messages(`query A { a } query B { ${'authenticate '.repeat(2)} }`)).toEqual(['An operation may sign in once.']);
  });

  test('of doubling fragments are measured without writing them out', () => {
    const doubling = Array.from({ length: 200 }, (_, index) => `fragment F${index} on Q { ${index === 199 ? 'a' : `...F${index + 1} ...F${index + 1}`} }`).join(' ');
    expect(messages(`{ ...F0 } ${doubling}`)).toHaveLength(2);
  });
});

describe('variables', () => {
  const documents = new Documents(buildSchema(`scalar JSON enum Order { A B } input Filter { or: [Filter!] not: Filter in: [String!] value: JSON order: Order } input Doing { filter: Filter! }
    type Query { found(filter: Filter, orderBy: [Order!], value: JSON): Int } type Mutation { do(input: Doing!): Int }`));
  const query = 'query A($f: Filter, $o: [Order!], $v: JSON) { found(filter: $f, orderBy: $o, value: $v) } mutation B($d: Doing!) { do(input: $d) }';
  const costOf = (operationName: string, variables: Record<string, unknown>): number => documents.costOf({ query, variables, operationName });
  const beyond = expect.objectContaining({ code: 'LIMIT_EXCEEDED', details: expect.objectContaining({ limit: 'variableParts', allowed: maxVariableParts }) });
  const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

  test('may have so many parts, and no more', () => {
    expect(costOf('A', { f: { or: many(maxVariableParts - 1, {}) } })).toBe(0);
    expect(() => costOf('A', { f: { or: many(maxVariableParts, {}) } })).toThrow(beyond);
    expect(() => costOf('A', { f: { or: many(maxVariableParts / 2, { not: { in: ['x'] } }) } })).toThrow(beyond);
    expect(() => costOf('A', { o: many(maxVariableParts + 1, 'A') })).toThrow(beyond);
    expect(() => costOf('B', { d: { filter: { or: many(100_000, { or: [] }) } } })).toThrow(beyond);
  });

  test('may hold long lists of values, and JSON of any shape', () => {
    expect(costOf('A', { f: { in: many(50_000, 'x'), value: many(50_000, {}) }, v: many(50_000, {}), o: 'A' })).toBe(0);
    expect(costOf('B', { d: { filter: { unknown: many(50_000, {}) } } })).toBe(0);
  });
});

describe('page sizes', () => {
  test.each([
    [undefined, undefined, 20], [null, null, 20], [1, undefined, 1], [0, null, 0], [100, null, 100], [null, 7, null],
  ])('first %p, last %p: the first %p', (first, last, expected) => {
    expect(pageFirst(first, last)).toBe(expected);
  });

  test.each([[101, null, 'LIMIT_EXCEEDED'], [-1, null, 'BAD_REQUEST'], [1, 1, 'BAD_REQUEST']])('first %p, last %p: %s', (first, last, code) => {
    expect(() => pageFirst(first, last)).toThrow(expect.objectContaining({ code }));
  });

  test('last is bounded, too', () => {
    expect([pageLast(null), pageLast(5)]).toEqual([null, 5]);
    expect(() => pageLast(101)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });
});

describe('a CHECK', () => {
  test.each([
    [`CHECK (((status)::text = ANY ((ARRAY['draft'::character varying, 'it''s'::character varying])::text[])))`, ['draft', `it's`]],
    [`CHECK ((kind = ANY (ARRAY['a'::text, 'b'::text])))`, ['a', 'b']],
    [`CHECK ((is_active = ANY (ARRAY[0, 1])))`, null],
    [`CHECK (((status = 'deleted'::text) = (deleted_at IS NOT NULL)))`, null],
    [`CHECK (((status)::text = ANY (ARRAY[('active'::character varying)::text, ('deleted'::character varying)::text])))`, ['active', 'deleted']],
    [`CHECK (((slug)::text ~ '^[a-z]$'::text))`, null],
    [`CHECK (((status = ANY (ARRAY['a'::text])) OR (x > 1)))`, null],
  ])('%s', (definition, values) => {
    expect(valuesOfCheck(definition)).toEqual(values);
  });
});
