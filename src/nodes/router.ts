/** router: says what the text is about, as `intent`; the edges do the rest. */
import { expressionProblem, evaluateCondition } from '../engine/expression.ts';
import { samplingProperties } from '../engine/document-schemas.ts';
import { asText, isObject } from '../engine/json.ts';
import { compilePattern } from '../engine/pattern.ts';
import { inlineSourceProperties, llmRequest, numberParameter, sourceOf, stateValue, textParameter, textsParameter, tokensOf, filled } from './shared.ts';
import type { JsonObject, NodeContext, NodeDone, NodeSpec, NodeType, Problem } from '../engine/types.ts';

interface Route {
  intent: string;
  keywords: string[];
  pattern: string | null;
  condition: string | null;
  description: string | null;
  target: string | null;
}

const strategies = ['keyword', 'pattern', 'rules', 'llm', 'default'];
const unknownIntent = 'unknown';

export const router: NodeType = {
  type: 'router',
  summary: 'Finds the intent of a text by keywords, patterns, rules or a model, and so chooses the way on.',
  parameters: {
    type: 'object',
    properties: {
      strategy: { enum: strategies, description: 'keyword when there are routes; without routes and strategy a built-in classifier tells text, image and database.' },
      input_key: { type: 'string', minLength: 1, description: 'State path of the value to look at; user_input when left out.' },
      routes: {
        type: 'array', description: 'Looked at in order; the first that fits wins.',
        items: {
          type: 'object', required: ['intent'],
          properties: {
            intent: { type: 'string', minLength: 1 },
            keywords: { type: 'array', items: { type: 'string', minLength: 1 } },
            pattern: { type: 'string', minLength: 1 },
            condition: { type: 'string', minLength: 1 },
            description: { type: 'string' },
            to: { type: 'string' },
            target_node: { type: 'string' },
          },
        },
      },
      default_intent: { type: 'string', minLength: 1, description: 'Intent when nothing fits; unknown when left out.' },
      prompt: { type: 'string', description: 'llm: what the model is asked, instead of the built-in question. A template.' },
      system_prompt: { type: 'string', description: 'llm: instructions before it. A template.' },
      ...samplingProperties,
      ...inlineSourceProperties,
    },
  },
  sourceKind: 'llm',
  sourceRequired: false,
  needsSource: ({ strategy }) => strategy === 'llm',
  hasEffect: (parameters) => parameters.strategy === 'llm',
  defaultOutputKey: () => 'intent',
  alsoWrites: ['intent'],
  validate: checkRouter,
  example: { strategy: 'keyword', routes: [{ intent: 'image', keywords: ['draw', 'picture'], to: 'painter' }], default_intent: 'text' },
  run(context) {
    const text = asText(stateValue(context, textParameter(context.parameters, 'input_key') ?? 'user_input') ?? '');
    const decision = decide(text, context);
    return decision instanceof Promise ? decision.then((decided) => routed(text, decided, context)) : routed(text, decision, context);
  },
};

interface Decision {
  intent: string | null;
  target: string | null;
  done: Partial<NodeDone>;
}

function routed(text: string, { intent: found, target, done }: Decision, { parameters }: NodeContext): NodeDone {
  const intent = found ?? textParameter(parameters, 'default_intent') ?? unknownIntent;
  return { ...done, kind: 'done', input: text, output: intent, writes: { intent }, routeTarget: target };
}

function decide(text: string, context: NodeContext): Decision | Promise<Decision> {
  const routes = routesOf(context.parameters);
  const chosen = (route: Route | undefined): Decision => ({ intent: route?.intent ?? null, target: route?.target ?? null, done: {} });
  switch (context.parameters.strategy ?? (routes.length > 0 ? 'keyword' : 'classifier')) {
    case 'keyword': return chosen(routes.find(({ keywords }) => hasKeyword(text, keywords)));
    case 'pattern': return chosen(routes.find(({ pattern }) => pattern !== null && compilePattern(pattern, { ignoreCase: true }).startsWith(text)));
    case 'rules': return chosen(routes.find(({ condition }, i) => condition !== null && ruleHolds(condition, text, context, i)));
    case 'llm': return askModel(text, routes, context);
    case 'default': return chosen(undefined);
    default: return { intent: classified(text), target: null, done: {} };
  }
}

