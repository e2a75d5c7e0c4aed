/** How the files in `tasks/` meet the runtime: graphile-worker finds and loads them, and each is handed the runtime of its process. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JobHelpers, Task } from 'graphile-worker';
import type { WorkerLog } from './log.ts';
// For the hooks that graphile-worker adds to the type of plugins.
import type {} from 'graphile-worker';

/** What tasks may ask of the runtime. */
export interface TaskRuntime {
  /** Resolves when its job is needed no longer: the lease says that the execution is driven, or there is nothing to do. */
  runExecution(executionId: string): Promise<void>;
  makePartitions(): Promise<void>;
}

export type RuntimeTask = (payload: unknown, helpers: JobHelpers & { runtime: TaskRuntime }) => Promise<void>;

export const taskDirectory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../tasks');

/** Hands `runtime` to every task that graphile-worker loads from the folder, and keeps its failing shutdowns from ending the process. */
export function runtimePlugin(runtime: TaskRuntime, log: WorkerLog): GraphileConfig.Plugin {
  return {
    name: 'AgentFlowRuntimePlugin',
    version: '1.0.0',
    after: ['LoadTaskFromJsPlugin'],
    worker: {
      // When the database is away graphile-worker shuts its pool down, fails at that too, and nobody awaits the promise.
      middleware: {
        async poolGracefulShutdown(next) {
          try {
            await next();
          } catch (error) {
            log.warn({ error: (error as Error).message }, 'the job pool did not shut down cleanly');
          }
        },
        async poolForcefulShutdown(next) {
          try {
            return await next();
          } catch (error) {
            log.warn({ error: (error as Error).message }, 'the job pool was not shut down by force');
            return { forceFailedJobs: [] };
          }
        },
      },
      hooks: {
        loadTaskFromFiles(_context, details) {
          // The tasks of flows lie below; they are no jobs.
          if (details.taskIdentifier.startsWith('flow/')) {
            details.handler = noJob;
            return;
          }
          const handler = details.handler as RuntimeTask | undefined;
          if (handler === undefined) return;
          const task: Task = (payload, helpers) => handler(payload, Object.assign(helpers, { runtime }));
          details.handler = task;
        },
      },
    },
  };
}

const noJob: Task = (_payload, { job, logger }) => logger.warn(`${job.task_identifier} is a task of flows, and no job`);
