/** The sources: what node code may reach, each call bound to its node, guarded, and answered in the engine's words. */
import type { SourcePort } from '../engine/types.ts';
import { callApi } from './api/call.ts';
import type { OpenedSecret, SourceBinding } from './binding.ts';
import { SourceCall } from './call.ts';
import { Pools } from './db/pools.ts';
import { queryDatabase } from './db/query.ts';
import { createGuardedFetch } from './guard/fetch.ts';
import { makePicture } from './image/call.ts';
import { callModel } from './llm/call.ts';
import { loadLibraries } from './llm/providers.ts';
import type { SourceSettings } from './settings.ts';

export type { OpenedSecret, SourceBinding } from './binding.ts';
export type { SourceSettings } from './settings.ts';
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

export function createSources(settings: SourceSettings, openSecret: OpenSecret = () => Promise.resolve(null)): Sources {
  const { allowHosts } = settings;
  const guarded = createGuardedFetch({ allowHosts, maxBytes: maxModelBytes });
  const trusted = createGuardedFetch({ allowHosts: [], trusted: true, maxBytes: maxModelBytes });
  const services = createGuardedFetch({ allowHosts, maxBytes: maxApiBytes });
  const pools = new Pools({ allowHosts });
  const ways = { guarded: guarded.fetch, trusted: trusted.fetch };
  return {
    openSecret,
    prepare: () => loadLibraries(settings.llmGateway !== null),
    port(binding) {
      const call = (): SourceCall => new SourceCall(binding, settings);
      return {
        llm: (request) => callModel(request, call(), ways),
        image: (request) => makePicture(request, call(), ways),
        db: (request) => queryDatabase(request, call(), pools),
        api: (request) => callApi(request, call(), services.fetch),
      };
    },
    async close() {
      await Promise.all([guarded.close(), trusted.close(), services.close(), pools.close()]);
    },
  };
}
