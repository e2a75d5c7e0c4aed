/** Finds the source of a node: in the document, else by name among the tenant's active ones, else the node's own inline keys. */
import { NodeError } from '../errors.ts';
import type { JsonObject, Plan, PlanNode, SourcePort } from '../engine/types.ts';
import type { SourceBinding, Sources } from '../sources/index.ts';
import type { SourceRow } from '../store/engine-store.ts';

export interface SourceFinder {
  sources: Sources;
  findSource(tenantId: string, name: string): Promise<SourceRow | null>;
}

export interface SourceUse extends Omit<SourceBinding, 'nodeId' | 'sourceName' | 'config' | 'isSaved' | 'openSecret'> {
  plan: Plan;
  node: PlanNode;
  tenantId: string;
  /** Told what each call has used. */
  onUsed(tokens: number, costUnits: number): void;
}

const inlineKeys = ['provider', 'model', 'api_key_env', 'base_url'] as const;

/** Null when the node names no source at all. Looking it up happens at the first call, and again at each: it may be switched off meanwhile. */
export function sourcePortFor(use: SourceUse, finder: SourceFinder): SourcePort | null {
  const { node } = use;
  const name = node.sourceId ?? (typeof node.parameters['source'] === 'string' ? node.parameters['source'] : null);
  const inline = Object.fromEntries(inlineKeys.flatMap((key) => (node.parameters[key] === undefined ? [] : [[key, node.parameters[key]]])));
  if (name === null && Object.keys(inline).length === 0) return null;
  const bound = async (): Promise<SourcePort> => {
    const found = name === null ? { config: {}, isSaved: false } : await configOf(name, use, finder);
    const config = { ...found.config, ...inline };
    // Another model at the same place is harmless; another place is not.
    const isSaved = found.isSaved && Object.keys(inline).every((key) => key === 'model');
    const { tenantSlug, signal, idempotencyKey, costUnits, imageCostUnits } = use;
    return finder.sources.port({
      nodeId: node.id, tenantSlug, sourceName: name, config, isSaved, signal, idempotencyKey, costUnits, imageCostUnits,
      openSecret: (secret) => finder.sources.openSecret(use.tenantId, secret),
    });
  };
  return {
    llm: async (request) => {
      const answer = await (await bound()).llm(request);
      use.onUsed(answer.inputTokens + answer.outputTokens, answer.costUnits);
      return answer;
    },
    image: async (request) => {
      const answer = await (await bound()).image(request);
      use.onUsed(0, answer.costUnits);
      return answer;
    },
    db: async (request) => (await bound()).db(request),
    api: async (request) => (await bound()).api(request),
  };
}

async function configOf(name: string, { plan, node, tenantId }: SourceUse, finder: SourceFinder): Promise<{ config: JsonObject; isSaved: boolean }> {
  const inDocument = plan.document.sources.find((source) => source.id === name);
  if (inDocument !== undefined && inDocument.ref === null) return { config: inDocument.config ?? {}, isSaved: false };
  const wanted = inDocument?.ref ?? name;
  const row = await finder.findSource(tenantId, wanted);
  if (row === null || (inDocument !== undefined && row.kind !== inDocument.kind)) {
    throw new NodeError('SOURCE_MISSING', `Node '${node.id}': there is no active source '${wanted}'${inDocument ? ` of kind ${inDocument.kind}` : ''}.`);
  }
  const own = inDocument?.config ?? {};
  return { config: { ...row.config, ...own }, isSaved: Object.keys(own).length === 0 };
}
