/** One model call: where it goes (the operator's gateway, else the mock, else the provider), what is sent, what it cost. */
import { NodeError } from '../../errors.ts';
import type { LlmAnswer, LlmRequest } from '../../engine/types.ts';
import { numberOf, textOf, type SourceBinding } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { modelFailure } from './failures.ts';
import { mockText } from './mock.ts';
import type { LanguageModel } from './providers.ts';
import { routeOf, type Ways } from './route.ts';

type CallOptions = Parameters<LanguageModel['doGenerate']>[0];
type Generated = Awaited<ReturnType<LanguageModel['doGenerate']>>;

interface Said extends Pick<Generated, 'finishReason'> {
  text: string;
  usage: Generated['usage'] | undefined;
}

/** Characters that one token has on the average, for providers that do not count. */
const charactersPerToken = 4;
const defaultTemperature = 0.7;
const defaultMaxTokens = 4_096;

export function callModel(request: LlmRequest, call: SourceCall, ways: Ways): Promise<LlmAnswer> {
  const { binding, settings } = call;
  const model = textOf(binding.config, 'model', 'model_name');
  return call.run(async () => {
    if (model === null) throw new NodeError('INVALID_VALUE', 'it names no model.', { remedy: 'Set model in its configuration.' });
    if (settings.llmGateway === null && settings.mockLlm === true) {
      return answer(mockText(request, model), undefined, { request, binding, model, mock: true });
    }
    const { provider, options } = await routeOf(model, call, ways);
    const caller = await provider.language(options);
    const { text, finishReason, usage } = await (request.onText === undefined ? whole(caller, request, call) : streamed(caller, request, call, request.onText));
    if (text === '' && finishReason.unified !== 'length') {
      throw new NodeError('SOURCE_FAILED', `(model ${model}) gave no text (${finishReason.raw ?? finishReason.unified}).`, { remedy: 'The provider may have held the answer back: change the prompt. Check that provider and base_url fit.' });
    }
    return answer(call.redact(text), usage, { request, binding, model, mock: false });
  }, (error) => modelFailure(error, call, model === null ? '' : `(model ${model}) `));
}

async function whole(caller: LanguageModel, request: LlmRequest, { binding }: SourceCall): Promise<Said> {
  const { content, finishReason, usage } = await caller.doGenerate(callOptions(request, binding));
  return { text: content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(''), finishReason, usage };
}

/** The same answer, and what it is so far on the way. */
async function streamed(caller: LanguageModel, request: LlmRequest, call: SourceCall, onText: (text: string) => void): Promise<Said> {
  const { stream } = await caller.doStream(callOptions(request, call.binding));
  const said: Said = { text: '', finishReason: { unified: 'other', raw: undefined }, usage: undefined };
  for await (const part of stream) {
    if (part.type === 'error') throw brokenOff(part.error, call);
    if (part.type === 'text-delta') {
      said.text += part.delta;
      onText(call.soFar(said.text));
    } else if (part.type === 'finish') {
      said.finishReason = part.finishReason;
      said.usage = part.usage;
    }
  }
  return said;
}

/** A provider may find in the middle of an answer that it cannot go on. */
function brokenOff(error: unknown, call: SourceCall): unknown {
  if (error instanceof Error && !/^AI_(?!APICallError)/.test(error.name)) return error;
  const said = error instanceof Error ? error.message : typeof error === 'string' ? error : JSON.stringify(error);
  return new NodeError('SOURCE_UNAVAILABLE', `broke off its answer: ${call.said(said)}`, { transient: true });
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
