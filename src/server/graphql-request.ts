/**
 * What a request to /graphql must look like before GraphQL sees it. Requiring JSON by content type also keeps other sites' forms out:
 * a browser does not send it across origins without asking first.
 */
import type { RequestHandler } from 'express';
import { AgentFlowError } from '../errors.ts';
import { HttpError } from './http-errors.ts';
import { maxQueryLength } from './limits.ts';

function badRequest(message: string, remedy: string, details: Record<string, unknown> = {}): AgentFlowError {
  return new AgentFlowError('BAD_REQUEST', message, { remedy, details });
}

/** Who asks is said in a header, never in a cookie: so a GET that another site makes a browser send is nobody's. It may hold queries only. */
export const demandGraphqlRequest: RequestHandler = (request, response, next) => {
  const isQueryByGet = request.method === 'GET' && request.query['query'] !== undefined;
  if (request.method !== 'POST' && !isQueryByGet) {
    response.set('allow', 'GET, POST');
    throw new HttpError(405, 'BAD_REQUEST', 'GraphQL is served over POST, and queries over GET with ?query=.', 'Send a POST request with a JSON body; GraphiQL is at /graphiql.');
  }
  if (request.method === 'POST' && !request.is('application/json')) {
    throw new HttpError(415, 'BAD_REQUEST', 'The content type must be application/json.', 'Set Content-Type: application/json.');
  }
  if (!request.accepts(['application/graphql-response+json', 'application/json'])) {
    throw new HttpError(406, 'BAD_REQUEST', 'The answer is JSON, which the request does not accept.', 'Set Accept: application/json.');
  }
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

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

export const checkGraphqlBody: RequestHandler = (request, _response, next) => {
  const body: unknown = request.method === 'GET' ? parametersOf(request.query) : request.body;
  if (Array.isArray(body)) throw badRequest('Several operations in one request are not supported.', 'Send one operation a request.');
  if (!isObject(body)) throw badRequest('The request body is not a JSON object.', 'Send {"query": "...", "variables": {...}} as JSON.');
  const { query, variables, operationName } = body as Record<string, unknown>;
  if (typeof query !== 'string' || query.trim() === '') throw badRequest('query must be a text.', 'Send the GraphQL document in query.', { field: 'query' });
  if (query.length > maxQueryLength) {
    throw new AgentFlowError('TOO_LARGE', `The query has ${query.length} characters; at most ${maxQueryLength} are allowed.`,
      { remedy: 'Put values into variables.', details: { field: 'query' } });
  }
  if (variables != null && !isObject(variables)) throw badRequest('variables must be an object.', 'Send an object of variables.', { field: 'variables' });
  if (operationName != null && typeof operationName !== 'string') throw badRequest('operationName must be a text.', 'Name one of the operations in query.', { field: 'operationName' });
  next();
};
