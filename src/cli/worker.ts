/** `agentflow worker`: runs executions, serves nothing. */
import { Command } from 'commander';
import { action, type Context } from './context.ts';
import { completeConfig, demandForRoles, demandMigrated, openForService, registerTypes, startWorkerPart } from './processes.ts';
import { serve, type Service } from './serve.ts';

export function workerCommand(): Command {
  return new Command('worker')
    .description('Run executions, without the API. Any number of them may work on one database. Does not migrate.')
    .action(action((context) => serve(context.log, context.json, (service) => start(service, context))));
}

async function start(service: Service, context: Context): Promise<void> {
  demandForRoles(context.config, ['worker']);
  const database = await openForService(service, context, { announces: false });
  await demandMigrated(database);
  await registerTypes(database);
  await service.add(await startWorkerPart(context, completeConfig(context.config, database, false), database));
  context.answer({ pid: process.pid }, `AgentFlow works with ${context.config.workerConcurrency} executions at a time.`);
}
