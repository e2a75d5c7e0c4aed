/** What real worker processes leave behind when they are killed, paused or told to stop in the middle of a node. */
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow } from '../support/executions.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { readExecution, untilExecution, untilOver } from '../support/worker.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-processes.ts';

const database = useTestDatabase({ samples: true });
const processes: WorkerProcess[] = [];
let server: ModelServer;
/** Prompts that are not answered until they are let go. */
const held = new Map<string, () => void>();
let holding: string | null = null;

beforeAll(async () => {
  server = await startModelServer(async ({ prompt }) => {
    if (prompt === holding) await new Promise<void>((resolve) => held.set(prompt, resolve));
    return `answer to ${prompt}`;
  });
});
beforeEach(() => {
  server.requests.length = 0;
  holding = null;
});
afterEach(async () => {
  for (const release of held.values()) release();
  held.clear();
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.splice(0).map(({ exited }) => exited));
});
afterAll(() => server.close());

const source = { id: 'm', kind: 'llm', config: { model: 'any' } };
const llm = (id: string, prompt = `ask ${id}`): object => ({ id, type: 'llm', metadata: { source: 'm', prompt, output_key: id } });
const chain = {
  nodes: [{ id: 'input', type: 'input' }, llm('first'), llm('second'), { id: 'end_node', type: 'aggregator', metadata: { source_keys: ['first', 'second'], include_metadata: false } }],
  edges: [{ from: 'input', to: 'first' }, { from: 'first', to: 'second' }, { from: 'second', to: 'end_node' }],
  queues: [], sources: [source], start_node: 'input',
};

async function startProcess(): Promise<WorkerProcess> {
  const child = await startWorkerProcess(database, server.url);
  processes.push(child);
  return child;
}

async function runningChain(): Promise<string> {
  return insertExecution(database.owner, await insertWorkflow(database.owner, chain), { user_input: 'x' });
}

const asks = (prompt: string): number => server.requests.filter((request) => request.prompt === prompt).length;

/** Waits until the second node is asked and shown as running. */
async function inTheMiddle(id: string): Promise<void> {
  await untilExecution(database, id, ({ nodes }) => nodes.some(({ node_id, status }) => node_id === 'second' && status === 'running'));
  expect(asks('ask second')).toBe(1);
}

async function untilWorkers(count: number): Promise<void> {
  const { rows } = await database.owner.query<{ count: number }>('select count(*)::int as count from app_private.workers');
  if (rows[0]!.count === count) return;
  await new Promise((resolve) => setTimeout(resolve, 50));
  await untilWorkers(count);
}

function letGo(): void {
  holding = null;
  for (const release of held.values()) release();
}

test('a worker killed in the middle of a node: another finishes, and runs no finished node again', async () => {
  holding = 'ask second';
  const first = await startProcess();
  const id = await runningChain();
  await inTheMiddle(id);
  await startProcess();
  first.kill('SIGKILL');
  holding = null;

  // 10 s is the promise; the deadline of the test run is longer, so that a slow machine fails nothing.
  const row = await untilOver(database, id, 25);
  expect(row).toMatchObject({ status: 'completed', final_state: { final_output: { first: 'answer to ask first', second: 'answer to ask second' } } });
  expect(row.final_state!['execution_path']).toEqual(['input', 'first', 'second', 'end_node']);
  expect(row.nodes.map(({ node_id, status, attempts }) => [node_id, status, attempts])).toEqual(
    [['input', 'completed', 1], ['first', 'completed', 1], ['second', 'completed', 2], ['end_node', 'completed', 1]]);
  expect([asks('ask first'), asks('ask second')]).toEqual([1, 2]);
  const keys = server.requests.filter(({ prompt }) => prompt === 'ask second').map(({ headers }) => headers['idempotency-key']);
  expect(keys).toEqual([`${id}:second`, `${id}:second`]);
});

test('the only worker killed: the one that is started after it goes on', async () => {
  holding = 'ask second';
  const first = await startProcess();
  const id = await runningChain();
  await inTheMiddle(id);
  first.kill('SIGKILL');
  await first.exited;
  holding = null;
  await startProcess();
  const row = await untilOver(database, id, 25);
  expect(row.status).toBe('completed');
  expect([asks('ask first'), asks('ask second')]).toEqual([1, 2]);
});

test('a paused worker loses its execution, and writes nothing when it wakes', async () => {
  holding = 'ask second';
  const paused = await startProcess();
  const id = await runningChain();
  await inTheMiddle(id);
  paused.kill('SIGSTOP');
  // 15 s without a heartbeat take long: here they are over at once.
  await database.owner.query(`update app_private.workers set heartbeat_at = now() - interval '1 minute'`);
  await startProcess();
  await untilExecution(database, id, () => asks('ask second') === 2);
  paused.kill('SIGCONT');
  letGo(); // both answers come
  const row = await untilOver(database, id, 25);
  expect(row.nodes.map(({ node_id, attempts }) => [node_id, attempts])).toEqual([['input', 1], ['first', 1], ['second', 2], ['end_node', 1]]);
  await untilWorkers(2); // the one that slept has noticed, and is back under a new id
  expect(await readExecution(database, id)).toEqual(row);
});

test('a worker told to stop gives its execution back at once, and ends with 0', async () => {
  holding = 'ask second';
  const first = await startProcess();
  const id = await runningChain();
  await inTheMiddle(id);
  first.kill('SIGTERM');
  expect(await first.exited).toBe(0);
  expect(server.aborted()).toBeGreaterThanOrEqual(1);
  const { rows } = await database.owner.query(`
    select (select count(*)::int from app_private.workers) as workers,
           (select worker_id from app_private.execution_leases where execution_id = $1) as holder,
           (select count(*)::int from graphile_worker.jobs where key = $1::text and locked_at is null) as jobs`, [id]);
  expect(rows).toEqual([{ workers: 0, holder: null, jobs: 1 }]);
  holding = null;
  await startProcess();
  const row = await untilOver(database, id, 25);
  expect(row.nodes.map(({ node_id, attempts }) => [node_id, attempts])).toEqual([['input', 1], ['first', 1], ['second', 2], ['end_node', 1]]);
  expect(asks('ask first')).toBe(1);
});
