/** What is different between two documents: nodes, sources and queues by their ids, edges by where they lead, the rest by its place. */
import { sameJson } from '../../engine/schema-types.ts';
import type { Json, JsonObject } from '../../engine/types.ts';

export interface Difference {
  kind: 'added' | 'removed' | 'changed';
  /** What it is about: `node answer`, `edge a -> b`, or a key of the document. */
  part: string;
  /** Dotted path inside the part; null for the whole of it. */
  path: string | null;
  before?: Json;
  after?: Json;
}

const same = (left: Json, right: Json): boolean => sameJson(left, right, { spend: () => undefined });

export function specDifferences(before: JsonObject, after: JsonObject): Difference[] {
  const parts: [string, string, (entry: JsonObject) => string][] = [
    ['nodes', 'node', idOf], ['edges', 'edge', edgeName], ['sources', 'source', idOf], ['queues', 'queue', idOf],
  ];
  const listed = new Set(parts.map(([key]) => key));
  return [
    ...parts.flatMap(([key, word, nameOf]) => entryDifferences(word, named(before[key], nameOf), named(after[key], nameOf))),
    ...[...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => !listed.has(key)).flatMap((key) => valueDifferences(key, before[key], after[key])),
  ];
}

function idOf(entry: JsonObject): string {
  return String(entry.id);
}

function edgeName({ from, to }: JsonObject): string {
  return `${String(from)} -> ${[to].flat().join(', ')}`;
}

/** Several of one name are told apart by their order. */
function named(list: Json | undefined, nameOf: (entry: JsonObject) => string): Map<string, Json> {
  const result = new Map<string, Json>();
  for (const entry of Array.isArray(list) ? list : []) {
    const name = typeof entry === 'object' && entry !== null && !Array.isArray(entry) ? nameOf(entry) : JSON.stringify(entry);
    let unique = name;
    for (let count = 2; result.has(unique); count += 1) unique = `${name} (${count})`;
    result.set(unique, entry);
  }
  return result;
}

function entryDifferences(word: string, before: Map<string, Json>, after: Map<string, Json>): Difference[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => valueDifferences(`${word} ${name}`, before.get(name), after.get(name)));
}

function valueDifferences(part: string, before: Json | undefined, after: Json | undefined): Difference[] {
  if (before === undefined) return after === undefined ? [] : [{ kind: 'added', part, path: null, after }];
  if (after === undefined) return [{ kind: 'removed', part, path: null, before }];
  return changesInside(before, after, []).map(({ path, ...change }) => ({ part, path: path.length === 0 ? null : path.join('.'), ...change }));
}

type Inside = Omit<Difference, 'part' | 'path'> & { path: string[] };

function changesInside(before: Json, after: Json, path: string[]): Inside[] {
  if (same(before, after)) return [];
  const isRecord = (value: Json): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isRecord(before) || !isRecord(after)) return [{ kind: 'changed', path, before, after }];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key): Inside[] => {
    const [old, now] = [before[key], after[key]];
    if (old === undefined) return [{ kind: 'added', path: [...path, key], after: now! }];
    if (now === undefined) return [{ kind: 'removed', path: [...path, key], before: old }];
    return changesInside(old, now, [...path, key]);
  });
}

export function differenceLine({ kind, part, path, before, after }: Difference): string {
  const place = path === null ? part : `${part}: ${path}`;
  if (kind === 'added') return `+ ${place}${path === null ? '' : ` = ${shown(after)}`}`;
  if (kind === 'removed') return `- ${place}${path === null ? '' : ` (was ${shown(before)})`}`;
  return `~ ${place}: ${shown(before)} -> ${shown(after)}`;
}

function shown(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}
