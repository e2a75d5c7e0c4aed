/** What every engine of a contest can do, and what it is told. An engine runs in a process of its own. */

/** Five nodes without effect, five that each call a server on this machine, or a flow of three tasks that each are kept before the next one begins. */
export type Kind = 'pure' | 'effect' | 'flow';

export const stepsOf: Readonly<Record<Kind, number>> = { pure: 5, effect: 5, flow: 3 };

export interface EngineOptions {
  /** Connection strings into a database of its own, by role; peers use the superuser's. */
  urls: Record<'postgres' | 'agentflow_owner' | 'agentflow_authenticator' | 'agentflow_worker', string>;
  /** Answers every request with a small JSON. */
  effectUrl: string;
  /** Where its packages are. */
  packages: string;
  /** Executions driven at a time, where the engine lets one choose. Not given: what suits it best. */
  concurrency?: number;
}

export interface Engine {
  /** Starts so many executions as fast as the engine takes them; resolves when all have completed, throws when one has not. */
  many(kind: Kind, count: number): Promise<void>;
  /** Starts one and resolves when its completion is known here. */
  one(kind: Kind): Promise<void>;
  close(): Promise<void>;
}

export type OpenEngine = (options: EngineOptions) => Promise<Engine>;

/** What a step with an effect does in engines whose steps are functions. */
export async function callServer(url: string, step: number): Promise<unknown> {
  const { request } = await import('undici');
  const { body } = await request(`${url}/?step=${step}`);
  return body.json();
}

/** Runs `work` for 0 to `count - 1`, so many at a time. */
export async function eachOf(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
}
