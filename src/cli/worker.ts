/** `agentflow worker`: runs executions, serves nothing. */
import { Command } from 'commander';
import type { Config } from '../config.ts';
import { Metrics } from '../metrics.ts';
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
  const metrics = new Metrics();
  await service.add(await startWorkerPart(context, completeConfig(context.config, database, false), database, metrics));
  const told = await tellMetrics(service, context, metrics);
  context.answer({ pid: process.pid, ...(told === null ? {} : { metricsUrl: told }) }, `AgentFlow works with ${context.config.workerConcurrency} executions at a time${limitsOf(context.config)}${told === null ? '' : `, and tells its metrics at ${told}`}.`);
}

/** Where: null without METRICS_PORT. */
async function tellMetrics(service: Service, { config: { metricsPort, metricsToken, host, face }, log }: Context, metrics: Metrics): Promise<string | null> {
  if (metricsPort === null) return null;
  const { serveMetrics } = await import('../server/metrics.ts');
  const { url, close } = await serveMetrics(metrics, { host, port: metricsPort, readers: { token: metricsToken, isClosed: face.isClosed }, log });
  await service.add({ name: 'metrics', close: () => close(metricsGraceMs) });
  return url;
}

const metricsGraceMs = 500;

function limitsOf({ workerLimits: { perTenant, perWorkflow, perNodeKind } }: Config): string {
  const limits = [
    ...(perTenant === null ? [] : [`${perTenant} of a tenant`]), ...(perWorkflow === null ? [] : [`${perWorkflow} of a workflow`]),
    ...Object.entries(perNodeKind).map(([kind, limit]) => `${limit} ${kind} nodes`),
  ];
  return limits.length === 0 ? '' : ` (at most ${limits.join(', ')})`;
}
