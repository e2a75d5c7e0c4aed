/** The HTTP surface, in the order in which a request meets it. */
import { randomUUID } from 'node:crypto';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { AgentFlowError } from '../errors.ts';
import { checkGraphqlBody, demandGraphqlRequest } from './graphql-request.ts';
import { type Health, healthHandler, readinessHandler } from './health.ts';
import { errorBody, HttpError, statusOf } from './http-errors.ts';
import type { Log } from './errors.ts';
import { type Credentials, type Identity, visitor } from './identity.ts';
import { maxBodyBytes } from './limits.ts';
import { favicon, joinPage, startPage } from './pages.ts';
import { currentScope, runInScope } from './scope.ts';
import { apiPolicy, pagePolicy } from './security-headers.ts';

export interface AppParts {
  log: Log;
  identify(credentials: Credentials): Promise<Identity>;
  health: Health;
  /** Answers GET /artifacts/:id for a caller who is known. */
  artifact: RequestHandler;
  /** Serves POST /graphql, GET /graphiql and what that page loads. */
  graphql: RequestHandler;
}

const requestIdShape = /^[A-Za-z0-9._:-]{1,100}$/;

export function createApp({ log, identify, health, artifact, graphql }: AppParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(openScope);
  app.get('/healthz', apiPolicy, healthHandler);
  app.get('/readyz', apiPolicy, readinessHandler(health, log));
  app.get('/', pagePolicy, startPage);
  app.get('/join', pagePolicy, joinPage);
  app.get('/favicon.ico', pagePolicy, favicon);
  app.all('/graphql', apiPolicy, demandGraphqlRequest, identifyCaller(identify), express.json({ limit: maxBodyBytes, strict: true }), checkGraphqlBody, graphql);
  app.get('/artifacts/:id', apiPolicy, identifyCaller(identify), artifact);
  app.get(['/graphiql', '/ruru-static/*path'], pagePolicy, graphql);
  app.use(apiPolicy, () => {
    throw new AgentFlowError('NOT_FOUND', 'There is nothing at this address.', { remedy: 'GET / says what is where.' });
  });
  app.use(answerError(log));
  return app;
}

/** A client may name its request (`X-Request-Id`); the id comes back in the answer, in the log and in the audit log. */
const openScope: RequestHandler = (request, response, next) => {
  const asked = request.get('x-request-id');
  const requestId = asked !== undefined && requestIdShape.test(asked) ? asked : randomUUID();
  response.set('x-request-id', requestId);
  const scope = { requestId, ip: request.ip ?? null, userAgent: request.get('user-agent') ?? null, identity: visitor };
  runInScope(scope, next);
};

function identifyCaller(identify: AppParts['identify']): RequestHandler {
  return async (request, _response, next) => {
    const scope = currentScope()!;
    scope.identity = await identify({ authorization: request.get('authorization'), apiKey: request.get('x-api-key') });
    next();
  };
}

function answerError(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const requestId = response.get('x-request-id');
    const body = errorBody(error, (unexpected) => log.error({ err: unexpected, requestId, path: request.path }, 'A request failed unexpectedly'), requestId);
    const status = error instanceof HttpError ? error.status : statusOf(body);
    if (status === 401) response.set('www-authenticate', 'Bearer');
    response.status(status).json(body);
  };
}
