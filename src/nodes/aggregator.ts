/** aggregator: joins results and shapes them; with a source, a model sums them up. */
import { samplingProperties } from '../engine/document-schemas.ts';
import { asText, isEmpty, isObject, jsonBytes, ownValue, setOwn } from '../engine/json.ts';
import { FillBudget, fillValue } from '../engine/template.ts';
import { dollars } from '../engine/cost.ts';
import { filled, inlineSourceProperties, llmRequest, missingWarnings, scopeOf, sourceOf, stateValue, textParameter, textsParameter, tokensOf } from './shared.ts';
import type { Json, JsonObject, NodeContext, NodeDone, NodeSpec, NodeType, Problem } from '../engine/types.ts';

const strategies = ['merge', 'priority', 'template', 'concat', 'select'];
const defaultKeys = ['text_result', 'image_result', 'db_result'];

export const aggregator: NodeType = {
  type: 'aggregator',
  summary: 'Joins the results of earlier nodes into one and shapes it; with a source, a model sums them up.',
  parameters: {
    type: 'object',
    properties: {
      strategy: { enum: strategies, description: 'merge when left out: an object. priority: the first that is not empty. template: a filled text. concat: texts in a row. select: one value.' },
      source_keys: { type: 'array', items: { type: 'string' }, description: 'State keys or paths to join; empty ones are left out. text_result, image_result and db_result when left out.' },
      priority_order: { type: 'array', items: { type: 'string' }, description: 'priority: keys, best first; source_keys when left out.' },
      template: { type: 'string', description: 'template: the text to fill.' },
      separator: { type: 'string', description: 'concat: what stands between; a blank line when left out.' },
      select_key: { type: 'string', minLength: 1, description: 'select: state key or path.' },
      include_metadata: { type: 'boolean', description: 'true when left out: the output is {result, execution_path, tokens_used, cost}.' },
      custom_fields: { type: 'object', description: 'Merged into the output; texts are templates.' },
      prompt: { type: 'string', description: 'With a source: how to sum up, a template; the results follow it.' },
      system_prompt: { type: 'string', description: 'With a source: instructions before it, a template.' },
      ...samplingProperties,
      ...inlineSourceProperties,
    },
  },
  sourceKind: 'llm',
  sourceRequired: false,
  hasEffect: asksModel,
  defaultOutputKey: () => 'final_output',
  validate: checkStrategy,
  example: { strategy: 'merge', source_keys: ['text_result', 'db_result'], include_metadata: false },
  run(context) {
    const joined = join(context);
    if (!asksModel(context.parameters)) return shaped(joined, { value: joined.value, tokens: 0, costUnits: 0, warnings: [] }, context);
    return sumUp(joined.value, context).then((summed) => shaped(joined, summed, context));
  },
};

function shaped(joined: Joined, summed: Summed, context: NodeContext): NodeDone {
  const custom = fillValue(isObject(context.parameters.custom_fields) ? context.parameters.custom_fields : {}, scopeOf(context));
  return {
    kind: 'done', input: joined.value, tokens: summed.tokens, costUnits: summed.costUnits,
    output: withCustomFields(wrapped(summed, context), custom.value as JsonObject),
    warnings: [...joined.warnings, ...summed.warnings, ...missingWarnings(custom.missing)],
  };
}

function asksModel(parameters: JsonObject): boolean {
  return ['source', 'provider', 'model', 'api_key_env'].some((key) => parameters[key] !== undefined);
}

interface Joined {
  value: Json;
  warnings: string[];
}

function join(context: NodeContext): Joined {
  const { parameters } = context;
  const keys = textsParameter(parameters, 'source_keys') ?? defaultKeys;
  const budget = new FillBudget();
  const present = (names: string[]): [string, Json][] => [...new Set(names)].flatMap((key): [string, Json][] => {
    const value = stateValue(context, key);
    if (value === undefined || isEmpty(value)) return [];
    budget.spend(jsonBytes(value));
    return [[key, value]];
  });
  switch (parameters.strategy) {
    case 'priority': return { value: present(textsParameter(parameters, 'priority_order') ?? keys)[0]?.[1] ?? null, warnings: [] };
    case 'template': {
      const { text, warnings } = filled(textParameter(parameters, 'template') ?? '', context);
      return { value: text, warnings };
    }
    case 'concat': return { value: present(keys).map(([, value]) => asText(value)).join(textParameter(parameters, 'separator') ?? '\n\n'), warnings: [] };
    case 'select': return { value: stateValue(context, textParameter(parameters, 'select_key') ?? '') ?? null, warnings: [] };
    default: return { value: merged(present(keys)), warnings: [] };
  }
}

function merged(entries: [string, Json][]): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of entries) setOwn(result, key, value);
  return result;
}

interface Summed {
  value: Json;
  tokens: number;
  costUnits: number;
  warnings: string[];
}

async function sumUp(results: Json, context: NodeContext): Promise<Summed> {
  const own = textParameter(context.parameters, 'prompt');
  const asked = own === null ? { text: 'Sum up these results for the person who asked, in plain words.', warnings: [] } : filled(own, context);
  const question = ownValue(context.state, 'user_input');
  const about = own === null && typeof question === 'string' && question !== '' ? `\n\nThey asked:\n${question}` : '';
  const system = textParameter(context.parameters, 'system_prompt');
  const prompt = `${asked.text}${about}\n\nResults:\n${asText(results)}`;
  const answer = await sourceOf(context).llm(llmRequest(context, prompt, system === null ? null : filled(system, context).text));
  return { value: answer.text, tokens: tokensOf(answer), costUnits: answer.costUnits, warnings: asked.warnings };
}

/** With what the execution used so far, this node included. */
function wrapped(summed: Summed, { parameters, state }: NodeContext): Json {
  if (parameters.include_metadata === false) return summed.value;
  const numberOf = (key: string): number => (typeof state[key] === 'number' ? state[key] : 0);
  return {
    result: summed.value,
    execution_path: ownValue(state, 'execution_path') ?? [],
    tokens_used: numberOf('tokens_used') + summed.tokens,
    cost: numberOf('cost') + dollars(summed.costUnits),
  };
}

function withCustomFields(output: Json, fields: JsonObject): Json {
  if (Object.keys(fields).length === 0) return output;
  return isObject(output) ? { ...output, ...fields } : { result: output, ...fields };
}

function checkStrategy({ parameters }: NodeSpec): Problem[] {
  const needed = parameters.strategy === 'template' ? 'template' : parameters.strategy === 'select' ? 'select_key' : null;
  if (needed === null || parameters[needed] !== undefined) return [];
  return [{ code: 'E002', field: needed, message: `is missing: the strategy ${String(parameters.strategy)} needs it`, nodeId: null }];
}
