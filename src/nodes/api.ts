/** api: one HTTP call. What the state gives fills places of the request; it never moves the call to another host or path. */
import { NodeError } from '../errors.ts';
import { asText, isObject } from '../engine/json.ts';
import { FillBudget, fillTemplate, fillValue, resolvePath, templatePieces, type TemplateField } from '../engine/template.ts';
import { missingWarnings, scopeOf, sourceOf, textParameter } from './shared.ts';
import { schemaFault, schemaProblems } from '../engine/schema.ts';
import type { ApiAnswer, ApiRequest, Json, JsonObject, NodeContext, NodeResult, NodeSpec, NodeType, Problem } from '../engine/types.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'];

export const api: NodeType = {
  type: 'api',
  summary: 'Makes one HTTP call; 429 and 5xx are tried again.',
  parameters: {
    type: 'object',
    properties: {
      method: { type: 'string', pattern: `(?i)^(${methods.join('|')})$`, description: `${methods.join(', ')}, in either case; GET when left out.` },
      path: { type: 'string', description: 'Below the base URL of the source, a template; values are percent-encoded.' },
      query: { type: 'object', description: 'Query parameters; texts are templates.' },
      headers: { type: 'object', additionalProperties: { type: 'string' }, description: 'Headers; templates.' },
      pagination: { type: 'object', description: 'Reads on: {type: link or cursor, items, next, parameter, max_pages}; the body is then the list of all entries.' },
      response_schema: { type: 'object', description: 'JSON Schema that the body of a 2xx answer must satisfy.' },
      body: { description: 'Sent as JSON when it is no text; its texts are templates, one placeholder alone keeps its type.' },
    },
  },
  sourceKind: 'api',
  sourceRequired: true,
  hasEffect: () => true,
  defaultOutputKey: () => 'api_result',
  validate: checkSchema,
  example: { source: 'crm', method: 'POST', path: '/customers/{customer_id}/notes', body: { text: '{text_result}' } },
  /** Without `async`: of many calls under way each keeps as little as can be. */
  run(context) {
    const { parameters } = context;
    const filling = new Filling(context);
    const { missing } = filling;
    const request = {
      method: (textParameter(parameters, 'method') ?? 'GET').toUpperCase(),
      path: filling.path(textParameter(parameters, 'path') ?? ''),
      query: filling.object('query'),
      headers: filling.headers(),
      body: parameters.body === undefined ? undefined : filling.value(parameters.body),
    };
    const pagination = parameters.pagination;
    return sourceOf(context).api(pagination === undefined ? request : { ...request, pagination }).then((answer) => resultOf(request, answer, parameters.response_schema, missing));
  },
};

/** @throws NodeError SOURCE_UNAVAILABLE, ANSWER_INVALID */
function resultOf(request: ApiRequest, answer: ApiAnswer, schema: Json | undefined, missing: readonly string[]): NodeResult {
  refuseForNow(answer);
  const { status, headers, body, pages, truncated } = answer;
  checkBody(answer, schema);
  const warnings = missing.length === 0 ? [] : missingWarnings(missing);
  if (truncated === true) warnings.push(`there are more pages than the ${pages} read`);
  const output: JsonObject = pages === undefined ? { body, status, headers } : { body, pages, status, headers };
  const { path, query, method } = request;
  const input: JsonObject = request.body === undefined ? { path, query, method } : { body: request.body, path, query, method };
  return { kind: 'done', output, warnings, input };
}

/** Fills the parts of one request, under one budget. */
class Filling {
  readonly missing: string[] = [];
  readonly #budget = new FillBudget();
  readonly #context: NodeContext;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  value(given: Json): Json {
    const { value, missing } = fillValue(given, scopeOf(this.#context), this.#budget);
    this.missing.push(...missing);
    return value;
  }

  object(key: string): JsonObject {
    const given = this.#context.parameters[key];
    return isObject(given) ? (this.value(given) as JsonObject) : {};
  }

  /** @throws NodeError INVALID_VALUE when a value would climb out of its place in the path. */
  path(template: string): string {
    const parts = templatePieces(template).map((piece) => (typeof piece === 'string' ? piece : this.#encoded(piece)));
    const path = parts.join('');
    if (path.split(/[/\\]/).some((part) => part === '..' || part === '.')) {
      throw new NodeError('INVALID_VALUE', `the path ${path} climbs out of its place`, { details: { field: 'path' } });
    }
    return path;
  }

  #encoded({ path, raw }: TemplateField): string {
    const value = resolvePath(scopeOf(this.#context), path);
    if (value === undefined) this.missing.push(raw);
    const text = value === undefined ? '' : encodeURIComponent(asText(value));
    this.#budget.spend(text.length);
    return text;
  }

  /** @throws NodeError INVALID_VALUE when a value would begin a line of its own. */
  headers(): Record<string, string> {
    const given = this.#context.parameters.headers;
    return Object.fromEntries(Object.entries(isObject(given) ? given : {}).map(([name, template]) => {
      const { text, missing } = fillTemplate(String(template), scopeOf(this.#context), this.#budget);
      this.missing.push(...missing);
      if (/[\r\n\0]/.test(text)) throw new NodeError('INVALID_VALUE', `the header ${name} would hold a line break`, { details: { field: `headers.${name}` } });
      return [name, text];
    }));
  }
}

/** @throws NodeError SOURCE_UNAVAILABLE, transient, for 429 and 5xx. */
function refuseForNow({ status, headers }: ApiAnswer): void {
  if (status !== 429 && status < 500) return;
  const seconds = Number(headers['retry-after']);
  throw new NodeError('SOURCE_UNAVAILABLE', `the service answered ${status}`, { transient: true, retryAfterSeconds: Number.isFinite(seconds) && seconds >= 0 ? seconds : null });
}

/** @throws NodeError ANSWER_INVALID */
function checkBody({ status, body }: ApiAnswer, schema: Json | undefined): void {
  if (!isObject(schema) || status < 200 || status >= 300) return;
  const problems = schemaProblems(body, schema);
  if (problems.length === 0) return;
  const said = problems.slice(0, 10).map(({ path, message }) => `${path.length === 0 ? 'the body' : path.join('.')} ${message}`).join('; ');
  throw new NodeError('ANSWER_INVALID', `the service's answer is not as response_schema says: ${said}`, { remedy: 'Correct response_schema, or ask the service for another form.' });
}

function checkSchema({ parameters }: NodeSpec): Problem[] {
  const fault = isObject(parameters.response_schema) ? schemaFault(parameters.response_schema) : null;
  return fault === null ? [] : [{ code: 'E003', field: 'response_schema', message: `is no usable JSON Schema: ${fault}`, nodeId: null }];
}
