/** pg-boss: one job an execution; what it does is kept as one result, there are no steps. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { callServer, eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

interface Boss {
  on(event: 'error', hear: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  insert(name: string, jobs: { data: object }[]): Promise<unknown>;
  work(name: string, options: object, work: (jobs: { data: { batch: number } }[]) => Promise<void>): Promise<unknown>;
}

const jobsEach = 500;

export async function open({ urls, effectUrl, packages }: EngineOptions): Promise<Engine> {
  const { PgBoss } = await import(pathToFileURL(path.join(packages, 'node_modules', 'pg-boss', 'dist', 'index.js')).href) as { PgBoss: new (url: string) => Boss };
  const boss = new PgBoss(urls.postgres);
  boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await boss.start();
  let waits: (() => void) | null = null;
  let left = 0;
  for (const kind of ['pure', 'effect'] satisfies Kind[]) {
    await boss.createQueue(kind, { notify: true });
    for (let worker = 0; worker < 2; worker += 1) {
      await boss.work(kind, { batchSize: 100, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => {
        if (kind === 'effect') await eachOf(jobs.length, jobs.length, async () => {
          for (let step = 1; step <= stepsOf.effect; step += 1) await callServer(effectUrl, step);
        });
        left -= jobs.length;
        if (left <= 0) waits?.();
      });
    }
  }
  const run = async (kind: Kind, count: number): Promise<void> => {
    left = count;
    const done = new Promise<void>((resolve) => {
      waits = resolve;
    });
    await eachOf(Math.ceil(count / jobsEach), 2, (batch) => boss.insert(kind, Array.from({ length: Math.min(jobsEach, count - batch * jobsEach) }, () => ({ data: { batch } }))));
    await done;
  };
  return { many: run, one: (kind) => run(kind, 1), close: () => boss.stop() };
}
