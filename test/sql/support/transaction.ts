/** One transaction of the owner for a whole test file; each test starts from what `beforeAll` left in it. */
import type pg from 'pg';
import { useTestDatabase, type TestDatabase } from '../../support/database.ts';

export interface OwnerTransaction {
  db: TestDatabase;
  /** agentflow_owner, without settings, in the transaction. */
  client: pg.PoolClient;
}

/** Call at the top of a test file, before its own hooks. */
export function useOwnerTransaction(options: { samples?: boolean } = {}): OwnerTransaction {
  const handle = {} as OwnerTransaction;
  // Before the hook that drops the database: hooks after all run in the order of their making.
  afterAll(async () => {
    await handle.client.query('rollback');
    handle.client.release();
  });
  handle.db = useTestDatabase(options);
  beforeAll(async () => {
    handle.client = await handle.db.owner.connect();
    await handle.client.query('begin');
  });
  beforeEach(async () => {
    await handle.client.query('savepoint test');
  });
  afterEach(async () => {
    await handle.client.query('rollback to savepoint test');
  });
  return handle;
}
