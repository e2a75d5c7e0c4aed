/** The sources: what node code may reach, each call bound to its node, guarded, and answered in the engine's words. */
import { NodeError } from '../errors.ts';
import type { SourcePort } from '../engine/types.ts';
import type { SourceBinding } from './binding.ts';
import { createGuardedFetch } from './guard/fetch.ts';
import { callModel } from './llm/call.ts';
import type { SourceSettings } from './settings.ts';

export type { SourceBinding } from './binding.ts';
export type { SourceSettings } from './settings.ts';

export interface Sources {
  port(binding: SourceBinding): SourcePort;
  close(): Promise<void>;
}

/** A model's answer of more than that is no answer. */
const maxAnswerBytes = 16 * 1024 * 1024;

export function createSources(settings: SourceSettings): Sources {
  const guarded = createGuardedFetch({ allowHosts: settings.allowHosts, maxBytes: maxAnswerBytes });
  const trusted = createGuardedFetch({ allowHosts: [], trusted: true, maxBytes: maxAnswerBytes });
  const ways = { settings, guarded: guarded.fetch, trusted: trusted.fetch };
  return {
    port: (binding) => ({
      llm: (request) => callModel(request, binding, ways),
      image: () => notYet('image', binding),
      db: () => notYet('db', binding),
      api: () => notYet('api', binding),
    }),
    async close() {
      await Promise.all([guarded.close(), trusted.close()]);
    },
  };
}

function notYet(kind: string, binding: SourceBinding): Promise<never> {
  return Promise.reject(new NodeError('NOT_SUPPORTED', `Node '${binding.nodeId}': sources of kind ${kind} cannot be called in this version.`));
}
