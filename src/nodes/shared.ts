/** What several node types share. */
import { NodeError } from '../errors.ts';
import { fillTemplate, pathSteps, resolvePath, type TemplateScope } from '../engine/template.ts';
import { asText, ownValue } from '../engine/json.ts';
import type { Json, JsonObject, LlmAnswer, LlmRequest, NodeContext, SourcePort } from '../engine/types.ts';

/** Keys that name a model on the node itself. */
export const inlineSourceProperties: JsonObject = {
  provider: { type: 'string', description: 'Instead of a source: openai, anthropic, google, groq, openai-compatible.' },
  model: { type: 'string', description: 'Instead of a source: the name of the model.' },
  api_key_env: { type: 'string', description: 'Instead of a source: the environment variable that holds the key.' },
  base_url: { type: 'string', description: 'Instead of a source: another endpoint.' },
};

export function scopeOf(context: NodeContext): TemplateScope {
  return { state: context.state, outputs: context.outputs };
}

export function textParameter(parameters: JsonObject, key: string): string | null {
  const value = ownValue(parameters, key);
  return typeof value === 'string' ? value : null;
}

export function numberParameter(parameters: JsonObject, key: string): number | null {
  const value = ownValue(parameters, key);
  return typeof value === 'number' ? value : null;
}

export function textsParameter(parameters: JsonObject, key: string): string[] | null {
  const value = ownValue(parameters, key);
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : null;
}

/** A state key as written, else a data path. */
export function stateValue(context: NodeContext, path: string): Json | undefined {
  return ownValue(context.state, path) ?? resolvePath(scopeOf(context), pathSteps(path));
}

export interface FilledText {
  text: string;
  warnings: string[];
}

/** Fills a template and puts what is missing into words. */
export function filled(template: string, context: NodeContext): FilledText {
  const { text, missing } = fillTemplate(template, scopeOf(context));
  return { text, warnings: missingWarnings(missing) };
}

export function missingWarnings(missing: readonly string[]): string[] {
  return [...new Set(missing)].map((placeholder) => `${placeholder} is not in the state and was left as it stands`);
}

/** The prompt of a model node: its template, else one of the state keys given, in order. @throws NodeError INPUT_INVALID */
export function promptOf(context: NodeContext, stateKeys: readonly string[]): FilledText {
  const template = textParameter(context.parameters, 'prompt');
  if (template !== null) return filled(template, context);
  for (const key of stateKeys) {
    const value = ownValue(context.state, key);
    if (value !== undefined && value !== null && value !== '') return { text: asText(value), warnings: [] };
  }
  throw new NodeError('INPUT_INVALID', `there is no prompt, and the state has no ${stateKeys.join(' or ')}`, { details: { field: 'prompt' } });
}

/** @throws NodeError SOURCE_MISSING */
export function sourceOf(context: NodeContext): SourcePort {
  if (context.source) return context.source;
  throw new NodeError('SOURCE_MISSING', `node '${context.node.id}' has no source to work on`);
}

/** A model request with the sampling of the node. */
export function llmRequest(context: NodeContext, prompt: string, system: string | null, json: LlmRequest['json'] = null): LlmRequest {
  const { parameters } = context;
  return {
    prompt, system, json,
    temperature: numberParameter(parameters, 'temperature'), maxTokens: numberParameter(parameters, 'max_tokens'), topP: numberParameter(parameters, 'top_p'),
  };
}

export function tokensOf(answer: LlmAnswer): number {
  return answer.inputTokens + answer.outputTokens;
}
