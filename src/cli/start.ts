/** `agentflow start`: everything in one process. */
import { Command } from 'commander';
import { providerVariables, type Config } from '../config.ts';
import { hashApiKey } from '../keys.ts';
import { migrateDatabase } from '../schema/migrate.ts';
import { hasSampleCredentials, keepSampleCredentials, loadSamples, makeSampleCredentials, type SampleCredentials, type Samples } from '../schema/samples.ts';
import { banner } from './banner.ts';
import { action, type Context } from './context.ts';
import type { OpenDatabase } from './open-database.ts';
import { announce, completeConfig, demandForRoles, loadProcesses, openForService, registerTypes, startServerPart, startWorkerPart } from './processes.ts';
import { serve, type Service } from './serve.ts';

export function startCommand(): Command {
  return new Command('start')
    .description('Serve GraphQL and GraphiQL and run the worker, in one process, on DATABASE_URL or an embedded PostgreSQL; migrates first.')
    .action(action((context) => serve(context.log, context.json, (service) => start(service, context))));
}

async function start(service: Service, context: Context): Promise<void> {
  demandForRoles(context.config, ['server', 'worker']);
  const fresh = context.config.databaseUrl === null && !hasSampleCredentials(context.config.dataDir) ? makeSampleCredentials() : null;
  // The database comes up in a process of its own: meanwhile this one loads what it will run, and hashes.
  const [database] = await Promise.all([openForService(service, context, { announces: true }), loadProcesses(), fresh]);
  const migrations = await migrateDatabase(database.databaseUrl, { passwords: database.passwords });
  if (migrations.length > 0) context.log.info({ migrations }, 'migrated');
  await registerTypes(database);
  const config = completeConfig(context.config, database, mocksByDefault(context.config));
  const samples = await samplesFor(config, database, fresh);
  if (service.isStopping) return;
  const [server] = await service.addWhenUp(startServerPart(context, config, database), startWorkerPart(context, config, database));
  await announce(service, config, database, server.url, samples);
  if (service.isStopping) return;
  context.answer({ url: server.url, pid: process.pid, dataDir: config.dataDir, mockLlm: config.mockLlm }, banner(config, database, server.url, samples));
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
