/** The engine's checks and drawings, with the node types there are, for whoever serves or inspects workflows. */
import { diagramOf, flowPlan, loadSelectChecker, normalise, planOf, validateSpec, type JsonObject, type NodePictures, type NodeType, type Plan, type SourceRow } from '../engine/index.ts';
import { flowSchema } from '../engine/flow-schema.ts';
import { workflowSchema } from '../engine/workflow-schema.ts';
import { AgentFlowError } from '../errors.ts';
import type { WorkflowTools } from '../server/workflow-tools.ts';

const sourceKinds = ['llm', 'image', 'db', 'api'];

let loading: Promise<WorkflowTools> | null = null;

/** Once a process. @throws AgentFlowError EXTENSION_INVALID */
export function loadWorkflowTools(): Promise<WorkflowTools> {
  return loading ??= load();
}

async function load(): Promise<WorkflowTools> {
  const [checkSelect, nodeTypes] = await Promise.all([loadSelectChecker(), loadNodeTypes()]);
  return {
    flowDiagram: (definition, tasks = {}) => diagramOf(flowPlan(definition as JsonObject, { everyTask: true }), tasks as NodePictures),
    schemas: { workflow: workflowSchema(nodeTypes), flow: flowSchema() },
    normaliseState: (value) => normalise(value).value,
    validate: (spec) => validateSpec(spec, { nodeTypes, checkSelect }),
    diagram(spec, nodes = {}) {
      try {
        return diagramOf(drawable(spec, nodeTypes), nodes as NodePictures);
      } catch (error) {
        if (error instanceof AgentFlowError && error.code === 'INVALID_WORKFLOW') return null;
        throw error;
      }
    },
  };
}

/** Loaded when they are needed: what extensions bring may be wrong, and that is an answer of the command. @throws AgentFlowError EXTENSION_INVALID */
export async function loadNodeTypes(): Promise<readonly NodeType[]> {
  return (await import('../nodes/index.ts')).nodeTypes;
}

/** @throws AgentFlowError INVALID_WORKFLOW */
export async function loadDrawablePlan(spec: unknown): Promise<Plan> {
  return drawable(spec, await loadNodeTypes());
}

function drawable(spec: unknown, nodeTypes: readonly NodeType[]): Plan {
  return planOf(spec, { nodeTypes, sources: everyNamedSource(spec) });
}

/** A drawing does not depend on which sources a tenant has: whatever name occurs in the document counts as one, of every kind. */
function everyNamedSource(spec: unknown): SourceRow[] {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, entry] of Object.entries(value)) {
      if (['source', 'source_id', 'ref'].includes(key) && typeof entry === 'string') names.add(entry);
      visit(entry);
    }
  };
  visit(spec);
  return [...names].flatMap((name) => sourceKinds.map((kind) => ({ name, kind })));
}
