/**
 * Finds the source of a node: in the document, else by name among the tenant's active ones, else the node's own inline keys; and those that
 * take its place when it cannot be used.
 */
import { createHash } from 'node:crypto';
import { NodeError } from '../errors.ts';
import type { Json, JsonObject, Plan, PlanNode, SourceKind, SourcePort } from '../engine/types.ts';
import type { SourceBinding, Sources } from '../sources/index.ts';
import type { SourceRow } from '../store/engine-store.ts';
import type { Asked } from './node-record.ts';

export interface SourceFinder {
  sources: Sources;
  findSource(tenantId: string, name: string): Promise<SourceRow | null>;
}

export interface SourceUse extends Omit<SourceBinding, 'nodeId' | 'sourceName' | 'config' | 'isSaved' | 'openSecret' | 'sourceKey'> {
  plan: Plan;
  node: PlanNode;
  tenantId: string;
  /** Told what each call has used, and who answered it. */
  onAnswer(answer: Asked & { tokens: number; costUnits: number }): void;
  /** Told what a streamed answer is so far. Absent where nobody looks. */
  onText?(text: string): void;
  /** A warning among the lines of the node. */
  log(message: string): void;
}

interface Found {
  /** As messages name it: its id in the document, or its name. */
  name: string | null;
  /** As rows record it: the name of the saved source, where it is one. */
  recordedAs: string | null;
  kind: SourceKind | null;
  config: JsonObject;
  isSaved: boolean;
}

const inlineKeys = ['provider', 'model', 'api_key_env', 'base_url'] as const;
const mostFallbacks = 5;
/** What a document may say over a saved source and leave it one: another model at the same place is harmless, another place is not. */
const harmless: ReadonlySet<string> = new Set(['model', 'fallback', 'stream', 'cache', 'circuit_breaker']);
/** What says that this source cannot be used now; another may. */
const passesOn: ReadonlySet<string> = new Set(['SOURCE_UNAVAILABLE', 'SOURCE_PAUSED', 'SOURCE_UNPAID', 'SOURCE_UNAUTHORIZED', 'SOURCE_KEY_MISSING', 'SOURCE_MISSING']);

/** Null when the node names no source at all. Looking it up happens at the first call, and again at each: it may be switched off meanwhile. */
export function sourcePortFor(use: SourceUse, finder: SourceFinder): SourcePort | null {
  const { node } = use;
  const name = node.sourceId ?? (typeof node.parameters['source'] === 'string' ? node.parameters['source'] : null);
  const inline = Object.fromEntries(inlineKeys.flatMap((key) => (node.parameters[key] === undefined ? [] : [[key, node.parameters[key]]])));
  if (name === null && Object.keys(inline).length === 0) return null;
  const first = (): Promise<Found> => foundFirst(name, inline, use, finder);
  const wantsText = node.parameters['stream'] === true;
  const ask = <T extends { isCached?: boolean; estimated?: boolean; mock?: boolean }>(kind: SourceKind, call: (port: SourcePort, found: Found) => Promise<T>, used: (answer: T) => Used): Promise<T> => (
    withFallbacks(use, { first, kind, finder }, async (found) => {
      const answer = await call(bound(found, use, finder), found);
      if (answer.estimated === true && answer.mock !== true && answer.isCached !== true) use.log('the provider did not say how many tokens it used: they are estimated from the length');
      use.onAnswer({ sourceName: found.recordedAs, isCached: answer.isCached === true, ...used(answer) });
      return answer;
    })
  );
  return {
    llm: (request) => ask('llm', (port, { config }) => port.llm({ ...request, ...(use.onText !== undefined && (wantsText || config['stream'] === true) ? { onText: use.onText } : {}) }),
      ({ inputTokens, outputTokens, costUnits, model }) => ({ tokens: inputTokens + outputTokens, costUnits, model })),
    image: (request) => ask('image', (port) => port.image(request), ({ costUnits, model }) => ({ tokens: 0, costUnits, model })),
    db: (request) => ask('db', (port) => port.db(request), () => nothingUsed),
    api: (request) => ask('api', (port) => port.api(request), () => nothingUsed),
  };
}

