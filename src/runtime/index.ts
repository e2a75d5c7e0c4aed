/** The worker: takes jobs, drives executions, and survives restarts of PostgreSQL. */
import type { WorkerLog } from './log.ts';
import type { Metrics } from '../metrics.ts';
import { Worker, type WorkerSettings } from './worker.ts';

export type { WorkerLog } from './log.ts';
export type { WorkerSettings } from './worker.ts';

export interface RunningWorker {
  /** Tells running nodes, gives jobs and executions back, closes connections. Resolves after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>;
}

/** `metrics`: where its work is counted. `workerUrl`: a connection string of agentflow_worker, not through a transaction pooler. Rejects when the database cannot be reached. */
export async function startWorker(options: { config: WorkerSettings; workerUrl: string; log: WorkerLog; metrics?: Metrics }): Promise<RunningWorker> {
  const worker = new Worker(options.config, options.workerUrl, options.log, options.metrics ?? null);
  try {
    await worker.start();
  } catch (error) {
    await worker.close(1_000);
    throw error;
  }
  return worker;
}
