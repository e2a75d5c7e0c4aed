import fc from 'fast-check';
import { JsonSyntaxError, readJson } from '../../src/cli/json-text.ts';

const places = (text: string, path: string, of?: 'value' | 'key'): string => {
  const { line, column } = readJson(text).place(path, of);
  return `${line}:${column}`;
};

describe('JSON with its places', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(fc.property(fc.json(), fc.constantFrom(undefined, 2), (text, indent) => {
      const written = JSON.stringify(JSON.parse(text), null, indent);
      expect(readJson(written).value).toEqual(JSON.parse(written));
    }), { seed: 20251207 });
  });

  test('refuses what JSON.parse refuses, and nothing else', () => {
    const nearly = fc.json().chain((text) => fc.tuple(fc.constant(text), fc.nat(text.length), fc.constantFrom('', ',', '}', '"', '\\', '01', 'tru', '\u0001', ' ')))
      .map(([text, at, by]) => text.slice(0, at) + by + text.slice(at + 1));
    fc.assert(fc.property(nearly, (text) => {
      expect(reads(readJson, text)).toBe(reads(JSON.parse, text));
    }), { seed: 20251207, numRuns: 2_000 });
  });

  const text = '{\n  "nodes": [\n    {"id": "a", "a.b": {"c": 1}},\n    {"id": "ünï", "x": true}\n  ]\n}';

  test.each([
    ['nodes.0.id', '3:12'], ['nodes.1', '4:5'], ['nodes.1.x', '4:24'],
    ['nodes.0.a.b.c', '3:30'], // keys with dots
    ['nodes.1.metadata.source', '4:5'], ['edges', '1:1'], // what is not there: the nearest that is
  ])('finds %s at %s', (path, place) => {
    expect(places(text, path)).toBe(place);
  });

  test('finds keys too', () => {
    expect(places(text, 'nodes.1.x', 'key')).toBe('4:19');
  });

  test.each([
    ['{"a": 1,}', '1:9', 'a key in double quotes'], ['{"a" 1}', '1:6', 'a colon'], ['{"a": 1 "b": 2}', '1:9', 'a comma or }'], ['[1 2]', '1:4', 'a comma or ]'],
    ['{"a":\n  tru}', '2:3', 'a value'], ['{"a": "x\n"}', '1:9', 'not closed'], [String.raw`["\q"]`, '1:3', 'escape'], ['{} {}', '1:4', 'ends before'], ['', '1:1', 'not complete'],
    ["{'a': 1}", '1:2', 'double quotes'], ['[01]', '1:2', 'a value'],
  ])('says where %j breaks off', (broken, place, words) => {
    const error = errorOf(broken);
    expect(`${error.place.line}:${error.place.column}`).toBe(place);
    expect(error.message).toContain(words);
  });

  test('tells keys that stand twice', () => {
    expect(readJson('{"a": 1, "b": {"a": 2, "a": 3}}').repeated).toEqual([{ key: 'a', place: { line: 1, column: 24 } }]);
  });

  test('ends on a document that is nested without end', () => {
    expect(errorOf('['.repeat(100_000)).message).toContain('nested');
  });
});

function reads(read: (text: string) => unknown, text: string): boolean {
  try {
    read(text);
    return true;
  } catch {
    return false;
  }
}

function errorOf(text: string): JsonSyntaxError {
  try {
    readJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}
