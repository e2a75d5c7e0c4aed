/** A document made ready to run. A plan is immutable and may be shared by any number of executions. */
import { AgentFlowError } from '../errors.ts';
import { graphOf } from './graph.ts';
import { parseDocument } from './parse.ts';
import { validateSpec, type ValidateOptions } from './validate.ts';
import { outputKeyOf, parallelWriters, writtenKeysOf } from './writers.ts';
import type { NodeSpec, NodeType, Plan, PlanEdge, PlanNode, Problem, QueueSpec, SourceKind, WorkflowDocument } from './types.ts';

/** @throws AgentFlowError INVALID_WORKFLOW with every problem in `details.errors`. */
export function planOf(spec: unknown, options: ValidateOptions): Plan {
  const { valid, errors, warnings } = validateSpec(spec, options);
  if (!valid) throw invalid(errors);
  return planFromDocument(parseDocument(spec), options.nodeTypes, warnings);
}

/** `document` must be valid: nothing is checked here. */
export function planFromDocument(document: WorkflowDocument, nodeTypes: readonly NodeType[], warnings: Problem[] = []): Plan {
  const types = new Map(nodeTypes.map((type) => [type.type, type]));
  return { document, warnings, nodes: planNodes(document, types), startNode: document.startNode };
}

function invalid(errors: Problem[]): AgentFlowError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new AgentFlowError('INVALID_WORKFLOW', `The workflow is not valid: ${first?.code ?? ''} ${first?.message ?? ''}${more}`, { details: { errors } });
}

function planNodes(document: WorkflowDocument, types: Map<string, NodeType>): Map<string, PlanNode> {
  const { nodes, edges, startNode } = document;
  const graph = graphOf(nodes.map(({ id }) => id), edges);
  const outgoing = new Map<string, PlanEdge[]>(nodes.map(({ id }) => [id, []]));
  edges.forEach((edge, index) => outgoing.get(edge.from)?.push({ ...edge, index }));
  const planned = new Map(nodes.map((node, index): [string, PlanNode] => {
    const type = types.get(node.type) as NodeType;
    return [node.id, {
      ...node, index, outputKey: outputKeyOf(node, type), hasEffect: type.hasEffect(node.parameters), ...sourceOf(node, type, document),
      predecessors: graph.predecessors.get(node.id) ?? [], successors: graph.successors.get(node.id) ?? [], outgoing: outgoing.get(node.id) ?? [],
      queues: queuesOf(node, document), writtenKeys: writtenKeysOf(node, type), yields: new Map(),
    }];
  }));
  for (const { key, earlier, later } of parallelWriters({ nodes, edges, graph, startNode, typeOf: (name) => types.get(name) })) {
    const yields = (planned.get(earlier) as PlanNode).yields;
    yields.set(key, (yields.get(key) ?? new Set()).add(later));
  }
  return planned;
}

function sourceOf(node: NodeSpec, type: NodeType, document: WorkflowDocument): { sourceId: string | null; sourceKind: SourceKind | null } {
  const sourceId = typeof node.parameters.source === 'string' ? node.parameters.source : null;
  const own = document.sources.find(({ id }) => id === sourceId);
  return { sourceId, sourceKind: own?.kind ?? type.sourceKind };
}

/** For each edge to the node: the queue that it names, else one declared for its ends. */
function queuesOf(node: NodeSpec, { edges, queues }: WorkflowDocument): Map<string, QueueSpec> {
  const found = new Map<string, QueueSpec>();
  for (const edge of edges.filter(({ to }) => to.includes(node.id))) {
    const queue = queues.find(({ id }) => id === edge.queue) ?? queues.find(({ from, to }) => from === edge.from && to === node.id);
    if (queue !== undefined) found.set(edge.from, queue);
  }
  return found;
}
