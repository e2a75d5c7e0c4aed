/** Where a model call goes: the operator's gateway, else the provider of the source; and with which key. */
import { NodeError } from '../../errors.ts';
import { textOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { readCredential } from '../credentials.ts';
import type { Fetch } from '../guard/fetch.ts';
import { compatible, providers, type ModelOptions, type Provider } from './providers.ts';

export interface Ways {
  /** To providers. */
  guarded: Fetch;
  /** To the operator's gateway. */
  trusted: Fetch;
}

export interface Route {
  name: string;
  provider: Provider;
  options: ModelOptions;
}

/** @throws NodeError INVALID_VALUE, SOURCE_KEY_MISSING, SOURCE_NOT_ALLOWED */
export async function routeOf(model: string, call: SourceCall, ways: Ways): Promise<Route> {
  const { settings, binding: { config } } = call;
  if (settings.llmGateway !== null) {
    const { url, key } = settings.llmGateway;
    if (key !== null) call.keepSecret(key);
    return { name: 'gateway', provider: compatible, options: { model, baseUrl: url.replace(/\/+$/, ''), key, apiVersion: null, fetch: ways.trusted } };
  }
  const name = textOf(config, 'provider')?.toLowerCase() ?? 'openai';
  const provider = Object.hasOwn(providers, name) ? providers[name]! : null;
  if (provider === null) {
    throw new NodeError('INVALID_VALUE', `provider '${name}' is not known; there are ${Object.keys(providers).join(', ')}.`, { remedy: 'Use one of these; openai-compatible with base_url reaches any other that speaks its language.' });
  }
  const ownUrl = textOf(config, 'base_url', 'endpoint') ?? azureUrl(name, textOf(config, 'resource', 'resource_name'));
  const url = URL.parse(ownUrl ?? provider.baseUrl ?? '');
  if (url === null) throw new NodeError('INVALID_VALUE', 'it needs a base_url that is a URL.', { remedy: 'Set base_url in its configuration.' });
  const key = await readCredential(call, {
    secretKeys: ['api_key', 'key'], variableKeys: ['api_key_env', 'key_env'], host: url.hostname,
    usual: provider.keyIsOptional === true ? [] : provider.variables,
    ownHosts: provider.baseUrl === null ? [] : [new URL(provider.baseUrl).hostname],
  });
  const baseUrl = ownUrl?.replace(/\/+$/, '') ?? (provider.keyIsOptional === undefined ? null : provider.baseUrl);
  return { name, provider, options: { model, key, baseUrl, apiVersion: textOf(config, 'api_version'), fetch: ways.guarded } };
}

function azureUrl(provider: string, resource: string | null): string | null {
  const isName = resource !== null && /^[a-z0-9-]+$/i.test(resource);
  return provider.startsWith('azure') && isName ? `https://${resource}.openai.azure.com` : null;
}
