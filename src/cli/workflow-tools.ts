/** The engine's checks and drawings, with the node types there are, for whoever serves or inspects workflows. */
import { diagramOf, loadSelectChecker, normalise, planOf, validateSpec, type NodeStatus, type SourceRow } from '../engine/index.ts';
import { AgentFlowError } from '../errors.ts';
import { nodeTypes } from '../nodes/index.ts';
import type { WorkflowTools } from '../server/workflow-tools.ts';

const sourceKinds = ['llm', 'image', 'db', 'api'];

export async function loadWorkflowTools(): Promise<WorkflowTools> {
  const checkSelect = await loadSelectChecker();
  return {
    normaliseState: (value) => normalise(value).value,
    validate: (spec) => validateSpec(spec, { nodeTypes, checkSelect }),
    diagram(spec, statuses = {}) {
      try {
        return diagramOf(planOf(spec, { nodeTypes, sources: everyNamedSource(spec) }), statuses as Record<string, NodeStatus>);
      } catch (error) {
        if (error instanceof AgentFlowError && error.code === 'INVALID_WORKFLOW') return null;
        throw error;
      }
    },
  };
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
