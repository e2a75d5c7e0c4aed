/** The sources: what node code may reach, each call bound to its node, guarded, and answered in the engine's words. */
import type { ApiAnswer, ApiRequest, DbRequest, ImageAnswer, ImageRequest, LlmAnswer, LlmRequest, SourcePort } from '../engine/types.ts';
import { answered, apiForm, dbForm, imageForm, llmForm } from './answers.ts';
import { callApi } from './api/call.ts';
import type { OpenedSecret, SourceBinding } from './binding.ts';
import { paid } from './budgets.ts';
import { SourceCall } from './call.ts';
import { Circuits } from './circuits.ts';
import { Pools } from './db/pools.ts';
import { queryDatabase, type DbAnswer } from './db/query.ts';
import { createGuardedFetch, type Ask, type Fetch } from './guard/fetch.ts';
import { makePicture } from './image/call.ts';
import { callModel } from './llm/call.ts';
import { loadLibraries } from './llm/providers.ts';
import type { SourceSettings } from './settings.ts';
import type { SharedState } from './shared-state.ts';

export type { OpenedSecret, SourceBinding } from './binding.ts';
export type { SourceSettings } from './settings.ts';
export type { SharedState } from './shared-state.ts';
export { trySource, type Trial, type TriedSource } from './trial.ts';

export interface Sources {
  port(binding: SourceBinding): SourcePort;
  /** The tenant's stored secret of that name; null when there is none that can be opened. */
  openSecret(tenantId: string, name: string): Promise<OpenedSecret | null>;
  /** Loads what calls of models need, before one whose moment counts. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

/** An answer of more than that is no answer: of a model (pictures come as base64), and of an api. */
const maxModelBytes = 32 * 1024 * 1024;
const maxApiBytes = 8 * 1024 * 1024;

export type OpenSecret = Sources['openSecret'];

/** What the calls of a process share. */
interface Ways {
  settings: SourceSettings;
  /** Null where sources are only tried out. */
  shared: SharedState | null;
  circuits: Circuits;
  /** The same for models: built-in answers cost nothing and cannot fail. */
  modelShared: SharedState | null;
  modelCircuits: Circuits;
  models: { guarded: Fetch; trusted: Fetch };
  ask: Ask;
  pools: Pools;
}

/** `shared`: null where sources are only tried out. */
export function createSources(settings: SourceSettings, openSecret: OpenSecret = () => Promise.resolve(null), shared: SharedState | null = null): Sources {
  const { allowHosts } = settings;
  const guarded = createGuardedFetch({ allowHosts, maxBytes: maxModelBytes });
  const trusted = createGuardedFetch({ allowHosts: [], trusted: true, maxBytes: maxModelBytes });
  const services = createGuardedFetch({ allowHosts, maxBytes: maxApiBytes });
  const pools = new Pools({ allowHosts });
  const circuits = new Circuits(shared);
  const isMock = settings.llmGateway === null && settings.mockLlm === true;
  const ways: Ways = {
    settings, shared, circuits, pools, modelShared: isMock ? null : shared, modelCircuits: isMock ? new Circuits(null) : circuits,
    models: { guarded: guarded.fetch, trusted: trusted.fetch }, ask: services.ask,
  };
  return {
    openSecret,
    prepare: () => loadLibraries(settings.llmGateway !== null),
    port: (binding) => new BoundPort(binding, ways),
    async close() {
      await Promise.all([guarded.close(), trusted.close(), services.close(), pools.close()]);
    },
  };
}

/** A class, and no `async`: there is one for each call under way. */
class BoundPort implements SourcePort {
  readonly #binding: SourceBinding;
  readonly #ways: Ways;

  constructor(binding: SourceBinding, ways: Ways) {
    this.#binding = binding;
    this.#ways = ways;
  }

  llm(request: LlmRequest): Promise<LlmAnswer> {
    const { modelShared, modelCircuits, models } = this.#ways;
    return this.#named((call, binding) => answered(modelShared, { binding, kind: 'llm', request }, llmForm, () => (
      paid(modelShared, binding, () => modelCircuits.guarded(binding, () => callModel(request, call, models)), tokensAndCost))));
  }

  image(request: ImageRequest): Promise<ImageAnswer> {
    const { modelShared, modelCircuits, models } = this.#ways;
    return this.#named((call, binding) => answered(modelShared, { binding, kind: 'image', request }, imageForm, () => (
      paid(modelShared, binding, () => modelCircuits.guarded(binding, () => makePicture(request, call, models)), ({ costUnits }) => ({ tokens: 0, costUnits })))));
  }

  db(request: DbRequest): Promise<DbAnswer> {
    const { shared, circuits, pools } = this.#ways;
    return this.#named((call, binding) => answered(shared, { binding, kind: 'db', request }, dbForm, () => circuits.guarded(binding, () => queryDatabase(request, call, pools))));
  }

  api(request: ApiRequest): Promise<ApiAnswer> {
    const { shared, circuits, ask } = this.#ways;
    return this.#named((call, binding) => answered(shared, { binding, kind: 'api', request }, apiForm(request), () => circuits.guarded(binding, () => callApi(request, call, ask))));
  }

  #named<Answer>(work: (call: SourceCall, binding: SourceBinding) => Promise<Answer>): Promise<Answer> {
    const call = new SourceCall(this.#binding, this.#ways.settings);
    return call.naming(() => work(call, this.#binding));
  }
}

function tokensAndCost({ inputTokens, outputTokens, costUnits }: LlmAnswer): { tokens: number; costUnits: number } {
  return { tokens: inputTokens + outputTokens, costUnits };
}
