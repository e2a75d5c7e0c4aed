/** The API server: GraphQL over HTTP and WebSocket, GraphiQL, health. */
import type { Express, Router } from 'express';
import pg from 'pg';
import { postgraphile } from 'postgraphile';
import type { GraphQLSchema } from 'postgraphile/graphql';
import { type ExpressGrafserv, grafserv } from 'postgraphile/grafserv/express/v4';
import { type Config, type FaceConfig, openFace } from '../config.ts';
import { AgentFlowError } from '../errors.ts';
import { Admission } from './admission.ts';
import { artifactHandler } from './artifacts.ts';
import { addProcessMetrics, Metrics } from '../metrics.ts';
import { SecretBox } from '../secrets.ts';
import { callerPlanner } from '../store/caller-planner.ts';
import { readConstraints } from '../store/constraints.ts';
import { makeOperatingFigures } from '../store/operating-figures.ts';
import { makeWithCallerClient } from '../store/caller-transactions.ts';
import { leadsThroughPooler, PooledClient } from '../store/pooled-client.ts';
import { takeRequests } from '../store/request-buckets.ts';
import { Callers } from './callers.ts';
import { corsHeadersFor } from './cors.ts';
import { constraintBookOf, type ConstraintFacts, isConnectionFailure } from './database-errors.ts';
import { type Log, makeErrorMask } from './errors.ts';
import { ExecutionEvents } from './events.ts';
import { Face, hideSuggestions } from './face.ts';
import type { IdentityKeys } from './identity.ts';
import { closeHttp, listen, undoAll, urlOf } from './lifecycle.ts';
import { openLongWay } from './long-way.ts';
import { addDatabaseMetrics, addPoolMetrics, countRequests, metricsHandler } from './metrics.ts';
import { createServer } from './node-http.ts';
import { plainRequests } from './plain-requests.ts';
import { serverPreset, type Serving } from './preset.ts';
import { readingReplica } from './read-replica.ts';
import { RateLimits } from './rate-limits.ts';
import { createReadiness } from './readiness.ts';
import { createRefusals } from './refusals.ts';
import type { IdentityProvider } from './provider-tokens.ts';
import { knowingAnswers, type SchemaAnswers } from './schema-answers.ts';
import { SignIn } from './sign-in.ts';
import type { SourceTools } from './source-tools.ts';
import { loadJose } from './tokens.ts';
import { inTurns } from './tenant-turns.ts';
import { readTrustedDocuments, TrustedDocuments } from './trusted-documents.ts';
import { VerifiedTokens } from './verified-tokens.ts';
import { serveWebSockets } from './websocket.ts';
import type { LoadWorkflowTools } from './workflow-tools.ts';

export { hashApiKey } from './identity.ts';

export interface ServerOptions {
  /** `secretKey` must be there, and `jwtSecret` where there is no identity provider. */
  config: Pick<Config, 'host' | 'port' | 'jwtSecret' | 'secretKey' | 'environment'> & Partial<Pick<Config, 'oldSecretKeys' | 'face' | 'metricsToken' | 'readReplicaUrl'>>;
  /** Login of agentflow_authenticator. */
  authenticatorUrl: string;
  log: Log;
  workflowTools: LoadWorkflowTools;
  /** Not given: sources cannot be tried. */
  sourceTools?: SourceTools;
  /** File name of the newest committed migration, null for none; `/readyz` compares. Not given: not compared. */
  expectedMigration?: string | null;
  /** What the schema is made of, while there is none yet. Not given: the schema is there. */
  schemaAnswers?: SchemaAnswers;
  /** Whose tokens are taken beside our own. */
  identityProvider?: IdentityProvider | null;
  /** Has the worker of this process come up? Not given: there is none. */
  isWorking?: (() => boolean) | undefined;
  /** What GET /metrics tells; the worker of the same process counts there, too. Not given: what the server counts alone. */
  metrics?: Metrics;
}

export interface RunningServer {
  /** `http://host:port`, the port being the real one. */
  url: string;
  /** Loads what plain requests of GraphQL with a key do without; the first of the others waits for it otherwise. */
  load(): Promise<void>;
  /** Takes no more requests, lets running ones finish, then releases everything. What is not done after `graceMs` is cut off. */
  close(graceMs: number): Promise<void>;
}

