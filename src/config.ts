/**
 * The environment: read once, checked as a whole, frozen. Nothing else in AgentFlow reads it.
 * What each variable means stands in docs/how-to; here are its shape and its default.
 */
import path from 'node:path';
import { minSecretLength, parseHostPort, parseOrigin, postgresProtocols, Reader, throwProblems, type RateLimit } from './config-reader.ts';

export type { ConfigProblem, RateLimit } from './config-reader.ts';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = 'pretty' | 'json';

/** One entry of AGENTFLOW_SOURCE_ENV: sources may read this variable. */
export interface SourceVariableRule {
  name: string;
  /** Slug of the only tenant that may; null for all. */
  tenant: string | null;
  /** The hosts that the value may be sent to; null: the hosts of the provider whose own variable it is. */
  hosts: string[] | null;
}

/** What one worker process drives at a time, beside WORKER_CONCURRENCY. */
export interface WorkerLimits {
  /** Executions of one tenant. */
  perTenant: number | null;
  /** Executions of one workflow. */
  perWorkflow: number | null;
  /** Nodes with an effect, by type. */
  perNodeKind: Readonly<Record<string, number>>;
}

/** How the API meets those who come from outside. */
export interface FaceConfig {
  /** Who is not signed in gets no introspection, no suggestions and no GraphiQL. */
  isClosed: boolean;
  /** A file or folder of operations: only these are served to those who are no admins. Null: all are. */
  trustedDocuments: string | null;
  /** Of a tenant's people and keys together; null: not limited. */
  tenantRate: RateLimit | null;
  /** Of an address, for requests of nobody; null: not limited. */
  addressRate: RateLimit | null;
  /** How many proxies stand before us, or their addresses: whose X-Forwarded-For is believed. */
  trustProxy: number | readonly string[];
  /** Origins of other sites whose pages may call; `*` for all. */
  corsOrigins: readonly string[];
  /** After so long a request is answered with TIMEOUT, and begins nothing more. */
  requestSeconds: number;
}

/** Of a server that is told nothing. */
export const openFace: FaceConfig = {
  isClosed: false, trustedDocuments: null, tenantRate: null, addressRate: null, trustProxy: 0, corsOrigins: [], requestSeconds: 60,
};

export interface Config {
  /** The owner's. Null: an embedded PostgreSQL in `dataDir`. */
  databaseUrl: string | null;
  rootDatabaseUrl: string | null;
  shadowDatabaseUrl: string | null;
  authenticatorUrl: string | null;
  workerUrl: string | null;
  readReplicaUrl: string | null;
  host: string;
  /** 0: any free one. */
  port: number;
  /** Absolute. */
  dataDir: string;
  jwtSecret: string | null;
  jwksUrl: string | null;
  jwtAudience: string | null;
  jwtIssuer: string | null;
  /** Who sends it may read GET /metrics. Null: who asks from this machine. */
  metricsToken: string | null;
  /** Where a process without the API tells its metrics; null: nowhere. */
  metricsPort: number | null;
  /** Encrypts stored secrets; the pepper of API keys is derived from it. */
  secretKey: string | null;
  /** Earlier values of AGENTFLOW_SECRET_KEY: they open stored secrets until `agentflow secret rotate` has sealed all of them anew. */
  oldSecretKeys: readonly string[];
  /** Executions that one worker process drives at a time. */
  workerConcurrency: number;
  /** Of one worker process, at a time; null: as many as there are. */
  workerLimits: WorkerLimits;
  logLevel: LogLevel;
  logFormat: LogFormat;
  environment: 'production' | 'development' | 'test';
  sourceVariables: readonly SourceVariableRule[];
  /** Values of the variables that AGENTFLOW_SOURCE_ENV names and of the providers' own, those that are set. */
  sourceValues: Readonly<Record<string, string>>;
  /** `host:port` that sources may reach although private. */
  allowHosts: readonly string[];
  llmGateway: { readonly url: string; readonly key: string | null } | null;
  /** Null: not said; the embedded sample start decides. */
  mockLlm: boolean | null;
  /** Names of tasks that are answered from a script, by a regular expression (null: all that are not registered). Null: none is. */
  testTasks: { readonly pattern: string | null } | null;
  face: FaceConfig;
  /** Not wrong, but worth a line in the log. */
  warnings: readonly string[];
}

/** The variables in which the model providers' own libraries expect their keys. */
export const providerVariables = ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY', 'GEMINI_API_KEY', 'GROQ_API_KEY', 'MISTRAL_API_KEY'] as const;

