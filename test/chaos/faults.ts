/** What goes wrong, each while executions run. `short` is what CI can wait for; `long` is run by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import { insertWorkflow } from '../support/executions.ts';
import { watchApi } from './api-watch.ts';
import { persistently } from './asking.ts';
import { lethal, lethalScript } from './lethal.ts';
import { accept, type Scene, type SceneOptions } from './scene.ts';

export interface Fault {
  name: string;
  /** What is done, for the table. */
  says: string;
  short: SceneOptions;
  long: SceneOptions;
  /** Makes things go wrong until `over` is aborted (all executions are over, or the time is), and leaves them whole. Returns how often. */
  strike(scene: Scene, over: AbortSignal, isLong: boolean): Promise<number>;
}

const pause = (ms: number, over: AbortSignal): Promise<void> => sleep(ms, undefined, { signal: over }).catch(() => undefined);
const any = <T>(choices: readonly T[]): T | undefined => choices[Math.floor(Math.random() * choices.length)];

/** Waits, strikes, waits, strikes again: at least once, and in the short variant a few times. */
export async function again(over: AbortSignal, isLong: boolean, everyMs: () => number, strike: () => Promise<void> | void): Promise<number> {
  let count = 0;
  do {
    await pause(everyMs(), over);
    await strike();
    count += 1;
  } while (!over.aborted && (isLong || count < fewStrikes));
  return count;
}

const fewStrikes = 6;

const betweenRestarts = (isLong: boolean): number => (isLong ? 5_000 + Math.random() * 5_000 : 3_000 + Math.random() * 2_000);