const statementTimeoutMs = 30_000;
/** Longer than PostgreSQL lets a statement run: who has not answered by then is not there any more, and the connection is given up. */
const answerTimeoutMs = 35_000;
const connectTimeoutMs = 5_000;
const poolSize = 20;
/** Connections that one tenant may hold. */
const maxOfTenant = 15;
const requestTimeoutMs = 60_000;
/** Longer than the minute that proxies keep a connection: who closes first must be they, or a request may meet a closed one. */
const keepAliveMs = 65_000;
/** Behind the time of a request. */
const stalledMs = 60_000;
/** Several changes in a row make one reload. */
const schemaSettleMs = 200;

/** Throws CONFIG_INVALID, DATABASE_UNREACHABLE or PORT_IN_USE; nothing is left running then. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { log } = options;
  const keys = demandKeys(options.config, options.identityProvider ?? null);
  const opened: (() => Promise<void>)[] = [];
  try {
    return await open(options, keys, opened);
  } catch (error) {
    await undoAll(opened, log);
    throw isConnectionFailure(error) ? new AgentFlowError('DATABASE_UNREACHABLE', undefined, { cause: error }) : error;
  }
}

async function open(options: ServerOptions, keys: IdentityKeys, opened: (() => Promise<void>)[]): Promise<RunningServer> {
  const { config, authenticatorUrl, log, workflowTools, expectedMigration } = options;
  const pool = openPool(authenticatorUrl, log);
  opened.push(() => pool.end());
  const executionEvents = new ExecutionEvents(authenticatorUrl, log);
  opened.push(() => executionEvents.close());
  const signIn = new SignIn(pool, keys);
  const secretBox = new SecretBox([keys.secretKey, ...config.oldSecretKeys ?? []]);
  const services = { signIn, secretKey: keys.secretKey, executionEvents, workflowTools, secretBox, sourceTools: options.sourceTools ?? null, statementTimeoutMs };
  const face = faceOf(config.face ?? openFace);
  const isDevelopment = config.environment === 'development' && !face.config.isClosed;
  const replica = config.readReplicaUrl ? openPool(config.readReplicaUrl, log) : null;
  if (replica !== null) opened.push(() => replica.end());
  const primary = makeWithCallerClient(pool);
  const withClient = inTurns(replica === null ? primary : readingReplica(primary, replica, log), { most: maxOfTenant, patienceMs: connectTimeoutMs });
  const answers = options.schemaAnswers;
  const ready = answers?.ready ?? Promise.resolve();
  const build = (client = withClient): Promise<Api> => buildApi(pool, { services, face, isDevelopment, withClient: client }, { log, opened, ready });
  const [first] = await Promise.all([build(answers && knowingAnswers(withClient, answers)), ready.then(() => executionEvents.start())]);
  const api = reloading(first, build, executionEvents, log);
  const limits = new RateLimits({ limits: { tenant: face.config.tenantRate, address: face.config.addressRate }, take: (asks) => takeRequests(pool, asks), log });
  const admission = new Admission({ face, limits, callers: new Callers(pool, keys), confirmsFirst: replica !== null, schema: () => api.now.schema });
  const readiness = createReadiness(pool, expectedMigration, options.isWorking);
  const metrics = options.metrics ?? new Metrics();
  addProcessMetrics(metrics);
  addPoolMetrics(metrics, { primary: pool, ...(replica === null ? {} : { replica }) });
  addDatabaseMetrics(metrics, makeOperatingFigures(pool));
  const longWay = await openLongWay({
    log, metrics: metricsHandler(metrics, { token: config.metricsToken ?? null, isClosed: face.config.isClosed }), face: face.config, admission, health: readiness, artifact: artifactHandler(pool, statementTimeoutMs), workflowTools,
    graphql: (request, response, next) => void api.now.router().then((router) => router(request, response, next), next),
  });
  const { isTrustedProxy } = longWay;
  const listener = plainRequests({ app: longWay.listener, admission, api: () => api.now, requestSeconds: face.config.requestSeconds, corsHeaders: corsHeadersFor(face.config.corsOrigins), isTrustedProxy, log });
  const server = createServer({ requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveMs }, listener);
  // Who asks and does not read keeps the answer in memory; until it is there, nothing goes over the connection.
  server.setTimeout(face.config.requestSeconds * 1_000 + stalledMs);
  countRequests(metrics, server);
  await listen(server, config.host, config.port);
  const webSockets = serveWebSockets({ server, api: () => api.now, admission, log, isTrustedProxy });
  const load = async (): Promise<void> => {
    await Promise.all([longWay.load(), loadJose(), api.now.router()]);
  };
  let closing: Promise<void> | undefined;
  const close = async (graceMs: number): Promise<void> => {
    readiness.stopServing();
    await Promise.all([webSockets.close(graceMs), closeHttp(server, graceMs)]);
    await undoAll(opened, log);
  };
  return { url: urlOf(server, config.host), load, close: (graceMs) => (closing ??= close(graceMs)) };
}

/** Throws CONFIG_INVALID for documents that cannot be used. */
function faceOf(config: FaceConfig): Face {
  return new Face(config, config.trustedDocuments === null ? null : new TrustedDocuments(readTrustedDocuments(config.trustedDocuments)));
}

