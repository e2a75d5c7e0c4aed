/** graphile-worker alone, with its local queue and batches: one job an execution, no steps, no history. */
import { Logger, makeWorkerUtils, run, type WorkerUtils } from 'graphile-worker';
import { callServer, eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

const jobsEach = 500;

export async function open({ urls, effectUrl }: EngineOptions): Promise<Engine> {
  let waits: (() => void) | null = null;
  let left = 0;
  const over = (): void => {
    left -= 1;
    if (left === 0) waits?.();
  };
  const logger = new Logger(() => (level, message) => {
    if (level === 'error') process.stderr.write(`${message}\n`);
  });
  const utils: WorkerUtils = await makeWorkerUtils({ connectionString: urls.postgres, logger });
  await utils.migrate();
  const runner = await run({
    connectionString: urls.postgres, logger, noHandleSignals: true,
    taskList: {
      pure: over,
      effect: async () => {
        for (let step = 1; step <= stepsOf.effect; step += 1) await callServer(effectUrl, step);
        over();
      },
    },
    preset: { worker: { concurrentJobs: 200, maxPoolSize: 20, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  });
  const many = async (kind: Kind, count: number): Promise<void> => {
    left = count;
    const done = new Promise<void>((resolve) => {
      waits = resolve;
    });
    await eachOf(Math.ceil(count / jobsEach), 2, (batch) => utils.addJobs(Array.from({ length: Math.min(jobsEach, count - batch * jobsEach) }, () => ({ identifier: kind, payload: {} }))));
    await done;
  };
  return {
    many, one: (kind) => many(kind, 1),
    async close() {
      await runner.stop();
      await utils.release();
    },
  };
}
