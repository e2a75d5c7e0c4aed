/** The sources: what node code may reach, each call bound to its node, guarded, and answered in the engine's words. */
import type { LlmAnswer, SourcePort } from '../engine/types.ts';
import { answered, apiForm, dbForm, imageForm, llmForm } from './answers.ts';
import { callApi } from './api/call.ts';
import type { OpenedSecret, SourceBinding } from './binding.ts';
import { paid } from './budgets.ts';
import { SourceCall } from './call.ts';
import { Circuits } from './circuits.ts';
import { Pools } from './db/pools.ts';
import { queryDatabase } from './db/query.ts';
import { createGuardedFetch } from './guard/fetch.ts';
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

/** `shared`: null where sources are only tried out. */
export function createSources(settings: SourceSettings, openSecret: OpenSecret = () => Promise.resolve(null), shared: SharedState | null = null): Sources {
  const { allowHosts } = settings;
  const guarded = createGuardedFetch({ allowHosts, maxBytes: maxModelBytes });
  const trusted = createGuardedFetch({ allowHosts: [], trusted: true, maxBytes: maxModelBytes });
  const services = createGuardedFetch({ allowHosts, maxBytes: maxApiBytes });
  const pools = new Pools({ allowHosts });
  const ways = { guarded: guarded.fetch, trusted: trusted.fetch };
  const circuits = new Circuits(shared);
  const isMock = settings.llmGateway === null && settings.mockLlm === true;
  return {
    openSecret,
    prepare: () => loadLibraries(settings.llmGateway !== null),
    port(binding) {
      const call = (): SourceCall => new SourceCall(binding, settings);
      // Built-in answers cost nothing and cannot fail.
      const kept = isMock ? null : shared;
      const guardedBy = isMock ? new Circuits(null) : circuits;
      return {
        llm: (request) => call().naming(() => answered(kept, { binding, kind: 'llm', request }, llmForm, () => (
          paid(kept, binding, () => guardedBy.guarded(binding, () => callModel(request, call(), ways)), tokensAndCost)))),
        image: (request) => call().naming(() => answered(kept, { binding, kind: 'image', request }, imageForm, () => (
          paid(kept, binding, () => guardedBy.guarded(binding, () => makePicture(request, call(), ways)), ({ costUnits }) => ({ tokens: 0, costUnits }))))),
        db: (request) => call().naming(() => answered(shared, { binding, kind: 'db', request }, dbForm, () => (
          circuits.guarded(binding, () => queryDatabase(request, call(), pools))))),
        api: (request) => call().naming(() => answered(shared, { binding, kind: 'api', request }, apiForm(request), () => (
          circuits.guarded(binding, () => callApi(request, call(), services.ask))))),
      };
    },
    async close() {
      await Promise.all([guarded.close(), trusted.close(), services.close(), pools.close()]);
    },
  };
}

function tokensAndCost({ inputTokens, outputTokens, costUnits }: LlmAnswer): { tokens: number; costUnits: number } {
  return { tokens: inputTokens + outputTokens, costUnits };
}
