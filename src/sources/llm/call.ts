/** One model call: where it goes (the operator's gateway, else the mock, else the provider), what is sent, what it cost. */
import { NodeError } from '../../errors.ts';
import type { LlmAnswer, LlmRequest } from '../../engine/types.ts';
import { numberOf, textOf, type SourceBinding } from '../binding.ts';
import type { Fetch } from '../guard/fetch.ts';
import type { SourceSettings } from '../settings.ts';
import { readVariable } from '../variables.ts';
import { asNodeError } from './failures.ts';
import { mockText } from './mock.ts';
import { compatible, providers, type LanguageModel } from './providers.ts';

export interface LlmWays {
  settings: SourceSettings;
  /** To providers. */
  guarded: Fetch;
  /** To the operator's gateway. */
  trusted: Fetch;
}

type CallOptions = Parameters<LanguageModel['doGenerate']>[0];
type Generated = Awaited<ReturnType<LanguageModel['doGenerate']>>;

/** Characters that one token has on the average, for providers that do not count. */
const charactersPerToken = 4;
const defaultTemperature = 0.7;
const defaultMaxTokens = 4_096;

export async function callModel(request: LlmRequest, binding: SourceBinding, ways: LlmWays): Promise<LlmAnswer> {
  const model = modelName(binding);
  if (ways.settings.llmGateway === null && ways.settings.mockLlm === true) {
    return answer(mockText(request, model), undefined, { request, binding, model, mock: true });
  }
  const { caller, key } = await callerFor(model, binding, ways);
  const what = `Source ${binding.sourceName} (model ${model})`;
  let generated: Generated;
  try {
    generated = await caller.doGenerate(callOptions(request, binding));
  } catch (error) {
    if (binding.signal.aborted) throw binding.signal.reason;
    throw asNodeError(error, { what, key });
  }
  const text = generated.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('');
  return answer(text, generated.usage, { request, binding, model, mock: false });
}

async function callerFor(model: string, binding: SourceBinding, ways: LlmWays): Promise<{ caller: Pick<LanguageModel, 'doGenerate'>; key: string | null }> {
  const { settings } = ways;
  if (settings.llmGateway !== null) {
    const { url, key } = settings.llmGateway;
    return { caller: await compatible({ model, baseUrl: url.replace(/\/+$/, ''), key, fetch: ways.trusted }), key };
  }
  const name = textOf(binding.config, 'provider') ?? 'openai';
  const provider = Object.hasOwn(providers, name) ? providers[name]! : null;
  if (provider === null) {
    throw new NodeError('INVALID_VALUE', `Node '${binding.nodeId}': provider '${name}' is not known; there are ${Object.keys(providers).join(', ')}.`);
  }
  const ownUrl = textOf(binding.config, 'base_url');
  const baseUrl = ownUrl ?? provider.baseUrl;
  const url = baseUrl === null ? null : URL.parse(baseUrl);
  if (url === null) throw new NodeError('INVALID_VALUE', `Node '${binding.nodeId}': source ${binding.sourceName} needs a base_url that is a URL.`);
  const variable = textOf(binding.config, 'api_key_env') ?? provider.variables[0] ?? null;
  const key = variable === null ? null : readVariable(settings, {
    variable, nodeId: binding.nodeId, tenantSlug: binding.tenantSlug, host: url.hostname,
    ownHosts: provider.variables.includes(variable) && provider.baseUrl !== null ? [new URL(provider.baseUrl).hostname] : [],
  });
  return { caller: await provider.make({ model, baseUrl: ownUrl, key, fetch: ways.guarded }), key };
}

function modelName(binding: SourceBinding): string {
  const model = textOf(binding.config, 'model', 'model_name');
  if (model === null) throw new NodeError('INVALID_VALUE', `Node '${binding.nodeId}': source ${binding.sourceName} names no model.`);
  return model;
}

function callOptions(request: LlmRequest, binding: SourceBinding): CallOptions {
  const topP = request.topP ?? numberOf(binding.config, 'top_p');
  return {
    prompt: [
      ...(request.system === null ? [] : [{ role: 'system' as const, content: request.system }]),
      { role: 'user' as const, content: [{ type: 'text' as const, text: request.prompt }] },
    ],
    temperature: request.temperature ?? numberOf(binding.config, 'temperature') ?? defaultTemperature,
    maxOutputTokens: request.maxTokens ?? numberOf(binding.config, 'max_tokens') ?? defaultMaxTokens,
    ...(topP === null ? {} : { topP }),
    ...(request.json === null ? {} : { responseFormat: { type: 'json' as const, ...(request.json.schema === null ? {} : { schema: request.json.schema }) } }),
    abortSignal: binding.signal,
    headers: { 'Idempotency-Key': binding.idempotencyKey },
  };
}

interface Answered { request: LlmRequest; binding: SourceBinding; model: string; mock: boolean }

function answer(text: string, usage: Generated['usage'] | undefined, { request, binding, model, mock }: Answered): LlmAnswer {
  const input = usage?.inputTokens.total;
  const output = usage?.outputTokens.total;
  const inputTokens = input ?? estimatedTokens(`${request.system ?? ''}${request.prompt}`);
  const outputTokens = output ?? estimatedTokens(text);
  return {
    text, model, inputTokens, outputTokens, mock,
    estimated: input === undefined || output === undefined,
    costUnits: mock ? 0 : binding.costUnits(model, inputTokens, outputTokens),
  };
}

function estimatedTokens(text: string): number {
  return Math.ceil(text.length / charactersPerToken);
}
