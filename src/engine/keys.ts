/** Names of keys: the two dialects, and what is known where. */
import { setOwn } from './json.ts';
import type { JsonObject } from './types.ts';

/** Key as some write it -> key as it is called here. */
export const metadataAliases: Readonly<Record<string, string>> = {
  source_id: 'source', prompt_template: 'prompt', query_template: 'query', validate: 'validation', model_name: 'model',
};

export const configAliases: Readonly<Record<string, string>> = {
  model_name: 'model', dsn_env: 'connection_string_env', auth_env: 'token_env',
};

export const knownKeys = {
  document: ['$schema', 'nodes', 'edges', 'queues', 'sources', 'start_node', 'name', 'description', 'version', 'metadata', 'initial_state', 'limits'],
  node: ['id', 'type', 'description', 'metadata'],
  edge: ['from', 'to', 'condition', 'default', 'queue'],
  queue: ['id', 'from', 'to', 'bandwidth'],
  source: ['id', 'kind', 'config', 'ref', 'fallback'],
} as const;

/** Keys of a node's metadata that name a model without a source. */
export const inlineSourceKeys = ['provider', 'model', 'api_key_env'] as const;

/** Targets that mean: the path ends here. */
export const endTargets: ReadonlySet<string> = new Set(['end', '__end__']);

/** State keys that the engine keeps. */
export const engineKeys: ReadonlySet<string> = new Set(['execution_path', 'tokens_used', 'cost', 'errors']);

export interface Canonical {
  values: JsonObject;
  /** Canonical key -> key as sent, where they differ. */
  sentAs: Map<string, string>;
  /** Keys as sent that lost against the canonical name. */
  overridden: string[];
}

/** The same object under canonical names, without nulls. Where both dialects are used, the canonical name wins. */
export function canonical(object: JsonObject, aliases: Readonly<Record<string, string>>): Canonical {
  const values: JsonObject = {};
  const sentAs = new Map<string, string>();
  const overridden: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    if (value === null) continue;
    const name = Object.hasOwn(aliases, key) ? (aliases[key] as string) : key;
    if (name !== key && Object.hasOwn(object, name) && object[name] !== null) {
      overridden.push(key);
      continue;
    }
    setOwn(values, name, value);
    if (name !== key) sentAs.set(name, key);
  }
  return { values, sentAs, overridden };
}
