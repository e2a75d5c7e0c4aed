/** Who writes which state key, and which writers can run at the same time. */
import { dispatchEdges, targetsOf } from './dispatch.ts';
import { reachableFrom, type Graph } from './graph.ts';
import type { EdgeSpec, NodeSpec, NodeType } from './types.ts';

export interface ParallelWriters {
  key: string;
  /** Earlier and later in the document. */
  earlier: string;
  later: string;
}

export function outputKeyOf(node: NodeSpec, type: NodeType | undefined): string | null {
  return node.outputKey ?? type?.defaultOutputKey(node.parameters) ?? null;
}

export function writtenKeysOf(node: NodeSpec, type: NodeType | undefined): string[] {
  const outputKey = outputKeyOf(node, type);
  return [...new Set([...(outputKey === null ? [] : [outputKey]), ...(type?.alsoWrites ?? [])])];
}

export interface WritersInput {
  nodes: readonly NodeSpec[];
  edges: readonly EdgeSpec[];
  graph: Graph;
  startNode: string;
  typeOf(name: string): NodeType | undefined;
}

/** Pairs that neither follow each other nor exclude each other, and write the same key. */
export function parallelWriters(input: WritersInput): ParallelWriters[] {
  const byKey = new Map<string, NodeSpec[]>();
  for (const node of input.nodes) {
    for (const key of writtenKeysOf(node, input.typeOf(node.type))) byKey.set(key, [...(byKey.get(key) ?? []), node]);
  }
  const relations = new Relations(input);
  const pairs: ParallelWriters[] = [];
  for (const [key, writers] of byKey) {
    writers.forEach((later, i) => {
      for (const earlier of writers.slice(0, i)) if (relations.canRunAtOnce(earlier.id, later.id)) pairs.push({ key, earlier: earlier.id, later: later.id });
    });
  }
  return pairs;
}

class Relations {
  readonly #input: WritersInput;
  readonly #after = new Map<string, Set<string>>();
  #branches: Branch[] | null = null;

  constructor(input: WritersInput) {
    this.#input = input;
  }

  canRunAtOnce(a: string, b: string): boolean {
    if (this.#reach(a).has(b) || this.#reach(b).has(a)) return false;
    this.#branches ??= this.#input.nodes.flatMap((node) => this.#branchAt(node) ?? []);
    return !this.#branches.some((branch) => separates(branch, a, b));
  }

  #reach(id: string): Set<string> {
    const known = this.#after.get(id);
    if (known) return known;
    const found = reachableFrom(this.#input.graph, id);
    this.#after.set(id, found);
    return found;
  }

  /** Null where no two targets exclude each other. */
  #branchAt(node: NodeSpec): Branch | null {
    const { edges, graph, startNode } = this.#input;
    const outgoing = edges.filter((edge) => edge.from === node.id);
    const targets = targetsOf(outgoing);
    const group = new Set(dispatchEdges(node, outgoing));
    const exclusive = (a: EdgeSpec, b: EdgeSpec): boolean => (group.has(a) && group.has(b)) || edgesExclude(a, b);
    if (targets.length < 2 || !outgoing.some((a) => outgoing.some((b) => exclusive(a, b)))) return null;
    const edgesTo = new Map(targets.map((target) => [target, outgoing.filter((edge) => edge.to.includes(target))]));
    const excluded = new Map(targets.map((left) => [left, new Set(targets.filter((right) =>
      left !== right && edgesTo.get(left)?.every((a) => edgesTo.get(right)?.every((b) => exclusive(a, b)))))]));
    const leading = new Map<string, string[]>();
    for (const target of targets) for (const id of this.#reach(target)) leading.set(id, [...(leading.get(id) ?? []), target]);
    return { excluded, leading, around: reachableFrom(graph, startNode, node.id) };
  }
}

interface Branch {
  /** Target -> the targets that are never taken with it. */
  excluded: Map<string, Set<string>>;
  /** Node -> the targets behind which it lies. */
  leading: Map<string, string[]>;
  /** What can be reached without passing here. */
  around: Set<string>;
}

/** Both lie behind the branch alone, and behind targets that exclude each other. */
function separates({ excluded, leading, around }: Branch, a: string, b: string): boolean {
  if (around.has(a) || around.has(b)) return false;
  const toB = leading.get(b) ?? [];
  return (leading.get(a) ?? []).every((left) => toB.every((right) => excluded.get(left)?.has(right)));
}

/** A default edge is taken when no other is; `x == 'a'` and `x == 'b'` are never both true. */
function edgesExclude(a: EdgeSpec, b: EdgeSpec): boolean {
  if (a === b) return false;
  const onlyDefault = (edge: EdgeSpec): boolean => edge.isDefault && edge.condition === null;
  if (onlyDefault(a) !== onlyDefault(b)) return true;
  const left = comparison(a.condition);
  const right = comparison(b.condition);
  return left !== null && right !== null && left.name === right.name && left.text !== right.text;
}

function comparison(condition: string | null): { name: string; text: string } | null {
  const match = /^([A-Za-z_][A-Za-z0-9_.]*) *== *(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(condition ?? '');
  return match ? { name: match[1] as string, text: (match[2] ?? match[3]) as string } : null;
}
