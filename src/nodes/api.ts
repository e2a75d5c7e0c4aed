/** api: one HTTP call. What the state gives fills places of the request; it never moves the call to another host or path. */
import { NodeError } from '../errors.ts';
import { asText, isObject, ownValue } from '../engine/json.ts';
import { fillTemplate, fillValue, resolvePath, templatePieces } from '../engine/template.ts';
import { missingWarnings, scopeOf, sourceOf, textParameter } from './shared.ts';
import type { ApiAnswer, JsonObject, NodeContext, NodeType } from '../engine/types.ts';

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
      body: { description: 'Sent as JSON when it is no text; its texts are templates, one placeholder alone keeps its type.' },
    },
  },
  sourceKind: 'api',
  sourceRequired: true,
  hasEffect: () => true,
  defaultOutputKey: () => 'api_result',
  example: { source: 'crm', method: 'POST', path: '/customers/{customer_id}/notes', body: { text: '{text_result}' } },
  async run(context) {
    const { parameters } = context;
    const missing: string[] = [];
    const query = filledObject(parameters, 'query', context, missing);
    const body = fillValue(ownValue(parameters, 'body') ?? null, scopeOf(context));
    const request = {
      method: (textParameter(parameters, 'method') ?? 'GET').toUpperCase(),
      path: filledPath(textParameter(parameters, 'path') ?? '', context, missing),
      query, headers: filledHeaders(context, missing), body: parameters.body === undefined ? undefined : body.value,
    };
    const answer = await sourceOf(context).api(request);
    refuseForNow(answer);
    const { status, headers, body: answered } = answer;
    return {
      kind: 'done', output: { status, headers, body: answered }, warnings: missingWarnings([...missing, ...body.missing]),
      input: { method: request.method, path: request.path, query, ...(request.body === undefined ? {} : { body: request.body }) },
    };
  },
};

function filledObject(parameters: JsonObject, key: string, context: NodeContext, missing: string[]): JsonObject {
  const given = parameters[key];
  const filled = fillValue(isObject(given) ? given : {}, scopeOf(context));
  missing.push(...filled.missing);
  return filled.value as JsonObject;
}

/** @throws NodeError INVALID_VALUE when a value would climb out of its place in the path. */
function filledPath(template: string, context: NodeContext, missing: string[]): string {
  let path = '';
  for (const piece of templatePieces(template)) {
    const value = typeof piece === 'string' ? undefined : resolvePath(scopeOf(context), piece.path);
    if (typeof piece === 'string') path += piece;
    else if (value === undefined) missing.push(piece.raw);
    path += value === undefined ? '' : encodeURIComponent(asText(value));
  }
  if (path.split(/[/\\]/).some((part) => part === '..' || part === '.')) {
    throw new NodeError('INVALID_VALUE', `the path ${path} climbs out of its place`, { details: { field: 'path' } });
  }
  return path;
}

function filledHeaders(context: NodeContext, missing: string[]): Record<string, string> {
  const given = context.parameters.headers;
  return Object.fromEntries(Object.entries(isObject(given) ? given : {}).map(([name, template]) => {
    const filled = fillTemplate(String(template), scopeOf(context));
    missing.push(...filled.missing);
    if (/[\r\n\0]/.test(filled.text)) throw new NodeError('INVALID_VALUE', `the header ${name} would hold a line break`, { details: { field: `headers.${name}` } });
    return [name, filled.text];
  }));
}

/** @throws NodeError SOURCE_UNAVAILABLE, transient, for 429 and 5xx. */
function refuseForNow({ status, headers }: ApiAnswer): void {
  if (status !== 429 && status < 500) return;
  const seconds = Number(headers['retry-after']);
  throw new NodeError('SOURCE_UNAVAILABLE', `the service answered ${status}`, { transient: true, retryAfterSeconds: Number.isFinite(seconds) && seconds >= 0 ? seconds : null });
}
