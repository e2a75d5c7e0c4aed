/** E003 of conditions, E005 to E007, E011 to E013, W004 and W012: start, edges, routes, queues, rings and islands. */
import { expressionProblem } from './expression.ts';
import { graphOf, reachableFrom, ringsOf } from './graph.ts';
import { isObject } from './json.ts';
import { endTargets } from './keys.ts';
import type { DraftEdge, DraftNode, DraftQueue } from './draft.ts';
import type { Checking } from './validate.ts';

export function checkGraph(checking: Checking): void {
  const { draft, report } = checking;
  const ids = new Set(draft.nodes.flatMap(({ id }) => (id === null ? [] : [id])));
  const queues = new Set(draft.queues.flatMap(({ id }) => (id === null ? [] : [id])));
  for (const edge of draft.edges) checkEdge(edge, ids, queues, checking);
  for (const node of draft.nodes) if (node.type === 'router') checkRoutes(node, checking);
  checkQueues(ids, checking);
  checkShape(ids, checking);
  const start = draft.startNode;
  if (start !== null && !ids.has(start)) report.add('E005', 'start_node', `Start node '${start}' does not exist`);
}

function checkEdge(edge: DraftEdge, ids: Set<string>, queues: Set<string>, { report }: Checking): void {
  if (edge.from !== null && !ids.has(edge.from)) report.at('E006', `${edge.field}.from`, `names the non-existent source node '${edge.from}'`);
  for (const { id, field } of edge.to) {
    if (!ids.has(id) && !endTargets.has(id)) report.at('E006', field, `names the non-existent destination node '${id}'`);
  }
  if (edge.queue !== null && !queues.has(edge.queue)) report.at('E007', `${edge.field}.queue`, `of the edge from '${edge.from ?? ''}' names the unknown queue '${edge.queue}'`);
  const problem = edge.condition === null ? null : expressionProblem(edge.condition);
  if (problem !== null) report.at('E003', `${edge.field}.condition`, `is no expression: ${problem}`);
}

/** A route may choose among the targets of its router's edges only. */
function checkRoutes(node: DraftNode, { draft, report }: Checking): void {
  const { routes } = node.metadata;
  if (!Array.isArray(routes)) return;
  const targets = new Set(draft.edges.filter(({ from }) => from === node.id).flatMap(({ to }) => to.map(({ id }) => id)));
  routes.forEach((route, i) => {
    if (!isObject(route)) return;
    const key = typeof route.to === 'string' ? 'to' : 'target_node';
    const target = route[key];
    if (typeof target !== 'string' || targets.has(target)) return;
    report.at('W012', `${node.field}.metadata.routes.${i}.${key}`, `names '${target}', to which no edge of '${node.id ?? ''}' leads: the route cannot choose it`, node.id);
  });
}

function checkQueues(ids: Set<string>, { draft, report }: Checking): void {
  const seen = new Set<string>();
  for (const queue of draft.queues) {
    if (queue.id !== null) {
      if (seen.has(queue.id)) report.at('E011', `${queue.field}.id`, `repeats the id '${queue.id}' of an earlier queue`);
      seen.add(queue.id);
    }
    if (queue.from !== null && !ids.has(queue.from)) report.at('E007', `${queue.field}.from`, `of the queue '${queue.id ?? ''}' names the unknown node '${queue.from}'`);
    if (queue.to !== null && !ids.has(queue.to) && !endTargets.has(queue.to)) report.at('E007', `${queue.field}.to`, `of the queue '${queue.id ?? ''}' names the unknown node '${queue.to}'`);
    if (isIdle(queue, ids, draft.edges)) report.add('W004', queue.field, `${queue.field}: no edge runs through the queue '${queue.id ?? ''}'`);
  }
}

function isIdle(queue: DraftQueue, ids: Set<string>, edges: DraftEdge[]): boolean {
  const { id, from, to } = queue;
  if (from === null || to === null || !ids.has(from) || !(ids.has(to) || endTargets.has(to))) return false;
  return !edges.some((edge) => (id !== null && edge.queue === id) || (edge.from === from && edge.to.some((target) => target.id === to)));
}

function checkShape(ids: Set<string>, { draft, report }: Checking): void {
  const edges = draft.edges.flatMap(({ from, to }) => (from === null ? [] : [{ from, to: to.map(({ id }) => id).filter((id) => !endTargets.has(id)) }]));
  const graph = graphOf([...ids], edges);
  for (const ring of ringsOf(graph)) {
    report.add('E012', 'edges', `edges form a ring: ${[...ring, ring[0]].join(' -> ')}`, ring[0] ?? null);
  }
  if (draft.startNode === null || !ids.has(draft.startNode)) return;
  const reached = reachableFrom(graph, draft.startNode);
  const told = new Set<string>();
  for (const node of draft.nodes) {
    if (node.id === null || !node.idIsValid || reached.has(node.id) || told.has(node.id)) continue;
    told.add(node.id);
    report.add('E013', node.field, `${node.field}: no path from the start node reaches '${node.id}'`, node.id);
  }
}
