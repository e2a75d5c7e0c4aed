/**
 * graphile-worker in this process, looked after: a restart of PostgreSQL ends its runner, and another is started.
 * Jobs are fetched many at a time and completed many at a time; that is safe because a job only says "look at this execution".
 */
import { EventEmitter } from 'node:events';
import { Logger, parseCronItems, run, type Runner, type WorkerEvents } from 'graphile-worker';
import type pg from 'pg';
import { runtimePlugin, taskDirectory, type TaskRuntime } from './tasks.ts';
import type { WorkerLog } from './log.ts';

export interface RunnerOptions {
  pool: pg.Pool;
  concurrency: number;
  runtime: TaskRuntime;
  log: WorkerLog;
  /** The ids under which graphile-worker locks jobs changed; resolves once they are registered. */
  onPools(poolIds: string[]): Promise<void>;
}

export interface SupervisedRunner {
  /** Ids of the job pools that may still hold jobs. */
  poolIds(): string[];
  /** Takes no more jobs, returns those that wait in the local queue, and waits for those that run. */
  stop(): Promise<void>;
}

const leastLocalQueue = 200;
const longestPauseMs = 5_000;

const cronItems = parseCronItems([
  { task: 'make_partitions', match: '17 3 * * *', identifier: 'make_partitions', options: { backfillPeriod: 0, maxAttempts: 3 } },
]);

export async function superviseRunner(options: RunnerOptions): Promise<SupervisedRunner> {
  const { log } = options;
  const pools = new Set<string>();
  const stopping = new AbortController();
  let runner: Runner = await startRunner(options, pools);

  const supervise = async (): Promise<void> => {
    for (let failures = 0; ; failures += 1) {
      const startedAt = performance.now();
      await runner.promise.catch((error: Error) => log.warn({ error: error.message }, 'the job runner ended'));
      if (stopping.signal.aborted) return;
      if (performance.now() - startedAt > 60_000) failures = 0;
      runner = await restart(options, pools, stopping.signal, failures);
    }
  };
  const supervised = supervise();

  return {
    poolIds: () => [...pools],
    async stop() {
      stopping.abort();
      await runner.stop().catch((error: Error) => log.warn({ error: error.message }, 'the job runner had already ended'));
      await supervised;
    },
  };
}

async function restart(options: RunnerOptions, pools: Set<string>, signal: AbortSignal, failures: number): Promise<Runner> {
  for (let tries = failures; ; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(longestPauseMs, 100 * 2 ** tries)));
    try {
      return await startRunner(options, pools);
    } catch (error) {
      if (signal.aborted) throw error;
      options.log.warn({ error: (error as Error).message }, 'the job runner does not start; trying again');
    }
  }
}

async function startRunner(options: RunnerOptions, pools: Set<string>): Promise<Runner> {
  const events: WorkerEvents = new EventEmitter();
  events.on('pool:create', ({ workerPool }) => {
    // What a former pool of this process still had locked goes free when the pool is no longer named as ours.
    pools.clear();
    pools.add(workerPool.id);
    options.onPools([...pools]).catch((error: Error) => options.log.warn({ error: error.message }, 'the job pool is not registered yet'));
  });
  return run({
    pgPool: options.pool,
    events,
    noHandleSignals: true,
    parsedCronItems: cronItems,
    logger: runnerLog(options.log),
    preset: {
      plugins: [runtimePlugin(options.runtime, options.log)],
      worker: {
        taskDirectory,
        concurrentJobs: options.concurrency,
        localQueue: { size: Math.max(leastLocalQueue, options.concurrency) },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
        gracefulShutdownAbortTimeout: 1_000,
        pollInterval: 2_000,
      },
    },
  });
}

/** graphile-worker tells every job at level info; here that is a matter for debugging. */
function runnerLog(log: WorkerLog): Logger {
  return new Logger(() => (level, message) => {
    if (level === 'error') log.error({}, message);
    else if (level === 'warning') log.warn({}, message);
    else log.debug({}, message);
  });
}
