/** The HTTP surface, in the order in which a request meets it. */
import { randomUUID } from 'node:crypto';
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';
import type { FaceConfig } from '../config.ts';
import { AgentFlowError } from '../errors.ts';
import type { Admission } from './admission.ts';
import { corsHandler, corsHeadersFor } from './cors.ts';
import { demandJson, graphqlRequestGate, operationOf } from './graphql-request.ts';
import { type Health, healthHandler, readinessHandler } from './health.ts';
import { refusalOf } from './http-errors.ts';
import type { Log } from './errors.ts';
import { type Credentials, visitor } from './identity.ts';
import { maxBodyBytes } from './limits.ts';
import { favicon, joinPage, signInPage, startPage } from './pages.ts';
import { schemaHandler } from './schemas.ts';
import { currentScope, requestIdShape, runInScope } from './scope.ts';
import { apiPolicy, pagePolicy } from './security-headers.ts';
import type { LoadWorkflowTools } from './workflow-tools.ts';

export interface AppParts {
  log: Log;
  face: FaceConfig;
  admission: Admission;
  health: Health;
  /** Answers GET /metrics to who operates this. */
  metrics: RequestHandler;
  /** Answers GET /artifacts/:id for a caller who is known. */
  artifact: RequestHandler;
  workflowTools: LoadWorkflowTools;
  /** Serves POST /graphql, GET /graphiql and what that page loads. */
  graphql: RequestHandler;
}

export function createApp({ log, face, admission, health, metrics, artifact, workflowTools, graphql }: AppParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', typeof face.trustProxy === 'number' ? face.trustProxy : [...face.trustProxy]);
  const cors = corsHandler(corsHeadersFor(face.corsOrigins));
  const identify = identifyCaller(admission);
  app.use(openScope(face.requestSeconds));
  app.get('/healthz', apiPolicy, healthHandler);
  app.get('/readyz', apiPolicy, readinessHandler(health, log));
  app.get('/metrics', apiPolicy, metrics);
  app.get('/schemas/:name', apiPolicy, schemaHandler(workflowTools));
  app.get('/', pagePolicy, startPage);
  app.get('/join', pagePolicy, joinPage);
  app.get('/favicon.ico', pagePolicy, favicon);
  app.all('/graphql', apiPolicy, cors, graphqlRequestGate(face.isClosed), demandJson, beginCaller(admission), express.json({ limit: maxBodyBytes, strict: true }), admitOperation(admission), graphql);
  app.use('/artifacts', apiPolicy, cors);
  app.get('/artifacts/:id', identify, chargeCaller(admission), artifact);
  app.get('/graphiql', pagePolicy, identify, (request, response, next) => {
    // It may hold the caller's credentials.
    response.set('cache-control', 'no-store');
    (admission.face.isClosedTo() ? signInPage : graphql)(request, response, next);
  });
  app.get('/ruru-static/*path', pagePolicy, graphql);
  app.use(apiPolicy, () => {
    throw new AgentFlowError('NOT_FOUND', 'There is nothing at this address.', { remedy: 'GET / says what is where.' });
  });
  app.use(answerError(log));
  return app;
}

/** A client may name its request (`X-Request-Id`); the id comes back in the answer, in the log and in the audit log. */
function openScope(seconds: number): RequestHandler {
  return (request, response, next) => {
    const asked = request.get('x-request-id');
    const requestId = asked !== undefined && requestIdShape.test(asked) ? asked : randomUUID();
    response.set('x-request-id', requestId);
    const scope = { requestId, ip: request.ip ?? null, userAgent: request.get('user-agent') ?? null, identity: visitor, deadline: performance.now() + seconds * 1_000 };
    runInScope(scope, next);
  };
}

/** Who may have been changed or ended meanwhile: `admitOperation` and ConfirmationPlugin see to it. */
function beginCaller(admission: Admission): RequestHandler {
  return async (request, _response, next) => {
    await admission.begin(credentialsOf(request), currentScope()!);
    next();
  };
}

function credentialsOf(request: Request): Credentials {
  return { authorization: request.get('authorization'), apiKey: request.get('x-api-key') };
}

function identifyCaller(admission: Admission): RequestHandler {
  return async (request, _response, next) => {
    const scope = currentScope()!;
    scope.identity = await admission.identify(credentialsOf(request), scope.ip);
    next();
  };
}

function chargeCaller(admission: Admission): RequestHandler {
  return async (_request, _response, next) => {
    await admission.charge(currentScope()!, 0);
    next();
  };
}

function admitOperation(admission: Admission): RequestHandler {
  return async (request, _response, next) => {
    await admission.admit(operationOf(request, (id) => admission.face.queryOf(id)), currentScope()!);
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
    const { statusCode, headers, json } = refusalOf(error, (unexpected) => log.error({ err: unexpected, requestId, path: request.path }, 'A request failed unexpectedly'), requestId);
    response.set(headers).status(statusCode).json(json);
  };
}
