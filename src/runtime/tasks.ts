/** How the files in `tasks/` meet the runtime: graphile-worker finds and loads them, and each is handed the runtime of its process. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JobHelpers, Task } from 'graphile-worker';
// For the hooks that graphile-worker adds to the type of plugins.
import type {} from 'graphile-worker';

/** What tasks may ask of the runtime. */
export interface TaskRuntime {
  /** Resolves when the execution has ended, waits, or is somebody else's. Never rejects for what goes wrong in a workflow. */
  runExecution(executionId: string): Promise<void>;
  makePartitions(): Promise<void>;
}

export type RuntimeTask = (payload: unknown, helpers: JobHelpers & { runtime: TaskRuntime }) => Promise<void>;

export const taskDirectory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../tasks');

/** Hands `runtime` to every task that graphile-worker loads from the folder. */
export function runtimePlugin(runtime: TaskRuntime): GraphileConfig.Plugin {
  return {
    name: 'AgentFlowRuntimePlugin',
    version: '1.0.0',
    after: ['LoadTaskFromJsPlugin'],
    worker: {
      hooks: {
        loadTaskFromFiles(_context, details) {
          const handler = details.handler as RuntimeTask | undefined;
          if (handler === undefined) return;
          const task: Task = (payload, helpers) => handler(payload, Object.assign(helpers, { runtime }));
          details.handler = task;
        },
      },
    },
  };
}
