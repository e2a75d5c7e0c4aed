/** Documents made ready to run, by version: a version never changes, so neither does its plan. */
import { loadSelectChecker, parseDocument, planOf, type SourceRow } from '../engine/index.ts';
import type { JsonObject, Plan } from '../engine/types.ts';
import { AgentFlowError } from '../errors.ts';
import { nodeTypes } from '../nodes/index.ts';
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

  /** Null: there is no such version (any more). */
  get(versionId: string): Promise<ReadyVersion | null> {
    const known = this.#ready.get(versionId);
    if (known !== undefined) return known;
    const ready = this.#make(versionId);
    this.#ready.set(versionId, ready);
    if (this.#ready.size > maxKept) this.#ready.delete(this.#ready.keys().next().value!);
    // A failure to read is not a fact about the version.
    ready.catch(() => this.#ready.delete(versionId));
    return ready;
  }

  async #make(versionId: string): Promise<ReadyVersion | null> {
    const version = await this.#load(versionId);
    if (version === null) return null;
    const { spec, tenantSlug } = version;
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

function usesSql(spec: JsonObject): boolean {
  return parseDocument(spec).nodes.some(({ type }) => type === 'db');
}

/** Whether a source of the tenant is there is known when a node runs, not before: it may come and go while the plan is kept. */
function anySource(spec: JsonObject): SourceRow[] {
  const document = parseDocument(spec);
  const names = [...document.sources.map(({ ref }) => ref), ...document.nodes.map(({ parameters }) => parameters['source'])];
  return names.filter((name) => typeof name === 'string').flatMap((name) => sourceKinds.map((kind) => ({ name, kind })));
}
