/** What becomes of what dead workers held, and of those that were only taken for dead. */
import { lossesOfSuspects, mostLosses } from '../../src/runtime/suspects.ts';
import type { NodeRow } from '../../src/store/rows.ts';
import { claimed, sweep, useBareWorkers } from '../support/bare-workers.ts';
import { useTestDatabase } from '../support/database.ts';

const database = useTestDatabase({ samples: true });
const { makeWorker, pendingExecution, die } = useBareWorkers(database);

/** The id of the execution's job, which a job pool of the worker has taken. */
async function lockedBy(workerId: string, executionId: string): Promise<string> {
  const { rows } = await database.owner.query<{ id: string }>(
    `update graphile_worker._private_jobs set locked_at = now(), locked_by = $2 where key = $1 returning id`, [executionId, `pool-${workerId}`]);
  return rows[0]!.id;
}

test('a sweep counts the loss, unlocks the jobs of the dead, and leaves the living alone', async () => {
  const [dead, living, sweeper] = [await makeWorker(), await makeWorker(), await makeWorker()];
  const [lost, kept] = [await claimed(dead.store, await pendingExecution()), await claimed(living.store, await pendingExecution())];
  const waiting = await pendingExecution();
  const taken = await lockedBy(dead.id, waiting);
  await die(dead.session);
  await sweep(sweeper);
  // As graphile-worker completes a job, of a worker that was only taken for dead.
  expect((await database.owner.query('delete from graphile_worker._private_jobs where id = $1', [taken])).rowCount).toBe(0);

  expect((await living.store.look([kept])).lost).toEqual([]);
  const { rows } = await database.owner.query<{ locked_by: string | null }>('select locked_by from graphile_worker.jobs where key = $1', [waiting]);
  expect(rows).toEqual([{ locked_by: null }]);
  expect(await claimed(sweeper.store, lost.executionId)).toMatchObject({ attempt: 2, losses: 1 });
  await die(living.session);
  sweeper.session.release(true);
});

const running: NodeRow = {
  nodeId: 'input', nodeType: 'input', sequence: 1, finishOrder: null, attempts: 1, status: 'running', input: 'x', output: null, writes: null,
  routeTarget: null, error: null, tokens: 0, costUnits: 0, waitSeconds: 0, wait: null, logs: null, startedMs: 1, completedMs: null,
};
const completed: NodeRow = { ...running, status: 'completed', finishOrder: 1, output: {}, writes: {}, completedMs: 2, tokens: 7 };

test('a node that has ended clears the count of losses; one that runs does not, nor does giving back', async () => {
  const { store, session } = await makeWorker();
  const { executionId, ...first } = await claimed(store, await pendingExecution());
  await database.owner.query('update app_private.execution_leases set losses = 5 where execution_id = $1', [executionId]);
  await store.checkpoint({ executionId, ...first }, [running], true);
  await store.release({ executionId, ...first }, [], null);
  const again = await claimed(store, executionId);
  expect(again).toMatchObject({ attempt: 2, losses: 5 });
  await store.checkpoint(again, [completed]);
  await store.release(again, [], null);
  expect(await claimed(store, executionId)).toMatchObject({ attempt: 3, losses: 0 });
  session.release(true);
});

test('the death of its worker counts against a suspect when it was on trial, and only then', async () => {
  const id = await pendingExecution();
  const sweeper = await makeWorker();
  const lossesAfter = async (losses: number, isTried: boolean): Promise<number> => {
    const { store, session } = await makeWorker();
    const claim = await claimed(store, id);
    await database.owner.query('update app_private.execution_leases set losses = $2 where execution_id = $1', [id, losses]);
    expect(await store.beginTrial({ ...claim, attempt: claim.attempt + 1 })).toBe(false);
    if (isTried) expect(await store.beginTrial(claim)).toBe(true);
    await die(session);
    await sweep(sweeper);
    return (await database.owner.query('select losses from app_private.execution_leases where execution_id = $1', [id])).rows[0].losses;
  };
  expect(await lossesAfter(lossesOfSuspects - 1, false)).toBe(lossesOfSuspects);
  expect(await lossesAfter(lossesOfSuspects, false)).toBe(lossesOfSuspects);
  expect(await lossesAfter(lossesOfSuspects, true)).toBe(lossesOfSuspects + 1);
  expect(await lossesAfter(lossesOfSuspects + 1, false)).toBe(lossesOfSuspects + 1); // a trial is over with its worker
  sweeper.session.release(true);
});

test('eight faults end an execution; one fault does not end a suspect, whose deaths are in the same count', async () => {
  const { store, session } = await makeWorker();
  const afterFault = async (losses: number): Promise<string> => {
    const { executionId } = await claimed(store, await pendingExecution());
    await database.owner.query('update app_private.execution_leases set losses = $2 where execution_id = $1', [executionId, losses]);
    return store.recordFault(executionId);
  };
  expect(await afterFault(6)).toBe('again');
  expect(await afterFault(7)).toBe('given_up');
  expect(await afterFault(lossesOfSuspects)).toBe('again');
  expect(await afterFault(mostLosses - 1)).toBe('given_up');
  session.release(true);
});

