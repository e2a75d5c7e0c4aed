/** What worker processes leave behind that are killed in the middle of a flow's task. */
import { startApi, type TestApi } from '../support/api.ts';
import { chain, readFlowExecution, startFlow, untilFlow, untilFlowOver, type FlowExecutionRow } from '../support/flows.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-processes.ts';

let api: TestApi;
const processes: WorkerProcess[] = [];

beforeAll(async () => { api = await startApi(); });
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.splice(0).map(({ exited }) => exited));
});
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

async function start(): Promise<WorkerProcess> {
  const child = await startWorkerProcess(api.db, 'http://127.0.0.1:1', { settings: { testTasks: { pattern: '^(?!wait)' } } });
  processes.push(child);
  return child;
}

const isRunning = (task: string) => ({ taskExecutions }: FlowExecutionRow): boolean => taskExecutions.nodes.some(({ taskName, status }) => taskName === task && status === 'RUNNING');
const tries = (row: FlowExecutionRow): unknown[] => row.taskExecutions.nodes.map(({ taskName, status, attempts }) => [taskName, status, attempts]);

test('another worker goes on: what was finished is not run again, the script is still there, the context is whole', async () => {
  const both = [await start(), await start()];
  const id = await startFlow(api, chain('killed', ['a', 'slow', 'c']), { __script: { a: { data: { n: 1 } }, slow: { data: 'at last', delay_ms: 1_500 }, c: { data: 3 } } });
  await untilFlow(api, id, isRunning('slow'));
  const { rows: [holder] } = await api.db.owner.query<{ pid: number }>(
    'select worker.process_id as pid from app_private.execution_leases as lease join app_private.workers as worker on worker.id = lease.worker_id where lease.execution_id = app_private.flow_run_id($1)', [id]);
  both.find(({ pid }) => pid === holder!.pid)!.kill('SIGKILL');
  // 10 s is the promise; the deadline here is longer, so that a slow machine fails nothing.
  const row = await untilFlowOver(api, id, 25);
  expect(row).toMatchObject({ status: 'COMPLETED', totalTasksExecuted: 3, outputData: { a: { data: { n: 1 } }, slow: { data: 'at last' }, c: { data: 3 } } });
  expect(tries(row)).toEqual([['a', 'SUCCESS', 1], ['slow', 'SUCCESS', 2], ['c', 'SUCCESS', 1]]);
});

test('the recovered failure of a task is remembered, and not run again', async () => {
  const first = await start();
  const id = await startFlow(api, {
    ...chain('killed-later', ['a', 'slow']), conditions: [{ name: 'n', source_task: 'a', outcome: 'failure', target_task_success: 'slow', target_task_failure: 'end' }],
  }, { __script: { a: { fail: 'boom' }, slow: { delay_ms: 1_200 } } });
  await untilFlow(api, id, isRunning('slow'));
  first.kill('SIGKILL');
  await first.exited;
  await start();
  const row = await untilFlowOver(api, id, 25);
  expect(row).toMatchObject({ status: 'COMPLETED', errorMessage: null, outputData: { a: { status: 'FAILURE', error: 'boom' }, slow: { status: 'SUCCESS' } } });
  expect(tries(row)).toEqual([['a', 'FAILURE', 1], ['slow', 'SUCCESS', 2]]);
});

test('a paused worker that wakes after another has finished writes nothing', async () => {
  const paused = await start();
  const id = await startFlow(api, chain('paused', ['slow']), { __script: { slow: { delay_ms: 1_500 } } });
  await untilFlow(api, id, isRunning('slow'));
  paused.kill('SIGSTOP');
  await api.db.owner.query(`update app_private.workers set heartbeat_at = now() - interval '1 minute'`);
  await start();
  const row = await untilFlowOver(api, id, 25);
  paused.kill('SIGCONT');
  for (;;) {
    const { rows } = await api.db.owner.query<{ count: number }>('select count(*)::int as count from app_private.workers');
    if (rows[0]!.count === 2) break; // the one that slept has noticed, and is back under a new id
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await readFlowExecution(api, id)).toEqual(row);
  expect(tries(row)).toEqual([['slow', 'SUCCESS', 2]]);
  expect((await api.data('jane', '{ flowTasks }')).flowTasks).toContain('wait');
});

test('a worker told to stop gives the flow back at once', async () => {
  const first = await start();
  const id = await startFlow(api, chain('stopped', ['a', 'slow']), { __script: { slow: { delay_ms: 1_000 } } });
  await untilFlow(api, id, isRunning('slow'));
  first.kill('SIGTERM');
  expect(await first.exited).toBe(0);
  const { rows } = await api.db.owner.query(`select worker_id from app_private.execution_leases where execution_id = app_private.flow_run_id($1)`, [id]);
  expect(rows).toEqual([{ worker_id: null }]);
  await start();
  expect(tries(await untilFlowOver(api, id, 25))).toEqual([['a', 'SUCCESS', 1], ['slow', 'SUCCESS', 2]]);
});
