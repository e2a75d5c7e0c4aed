import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fillTemplate, fillValue } from '../../src/engine/template.ts';
import type { JsonObject } from '../../src/engine/types.ts';

const state = JSON.parse('{"name":"Ann","n":1.5,"yes":true,"nothing":null,"list":[1,{"b":2}],"order":{"items":["pen"],"a-b":"dash"},"größe":"L","outputs":"own"}') as JsonObject;
const fill = (template: string): string => fillTemplate(template, { state, outputs: { a: { x: 1 } } }).text;

describe('strict templates', () => {
  test.each([
    ['Hi {name}!', 'Hi Ann!'], ['{{literal}} {name}', '{literal} Ann'], ['{{{name}}}', '{Ann}'], ['{order[items][0]}', 'pen'], ['{order.items.0}', 'pen'], ['{order.items[0]}', 'pen'], ['{order[a-b]}', 'dash'],
    ['{list}', '[1,{"b":2}]'], ['{list.1.b}', '2'], ['{n} {yes} {nothing}', '1.5 true null'], ['{größe}', 'L'], ['{state.name}', 'Ann'], ['{outputs}', 'own'], ['', ''], ['{{}}', '{}'], ['no braces', 'no braces'],
  ])('%s', (template, text) => {
    expect(fill(template)).toBe(text);
  });

  test('what is missing stays and is told', () => {
    expect(fillTemplate('{{x}} {who} {order.items.7} {name.first}', { state })).toEqual({ text: '{x} {who} {order.items.7} {name.first}', missing: ['{who}', '{order.items.7}', '{name.first}'] });
  });
});

describe('lenient templates', () => {
  test.each([
    ['Input: {name}. Like {"ok": true, "who": {"id": 1}}', 'Input: Ann. Like {"ok": true, "who": {"id": 1}}'], ['{ name } {name}', '{ name } Ann'], ['{{name}} {"x": {name}}', '{Ann} {"x": Ann}'], ['{name!r} {name}', '{name!r} Ann'],
    ['{name:>10} {name}', '{name:>10} Ann'], ['}{ {name}', '}{ Ann'], ['{} {name}', '{} Ann'], ['{name', '{name'], ['function () { return {name}; }', 'function () { return Ann; }'],
  ])('%s', (template, text) => {
    expect(fill(template)).toBe(text);
  });
});

test('nothing that is inherited can be reached', () => {
  for (const path of ['{__proto__}', '{constructor.name}', '{name.length}', '{list.length}', '{order.__proto__.x}', '{order[constructor]}', '{toString}']) expect(fill(path)).toBe(path);
});

test('own keys with hostile names are data like others', () => {
  const hostile = JSON.parse('{"__proto__":{"x":1},"constructor":"c"}') as JsonObject;
  expect(fillTemplate('{__proto__.x} {constructor}', { state: hostile }).text).toBe('1 c');
});

test('values keep their type when a text is one placeholder alone', () => {
  expect(fillValue({ a: '{list}', b: 'n={n}', c: ['{n}', 7, null], d: '{gone}', e: { f: '{yes}' } }, { state })).toEqual({
    value: { a: [1, { b: 2 }], b: 'n=1.5', c: [1.5, 7, null], d: '{gone}', e: { f: true } }, missing: ['{gone}'],
  });
});

test('a value with a hostile key pollutes nothing', () => {
  const value = JSON.parse('{"__proto__":{"polluted":"{name}"}}') as JsonObject;
  const filled = fillValue(value, { state }).value as JsonObject;
  expect(JSON.stringify(filled)).toBe('{"__proto__":{"polluted":"Ann"}}');
  expect(({} as JsonObject)['polluted']).toBeUndefined();
});

test('any text without braces is itself, and escaping is undone exactly once', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const plain = text.replaceAll('{', '').replaceAll('}', '');
    expect(fill(plain)).toBe(plain);
    expect(fill(text.replaceAll('{', '{{').replaceAll('}', '}}'))).toBe(text);
  }));
});
