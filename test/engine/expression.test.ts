import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AgentFlowError } from '../../src/errors.ts';
import { evaluateCondition, evaluateExpression, expressionProblem, type ExpressionScope } from '../../src/engine/expression.ts';
import type { Json, JsonObject } from '../../src/engine/types.ts';

const state: JsonObject = JSON.parse('{"level":3,"price":1.5,"name":"Ann","items":[1,"a",{"b":2}],"nothing":null,"order":{"id":7,"lines":[{"n":2},{"n":3}]},"package":"p","when":"2026-01-31T12:00:00Z"}') as JsonObject;
const value = (source: string, more: Partial<ExpressionScope> = {}): Json => evaluateExpression(source, { state, ...more }, 'here');
const failure = (source: string, more: Partial<ExpressionScope> = {}): string => {
  try {
    return `no failure: ${JSON.stringify(value(source, more))}`;
  } catch (error) {
    expect(error).toBeInstanceOf(AgentFlowError);
    expect((error as AgentFlowError).code).toBe('EXPRESSION_FAILED');
    return (error as Error).message;
  }
};

describe('values of expressions', () => {
  test.each<[string, Json]>([
    ['level + 1 > 3', true], ['level == 3', true], ['level / 2', 1.5], ['7 / 2', 3], ['level % 2', 1], ['-level', -3], ['price * 2', 3], ['1 + 2.5', 3.5],
    ["name == 'Ann' && level > 1", true], ["name + '!'", 'Ann!'], ['level == "3"', false], ['1 == 1.0', true], ['true < false', false], ['name < "Bob"', true],
    ['items[0]', 1], ['items[level - 2]', 'a'], ['"a" in items', true], ['3 in items', false], ['"id" in order', true], ['[1, 2] + ["x"]', [1, 2, 'x']],
    ['order == {"lines": [{"n": 2}, {"n": 3}], "id": 7}', true], ['order.lines.map(l, l.n * 2)', [4, 6]], ['order.lines.filter(l, l.n > 2)', [{ n: 3 }]],
    ['order.lines.map(l, l.n > 2, l.n)', [3]], ['order.lines.all(l, l.n > 1)', true], ['order.lines.exists(l, l.n == 3)', true], ['order.lines.exists_one(l, l.n > 1)', false],
    ['order.map(k, k)', ['id', 'lines']], ['cel.bind(t, level * 2, t + t)', 12], ['level > 2 ? "high" : 0', 'high'], ['[nothing, true, {"k": level}]', [null, true, { k: 3 }]],
    ["state['package']", 'p'], ['has(state.x)', false], ['has(order.id)', true], ['has(name.x)', false], ['nothing == null', true], ['missing || true', true], ['missing && false', false],
    ['items.exists(i, i > 0)', true],
    ['size(items)', 3], ['size("héé😀")', 4], ['name.size()', 3], ['size(order)', 2], ['string(level)', '3'], ['string(order.lines)', '[{"n":2},{"n":3}]'], ['int("42") + 1', 43], ['double("2.5")', 2.5], ['bool("true")', true],
    ['name.startsWith("A")', true], ['name.endsWith("n")', true], ['name.contains("nn")', true], ['name.matches("^A.*n$")', true], ['name.lowerAscii()', 'ann'], ['name.upperAscii()', 'ANN'],
    ['" x ".trim()', 'x'], ['"a,b".split(",")', ['a', 'b']], ['["a", "b"].join("-")', 'a-b'], ['"abc".substring(1)', 'bc'], ['"abc".substring(1, 2)', 'b'], ['"abc".indexOf("c")', 2], ['"aXaX".replace("X", "y")', 'ayay'],
    ['timestamp(when) + duration("1h30m") == timestamp("2026-01-31T13:30:00Z")', true], ['timestamp(when).getFullYear()', 2026], ['(timestamp(when) - timestamp("2026-01-31T11:00:00Z")).getMinutes()', 60], ['duration("90s")', '90s'],
  ])('%s', (source, expected) => {
    expect(value(source)).toEqual(expected);
  });

  test('intent and error are null when unset, and the nearest when set', () => {
    expect([value('intent'), value('error'), value("intent == 'a'"), value('error == null')]).toEqual([null, null, false, true]);
    expect([value('intent', { intent: 'near' }), value('error.code', { error: { code: 'X' } })]).toEqual(['near', 'X']);
    expect(value('intent', { state: { intent: 'of the state' } })).toBe('of the state');
  });

  test('outputs by node id', () => {
    expect(value("outputs['a-b'].n + outputs.c", { outputs: { 'a-b': { n: 1 }, c: 2 } })).toBe(3);
  });
});