interface Used { tokens: number; costUnits: number; model: string | null }
const nothingUsed: Used = { tokens: 0, costUnits: 0, model: null };

/** The first that can be used answers. When none can, the failure that may pass by itself is told: the node is tried again then. */
async function withFallbacks<T>(use: SourceUse, { first, kind, finder }: { first(): Promise<Found>; kind: SourceKind; finder: SourceFinder }, call: (found: Found) => Promise<T>): Promise<T> {
  const failures: NodeError[] = [];
  const attempt = async (find: () => Found | Promise<Found>): Promise<{ answer: T } | null> => {
    try {
      return { answer: await call(await find()) };
    } catch (error) {
      if (use.signal.aborted || !(error instanceof NodeError) || !passesOn.has(error.code)) throw error;
      failures.push(error);
      return null;
    }
  };
  const primary = await first();
  const answered = await attempt(() => primary);
  if (answered !== null) return answered.answer;
  for (const name of fallbacksOf(primary.config['fallback'])) {
    use.log(`${failures.at(-1)!.message} (${failures.at(-1)!.code}); the source '${name}' is asked instead`);
    const other = await attempt(() => foundFallback(name, kind, use, finder));
    if (other !== null) return other.answer;
  }
  throw failures.find(({ transient }) => transient) ?? failures[0]!;
}

export function fallbacksOf(given: Json | undefined): string[] {
  const names = typeof given === 'string' ? [given] : Array.isArray(given) ? given : [];
  return names.filter((name) => typeof name === 'string').slice(0, mostFallbacks);
}

async function foundFirst(name: string | null, inline: JsonObject, use: SourceUse, finder: SourceFinder): Promise<Found> {
  const found = name === null ? { name, recordedAs: null, kind: null, config: {}, isSaved: false } : await foundByName(name, use, finder);
  return { ...found, config: { ...found.config, ...inline }, isSaved: found.isSaved && Object.keys(inline).every((key) => harmless.has(key)) };
}

async function foundFallback(name: string, kind: SourceKind, use: SourceUse, finder: SourceFinder): Promise<Found> {
  const found = await foundByName(name, use, finder);
  if (found.kind === kind) return found;
  throw new NodeError('SOURCE_MISSING', `Node '${use.node.id}': the fallback '${name}' is a source of kind ${found.kind}, and not ${kind}.`);
}

async function foundByName(name: string, { plan, node, tenantId }: SourceUse, finder: SourceFinder): Promise<Found> {
  const inDocument = plan.document.sources.find((source) => source.id === name);
  if (inDocument !== undefined && inDocument.ref === null) return { name, recordedAs: name, kind: inDocument.kind, config: inDocument.config ?? {}, isSaved: false };
  const wanted = inDocument?.ref ?? name;
  const row = await finder.findSource(tenantId, wanted);
  if (row === null || (inDocument !== undefined && row.kind !== inDocument.kind)) {
    throw new NodeError('SOURCE_MISSING', `Node '${node.id}': there is no active source '${wanted}'${inDocument ? ` of kind ${inDocument.kind}` : ''}.`);
  }
  const own = inDocument?.config ?? {};
  return { name, recordedAs: wanted, kind: row.kind as SourceKind, config: { ...row.config, ...own }, isSaved: Object.keys(own).every((key) => harmless.has(key)) };
}

function bound({ name, recordedAs, config, isSaved }: Found, use: SourceUse, { sources }: SourceFinder): SourcePort {
  const { node, tenantId, tenantSlug, runId, signal, idempotencyKey, costUnits, imageCostUnits } = use;
  return sources.port({
    nodeId: node.id, tenantSlug, tenantId, sourceName: name, config, isSaved, signal, idempotencyKey, costUnits, imageCostUnits,
    ...(runId === undefined ? {} : { runId }),
    sourceKey: isSaved ? `saved:${recordedAs}` : `inline:${createHash('sha256').update(JSON.stringify(config)).digest('base64url')}`,
    openSecret: (secret) => sources.openSecret(tenantId, secret),
  });
}
