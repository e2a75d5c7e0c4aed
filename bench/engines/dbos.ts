/** DBOS Transact: workflows of five steps, run directly in this process, as its own documentation begins with. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { callServer, eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

interface Dbos {
  setConfig(config: object): void;
  registerWorkflow<T>(work: () => Promise<T>, options: { name: string }): () => Promise<T>;
  runStep<T>(step: () => Promise<T>, options: { name: string }): Promise<T>;
  startWorkflow<T>(work: () => Promise<T>): () => Promise<{ getResult(): Promise<T> }>;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
}

/** More at once made it no faster. */
const atOnce = 100;

export async function open({ urls, effectUrl, packages }: EngineOptions): Promise<Engine> {
  const { DBOS } = createRequire(path.join(packages, 'package.json'))('@dbos-inc/dbos-sdk') as { DBOS: Dbos };
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: urls.postgres, logLevel: 'error', systemDatabasePoolSize: 20 });
  const workflow = (kind: Kind, work: (step: number) => Promise<unknown>): (() => Promise<number>) => DBOS.registerWorkflow(async () => {
    for (let step = 1; step <= stepsOf[kind]; step += 1) await DBOS.runStep(() => work(step), { name: `step_${step}` });
    return stepsOf[kind];
  }, { name: kind });
  const workflows = {
    pure: workflow('pure', (step) => Promise.resolve({ [`step_${step}`]: 'done' })),
    effect: workflow('effect', (step) => callServer(effectUrl, step)),
    flow: workflow('flow', (step) => Promise.resolve({ [`step_${step}`]: 'done' })),
  };
  await DBOS.launch();
  const one = async (kind: Kind): Promise<void> => {
    const handle = await DBOS.startWorkflow(workflows[kind])();
    if (await handle.getResult() !== stepsOf[kind]) throw new Error('a workflow did not complete');
  };
  return { one, many: (kind, count) => eachOf(count, atOnce, () => one(kind)), close: () => DBOS.shutdown() };
}
