/** The API and the worker as parts of a service: what they are handed, and in which order they come up and go down. */
import { demandVariables, type Config } from '../config.ts';
import { currentHolder, holdFolder } from '../embedded/index.ts';
import { withClient } from '../schema/connection.ts';
import { Metrics } from '../metrics.ts';
import { demandCurrentSchema, newestMigration } from '../schema/history.ts';
import { migrationsFolder } from '../schema/folders.ts';
import { tryPort } from '../server/lifecycle.ts';
import type { SchemaAnswers } from '../server/schema-answers.ts';
import type { WorkflowTools } from '../server/workflow-tools.ts';
import { exitCodes, type Context } from './context.ts';
import { openDatabase, openOwnDatabase, type OpenDatabase } from './open-database.ts';
import { clearServerFile, removeServerFile, writeServerFile } from './server-file.ts';
import type { Samples } from '../schema/samples.ts';
import type { Part, Service } from './serve.ts';

/** Requests and nodes get this long to finish; the rest of the five seconds is PostgreSQL's. */
const graceMs = 3_000;
const databaseGraceMs = 1_200;

export type Role = 'server' | 'worker';

/** Throws CONFIG_INVALID when DATABASE_URL is set and what these roles need beside it is not. */
export function demandForRoles(config: Config, roles: readonly Role[]): void {
  if (config.databaseUrl === null) return;
  demandVariables(config, [
    ...(roles.includes('server') ? ['authenticatorUrl', 'jwt'] as const : []),
    ...(roles.includes('worker') ? ['workerUrl'] as const : []),
    'secretKey',
  ]);
}

/** So that nothing is made for a server that could not listen. Who has the folder is told first. Throws PORT_IN_USE. */
export async function demandFreePort({ dataDir, host, port }: Config): Promise<void> {
  if (port !== 0 && currentHolder(dataDir) === null) await tryPort(host, port);
}

/**
 * Opens the database as the first part of the service, so that it is the last to stop. One that `announces` itself in
 * `server.json` needs the data folder for itself; others may work beside it. Throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE.
 */
export async function openForService(service: Service, context: Context, { announces }: { announces: boolean }): Promise<OpenDatabase> {
  const { config } = context;
  if (announces && config.databaseUrl !== null) {
    const release = holdFolder(config.dataDir);
    await service.add({ name: 'data folder', close: () => Promise.resolve(release()) });
  }
  const say = (line: string): void => context.log.warn(line);
  const database = announces && config.databaseUrl === null ? await openOwnDatabase(config, say) : await openDatabase(config, say);
  await service.add({ name: 'database', close: () => database.close(databaseGraceMs) });
  void database.embedded?.ended.then(() => service.stop('the embedded PostgreSQL ended', exitCodes.failure));
  if (announces) clearServerFile(config.dataDir);
  return database;
}

/** The configuration as the embedded start completes it: keys of its own where none are given. */
export function completeConfig(config: Config, database: OpenDatabase, mockLlm: boolean): Config {
  const secrets = database.embedded?.secrets;
  return Object.freeze({
    ...config,
    mockLlm: config.mockLlm ?? mockLlm,
    jwtSecret: config.jwtSecret ?? secrets?.jwtSecret ?? null,
    secretKey: config.secretKey ?? secrets?.secretKey ?? null,
  });
}

/** `server` and `worker` by themselves never migrate: DATABASE_BEHIND, DATABASE_AHEAD. */
export async function demandMigrated(database: OpenDatabase): Promise<void> {
  await withClient(database.databaseUrl, (client) => demandCurrentSchema(client, migrationsFolder));
}

/** What this process brings becomes known to the database's own checks. */
export async function registerTypes(database: OpenDatabase): Promise<void> {
  const [{ nodeTypes }, { registerNodeTypes }] = await Promise.all([import('../nodes/index.ts'), import('../store/node-types.ts')]);
  await withClient(database.databaseUrl, (client) => registerNodeTypes(client, nodeTypes));
}

function loadServer() {
  return Promise.all([import('../server/index.ts'), import('./source-tools.ts')]);
}

async function workflowTools(): Promise<WorkflowTools> {
  return (await import('./workflow-tools.ts')).loadWorkflowTools();
}

/** What the server stands on, as much of it as is loaded while PostgreSQL comes up. */
export async function readyGround(): Promise<void> {
  await Promise.all([import('postgraphile/graphile-build'), import('postgraphile/@dataplan/pg'), import('../server/asked-schema.ts')]);
}

function loadWorker() {
  return import('../runtime/index.ts');
}

/** Loads the code of the server and what it reads of its own; its start then finds it there, and tells what is wrong with it. */
export async function readyServer(): Promise<void> {
  await loadServer();
  await Promise.allSettled([workflowTools(), import('../server/app.ts')]);
}

export async function readyWorker(): Promise<void> {
  await loadWorker();
}

interface ServerPart extends Part {
  url: string;
  /** What a first query of rows does without. */
  loadRest(): Promise<void>;
}

/** `isWorking`: the server counts as ready when the worker beside it has come up, too. */
export async function startServerPart(context: Context, config: Config, database: OpenDatabase, { isWorking, metrics, schemaAnswers }: { isWorking?: () => boolean; metrics?: Metrics; schemaAnswers?: SchemaAnswers } = {}): Promise<ServerPart> {
  const [{ startServer }, { loadSourceTools }] = await loadServer();
  const sourceTools = loadSourceTools(config);
  const identityProvider = config.jwksUrl === null ? null : (await import('./identity-provider.ts')).identityProvider(config);
  const server = await startServer({ config, identityProvider, authenticatorUrl: database.authenticatorUrl!, workflowTools, sourceTools, expectedMigration: newestMigration(migrationsFolder), isWorking, log: context.log, ...(metrics === undefined ? {} : { metrics }), ...(schemaAnswers === undefined ? {} : { schemaAnswers }) });
  const close = async (): Promise<void> => {
    await server.close(graceMs);
    await sourceTools.close();
  };
  const loadRest = async (): Promise<void> => {
    await Promise.all([server.load(), workflowTools()]);
  };
  return { name: 'server', url: server.url, loadRest, close };
}

export async function startWorkerPart(context: Context, config: Config, database: OpenDatabase, metrics: Metrics = new Metrics()): Promise<Part> {
  const { startWorker } = await loadWorker();
  const worker = await startWorker({ config, workerUrl: database.workerUrl!, log: context.log, metrics });
  return { name: 'worker', close: () => worker.close(graceMs) };
}

/** Writes `server.json`; its removal is the first step of stopping. */
export async function announce(service: Service, config: Config, database: OpenDatabase, url: string, samples: Samples | null): Promise<void> {
  await service.add({ name: 'server.json', close: () => Promise.resolve(removeServerFile(config.dataDir)) });
  if (service.isStopping) return;
  writeServerFile(config.dataDir, {
    url,
    graphqlUrl: `${url}/graphql`,
    graphiqlUrl: `${url}/graphiql`,
    pid: process.pid,
    databaseUrl: database.databaseUrl,
    authenticatorUrl: database.authenticatorUrl!,
    ...(samples ? { samples } : {}),
  });
}
