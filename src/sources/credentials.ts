/**
 * Keys, passwords and connections of sources: from the variables that the operator lists, or from the secrets that the tenant has stored.
 * Both are bound to the host that they go to.
 */
import { NodeError } from '../errors.ts';
import type { JsonObject } from '../engine/types.ts';
import { nameOf, objectOf, placeOf, textOf } from './binding.ts';
import type { SourceCall } from './call.ts';
import { hostMatches, readVariable } from './variables.ts';

export interface Wanted {
  /** Keys whose value is `{"secret": "name"}`. */
  secretKeys: readonly string[];
  /** Keys whose value names a variable. */
  variableKeys: readonly string[];
  /** Where the value would go. */
  host: string | ((value: string) => string);
  /** Variables to read when nothing is named, the usual one first. */
  usual?: readonly string[];
  /** The hosts to which the usual variables may go without being listed. */
  ownHosts?: readonly string[];
}

/** Null: the configuration asks for none. @throws NodeError SOURCE_NOT_ALLOWED, SOURCE_KEY_MISSING */
export async function readCredential(call: SourceCall, wanted: Wanted, config: JsonObject = call.binding.config): Promise<string | null> {
  const name = secretName(config, wanted.secretKeys);
  const value = name === null ? variableOf(call, wanted, config) : await storedSecret(call, name, wanted.host);
  if (value !== null) call.keepSecret(value);
  return value;
}

/** The stored secret that one of these keys names. */
function secretName(config: JsonObject, keys: readonly string[]): string | null {
  for (const key of keys) {
    const name = objectOf(config[key])?.['secret'];
    if (typeof name === 'string') return name;
  }
  return null;
}

function variableOf(call: SourceCall, { variableKeys, host, usual = [], ownHosts = [] }: Wanted, config: JsonObject): string | null {
  const { binding, settings } = call;
  const isSet = (name: string): boolean => Object.hasOwn(settings.sourceValues, name) && settings.sourceValues[name] !== '';
  const variable = textOf(config, ...variableKeys) ?? usual.find(isSet) ?? usual[0] ?? null;
  if (variable === null) return null;
  return readVariable(settings, { variable, place: placeOf(binding), tenantSlug: binding.tenantSlug, host, ownHosts: usual.includes(variable) ? ownHosts : [] });
}

/** A secret without hosts goes only where a saved source says: whoever may write a document may not choose its way. */
async function storedSecret({ binding }: SourceCall, name: string, wantedHost: Wanted['host']): Promise<string> {
  const secret = await binding.openSecret?.(name) ?? null;
  if (secret === null) {
    throw new NodeError('SOURCE_KEY_MISSING', `${placeOf(binding)} names the secret '${name}', and there is none.`, { remedy: `Store it: createSecret(input: {name: "${name}", value: ...}).` });
  }
  const host = typeof wantedHost === 'string' ? wantedHost : wantedHost(secret.value);
  const mayGo = secret.hosts === null ? binding.isSaved === true : secret.hosts.some((pattern) => hostMatches(pattern, host));
  if (mayGo) return secret.value;
  const why = secret.hosts === null ? `it was stored without hosts, and ${nameOf(binding)} is not a saved source` : `it may go to ${secret.hosts.join(', ')} only`;
  throw new NodeError('SOURCE_NOT_ALLOWED', `${placeOf(binding)} may not send the secret '${name}' to ${host}: ${why}.`, { remedy: 'Store the secret again with this host among its hosts, or use it in a saved source.' });
}