const ownVariables = [
  'AGENTFLOW_DATA_DIR', 'AGENTFLOW_SOURCE_ENV', 'AGENTFLOW_ALLOW_HOSTS', 'AGENTFLOW_SECRET_KEY', 'AGENTFLOW_SECRET_KEY_OLD',
  'AGENTFLOW_LLM_GATEWAY_URL', 'AGENTFLOW_LLM_GATEWAY_KEY', 'AGENTFLOW_MOCK_LLM', 'AGENTFLOW_TEST_TASKS', 'AGENTFLOW_TEST_TASK_PATTERN',
  'AGENTFLOW_TEST_CLUSTER', 'AGENTFLOW_TEST_POSTGRES',
  'AGENTFLOW_FACE', 'AGENTFLOW_TRUSTED_DOCUMENTS', 'AGENTFLOW_RATE_TENANT', 'AGENTFLOW_RATE_ADDRESS', 'AGENTFLOW_TRUST_PROXY', 'AGENTFLOW_CORS_ORIGINS',
  'AGENTFLOW_REQUEST_SECONDS',
];

/** Throws CONFIG_INVALID; `details.problems` lists every variable that is wrong. */
export function readConfig(env: NodeJS.ProcessEnv = process.env, isTerminal: boolean = process.stdout.isTTY): Config {
  const read = new Reader(env);
  const rules = read.list('AGENTFLOW_SOURCE_ENV', parseSourceRule, 'NAME[@tenant-slug]=host[;host]');
  const gatewayUrl = read.url('AGENTFLOW_LLM_GATEWAY_URL', ['http:', 'https:']);
  const gatewayKey = read.text('AGENTFLOW_LLM_GATEWAY_KEY');
  if (gatewayKey !== null && gatewayUrl === null) read.wrong('AGENTFLOW_LLM_GATEWAY_KEY', 'is set without AGENTFLOW_LLM_GATEWAY_URL');
  const config: Config = {
    // graphile-migrate tells its actions in GM_DBURL which database they are for, and puts a decoy into DATABASE_URL.
    databaseUrl: read.url(env['GM_DBURL'] ? 'GM_DBURL' : 'DATABASE_URL', postgresProtocols),
    rootDatabaseUrl: read.url('ROOT_DATABASE_URL', postgresProtocols),
    shadowDatabaseUrl: read.url('SHADOW_DATABASE_URL', postgresProtocols),
    authenticatorUrl: read.url('DATABASE_AUTHENTICATOR_URL', postgresProtocols),
    workerUrl: read.url('DATABASE_WORKER_URL', postgresProtocols),
    readReplicaUrl: read.url('READ_REPLICA_URL', postgresProtocols),
    host: read.text('HOST') ?? '127.0.0.1',
    port: read.integer('PORT', 5678, 0, 65_535),
    dataDir: path.resolve(read.text('AGENTFLOW_DATA_DIR') ?? '.agentflow'),
    jwtSecret: read.secret('JWT_SECRET'),
    jwksUrl: read.url('JWKS_URL', ['https:', 'http:']),
    jwtAudience: read.text('JWT_AUDIENCE'),
    jwtIssuer: read.text('JWT_ISSUER'),
    metricsToken: read.secret('METRICS_TOKEN'),
    metricsPort: read.text('METRICS_PORT') === null ? null : read.integer('METRICS_PORT', 0, 0, 65_535),
    secretKey: read.secret('AGENTFLOW_SECRET_KEY'),
    oldSecretKeys: read.list('AGENTFLOW_SECRET_KEY_OLD', (entry) => (entry.length < minSecretLength ? null : entry), `a key of at least ${minSecretLength} characters`),
    workerConcurrency: read.integer('WORKER_CONCURRENCY', 100, 1, 5_000),
    workerLimits: {
      perTenant: read.limit('WORKER_MAX_PER_TENANT', mostAtATime), perWorkflow: read.limit('WORKER_MAX_PER_WORKFLOW', mostAtATime),
      perNodeKind: read.limits('WORKER_MAX_PER_NODE_KIND', mostAtATime),
    },
    logLevel: read.choice('LOG_LEVEL', logLevels, 'info'),
    logFormat: read.choice('LOG_FORMAT', ['pretty', 'json'] as const, isTerminal ? 'pretty' : 'json'),
    environment: read.choice('GRAPHILE_ENV', ['production', 'development', 'test'] as const, 'production'),
    sourceVariables: rules,
    sourceValues: valuesOf(env, [...providerVariables, ...rules.map(({ name }) => name)]),
    allowHosts: read.list('AGENTFLOW_ALLOW_HOSTS', parseHostPort, 'host:port'),
    llmGateway: gatewayUrl === null ? null : { url: gatewayUrl, key: gatewayKey },
    mockLlm: read.flag('AGENTFLOW_MOCK_LLM'),
    testTasks: read.flag('AGENTFLOW_TEST_TASKS') === true ? { pattern: read.pattern('AGENTFLOW_TEST_TASK_PATTERN') } : null,
    face: readFace(read, env),
    warnings: [
      ...unknownVariables(env),
      ...(read.flag('AGENTFLOW_TEST_TASKS') === true ? ['AGENTFLOW_TEST_TASKS is set: tasks of flows are answered from scripts. That is for tests only.'] : []),
    ],
  };
  if (config.jwksUrl !== null) {
    for (const [name, value] of [['JWT_ISSUER', config.jwtIssuer], ['JWT_AUDIENCE', config.jwtAudience]] as const) {
      if (value === null) read.wrong(name, 'is needed with JWKS_URL and not set: otherwise tokens that the provider made for others would be good here');
    }
  }
  if (config.metricsPort !== null && config.metricsToken === null && config.face.isClosed) read.wrong('METRICS_PORT', 'is set without METRICS_TOKEN: nobody could read there');
  read.throwIfWrong();
  return deepFreeze(config);
}

