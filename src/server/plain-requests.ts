/**
 * The short way through the server, for requests that leave nothing to find out: POST /graphql with a JSON body of known length, one of the
 * usual Accept headers, and an operation with one answer. All others go through app.ts, and so does whatever turns out to
 * be unusual before the operation has been counted. Both ways ask the same of a request, in the same order; a test compares their answers.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Admission } from './admission.ts';
import { clientAddress, type IsTrustedProxy, isOverTls } from './client-address.ts';
import type { CorsHeaders } from './cors.ts';
import type { Log } from './errors.ts';
import { completeBody, operationIn } from './graphql-request.ts';
import { refusalOf } from './http-errors.ts';
import { visitor } from './identity.ts';
import { maxBodyBytes } from './limits.ts';
import { answerTo, type Executor } from './operations.ts';
import { requestIdShape, type RequestScope, runInScope } from './scope.ts';
import { apiHeaders } from './security-headers.ts';

export interface PlainRequestParts {
  /** For everything else; takes a body that was read from `request.body`. */
  app: RequestListener;
  admission: Admission;
  api(): Executor;
  requestSeconds: number;
  corsHeaders: CorsHeaders;
  isTrustedProxy: IsTrustedProxy;
  log: Log;
}

const json = 'application/json;charset=utf-8';
const graphqlJson = 'application/graphql-response+json;charset=utf-8';
/** What an Accept header gets; as grafserv would choose. */
const answerTypes = new Map<string | undefined, string>([
  [undefined, json], ['*/*', json], ['application/json', json], ['application/graphql-response+json', graphqlJson],
  ['application/graphql-response+json, application/json', graphqlJson], ['application/graphql-response+json,application/json;q=0.9', graphqlJson],
]);
const contentTypes: ReadonlySet<string | undefined> = new Set(['application/json', 'application/json; charset=utf-8', 'application/json;charset=utf-8']);
const plainKeys: ReadonlySet<string> = new Set(['query', 'variables', 'operationName', 'documentId']);

export function plainRequests(parts: PlainRequestParts): RequestListener {
  return (request, response) => {
    const answerType = isPlain(request) ? answerTypes.get(request.headers.accept) : undefined;
    if (answerType === undefined) parts.app(request, response);
    else void serve(parts, request, response, answerType);
  };
}

function isPlain({ method, url, headers }: IncomingMessage): boolean {
  return method === 'POST' && url === '/graphql' && contentTypes.has(headers['content-type']) && headers['content-encoding'] === undefined
    && headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? Infinity) <= maxBodyBytes;
}

async function serve(parts: PlainRequestParts, request: IncomingMessage, response: ServerResponse, answerType: string): Promise<void> {
  const { headers } = request;
  const asked = headers['x-request-id'];
  const scope: RequestScope = {
    requestId: typeof asked === 'string' && requestIdShape.test(asked) ? asked : randomUUID(),
    ip: clientAddress(request, parts.isTrustedProxy), userAgent: headers['user-agent'] ?? null, identity: visitor, deadline: performance.now() + parts.requestSeconds * 1_000,
  };
  await runInScope(scope, async () => {
    try {
      const answer = await work(parts, request, scope, answerType === json);
      if (answer === null) parts.app(request, response);
      else send(parts, request, response, answer.status, { 'content-type': answerType }, answer.text, scope);
    } catch (error) {
      const refusal = refusalOf(error, (unexpected) => parts.log.error({ err: unexpected, requestId: scope.requestId, path: '/graphql' }, 'A request failed unexpectedly'), scope.requestId);
      send(parts, request, response, refusal.statusCode, refusal.headers, JSON.stringify(refusal.json), scope);
    }
  });
}

/** Null when it is not plain after all: `request.body` holds the body then. */
async function work({ admission, api }: PlainRequestParts, request: IncomingMessage, scope: RequestScope, isLegacy: boolean): Promise<{ status: number; text: string } | null> {
  const { authorization, 'x-api-key': apiKey } = request.headers;
  await admission.begin({ authorization, apiKey: apiKey as string | undefined }, scope);
  const body = parsed(await read(request));
  (request as { body?: unknown }).body = body;
  if (body === null || Array.isArray(body)) return null;
  for (const key in body) if (!plainKeys.has(key)) return null;
  completeBody(body, (id) => admission.face.queryOf(id));
  const operation = operationIn(body);
  const executor = api();
  const prepared = admission.face.prepare(executor.schema, operation.query);
  if (prepared.errors !== undefined || !prepared.hasOneAnswer) return null;
  await admission.admit(operation, scope);
  return await answerTo(executor, operation, prepared.document, scope, isLegacy);
}

function read(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => void parts.push(part));
    request.on('end', () => resolve((parts.length === 1 ? parts[0]! : Buffer.concat(parts)).toString()));
    request.on('error', () => reject(parserError('request.aborted')));
  });
}

/** As express.json reads it, in its strict form. */
function parsed(text: string): Record<string, unknown> | unknown[] | null {
  if (text.length === 0) return {};
  try {
    const body: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw parserError('entity.parse.failed');
}

/** In the form of express's parser, whose errors are known by their type. */
function parserError(type: string): Error {
  return Object.assign(new Error(type), { type });
}

function send({ isTrustedProxy, corsHeaders }: PlainRequestParts, request: IncomingMessage, response: ServerResponse, status: number, headers: Record<string, string>, text: string, { requestId }: RequestScope): void {
  response.writeHead(status, {
    'x-request-id': requestId, ...apiHeaders(isOverTls(request, isTrustedProxy)), ...corsHeaders(request.headers.origin), ...headers, 'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
