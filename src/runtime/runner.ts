/**
 * graphile-worker in this process, looked after: a restart of PostgreSQL ends its runner, and another is started.
 * What the intake leaves is fetched here, some jobs at a time, and completed so; that is safe because a job only says "look at this execution".
 */
import { EventEmitter } from 'node:events';
import { Logger, parseCronItems, run, type RunnerOptions as RunnerOptionsOfWorker, type WorkerEvents } from 'graphile-worker';
import type pg from 'pg';
import { pause } from '../store/retry.ts';
import { runtimePlugin, taskDirectory, type TaskRuntime } from './tasks.ts';
import type { WorkerLog } from './log.ts';

export interface RunnerOptions {
  pool: pg.Pool;
  runtime: TaskRuntime;
  log: WorkerLog;
  /** The ids under which graphile-worker locks jobs changed; resolves once they are registered. */
  onPools(poolIds: string[]): Promise<void>;
  /** Takes executions; told when there may be some, and tells of what it passes by. */
  intake: { look(): void; leave: () => void };
}

export interface SupervisedRunner {
  /** Fetches no more jobs, gives back those that were fetched and have not begun, and waits for those that run. */
  stop(): Promise<void>;
}

/** Each is over when its execution has a place and is claimed. */
export const jobsAtOnce = 5;
const fetchedAtOnce = 5;
/** Jobs of other tasks: once a day there is one. */
const othersEveryMs = 60_000;
const longestPauseMs = 5_000;
/** A runner that began to end by itself and does not get there is left behind. */
const abandonAfterMs = 3_000;

/** Executions that wait begin at -1. */
const beforeExecutions = -100;
const cronItems = parseCronItems([
  { task: 'make_partitions', match: '17 3 * * *', identifier: 'make_partitions', options: { backfillPeriod: 0, maxAttempts: 3, priority: beforeExecutions } },
]);

export async function superviseRunner(options: RunnerOptions): Promise<SupervisedRunner> {
  const { log } = options;
  const stopping = new AbortController();
  let current = await startRunner(options);

  const supervise = async (): Promise<void> => {
    for (let failures = 0; ; failures += 1) {
      const startedAt = performance.now();
      await current.ended;
      if (stopping.signal.aborted) return;
      log.warn({}, 'the job runner ended; starting another');
      if (performance.now() - startedAt > 60_000) failures = 0;
      const next = await restart(options, stopping.signal, failures);
      if (next === null) return;
      current = next;
      if (stopping.signal.aborted) return await next.stop();
    }
  };
  const supervised = supervise();

  return {
    async stop() {
      stopping.abort();
      await current.stop();
      await supervised;
    },
  };
}

/** Null: the worker was stopped meanwhile. */
async function restart(options: RunnerOptions, signal: AbortSignal, failures: number): Promise<RunningRunner | null> {
  for (let tries = failures; !signal.aborted; tries += 1) {
    await pause(Math.min(longestPauseMs, 100 * 2 ** tries), signal);
    if (signal.aborted) return null;
    try {
      return await startRunner(options);
    } catch (error) {
      options.log.warn({ error: (error as Error).message }, 'the job runner does not start; trying again');
    }
  }
  return null;
}

interface RunningRunner {
  /** Resolves when it has ended, or has begun to end by itself and does not get on with it. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

async function startRunner(options: RunnerOptions): Promise<RunningRunner> {
  const { log } = options;
  const events: WorkerEvents = new EventEmitter();
  const shutdownBegan = Promise.withResolvers<void>();
  events.on('pool:create', ({ workerPool }) => {
    // From now on jobs are locked under this id alone: what a former pool of this process still had locked goes free.
    options.onPools([workerPool.id]).catch((error: Error) => log.warn({ error: error.message }, 'the job pool is not registered yet; the next heartbeat will do it'));
  });
  events.on('pool:gracefulShutdown', () => shutdownBegan.resolve());
  events.on('localQueue:init', ({ localQueue }) => {
    tame(localQueue as unknown as LocalQueueInside, log);
    divert(localQueue as unknown as LocalQueueInside, options.intake);
  });
  // What stood before others may be gone from there.
  events.on('localQueue:getJobs:complete', ({ jobs }) => {
    if (jobs.length > 0) options.intake.look();
  });
  const runner = await run(runnerOptions(options, events));
  const others = setInterval(() => options.intake.leave(), othersEveryMs);
  const finished = runner.promise.catch((error: Error) => log.warn({ error: error.message }, 'the job runner ended with an error'));
  const stop = async (): Promise<void> => {
    clearInterval(others);
    await runner.stop().catch((error: Error) => log.debug({ error: error.message }, 'the job runner had already ended'));
  };
  const stuck = shutdownBegan.promise.then(() => new Promise<void>((resolve) => {
    setTimeout(resolve, abandonAfterMs).unref();
  }));
  return { ended: Promise.race([finished, stuck]).then(() => clearInterval(others)), stop };
}

/** Of graphile-worker 0.18's LocalQueue. */
interface LocalQueueInside {
  mode: string;
  fetchInProgress: boolean;
  /** Another fetch follows the present one. */
  fetchAgain: boolean;
  fetch: () => void;
  pulse(count: number): void;
  _finPromise: Promise<void>;
  background(work: Promise<void>): void;
}

/** The intake takes executions with their leases in one statement; graphile-worker says when there may be some, and takes what is left to it. */
function divert(queue: LocalQueueInside, intake: RunnerOptions['intake']): void {
  const ask = queue.fetch;
  queue.pulse = () => intake.look();
  queue.fetch = () => intake.look();
  intake.leave = () => {
    if (queue.fetchInProgress) queue.fetchAgain = true;
    else if (queue.mode === 'POLLING') ask();
  };
}

/** When the queue cannot return its jobs, nobody awaits these promises of graphile-worker, and their rejection would end the process. */
function tame(queue: LocalQueueInside, log: WorkerLog): void {
  const notReturned = (error: Error): void => log.warn({ error: error.message }, 'the job runner did not give back the jobs that it had fetched; they go free with the next pool');
  const { _finPromise: returned } = queue;
  returned.catch(notReturned);
  const background = queue.background.bind(queue);
  queue.background = (work) => {
    work.catch(notReturned);
    background(work);
  };
}

function runnerOptions(options: RunnerOptions, events: WorkerEvents): RunnerOptionsOfWorker {
  return {
    pgPool: options.pool,
    events,
    noHandleSignals: true,
    parsedCronItems: cronItems,
    logger: runnerLog(options.log),
    preset: {
      plugins: [runtimePlugin(options.runtime, options.log)],
      worker: {
        taskDirectory,
        concurrentJobs: jobsAtOnce,
        localQueue: { size: fetchedAtOnce },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
        gracefulShutdownAbortTimeout: 1_000,
        pollInterval: 2_500,
      },
    },
  };
}

/** graphile-worker tells every job at level info; here that is a matter for debugging. */
function runnerLog(log: WorkerLog): Logger {
  return new Logger(() => (level, message) => {
    if (level === 'error') log.error({}, message);
    else if (level === 'warning') log.warn({}, message);
    else log.debug({}, message);
  });
}
