/** OpenWorkflow: runs of five steps, by its worker. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { callServer, eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

interface Step { run<T>(options: { name: string }, work: () => Promise<T>): Promise<T> }
interface Runnable { run(): Promise<{ result(): Promise<unknown> }> }
interface OpenWorkflowClient {
  defineWorkflow(spec: { name: string }, work: (given: { step: Step }) => Promise<unknown>): Runnable;
  newWorker(options: { concurrency: number }): { start(): Promise<void>; stop(): Promise<void> };
}
interface Backend { stop(): Promise<void> }

const atOnce = 100;

export async function open({ urls, effectUrl, packages }: EngineOptions): Promise<Engine> {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(path.join(packages, 'node_modules', 'openworkflow', 'dist', file)).href);
  const { OpenWorkflow } = await load('index.js') as { OpenWorkflow: new (options: object) => OpenWorkflowClient };
  const { BackendPostgres } = await load('postgres.js') as { BackendPostgres: { connect(url: string): Promise<Backend> } };
  const backend = await BackendPostgres.connect(urls.postgres);
  const client = new OpenWorkflow({ backend });
  const workflow = (kind: Kind, work: (step: number) => Promise<unknown>): Runnable => client.defineWorkflow({ name: kind }, async ({ step }) => {
    for (let index = 1; index <= stepsOf[kind]; index += 1) await step.run({ name: `step_${index}` }, () => work(index));
    return stepsOf[kind];
  });
  const workflows = {
    pure: workflow('pure', (step) => Promise.resolve({ [`step_${step}`]: 'done' })),
    effect: workflow('effect', (step) => callServer(effectUrl, step)),
    flow: workflow('flow', (step) => Promise.resolve({ [`step_${step}`]: 'done' })),
  };
  const worker = client.newWorker({ concurrency: atOnce });
  await worker.start();
  const one = async (kind: Kind): Promise<void> => {
    if (await (await workflows[kind].run()).result() !== stepsOf[kind]) throw new Error('a run did not complete');
  };
  return {
    one, many: (kind, count) => eachOf(count, atOnce, () => one(kind)),
    async close() {
      await worker.stop();
      await backend.stop();
    },
  };
}
