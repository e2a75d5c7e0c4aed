import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jsonBytes } from '../../src/engine/json.ts';
import { normalise } from '../../src/engine/normalise.ts';

describe('normalise', () => {
  test('keys stand as in jsonb: by length, then by bytes', () => {
    expect(JSON.stringify(normalise({ bb: 1, a: 2, 'é': 3, ab: 4, B: 5, aaa: 6 }).value)).toBe('{"B":5,"a":2,"ab":4,"bb":1,"é":3,"aaa":6}');
  });

  test('what jsonb cannot hold is replaced and told', () => {
    expect(normalise({ a: 'x\0y', b: '\ud800', c: '😀', d: Number.NaN })).toMatchObject({ value: { a: 'x\ufffdy', b: '\ufffd', c: '😀', d: null }, warnings: [expect.stringContaining('U+FFFD'), expect.stringContaining('NaN')], hasReplacement: true });
  });

  test('keys stand by what becomes of them, whatever they are made of', () => {
    const bytesOf = (key: string): Buffer => Buffer.from(key);
    fc.assert(fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\x7f', '\x80', 'é', '€', '\ufffd', '\ud800', '😀'), maxLength: 3 })), (keys) => {
      const stood = Object.keys(normalise(Object.fromEntries(keys.map((key) => [key, 1]))).value as object);
      expect(stood).toEqual(stood.toSorted((a, b) => bytesOf(a).length - bytesOf(b).length || Buffer.compare(bytesOf(a), bytesOf(b))));
    }));
  });

  test('no value takes more bytes than is said', () => {
    fc.assert(fc.property(fc.anything(), (value) => {
      const normal = normalise(value);
      expect(jsonBytes(normal.value)).toBeLessThanOrEqual(normal.mostBytes);
    }));
    const numbers = normalise(Array(1_000).fill(-2.2250738585072014e-308));
    expect(jsonBytes(numbers.value)).toBeLessThanOrEqual(numbers.mostBytes);
  });

  test('what JSON has no word for goes as JSON.stringify would let it go', () => {
    expect(normalise({ gone: undefined, f: () => 1, list: [undefined, new Date(0)], big: 5n, zero: -0 }).value).toEqual({ big: 5, list: [null, '1970-01-01T00:00:00.000Z'], zero: 0 });
  });

  test('hostile keys stay data', () => {
    const value = normalise(JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')).value;
    expect(JSON.parse(JSON.stringify(value))).toEqual(JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'));
    expect(Object.hasOwn(value as object, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('rings and abysses are refused', () => {
    const ring: unknown[] = [];
    ring.push(ring);
    expect(() => normalise(ring)).toThrow('nested deeper than 200 levels');
  });

  test('is the same twice, and after a round through JSON', () => {
    fc.assert(fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const once = normalise(value).value;
      expect(JSON.stringify(normalise(once).value)).toBe(JSON.stringify(once));
      expect(JSON.stringify(normalise(JSON.parse(JSON.stringify(once))).value)).toBe(JSON.stringify(once));
    }));
  });
});
