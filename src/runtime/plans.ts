/** Documents made ready to run, by version: a version never changes, so neither does its plan. */
import { loadSelectChecker, parseDocument, planOf, type SourceRow } from '../engine/index.ts';
import type { JsonObject, Plan } from '../engine/types.ts';
import { AgentFlowError } from '../errors.ts';
import { nodeTypes } from '../nodes/index.ts';
import { fallbacksOf } from './node-sources.ts';
import type { WorkflowVersion } from '../store/engine-store.ts';

export interface ReadyVersion {
  tenantSlug: string;
  /** Null when the document cannot run; `problem` says why. */
  plan: Plan | null;
  problem: AgentFlowError | null;
}

const maxKept = 500;
const sourceKinds = ['llm', 'image', 'db', 'api'];

export class PlanCache {
  readonly #load: (versionId: string) => Promise<WorkflowVersion | null>;
  readonly #ready = new Map<string, Promise<ReadyVersion | null>>();

  constructor(load: (versionId: string) => Promise<WorkflowVersion | null>) {
    this.#load = load;
  }

  /** Null: there is no such version (any more). `onlyNodeId`: the plan of this node alone, whatever the rest of the document is like. */
  get(versionId: string, onlyNodeId: string | null = null): Promise<ReadyVersion | null> {
    const key = onlyNodeId === null ? versionId : `${versionId} ${onlyNodeId}`;
    const known = this.#ready.get(key);
    if (known !== undefined) return known;
    const ready = this.#make(versionId, onlyNodeId);
    this.#ready.set(key, ready);
    if (this.#ready.size > maxKept) this.#ready.delete(this.#ready.keys().next().value!);
    // A failure to read is not a fact about the version.
    ready.catch(() => this.#ready.delete(key));
    return ready;
  }

  async #make(versionId: string, onlyNodeId: string | null): Promise<ReadyVersion | null> {
    const version = await this.#load(versionId);
    if (version === null) return null;
    const { tenantSlug } = version;
    const spec = onlyNodeId === null ? version.spec : withOneNode(version.spec, onlyNodeId);
    // A published document may hold what the database cannot parse; it fails here.
    const checkSelect = usesSql(spec) ? await loadSelectChecker() : null;
    try {
      return { tenantSlug, plan: planOf(spec, { nodeTypes, checkSelect, sources: anySource(spec) }), problem: null };
    } catch (error) {
      if (error instanceof AgentFlowError && error.code === 'INVALID_WORKFLOW') return { tenantSlug, plan: null, problem: error };
      throw error;
    }
  }
}

function withOneNode(spec: JsonObject, nodeId: string): JsonObject {
  const nodes = Array.isArray(spec['nodes']) ? spec['nodes'].filter((node) => (node as JsonObject | null)?.['id'] === nodeId) : [];
  return { ...spec, nodes, edges: [], queues: [], start_node: nodeId };
}

function usesSql(spec: JsonObject): boolean {
  return parseDocument(spec).nodes.some(({ type }) => type === 'db');
}

/** Whether a source of the tenant is there is known when a node runs, not before: it may come and go while the plan is kept. */
function anySource(spec: JsonObject): SourceRow[] {
  const document = parseDocument(spec);
  const names = [...document.sources.flatMap(({ ref, config }) => [ref, ...fallbacksOf(config?.['fallback'])]), ...document.nodes.map(({ parameters }) => parameters['source'])];
  return names.filter((name) => typeof name === 'string').flatMap((name) => sourceKinds.map((kind) => ({ name, kind })));
}
