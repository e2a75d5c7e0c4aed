/** JSON with its places: where each value stands, so that a problem can be told with line and column. */
import type { Json } from '../engine/types.ts';

export interface Place {
  /** From 1. */
  line: number;
  /** From 1, in characters. */
  column: number;
}

export interface JsonNode {
  start: number;
  /** Where the key stands, of a member of an object. */
  keyStart: number | null;
  children: Map<string, JsonNode>;
}

export interface JsonText {
  value: Json;
  /** Of the value at a dotted path (`nodes.2.id`), or of its key; of what is nearest when there is no such value. */
  place(path: string | null, of?: 'value' | 'key'): Place;
  /** Keys that stand twice in one object: only the last counts. */
  repeated: { key: string; place: Place }[];
}

export class JsonSyntaxError extends Error {
  readonly place: Place;

  constructor(message: string, place: Place) {
    super(message);
    this.place = place;
  }
}

/** Deeper nesting is not followed: documents end at 32 levels. */
const maxDepth = 1_000;

/** @throws JsonSyntaxError at the first place that is no JSON. */
export function readJson(text: string): JsonText {
  const reader = new Reader(text);
  const root = reader.document();
  return {
    value: JSON.parse(text) as Json,
    place: (path, of = 'value') => {
      const node = path === null ? root : nearest(root, path.split('.')).node;
      return placeAt(text, of === 'key' ? (node.keyStart ?? node.start) : node.start);
    },
    repeated: reader.repeated.map(({ key, at }) => ({ key, place: placeAt(text, at) })),
  };
}

export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

/** Keys may hold dots themselves: of all readings the one that leads deepest. */
function nearest(node: JsonNode, steps: string[]): { node: JsonNode; used: number } {
  let best = { node, used: 0 };
  for (let count = 1; count <= steps.length; count += 1) {
    const child = node.children.get(steps.slice(0, count).join('.'));
    if (child === undefined) continue;
    const found = nearest(child, steps.slice(count));
    if (found.used + count > best.used) best = { node: found.node, used: found.used + count };
  }
  return best;
}

class Reader {
  readonly #text: string;
  #at = 0;
  repeated: { key: string; at: number }[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    const root = this.#value(null, 0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail('the document ends before this');
    return root;
  }

  #value(keyStart: number | null, depth: number): JsonNode {
    this.#space();
    if (depth > maxDepth) this.#fail(`values are nested deeper than ${maxDepth} levels`);
    const node: JsonNode = { start: this.#at, keyStart, children: new Map() };
    const first = this.#text[this.#at];
    if (first === '{') this.#object(node, depth);
    else if (first === '[') this.#list(node, depth);
    else if (first === '"') this.#string();
    else this.#scalar();
    return node;
  }

  #object(node: JsonNode, depth: number): void {
    this.#at += 1;
    if (this.#takes('}')) return;
    do {
      this.#space();
      const at = this.#at;
      if (this.#text[at] !== '"') this.#fail('a key in double quotes is expected here');
      const key = this.#string();
      if (!this.#takes(':')) this.#fail('a colon is expected here');
      if (node.children.has(key)) this.repeated.push({ key, at });
      node.children.set(key, this.#value(at, depth + 1));
    } while (this.#takes(','));
    if (!this.#takes('}')) this.#fail('a comma or } is expected here');
  }

  #list(node: JsonNode, depth: number): void {
    this.#at += 1;
    if (this.#takes(']')) return;
    do node.children.set(String(node.children.size), this.#value(null, depth + 1)); while (this.#takes(','));
    if (!this.#takes(']')) this.#fail('a comma or ] is expected here');
  }

  #string(): string {
    const found = this.#match(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (found === null) {
      this.#at += this.#match(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y, false)?.length ?? 0;
      this.#fail(this.#text[this.#at] === '\\' ? 'there is no such escape in JSON' : 'the text is not closed on its line');
    }
    return JSON.parse(found) as string;
  }

  #scalar(): void {
    const found = this.#match(/(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y);
    if (found === null) this.#fail(this.#at >= this.#text.length ? 'the document is not complete' : 'a value is expected here');
  }

  #takes(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y);
  }

  #match(pattern: RegExp, moves = true): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null && moves) this.#at += found.length;
    return found;
  }

  #fail(message: string): never {
    throw new JsonSyntaxError(message, placeAt(this.#text, this.#at));
  }
}
