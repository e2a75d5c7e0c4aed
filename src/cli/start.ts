/** `agentflow start`: everything in one process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { providerVariables, type Config } from '../config.ts';
import type { EmbeddedPostgres } from '../embedded/index.ts';
import { extensionFolders } from '../extensions.ts';
import { hashApiKey } from '../keys.ts';
import { Metrics } from '../metrics.ts';
import { hasSampleCredentials, keepSampleCredentials, loadSamples, makeSampleCredentials, type SampleCredentials, type Samples } from '../schema/samples.ts';
import { loadMigrating, migrateDatabase } from '../schema/migrate-database.ts';
import type { SchemaAnswers } from '../server/schema-answers.ts';
import { banner } from './banner.ts';
import { action, type Context } from './context.ts';
import type { OpenDatabase } from './open-database.ts';
import { keptAnswers } from './kept-answers.ts';
import { announce, completeConfig, demandForRoles, demandFreePort, openForService, readyGround, readyServer, readyWorker, registerTypes, startServerPart, startWorkerPart } from './processes.ts';
import { serve, type Service } from './serve.ts';

const firstAsksMs = 100;
/** A statement is with PostgreSQL by then. */
const sendingMs = 20;

export function startCommand(): Command {
  return new Command('start')
    .description('Serve GraphQL and GraphiQL and run the worker, in one process, on DATABASE_URL or an embedded PostgreSQL; migrates first.')
    .action(action((context) => serve(context.log, context.json, (service) => start(service, context))));
}

async function start(service: Service, context: Context): Promise<void> {
  demandForRoles(context.config, ['server', 'worker']);
  await demandFreePort(context.config);
  const isFresh = context.config.databaseUrl === null && !hasSampleCredentials(context.config.dataDir);
  const opening = openForService(service, context, { announces: true });
  // The database comes up in processes of its own: meanwhile this one loads what it will run, and hashes. A new one takes long enough for all of it;
  // another is there after a part of it, and has its answers ready when the rest is loaded.
  const fresh = isFresh ? makeSampleCredentials() : null;
  const loading = isFresh ? readyServer().then(loadMigrating).then(readyWorker) : readyGround();
  const [database] = await Promise.all([opening, loading, fresh]);
  const migration = migrate(database, context);
  const { migrated } = migration;
  const schemaAnswers = await (database.embedded?.isNew ? answersOfNew(database.embedded, migration) : answersOfPresent(database, migration));
  const config = completeConfig(context.config, database, mocksByDefault(context.config));
  if (service.isStopping) return migrated;
  const processes = await service.addGroup();
  let isWorking = false;
  const metrics = new Metrics();
  const serving = startServerPart(context, config, database, { isWorking: () => isWorking, metrics, schemaAnswers });
  // The database's own checks judge the sample workflows: a new one needs to know the node types first. Extensions may be broken: then nobody is told of a service.
  const registersFirst = isFresh || extensionFolders().length > 0;
  const loadData = async (): Promise<Samples | null> => {
    if (registersFirst) await registerTypes(database);
    return samplesFor(config, database, fresh);
  };
  const [server, samples] = await Promise.all([serving, migrated.then(loadData), serving.then((part) => processes.add(part))]);
  await announce(service, config, database, server.url, samples);
  if (service.isStopping) return;
  if (!isFresh) {
    // Whoever waits for the server asks now, and nothing is answered while the code of the node types and of the worker is loaded.
    await sleep(firstAsksMs);
    if (!registersFirst) await registerTypes(database);
  }
  await processes.add(await startWorkerPart(context, config, database, metrics));
  await server.loadRest();
  isWorking = true;
  if (service.isStopping) return;
  context.answer({ url: server.url, pid: process.pid, dataDir: config.dataDir, mockLlm: config.mockLlm }, banner(config, database, server.url, samples));
}

interface Migration { underWay: Promise<void>; migrated: Promise<void> }

/** Of a new one it is known what it will be: the API is made while PostgreSQL is at work. */
async function answersOfNew({ version }: EmbeddedPostgres, { underWay, migrated }: Migration): Promise<SchemaAnswers> {
  const kept = keptAnswers(version);
  await (Object.keys(kept.known).length === 0 ? migrated : underWay);
  return { ...kept, ready: migrated };
}

/** Another one may have been changed by anybody, and is asked. */
async function answersOfPresent({ authenticatorUrl }: OpenDatabase, { migrated }: Migration): Promise<SchemaAnswers> {
  const { openQuestion } = await import('../server/asked-schema.ts');
  const [ask] = await Promise.all([openQuestion(authenticatorUrl!), migrated]);
  return { known: ask(), keep: () => undefined, ready: migrated };
}

/** `underWay`: PostgreSQL is at work on the first of them, and this process has nothing to do; or there is none to run. */
function migrate(database: OpenDatabase, { log }: Context): Migration {
  const first = Promise.withResolvers<void>();
  const migrated = migrateDatabase(database.databaseUrl, { passwords: database.passwords, say: () => first.resolve(), trustsBodies: database.embedded !== null }).then((migrations) => {
    if (migrations.length > 0) log.info({ migrations }, 'migrated');
  });
  // What it says goes before the statement itself. Who waits for the end is told of a failure; here it must only not be waited for.
  const ended = migrated.catch(() => undefined);
  return { underWay: Promise.race([first.promise.then(() => sleep(sendingMs)), ended]), migrated };
}

/** The embedded start answers by itself where nothing else could. */
export function mocksByDefault(config: Pick<Config, 'databaseUrl' | 'llmGateway' | 'sourceValues'>): boolean {
  return config.databaseUrl === null && config.llmGateway === null && !providerVariables.some((name) => name in config.sourceValues);
}

/** The sample data, once, and who may sign in with it; null with DATABASE_URL. */
export async function samplesFor(config: Config, database: OpenDatabase, fresh: Promise<SampleCredentials> | null): Promise<Samples | null> {
  if (!database.embedded) return null;
  const credentials = await keepSampleCredentials(config.dataDir, fresh);
  return loadSamples(database.databaseUrl, credentials, (key) => hashApiKey(key, config.secretKey!));
}