/** It is started again by itself; while it is down there is nothing to strike. */
function strikePostgres({ cluster }: Scene, signal: 'SIGINT' | 'SIGQUIT'): void {
  try {
    process.kill(cluster.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function killAny({ workers }: Scene, signal: NodeJS.Signals): void {
  const victim = any(workers.ready);
  if (victim) workers.replace(victim, signal);
}

async function cutNetwork({ proxy }: Scene, ms: number): Promise<void> {
  await proxy.shut();
  await sleep(ms);
  await proxy.open();
}

/** Others wait until its heartbeat is 15 s old; what it was doing then is done by them, and what it still writes is refused. */
const longPauseMs = 17_000;
const killMinutes = 8;
const pauses = 500;
const pausedAtOnce = 3;

/** In the long variant more is accepted whenever little is left, for so many seconds: what strikes needs something to strike. */
async function alongside(scene: Scene, isLong: boolean, seconds: number, strike: () => Promise<number>, isDone = (): boolean => false): Promise<number> {
  const deadline = performance.now() + seconds * 1_000;
  const striking = strike();
  let from = scene.options.executions;
  while (isLong && performance.now() < deadline && !isDone()) {
    const [row] = await persistently<{ left: number }>(scene.owner, 'select count(*)::int as left from executions where workflow_id = $1 and completed_at is null', [scene.workflowId]);
    if (row!.left < fewLeft) {
      await accept(scene.owner, scene.workflowId, fewLeft, from);
      from += fewLeft;
    }
    await sleep(300);
  }
  return striking;
}

const fewLeft = 500;

async function pauseOne({ workers }: Scene, ms: number): Promise<void> {
  const victim = any(workers.ready);
  victim?.kill('SIGSTOP');
  await sleep(ms);
  victim?.kill('SIGCONT');
}

async function pauseMany(scene: Scene, over: AbortSignal): Promise<number> {
  let count = 0;
  const one = async (): Promise<void> => {
    while (count < pauses && !over.aborted) {
      count += 1;
      await pauseOne(scene, any([50, 50, 200, 500, 500, 1_000, 1_000, 2_000, 2_000, longPauseMs])!);
      await sleep(200);
    }
  };
  return alongside(scene, true, 900, async () => {
    await Promise.all(Array.from({ length: pausedAtOnce }, one));
    return count;
  }, () => count >= pauses);
}

/** An API is asked meanwhile: it must say 503, and be back soon. */
async function withApi(scene: Scene, strike: () => Promise<number>): Promise<number> {
  const api = await watchApi(scene.cluster);
  const count = await strike();
  const { backSeconds, problems } = await api.close();
  scene.problems.push(...problems);
  scene.apiBack = backSeconds;
  return count;
}

const hours = 3_600_000;

const poisonPortions = 10;

/** A trigger refuses whoever takes them. They come while others run, and before those that wait. */
async function poison({ owner, problems }: Scene, count: number): Promise<number> {
  const { id } = await insertWorkflow(owner, { nodes: [{ id: 'input', type: 'input' }], edges: [], start_node: 'input' });
  await owner.query(`
    create or replace function public.refuse_poison() returns trigger language plpgsql as $$ begin
      if exists (select from app_public.executions where id = new.execution_id and workflow_id = '${id}') then raise exception 'poison in the row'; end if;
      return new;
    end $$;
    create or replace trigger poison before insert or update on app_private.execution_leases for each row when (new.worker_id is not null) execute function public.refuse_poison()`);
  for (let portion = 0; portion < poisonPortions; portion += 1) {
    await accept(owner, id, count / poisonPortions, 0, 10);
    await sleep(1_000);
  }
  const deadline = performance.now() + 180_000;
  for (;;) {
    const [row] = await persistently<{ open: number; wrong: number }>(owner, `select count(*) filter (where completed_at is null)::int as open, count(*) filter (where completed_at is not null and error_code is distinct from 'EXECUTION_POISONED')::int as wrong
      from executions where workflow_id = $1`, [id]);
    if (row!.open > 0 && performance.now() < deadline) {
      await sleep(500);
      continue;
    }
    if (row!.open > 0) problems.push(`${row!.open} poisoned executions were not given up`);
    if (row!.wrong > 0) problems.push(`${row!.wrong} poisoned executions ended without saying so`);
    break;
  }
  await owner.query('drop function public.refuse_poison() cascade');
  return count;
}

export const faults: readonly Fault[] = [
  {
    name: 'none', says: 'nothing: what the others are compared with',
    short: { workers: 2, executions: 200 }, long: { workers: 4, executions: 5_000 },
    strike: () => Promise.resolve(0),
  },
  {
    name: 'kill', says: 'one worker of all is killed with -9 every 0.5 to 1 s, and another started',
    short: { workers: 3, executions: 150 }, long: { workers: 4, executions: 5_000 },
    strike: (scene, over, isLong) => alongside(scene, isLong, killMinutes * 60, () => again(over, isLong, () => (isLong ? 500 : 900), async () => {
      const victim = any(scene.workers.ready);
      if (victim === undefined) return;
      await scene.recoveries.lost(victim.pid!);
      scene.workers.replace(victim, 'SIGKILL');
    })),
  },
  {
    name: 'pause', says: 'workers are stopped (SIGSTOP) until they are taken for dead, and go on (SIGCONT)',
    short: { workers: 2, executions: 100 }, long: { workers: 4, executions: 5_000 },
    strike: (scene, over, isLong) => (isLong ? pauseMany(scene, over) : again(over, isLong, () => 300, () => pauseOne(scene, longPauseMs))),
  },
  {
    name: 'restart', says: 'PostgreSQL is restarted (fast) every few seconds',
    short: { workers: 2, executions: 150 }, long: { workers: 4, executions: 5_000 },
    strike: (scene, over, isLong) => withApi(scene, () => again(over, isLong, () => betweenRestarts(isLong), () => strikePostgres(scene, 'SIGINT'))),
  },
  {
    name: 'crash', says: 'PostgreSQL is stopped immediately (SIGQUIT) every few seconds, and recovers from its log',
    short: { workers: 2, executions: 150 }, long: { workers: 4, executions: 5_000 },
    strike: (scene, over, isLong) => withApi(scene, () => again(over, isLong, () => betweenRestarts(isLong), () => strikePostgres(scene, 'SIGQUIT'))),
  },
  {
    name: 'network', says: 'all connections between workers and PostgreSQL are cut for 0.2 to 3 s',
    short: { workers: 2, executions: 150 }, long: { workers: 4, executions: 5_000 },
    strike: (scene, over, isLong) => again(over, isLong, () => 1_500, () => cutNetwork(scene, 200 + Math.random() * 2_800)),
  },
  {
    name: 'clocks', says: 'workers believe that it is six hours earlier or later, each on its own, and one is killed now and then',
    short: { workers: 3, executions: 150, clockOffsetMs: (index) => (index % 3 - 1) * 6 * hours }, long: { workers: 4, executions: 5_000, clockOffsetMs: (index) => (index % 3 - 1) * 6 * hours },
    strike: (scene, over, isLong) => again(over, isLong, () => 2_500, () => killAny(scene, 'SIGKILL')),
  },
  {
    name: 'deploy', says: 'every worker is told to stop (SIGTERM) and another started before it has, again and again, while more executions come',
    short: { workers: 2, executions: 200 }, long: { workers: 4, executions: 3_000 },
    strike: async (scene, over, isLong) => {
      let coming = isLong ? 10 : 3;
      return await again(over, isLong, () => 1_500, async () => {
        killAny(scene, 'SIGTERM');
        if ((coming -= 1) >= 0) await accept(scene.owner, scene.workflowId, 50, scene.options.executions + coming * 50);
      });
    },
  },
  {
    name: 'poison', says: 'some executions cannot be begun by any worker; they are given up after a few tries, and hold up nobody',
    short: { workers: 2, executions: 150 }, long: { workers: 4, executions: 10_000 },
    strike: (scene, _over, isLong) => poison(scene, isLong ? 100 : 10),
  },
  {
    name: 'lethal', says: 'some executions and flows kill the process of every worker that runs them; they are given up after fourteen deaths each at most, and nobody is given up with them',
    short: { workers: 2, executions: 100, script: () => lethalScript }, long: { workers: 4, executions: 5_000, script: () => lethalScript },
    strike: (scene, _over, isLong) => lethal(scene, isLong ? 3 : 1),
  },
  {
    name: 'everything', says: 'kills, ends in order, restarts of PostgreSQL and cuts of the network at once',
    short: { workers: 3, executions: 150 }, long: { workers: 4, executions: 5_000 },
    strike: async (scene, over, isLong) => {
      const counts = await Promise.all([
        again(over, isLong, () => 1_500, () => killAny(scene, any(['SIGKILL', 'SIGTERM'] as const)!)),
        again(over, isLong, () => betweenRestarts(isLong), () => strikePostgres(scene, any(['SIGINT', 'SIGQUIT'] as const)!)),
        again(over, isLong, () => 2_000 + Math.random() * 3_000, () => cutNetwork(scene, 200 + Math.random() * 1_000)),
      ]);
      return counts.reduce((sum, count) => sum + count, 0);
    },
  },
];