const mostAtATime = 10_000;
const tenantRate: RateLimit = { perSecond: 2_000, burst: 60_000 };
const addressRate: RateLimit = { perSecond: 100, burst: 3_000 };

/** Closed wherever it is not said to be a developer's: on a database of one's own, or with GRAPHILE_ENV=production. */
function readFace(read: Reader, env: NodeJS.ProcessEnv): FaceConfig {
  const environment = read.text('GRAPHILE_ENV')?.toLowerCase() ?? (env['DATABASE_URL'] ? 'production' : 'development');
  const documents = read.text('AGENTFLOW_TRUSTED_DOCUMENTS');
  return {
    isClosed: read.choice('AGENTFLOW_FACE', ['open', 'closed'] as const, environment === 'production' ? 'closed' : 'open') === 'closed',
    trustedDocuments: documents === null ? null : path.resolve(documents),
    tenantRate: read.rate('AGENTFLOW_RATE_TENANT', tenantRate),
    addressRate: read.rate('AGENTFLOW_RATE_ADDRESS', addressRate),
    trustProxy: read.proxies('AGENTFLOW_TRUST_PROXY'),
    corsOrigins: read.list('AGENTFLOW_CORS_ORIGINS', parseOrigin, 'https://host[:port], or *'),
    requestSeconds: read.integer('AGENTFLOW_REQUEST_SECONDS', openFace.requestSeconds, 1, 3_600),
  };
}

/** Libraries of ours read these variables by themselves, when they are loaded; call it before. Outside of production they check and tell more, and are slower. */
export function settleLibraries({ environment }: Config): void {
  process.env['GRAPHILE_ENV'] = environment;
  process.env['NODE_ENV'] ??= environment;
}

/** What a command cannot do without, each with the variable that gives it. Throws CONFIG_INVALID naming all that are missing. */
export function demandVariables(config: Config, needed: readonly ('authenticatorUrl' | 'workerUrl' | 'jwt' | 'secretKey')[]): void {
  const variables = { authenticatorUrl: 'DATABASE_AUTHENTICATOR_URL', workerUrl: 'DATABASE_WORKER_URL', jwt: 'JWT_SECRET (or JWKS_URL)', secretKey: 'AGENTFLOW_SECRET_KEY' };
  const isThere = (what: (typeof needed)[number]): boolean => (what === 'jwt' ? config.jwtSecret !== null || config.jwksUrl !== null : config[what] !== null);
  throwProblems(needed.filter((what) => !isThere(what)).map((what) => ({ variable: variables[what], message: 'is needed with DATABASE_URL and not set' })));
}

function parseSourceRule(entry: string): SourceVariableRule | null {
  const match = /^(?<name>[A-Za-z_][A-Za-z0-9_]*)(?:@(?<tenant>[a-z0-9][a-z0-9-]*))?(?:=(?<hosts>[^=]+))?$/.exec(entry)?.groups;
  if (!match) return null;
  const hosts = match['hosts']?.split(';').map((host) => host.trim().toLowerCase()).filter((host) => host !== '') ?? null;
  if (hosts !== null && (hosts.length === 0 || !hosts.every((host) => /^[a-z0-9.*:[\]-]+$/.test(host)))) return null;
  const isProviders = providerVariables.some((name) => name === match['name']);
  return hosts === null && !isProviders ? null : { name: match['name']!, tenant: match['tenant'] ?? null, hosts };
}

function valuesOf(env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env).filter((name) => name.startsWith('AGENTFLOW_') && !ownVariables.includes(name))
    .map((name) => `${name} is set, and AgentFlow knows no such variable.`);
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object);
  return Object.freeze(value);
}