/** GraphQL as the schema of the database is at one moment. */
interface Api {
  graphql: ExpressGrafserv;
  schema: GraphQLSchema;
  /** Its way through grafserv. */
  router(): Promise<Router>;
  maskError: ReturnType<typeof makeErrorMask>;
}

interface Surroundings {
  log: Log;
  opened: (() => Promise<void>)[];
  /** See SchemaAnswers. */
  ready: Promise<unknown>;
}

async function buildApi(pool: pg.Pool, serving: Omit<Serving, 'maskError'>, { log, opened, ready }: Surroundings): Promise<Api> {
  const { face } = serving;
  // Read while the schema is made: no error is to be masked before.
  const book = new Map<string, ConstraintFacts>();
  const reading = ready.then(() => readConstraints(pool));
  const maskError = makeErrorMask(log, book, {
    wordsFor: (message) => (face.isClosedTo() ? hideSuggestions(message) : message), onRefused: createRefusals(pool, log),
  });
  const instance = postgraphile(serverPreset(pool, { ...serving, maskError }));
  // Subscriptions may go on upon one that was replaced, so each lives as long as the server.
  opened.push(async () => {
    await instance.release();
    for (const service of instance.getResolvedPreset().pgServices ?? []) await service.release?.();
  });
  const graphql = instance.createServ(grafserv);
  const [schema, constraints] = await Promise.all([instance.getSchema(), reading]);
  for (const [name, facts] of constraintBookOf(constraints)) book.set(name, facts);
  await graphql.ready();
  let router: Promise<Router> | null = null;
  return { graphql, schema, router: () => router ??= routerOf(graphql), maskError };
}

/** Builds the API anew when the DBA's tools say that the schema has changed. One that cannot be built leaves the old one in its place. */
function reloading(first: Api, build: () => Promise<Api>, events: ExecutionEvents, log: Log): { now: Api } {
  const api = { now: first };
  let timer: NodeJS.Timeout | undefined;
  const reload = async (): Promise<void> => {
    try {
      const next = await build();
      await next.router();
      api.now = next;
      log.info({}, 'The schema has changed: the API shows it');
    } catch (error) {
      log.error({ err: error }, 'The schema has changed, and no API can be made of it: the old one stays');
    }
  };
  events.onSchemaChange = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void reload(), schemaSettleMs);
    timer.unref();
  };
  return api;
}

function demandKeys({ jwtSecret, secretKey, oldSecretKeys }: ServerOptions['config'], provider: IdentityProvider | null): IdentityKeys {
  if (secretKey === null || (jwtSecret === null && provider === null)) {
    throw new AgentFlowError('CONFIG_INVALID', 'The server needs AGENTFLOW_SECRET_KEY, and JWT_SECRET or JWKS_URL.', { remedy: 'Set them.' });
  }
  return { jwtSecret, secretKey, tokens: new VerifiedTokens(jwtSecret, provider), ...(oldSecretKeys === undefined ? {} : { oldSecretKeys }) };
}

function openPool(connectionString: string, log: Log): pg.Pool {
  const pool = new pg.Pool({
    connectionString, max: poolSize, connectionTimeoutMillis: connectTimeoutMs, query_timeout: answerTimeoutMs, application_name: 'agentflow server', keepAlive: true, pipeline: true,
    ...(leadsThroughPooler(connectionString) ? { Client: PooledClient } : {}),
  });
  pool.on('error', (error) => log.warn({ err: error }, 'An idle database connection was lost'));
  // A connection lost while in use is told to who uses it; without a listener the event would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.debug({ err: error }, 'A database connection failed'));
    client.query(callerPlanner).catch((error: unknown) => log.debug({ err: error }, 'The planner could not be set'));
  });
  return pool;
}

/** The GraphQL server as a router, so that it answers only where it is mounted. */
async function routerOf(graphql: ExpressGrafserv): Promise<Router> {
  const { default: express } = await import('express');
  const router = express.Router();
  await graphql.addTo(router as unknown as Express, null, false);
  return router;
}
