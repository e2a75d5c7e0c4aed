/** Jobs of pools that are gone. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase();
const keys = [randomUUID(), randomUUID()].sort();

const add = (key: string): Promise<unknown> => db.owner.query(`select graphile_worker.add_jobs(array[row('run_execution', json_build_object('id', $1::uuid), null, now(), null, $1::text, 0, null)::graphile_worker.job_spec])`, [key]);
const jobs = async (): Promise<unknown[]> => (await db.owner.query('select key, locked_by from graphile_worker._private_jobs order by key nulls first, locked_by')).rows;

beforeEach(async () => {
  await db.owner.query('delete from graphile_worker._private_jobs');
  for (const key of keys) await add(key);
  await db.owner.query(`update graphile_worker._private_jobs set locked_by = 'gone', locked_at = now()`);
});

test('are free for others, but for those whose place a later job has taken', async () => {
  await add(keys[1]!);
  expect(await jobs()).toEqual([{ key: null, locked_by: 'gone' }, { key: keys[0], locked_by: 'gone' }, { key: keys[1], locked_by: null }]);
  await db.owner.query(`select app_private.free_jobs('{gone}')`);
  expect(await jobs()).toEqual(keys.map((key) => ({ key, locked_by: null })));
});

test('a job whose place is taken while they are freed goes as well', async () => {
  const others = await Promise.all([0, 1].map(async () => {
    const client = new pg.Client({ connectionString: db.url('agentflow_owner') });
    await client.connect();
    return client;
  }));
  const [holder, freeing] = others as [pg.Client, pg.Client];
  try {
    await holder.query('begin');
    await holder.query('select from graphile_worker._private_jobs where key = $1 for update', [keys[0]]);
    const { rows: [{ pid }] } = await freeing.query('select pg_backend_pid() as pid');
    const freed = freeing.query(`select app_private.free_jobs('{gone}')`);
    const isWaiting = async (): Promise<boolean> => (await db.owner.query(`select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'`, [pid])).rowCount === 1;
    while (!await isWaiting()) await sleep(10);
    await add(keys[1]!);
    await holder.query('commit');
    await freed;
    expect(await jobs()).toEqual(keys.map((key) => ({ key, locked_by: null })));
  } finally {
    await Promise.all(others.map((client) => client.end()));
  }
});
