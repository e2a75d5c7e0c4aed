/**
 * Finds the source of a node: in the document, else by name among the tenant's active ones, else the node's own inline keys; and those that
 * take its place when it cannot be used.
 */
import { createHash } from 'node:crypto';
import { NodeError } from '../errors.ts';
import type { ApiAnswer, ApiRequest, DbRequest, ImageAnswer, ImageRequest, Json, JsonObject, LlmAnswer, LlmRequest, Plan, PlanNode, SourceKind, SourcePort, SourceSpec } from '../engine/types.ts';
import type { SourceBinding, Sources } from '../sources/index.ts';
import type { SourceRow } from '../store/engine-store.ts';
import type { Asked } from './node-record.ts';
import type { Pricing } from './prices.ts';

export interface SourceFinder {
  sources: Sources;
  store: { findSource(tenantId: string, name: string): Promise<SourceRow | null> };
}

/** What is told of the calls of a node. */
export interface SourceTeller {
  /** What each call has used, and who answered it. */
  onAnswer(answer: Omit<Asked, 'model'>, used: Used): void;
  /** What a streamed answer is so far. Absent where nobody looks. */
  onText?(text: string): void;
  /** A warning among the lines of the node. */
  warn(message: string): void;
}

export interface SourceUse extends Pick<SourceBinding, 'tenantSlug' | 'runId' | 'signal' | 'idempotencyKey'> {
  plan: Plan;
  node: PlanNode;
  tenantId: string;
  pricing: Pricing;
  teller: SourceTeller;
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

/** Null when the node names no source at all. */
export function sourcePortFor(use: SourceUse, finder: SourceFinder): SourcePort | null {
  const { name, inline } = namedIn(use.node);
  return name === null && inline === null ? null : new NodeSource(use, finder);
}

/** `model`: who answered; null where it is no model. */
export interface Used { tokens: number; costUnits: number; model: string | null }
interface AnyAnswer { isCached?: boolean; estimated?: boolean; mock?: boolean }

/** One way of asking, whichever source answers. */
interface Question<T> {
  kind: SourceKind;
  call(port: SourcePort, found: Found): Promise<T>;
  used(answer: T): Used;
}

const nothing: Used = { tokens: 0, costUnits: 0, model: null };
const usesNothing = (): Used => nothing;

/**
 * Looks its source up at the first call, and again at each: it may be switched off meanwhile. Without `async` until something fails: of many calls
 * under way each keeps as little as can be.
 */
class NodeSource implements SourcePort {
  readonly #use: SourceUse;
  readonly #finder: SourceFinder;

  constructor(use: SourceUse, finder: SourceFinder) {
    this.#use = use;
    this.#finder = finder;
  }

