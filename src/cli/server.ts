/** `agentflow server`: the API alone. */
import { Command } from 'commander';
import { action, type Context } from './context.ts';
import { announce, completeConfig, demandForRoles, demandFreePort, demandMigrated, openForService, registerTypes, startServerPart } from './processes.ts';
import { serve, type Service } from './serve.ts';

export function serverCommand(): Command {
  return new Command('server')
    .description('Serve GraphQL and GraphiQL, without a worker. Does not migrate.')
    .action(action((context) => serve(context.log, context.json, (service) => start(service, context))));
}

async function start(service: Service, context: Context): Promise<void> {
  demandForRoles(context.config, ['server']);
  await demandFreePort(context.config);
  const database = await openForService(service, context, { announces: true });
  await demandMigrated(database);
  await registerTypes(database);
  const config = completeConfig(context.config, database, false);
  const server = await startServerPart(context, config, database);
  await service.add(server);
  await announce(service, config, database, server.url, null);
  await server.loadRest();
  context.answer({ url: server.url, pid: process.pid }, `AgentFlow serves ${server.url}/graphql and ${server.url}/graphiql.`);
}
