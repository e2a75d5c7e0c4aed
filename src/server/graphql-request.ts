/**
 * What a request to /graphql must look like before GraphQL sees it. Requiring JSON by content type also keeps other sites' forms out:
 * a browser does not send it across origins without asking first.
 */
import type { Request, RequestHandler } from 'express';
import { AgentFlowError } from '../errors.ts';
import type { Operation } from './documents.ts';
import { HttpError } from './http-errors.ts';
import { maxQueryLength } from './limits.ts';

function badRequest(message: string, remedy: string, details: Record<string, unknown> = {}): AgentFlowError {
  return new AgentFlowError('BAD_REQUEST', message, { remedy, details });
}

/**
 * Who asks is said in a header, never in a cookie: so a GET that another site makes a browser send is nobody's. It may hold queries only, and
 * a closed face takes none at all: addresses are kept in logs and histories.
 */
export function graphqlRequestGate(isClosed: boolean): RequestHandler {
  const methods = isClosed ? 'POST' : 'GET, POST';
  const message = isClosed ? 'GraphQL is served over POST.' : 'GraphQL is served over POST, and queries over GET with ?query=.';
  return (request, response, next) => {
    const isQueryByGet = !isClosed && request.method === 'GET' && request.query['query'] !== undefined;
    if (request.method !== 'POST' && !isQueryByGet) {
      response.set('allow', methods);
      throw new HttpError(405, 'BAD_REQUEST', message, 'Send a POST request with a JSON body; GraphiQL is at /graphiql.');
    }
    next();
  };
}

export const demandJson: RequestHandler = (request, _response, next) => {
  if (request.method === 'POST' && !request.is('application/json')) {
    throw new HttpError(415, 'BAD_REQUEST', 'The content type must be application/json.', 'Set Content-Type: application/json.');
  }
  if (!request.accepts(['application/graphql-response+json', 'application/json'])) {
    throw new HttpError(406, 'BAD_REQUEST', 'The answer is JSON, which the request does not accept.', 'Set Accept: application/json.');
  }
  // Media types are the same in capitals, but not to all that read them later.
  if (request.method === 'POST') request.headers['content-type'] = request.get('content-type')!.toLowerCase();
  // Who does not say gets what every client understands.
  if ((request.get('accept') ?? '*/*') === '*/*') request.headers.accept = 'application/json';
  next();
};

/** Of a GET: variables are JSON in a parameter. */
function parametersOf({ query, variables, operationName }: Record<string, unknown>): Record<string, unknown> {
  if (typeof variables !== 'string' || variables === '') return { query, operationName };
  try {
    return { query, operationName, variables: JSON.parse(variables) as unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw badRequest('variables is not JSON.', 'Send an object of variables, as JSON.', { field: 'variables' });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Gives a body without a query the text that stands behind its document id. The id comes as `documentId`, or as Apollo sends it. */
export function completeBody(body: Record<string, unknown>, queryOf: (documentId: string) => string): void {
  const { query, documentId, extensions } = body;
  if (query != null) return;
  const persisted = isObject(extensions) && isObject(extensions['persistedQuery']) ? extensions['persistedQuery']['sha256Hash'] : undefined;
  const id = documentId ?? persisted;
  if (id == null) return;
  if (typeof id !== 'string') throw badRequest('documentId must be a text.', 'Send the id of a registered operation.', { field: 'documentId' });
  body['query'] = queryOf(id);
}

/** The operation in a body. Throws BAD_REQUEST or TOO_LARGE. */
export function operationIn(body: unknown): Operation {
  if (Array.isArray(body)) throw badRequest('Several operations in one request are not supported.', 'Send one operation a request.');
  if (!isObject(body)) throw badRequest('The request body is not a JSON object.', 'Send {"query": "...", "variables": {...}} as JSON.');
  const { query, variables, operationName, extensions } = body;
  if (typeof query !== 'string' || query.trim() === '') throw badRequest('query must be a text.', 'Send the GraphQL document in query.', { field: 'query' });
  if (query.length > maxQueryLength) {
    throw new AgentFlowError('TOO_LARGE', `The query has ${query.length} characters; at most ${maxQueryLength} are allowed.`,
      { remedy: 'Put values into variables.', details: { field: 'query' } });
  }
  if (variables != null && !isObject(variables)) throw badRequest('variables must be an object.', 'Send an object of variables.', { field: 'variables' });
  if (operationName != null && typeof operationName !== 'string') throw badRequest('operationName must be a text.', 'Name one of the operations in query.', { field: 'operationName' });
  if (extensions != null && !isObject(extensions)) throw badRequest('extensions must be an object.', 'Send an object of extensions, or none.', { field: 'extensions' });
  return { query, variables: variables ?? {}, operationName: operationName ?? undefined };
}

/** The operation of a request whose body has been read. Throws BAD_REQUEST, TOO_LARGE or DOCUMENT_NOT_TRUSTED. */
export function operationOf(request: Request, queryOf: (documentId: string) => string): Operation {
  if (request.method === 'GET') return operationIn(parametersOf(request.query));
  const body: unknown = request.body;
  if (isObject(body)) completeBody(body, queryOf);
  return operationIn(body);
}
