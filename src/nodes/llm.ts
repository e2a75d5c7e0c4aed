/** llm: one call of a language model; JSON answers are parsed, checked and repaired once. */
import { NodeError } from '../errors.ts';
import { samplingProperties } from '../engine/document-schemas.ts';
import { isObject } from '../engine/json.ts';
import { schemaFault, schemaProblems } from '../engine/schema.ts';
import { filled, inlineSourceProperties, llmRequest, promptOf, sourceOf, textParameter, tokensOf } from './shared.ts';
import type { Json, JsonObject, LlmAnswer, LlmRequest, NodeContext, NodeDone, NodeResult, NodeSpec, NodeType, Problem } from '../engine/types.ts';

/** Characters of an answer that a model is shown again to repair it. */
const longestRepaired = 200_000;

export const llm: NodeType = {
  type: 'llm',
  summary: 'Asks a language model once.',
  parameters: {
    type: 'object',
    properties: {
      prompt: { type: 'string', description: 'What is asked, a template; user_input when left out.' },
      system_prompt: { type: 'string', description: 'Instructions before it, a template.' },
      response_format: { enum: ['text', 'json', 'schema'], description: 'json and schema: the answer is parsed, and repaired once by the model when it is wrong.' },
      schema: { type: 'object', description: 'JSON Schema of the answer, for response_format schema.' },
      stream: { type: 'boolean', description: 'Shows the answer while it grows, as partialOutput of the node.' },
      ...samplingProperties,
      ...inlineSourceProperties,
    },
  },
  sourceKind: 'llm',
  sourceRequired: true,
  hasEffect: () => true,
  defaultOutputKey: () => 'text_result',
  validate: checkFormat,
  example: { source: 'house-model', prompt: 'Answer the customer: {user_input}', temperature: 0.2, max_tokens: 500 },
  async run(context) {
    const prompt = promptOf(context, ['user_input']);
    const template = textParameter(context.parameters, 'system_prompt');
    const system = template === null ? null : filled(template, context);
    const request = llmRequest(context, prompt.text, system?.text ?? null, jsonForm(context.parameters));
    const done = await ask(request, context);
    if (done.kind === 'wait') return done;
    return { ...done, input: { prompt: prompt.text, ...(system ? { system: system.text } : {}) }, warnings: [...prompt.warnings, ...(system?.warnings ?? []), ...(done.warnings ?? [])] };
  },
};

function jsonForm({ response_format: format, schema }: JsonObject): LlmRequest['json'] {
  if (format === 'schema' || (format === 'json' && isObject(schema))) return { schema: isObject(schema) ? schema : null };
  return format === 'json' ? { schema: null } : null;
}

/** Waits for its turn before the repair too; the answer to be repaired is kept meanwhile. */
async function ask(request: LlmRequest, context: NodeContext): Promise<NodeResult> {
  const kept = context.kept?.answer;
  if (typeof kept === 'string') return repair(request, kept, [], context);
  const first = await sourceOf(context).llm(request);
  if (request.json === null) return done(first.text, [first]);
  const parsed = parse(first.text, request.json.schema);
  if ('value' in parsed) return done(parsed.value, [first]);
  context.log('warn', `the answer is not as asked (${parsed.fault}); asking for a repair`);
  const wait = await context.nextTurn?.({ answer: first.text.slice(0, longestRepaired) }) ?? null;
  return wait ?? repair(request, first.text, [first], context);
}

/** `answers`: those before it, for what they cost. @throws NodeError ANSWER_INVALID */
async function repair(request: LlmRequest, answer: string, answers: LlmAnswer[], context: NodeContext): Promise<NodeDone> {
  const schema = request.json?.schema ?? null;
  const first = parse(answer, schema);
  const fault = 'fault' in first ? first.fault : 'it is not as asked';
  const second = await sourceOf(context).llm({ ...request, prompt: repairPrompt(request.prompt, answer.slice(0, longestRepaired), fault) });
  const repaired = parse(second.text, schema);
  if ('value' in repaired) return { ...done(repaired.value, [...answers, second]), warnings: [`the model's first answer was not as asked: ${fault}`] };
  throw new NodeError('ANSWER_INVALID', `the model's answer is not as asked, after one repair: ${repaired.fault}`);
}

function done(output: Json, answers: LlmAnswer[]): NodeDone {
  const sum = (of: (answer: LlmAnswer) => number): number => answers.reduce((total, answer) => total + of(answer), 0);
  return { kind: 'done', output, tokens: sum(tokensOf), costUnits: sum(({ costUnits }) => costUnits) };
}

/** Accepts the JSON alone, or in a fenced block as models like to write it. */
function parse(text: string, schema: JsonObject | null): { value: Json } | { fault: string } {
  const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?\s*```\s*$/.exec(text);
  let value: Json;
  try {
    value = JSON.parse(fenced?.[1] ?? text) as Json;
  } catch (error) {
    return { fault: `it is no JSON (${(error as Error).message})` };
  }
  const problems = schema === null ? [] : schemaProblems(value, schema);
  if (problems.length === 0) return { value };
  return { fault: problems.slice(0, 10).map(({ path, message }) => `${path.length === 0 ? 'the answer' : path.join('.')} ${message}`).join('; ') };
}

function repairPrompt(prompt: string, answer: string, fault: string): string {
  return `${prompt}\n\nYour last answer was:\n${answer}\n\nIt cannot be used: ${fault}.\nAnswer again, with the corrected JSON alone.`;
}

function checkFormat({ parameters }: NodeSpec): Problem[] {
  if (parameters.response_format === 'schema' && !isObject(parameters.schema)) {
    return [{ code: 'E002', field: 'schema', message: 'is missing: response_format schema needs one', nodeId: null }];
  }
  const fault = isObject(parameters.schema) ? schemaFault(parameters.schema) : null;
  return fault === null ? [] : [{ code: 'E003', field: 'schema', message: `is no usable JSON Schema: ${fault}`, nodeId: null }];
}
