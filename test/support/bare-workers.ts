/** Workers without a process: their rows, sessions and statements, for tests of what the database says to them. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { EngineStore } from '../../src/store/engine-store.ts';
import { makePool } from '../../src/store/pool.ts';
import type { ClaimedExecution } from '../../src/store/rows.ts';
import type { TestDatabase } from './database.ts';
import { insertExecution, insertWorkflow } from './executions.ts';

const silentLog = { warn: () => undefined };

const oneNode = { nodes: [{ id: 'input', type: 'input' }], edges: [], queues: [], sources: [], start_node: 'input' };

export interface BareWorker {
  id: string;
  store: EngineStore;
  /** Holds the lock that says that the worker lives. */
  session: pg.PoolClient;
}

export interface BareWorkers {
  /** A registered one, whose job pool is `pool-ID`. */
  makeWorker(): Promise<BareWorker>;
  /** The id of an execution of one node. */
  pendingExecution(state?: object): Promise<string>;
  /** Ends the session of a worker, and waits until the server has let its lock go: to others it is dead from then on. */
  die(session: pg.PoolClient): Promise<void>;
}

/** To be called where tests are defined, after useTestDatabase. */
export function useBareWorkers(database: TestDatabase): BareWorkers {
  let pool: pg.Pool;
  beforeAll(() => {
    pool = makePool(database.url('agentflow_worker'), { max: 10, name: 'test', log: silentLog });
    pool.setMaxListeners(0); // each worker's store listens
  });
  afterAll(() => pool.end());
  return {
    async makeWorker() {
      const id = randomUUID();
      const session = await pool.connect();
      await session.query('select app_private.register_worker($1, $2, $3, $4)', [id, 'test', 1, [`pool-${id}`]]);
      return { id, store: new EngineStore(pool, () => id, silentLog), session };
    },
    pendingExecution: async (state = { user_input: 'hello' }) =>
      insertExecution(database.owner, await insertWorkflow(database.owner, oneNode), state),
    async die(session: pg.PoolClient): Promise<void> {
      const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
      session.release(true);
      const isThere = async (): Promise<boolean> =>
        (await database.owner.query(`select from pg_locks where locktype = 'advisory' and pid = $1`, [rows[0]!.pid])).rows.length > 0;
      while (await isThere()) await new Promise((resolve) => setTimeout(resolve, 10));
    },
  };
}

export async function claimed(store: EngineStore, id: string): Promise<ClaimedExecution> {
  const claim = await store.claim(id);
  if (claim === null) throw new Error('The execution could not be claimed.');
  return claim;
}

/** Until the server has noticed that a worker's connection is closed, and that it is dead. */
export async function sweep(worker: BareWorker): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { rows } = await worker.session.query<{ dead: number }>('select app_private.sweep_workers($1) as dead', [worker.id]);
    if (rows[0]!.dead > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('No dead worker was found.');
}