function routesOf(parameters: JsonObject): Route[] {
  const routes = Array.isArray(parameters.routes) ? parameters.routes : [];
  return routes.filter(isObject).map((route) => ({
    intent: textParameter(route, 'intent') ?? unknownIntent,
    keywords: textsParameter(route, 'keywords') ?? [],
    pattern: textParameter(route, 'pattern'),
    condition: textParameter(route, 'condition'),
    description: textParameter(route, 'description'),
    target: textParameter(route, 'to') ?? textParameter(route, 'target_node'),
  }));
}

function hasKeyword(text: string, keywords: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return keywords.some((keyword) => lower.includes(keyword.toLowerCase()));
}

function ruleHolds(condition: string, text: string, { node, state, outputs }: NodeContext, index: number): boolean {
  return evaluateCondition(condition, { state, outputs, ruleText: text }, `routes.${index}.condition of node '${node.id}'`);
}

/** The built-in classifier. */
function classified(text: string): string {
  if (hasKeyword(text, ['image', 'picture', 'generate'])) return 'image';
  return hasKeyword(text, ['data', 'database', 'query']) ? 'database' : 'text';
}

async function askModel(text: string, routes: Route[], context: NodeContext): Promise<Decision> {
  const own = textParameter(context.parameters, 'prompt');
  const question = own === null ? { text: builtInQuestion(text, routes), warnings: [] } : filled(own, context);
  const system = textParameter(context.parameters, 'system_prompt');
  const request = llmRequest(context, question.text, system === null ? null : filled(system, context).text);
  const answer = await sourceOf(context).llm({ ...request, temperature: numberParameter(context.parameters, 'temperature') ?? 0 });
  const route = namedIn(answer.text, routes);
  return { intent: route?.intent ?? null, target: route?.target ?? null, done: { tokens: tokensOf(answer), costUnits: answer.costUnits, warnings: question.warnings } };
}

function builtInQuestion(text: string, routes: Route[]): string {
  const list = routes.map(({ intent, description }) => (description === null ? `- ${intent}` : `- ${intent}: ${description}`)).join('\n');
  return `Which one of these intents fits the text best?\n${list}\n\nText:\n${text}\n\nAnswer with the name of the intent alone.`;
}

/** The intent that is the answer, else the one that stands first in it as a word of its own. */
function namedIn(answer: string, routes: Route[]): Route | undefined {
  const lower = answer.toLowerCase();
  const exact = lower.replace(/^[\s"'`.*]+|[\s"'`.*]+$/g, '');
  const found = routes.map((route) => ({ route, at: wordAt(lower, route.intent.toLowerCase()) })).filter(({ at }) => at >= 0);
  return routes.find(({ intent }) => intent.toLowerCase() === exact) ?? found.sort((a, b) => a.at - b.at || b.route.intent.length - a.route.intent.length)[0]?.route;
}

function wordAt(text: string, word: string): number {
  const letter = /[\p{L}\p{N}_]/u;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!letter.test(text[at - 1] ?? ' ') && !letter.test(text[at + word.length] ?? ' ')) return at;
  }
  return -1;
}

function checkRouter({ parameters }: NodeSpec): Problem[] {
  const problems: Problem[] = [];
  const say = (field: string, message: string): void => void problems.push({ code: 'E003', field, message, nodeId: null });
  routesOf(parameters).forEach((route, i) => {
    const fault = route.pattern === null ? null : patternFault(route.pattern);
    if (fault !== null) say(`routes.${i}.pattern`, `is no RE2 pattern: ${fault}`);
    const problem = route.condition === null ? null : expressionProblem(route.condition);
    if (problem !== null) say(`routes.${i}.condition`, `is no expression: ${problem}`);
  });
  return problems;
}

function patternFault(pattern: string): string | null {
  try {
    compilePattern(pattern, { ignoreCase: true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