test('what is given up keeps what it has done and spent, leaves no node running, and is given up by its holder alone', async () => {
  const { store, session } = await makeWorker();
  const claim = await claimed(store, await pendingExecution());
  await store.checkpoint(claim, [completed, { ...running, nodeId: 'kills', sequence: 2 }], true);
  const why = { code: 'WORKER_LOST', message: 'no' };
  expect(await store.giveUp({ ...claim, attempt: claim.attempt + 1 }, why)).toBe(false);
  expect(await store.giveUp(claim, why)).toBe(true);
  expect(await store.giveUp(claim, why)).toBe(false);
  const { rows } = await database.owner.query(`
    select status, error_code, error_message, tokens_used, (select array_agg(node.status::text order by node.finish_order) from node_executions as node where node.execution_id = id) as nodes,
      exists (select from app_private.execution_leases where execution_id = id) as is_held
      from executions where id = $1`, [claim.executionId]);
  expect(rows).toEqual([{ status: 'failed', error_code: 'WORKER_LOST', error_message: 'no', tokens_used: 7, nodes: ['completed', 'cancelled'], is_held: false }]);
  session.release(true);
});

test('a worker that was taken for dead is told so and can claim nothing', async () => {
  const [paused, sweeper] = [await makeWorker(), await makeWorker()];
  const id = await pendingExecution();
  await database.owner.query(`update app_private.workers set heartbeat_at = now() - interval '1 minute' where id = $1`, [paused.id]);
  await sweep(sweeper);
  await expect(paused.store.claim(id)).rejects.toMatchObject({ code: 'AF510' });
  const { rows } = await paused.session.query<{ registered: boolean }>('select registered from app_private.heartbeat($1, $2, $3, $4)', [paused.id, [], [], []]);
  expect(rows).toEqual([{ registered: false }]);
  await die(paused.session);
  sweeper.session.release(true);
});

test('an execution that nobody holds and no job wakes is found', async () => {
  const { store, session } = await makeWorker();
  const id = await pendingExecution();
  await database.owner.query('delete from graphile_worker._private_jobs where key = $1', [id]);
  expect(await store.requeueOrphans()).toBe(0); // a young one may be on its way
  await database.owner.query('alter table executions disable trigger user');
  await database.owner.query(`update executions set created_at = now() - interval '5 minutes' where id = $1`, [id]);
  await database.owner.query('alter table executions enable trigger user');
  expect(await store.requeueOrphans()).toBe(1);
  const { rowCount } = await database.owner.query('select from graphile_worker.jobs where key = $1', [id]);
  expect(rowCount).toBe(1);
  session.release(true);
});

test('jobs that are locked by a pool which no worker knows go free; those that were locked just now do not', async () => {
  const { store, session } = await makeWorker();
  const [old, young] = [await pendingExecution(), await pendingExecution()];
  await lockedBy('nobody', old);
  await lockedBy('nobody else', young);
  await database.owner.query(`update graphile_worker._private_jobs set locked_at = now() - interval '20 seconds' where key = $1`, [old]);
  await store.requeueOrphans();
  const { rows } = await database.owner.query('select key, locked_by from graphile_worker.jobs where key = any ($1)', [[old, young]]);
  expect(rows).toHaveLength(2);
  expect(rows).toEqual(expect.arrayContaining([{ key: old, locked_by: null }, { key: young, locked_by: 'pool-nobody else' }]));
  session.release(true);
});

test('a lease that its worker knows nothing of is freed by the heartbeat, and so are jobs of a former pool', async () => {
  const { id, store, session } = await makeWorker();
  const [unknown, known] = [await claimed(store, await pendingExecution()), await claimed(store, await pendingExecution())];
  const locked = await pendingExecution();
  const taken = await lockedBy(id, locked);
  await database.owner.query(`update app_private.execution_leases set claimed_at = now() - interval '1 minute' where worker_id = $1`, [id]);
  const { rows } = await session.query('select registered, lost from app_private.heartbeat($1, $2, $3, $4)', [id, ['another pool'], [known.executionId], [1]]);
  expect(rows).toEqual([{ registered: true, lost: [] }]);
  expect((await store.look([unknown, known])).lost).toEqual([unknown.executionId]);
  expect((await database.owner.query('delete from graphile_worker._private_jobs where id = $1', [taken])).rowCount).toBe(0);
  const { rows: jobs } = await database.owner.query('select locked_by from graphile_worker.jobs where key = $1', [locked]);
  expect(jobs).toEqual([{ locked_by: null }]);
  session.release(true);
});

test('a worker that registers again does not forget what its former job pool holds', async () => {
  const { id, session } = await makeWorker();
  const locked = await pendingExecution();
  await lockedBy(id, locked);
  await session.query('select app_private.register_worker($1, $2, $3, $4)', [id, 'test', 1, ['another pool']]);
  await session.query('select app_private.heartbeat($1, $2, $3, $4)', [id, ['another pool'], [], []]);
  const { rows: jobs } = await database.owner.query('select locked_by from graphile_worker.jobs where key = $1', [locked]);
  expect(jobs).toEqual([{ locked_by: null }]);
  const { rows: workers } = await database.owner.query('select job_worker_ids from app_private.workers where id = $1', [id]);
  expect(workers).toEqual([{ job_worker_ids: ['another pool'] }]);
  session.release(true);
});