describe('failing expressions name their place and cause', () => {
  test.each([
    ['missing', 'has(state.missing)'], ['order.nope', 'no field nope'], ['name.first', 'string has no field'], ['"x" + level', '+ does not go between a string and a double'], ['items[9]', 'nothing at [9]'],
    ['1 / 0', 'division by zero'], ['9223372036854775807 + 1', 'too large'], ['!name', '! needs true or false'], ['name && true', '&& needs true or false'], ['level ? 1 : 2', 'needs true or false'],
    ['size(level)', 'size()'], ['nope(1)', 'no function nope()'], ['name.nope()', 'no method .nope()'], ['name.toString()', 'no method .toString()'], ['constructor', 'no constructor in the state'], ['state.__proto__', 'no field __proto__'],
    ["state['constructor']", 'nothing at [constructor]'], ['b"x"', 'bytes'], ['{1: 2}', 'keys of a map'], ['name.matches("(?=x)")', 'RE2'], ['contains("x")', 'rules of a router'], ['int("x")', 'int()'], ['timestamp("x")', 'timestamp()'],
    ['1 +', 'character'], ['level >', 'character'], ['has(level)', 'has()'], ['size()', 'takes one value'], ['name.contains()', 'takes 1 values, not 0'], ['name.trim(1)', 'takes 0 values'], ['items.map(1, 2)', 'iteration variable'], ['items.all(x)', 'takes 2 values'], ['name.bind(x, 1, x)', 'belongs to cel'], ['', 'EOF'], ['if', 'Reserved'],
    ['missing || false', 'no missing'], ['items.exists(i, i.b == 3)', 'has no field b'],
  ])('%s', (source, cause) => {
    expect(failure(source)).toContain(cause);
    expect(failure(source)).toMatch(/^here: /);
  });

  test('too long, too deep', () => {
    expect(failure('x'.repeat(5_000))).toContain('at most 4000 characters');
    expect(failure(`${'('.repeat(300)}1${')'.repeat(300)}`)).toContain('maxDepth');
  });

  test('a condition must be true or false', () => {
    expect(() => evaluateCondition('level', { state }, 'edges.2.condition')).toThrow('edges.2.condition: a condition must be true or false, this one is 3');
  });
});

describe('what costs too much is refused', () => {
  const big: JsonObject = { list: Array.from({ length: 50_000 }, (_, i) => i), text: 'ab'.repeat(200_000) };
  test.each([
    'list.all(x, list.all(y, list.all(z, true)))', 'list.all(x, x in list)', 'list == list.map(x, x)', 'cel.bind(a, text + text, cel.bind(b, a + a, cel.bind(c, b + b, size(c + c))))',
    'text.replace("a", text)', 'text.split("").map(x, text)', 'list.map(x, text.contains("c"))', 'list.all(x, nope > x)', 'cel.bind(a, list + list, cel.bind(b, a + a, cel.bind(c, b + b, size(c + c))))', 'text.matches("(a|b|ab|ba)*(a|b|ab|ba)*c")',
  ])('%s', (source) => {
    expect(failure(source, { state: big })).toMatch(/too many steps|too long/);
  });
});

test('whatever the text, the answer is a value or a failure with a place, and nothing is polluted', () => {
  const words = fc.constantFrom('level', 'items', 'order', 'state', 'intent', 'name', '(', ')', '[', ']', '{', '}', '.', ',', '+', '-', '*', '/', '%', '==', '!=', '<', '&&', '||', '!', '?', ':', 'in', '1', '2.5', '"a"', "'b'", 'map', 'x',
    'all', 'has', 'size', 'matches', '__proto__', 'constructor', 'prototype', 'toString', 'cel.bind', 'null', 'true', '\\', '\0', 'r"', "b'", '0x', '//', 'filter', 'eval', 'Function', 'process', 'globalThis', 'this');
  fc.assert(fc.property(fc.array(words, { maxLength: 14 }), fc.string(), (parts, noise) => {
    for (const source of [parts.join(' '), parts.join(''), noise]) {
      try {
        JSON.stringify(value(source, { ruleText: 'x' }));
      } catch (error) {
        expect(error).toBeInstanceOf(AgentFlowError);
        expect((error as Error).message).toMatch(/^here: /);
      }
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
  }), { numRuns: 2_000 });
});

test('a slip is told before anything runs', () => {
  expect([expressionProblem('level > 1'), expressionProblem('level >'), expressionProblem('sise(x)')]).toEqual([null, expect.stringContaining('character'), 'there is no function sise()']);
});
