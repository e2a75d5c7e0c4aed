/** The graph of a document: who follows whom, what is reachable, which rings there are. Ids in document order throughout. */

export interface Graph {
  ids: string[];
  successors: Map<string, string[]>;
  predecessors: Map<string, string[]>;
}

/** Edges from or to ids that are not nodes are left out. Neighbours are distinct and in document order. */
export function graphOf(ids: readonly string[], edges: Iterable<{ from: string; to: readonly string[] }>): Graph {
  const order = [...new Set(ids)];
  const position = new Map(order.map((id, i) => [id, i]));
  const next = new Map(order.map((id) => [id, new Set<string>()]));
  const before = new Map(order.map((id) => [id, new Set<string>()]));
  for (const { from, to } of edges) {
    for (const target of to) {
      if (!position.has(from) || !position.has(target)) continue;
      next.get(from)?.add(target);
      before.get(target)?.add(from);
    }
  }
  const sorted = (neighbours: Set<string>): string[] => [...neighbours].sort((a, b) => (position.get(a) as number) - (position.get(b) as number));
  const inOrder = (sets: Map<string, Set<string>>): Map<string, string[]> => new Map([...sets].map(([id, set]) => [id, sorted(set)]));
  return { ids: order, successors: inOrder(next), predecessors: inOrder(before) };
}

/** Everything reachable from a node, itself included, on paths that avoid one node. */
export function reachableFrom(graph: Graph, start: string, avoiding: string | null = null): Set<string> {
  const found = new Set<string>();
  const pending = start === avoiding || !graph.successors.has(start) ? [] : [start];
  while (pending.length > 0) {
    const id = pending.pop() as string;
    if (found.has(id)) continue;
    found.add(id);
    for (const next of graph.successors.get(id) ?? []) if (next !== avoiding) pending.push(next);
  }
  return found;
}

/**
 * Rings that share no node, each beginning at its node that is first in the document: repeatedly trim what lies on no ring, walk from the first node left
 * along first successors until a node repeats, report, remove.
 */
export function ringsOf(graph: Graph): string[][] {
  const left = new Set(graph.ids);
  const rings: string[][] = [];
  for (;;) {
    trim(graph, left);
    const start = graph.ids.find((id) => left.has(id));
    if (start === undefined) return rings;
    const ring = walkRing(graph, left, start);
    rings.push(ring);
    for (const id of ring) left.delete(id);
  }
}

function trim(graph: Graph, left: Set<string>): void {
  let changed = true;
  while (changed) {
    changed = false;
    for (const id of left) {
      const follows = graph.predecessors.get(id)?.some((other) => left.has(other));
      const leads = graph.successors.get(id)?.some((other) => left.has(other));
      if (follows && leads) continue;
      left.delete(id);
      changed = true;
    }
  }
}

function walkRing(graph: Graph, left: Set<string>, start: string): string[] {
  const path: string[] = [];
  let id = start;
  while (!path.includes(id)) {
    path.push(id);
    id = graph.successors.get(id)?.find((next) => left.has(next)) as string;
  }
  const ring = path.slice(path.indexOf(id));
  const first = graph.ids.find((candidate) => ring.includes(candidate)) as string;
  return [...ring.slice(ring.indexOf(first)), ...ring.slice(0, ring.indexOf(first))];
}