  llm(request: LlmRequest): Promise<LlmAnswer> {
    const { node, teller } = this.#use;
    const onText = teller.onText === undefined ? null : (text: string): void => teller.onText!(text);
    const streams = (config: JsonObject): boolean => onText !== null && (node.parameters['stream'] === true || config['stream'] === true);
    return this.#ask({
      kind: 'llm', call: (port, { config }) => port.llm({ ...request, ...(streams(config) ? { onText: onText! } : {}) }),
      used: ({ inputTokens, outputTokens, costUnits, model }) => ({ tokens: inputTokens + outputTokens, costUnits, model }),
    });
  }

  image(request: ImageRequest): Promise<ImageAnswer> {
    return this.#ask({ kind: 'image', call: (port) => port.image(request), used: ({ costUnits, model }) => ({ tokens: 0, costUnits, model }) });
  }

  db(request: DbRequest): ReturnType<SourcePort['db']> {
    return this.#ask({ kind: 'db', call: (port) => port.db(request), used: usesNothing });
  }

  api(request: ApiRequest): Promise<ApiAnswer> {
    return this.#ask({ kind: 'api', call: (port) => port.api(request), used: usesNothing });
  }

  #ask<T extends AnyAnswer>(question: Question<T>): Promise<T> {
    const first = foundFirst(this.#use, this.#finder);
    return first instanceof Promise ? first.then((found) => this.#askFirst(found, question)) : this.#askFirst(first, question);
  }

  #askFirst<T extends AnyAnswer>(found: Found, question: Question<T>): Promise<T> {
    return question.call(bound(found, this.#use, this.#finder), found).then((answer) => this.#told(found, question, answer), (error: unknown) => this.#askOthers(found, question, this.#passing(error)));
  }

  #told<T extends AnyAnswer>({ recordedAs }: Found, { used }: Question<T>, answer: T): T {
    const { teller } = this.#use;
    if (answer.estimated === true && answer.mock !== true && answer.isCached !== true) teller.warn('the provider did not say how many tokens it used: they are estimated from the length');
    teller.onAnswer({ sourceName: recordedAs, isCached: answer.isCached === true }, used(answer));
    return answer;
  }

  /** A failure that says that this source cannot be used now. @throws all others */
  #passing(error: unknown): NodeError {
    if (this.#use.signal.aborted || !(error instanceof NodeError) || !passesOn.has(error.code)) throw error;
    return error;
  }

  /** The first that can be used answers. When none can, the failure that may pass by itself is told: the node is tried again then. */
  async #askOthers<T extends AnyAnswer>({ config }: Found, question: Question<T>, failure: NodeError): Promise<T> {
    const failures = [failure];
    for (const name of fallbacksOf(config['fallback'])) {
      this.#use.teller.warn(`${failures.at(-1)!.message} (${failures.at(-1)!.code}); the source '${name}' is asked instead`);
      try {
        const found = await foundFallback(name, question.kind, this.#use, this.#finder);
        return this.#told(found, question, await question.call(bound(found, this.#use, this.#finder), found));
      } catch (error) {
        failures.push(this.#passing(error));
      }
    }
    throw failures.find(({ transient }) => transient) ?? failures[0]!;
  }
}

export function fallbacksOf(given: Json | undefined): string[] {
  const names = typeof given === 'string' ? [given] : Array.isArray(given) ? given : [];
  return names.filter((name) => typeof name === 'string').slice(0, mostFallbacks);
}

interface Named {
  name: string | null;
  /** Of the node itself; null when it has none. */
  inline: JsonObject | null;
}

/** Nodes are parts of plans: what follows from both alone is found out once. */
const named = new WeakMap<PlanNode, Named>();
const inDocuments = new WeakMap<PlanNode, Found>();

function namedIn(node: PlanNode): Named {
  const known = named.get(node);
  if (known !== undefined) return known;
  const { sourceId, parameters } = node;
  const inline = Object.fromEntries(inlineKeys.flatMap((key) => (parameters[key] === undefined ? [] : [[key, parameters[key]]])));
  const made = { name: sourceId ?? (typeof parameters['source'] === 'string' ? parameters['source'] : null), inline: Object.keys(inline).length === 0 ? null : inline };
  named.set(node, made);
  return made;
}

function foundFirst(use: SourceUse, finder: SourceFinder): Found | Promise<Found> {
  const known = inDocuments.get(use.node);
  if (known !== undefined) return known;
  const { name, inline } = namedIn(use.node);
  const found = name === null ? nowhere : foundByName(name, use, finder);
  if (found instanceof Promise) return found.then((row) => withInline(row, inline));
  const here = withInline(found, inline);
  inDocuments.set(use.node, here);
  return here;
}

const nowhere: Found = { name: null, recordedAs: null, kind: null, config: {}, isSaved: false };

function withInline(found: Found, inline: JsonObject | null): Found {
  return inline === null ? found : { ...found, config: { ...found.config, ...inline }, isSaved: found.isSaved && Object.keys(inline).every((key) => harmless.has(key)) };
}

async function foundFallback(name: string, kind: SourceKind, use: SourceUse, finder: SourceFinder): Promise<Found> {
  const found = await foundByName(name, use, finder);
  if (found.kind === kind) return found;
  throw new NodeError('SOURCE_MISSING', `Node '${use.node.id}': the fallback '${name}' is a source of kind ${found.kind}, and not ${kind}.`);
}

/** At once where the document says what it is; a promise where it is a row of the tenant. */
function foundByName(name: string, use: SourceUse, finder: SourceFinder): Found | Promise<Found> {
  const inDocument = use.plan.document.sources.find((source) => source.id === name);
  if (inDocument === undefined || inDocument.ref !== null) return foundInRows(name, inDocument ?? null, use, finder);
  return { name, recordedAs: name, kind: inDocument.kind, config: inDocument.config ?? {}, isSaved: false };
}

async function foundInRows(name: string, inDocument: SourceSpec | null, { node, tenantId }: SourceUse, finder: SourceFinder): Promise<Found> {
  const wanted = inDocument?.ref ?? name;
  const row = await finder.store.findSource(tenantId, wanted);
  if (row === null || (inDocument !== null && row.kind !== inDocument.kind)) {
    throw new NodeError('SOURCE_MISSING', `Node '${node.id}': there is no active source '${wanted}'${inDocument === null ? '' : ` of kind ${inDocument.kind}`}.`);
  }
  const own = inDocument?.config ?? {};
  return { name, recordedAs: wanted, kind: row.kind as SourceKind, config: { ...row.config, ...own }, isSaved: Object.keys(own).every((key) => harmless.has(key)) };
}

function bound(found: Found, use: SourceUse, { sources }: SourceFinder): SourcePort {
  const { node, tenantId, tenantSlug, runId, signal, idempotencyKey, pricing } = use;
  const binding: SourceBinding = {
    nodeId: node.id, tenantSlug, tenantId, sourceName: found.name, config: found.config, isSaved: found.isSaved, signal, idempotencyKey,
    costUnits: pricing.costUnits, imageCostUnits: pricing.imageCostUnits,
    sourceKey: found.isSaved ? `saved:${found.recordedAs}` : inlineKey(found.config),
    openSecret: (secret) => sources.openSecret(tenantId, secret),
  };
  if (runId !== undefined) binding.runId = runId;
  return sources.port(binding);
}

const inlineKeysMade = new WeakMap<JsonObject, string>();

function inlineKey(config: JsonObject): string {
  const known = inlineKeysMade.get(config);
  if (known !== undefined) return known;
  const key = `inline:${createHash('sha256').update(JSON.stringify(config)).digest('base64url')}`;
  inlineKeysMade.set(config, key);
  return key;
}
