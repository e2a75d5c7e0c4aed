/** Executions that wait in memory for their turn in a queue: they hold no place of the worker, and lose nothing. */
import type { RunningWorker } from '../../src/runtime/index.ts';
import { WaitingRoom } from '../../src/runtime/waiting-room.ts';
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow, sampleTenant, sampleUser, type TestWorkflow } from '../support/executions.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { readExecution, startTestWorker, untilExecution, untilOver, type ExecutionRow } from '../support/worker.ts';

const database = useTestDatabase({ samples: true });
let server: ModelServer;
let worker: RunningWorker;

const start = (): Promise<RunningWorker> => startTestWorker(database, { workerConcurrency: 1, llmGateway: { url: server.url, key: 'key' } });

beforeAll(async () => {
  server = await startModelServer(({ prompt }) => `answer to ${prompt}`);
  worker = await start();
});
afterAll(async () => {
  await worker.close(5_000);
  await server.close();
});

const limited = (perMinute: number): object => ({
  nodes: [{ id: 'input', type: 'input' }, { id: 'a', type: 'llm', metadata: { source: 'm', prompt: 'ask {user_input}' } }],
  edges: [{ from: 'input', to: 'a', queue: 'q' }], queues: [{ id: 'q', from: 'input', to: 'a', bandwidth: { max_requests_per_minute: perMinute } }],
  sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'input',
});

const isWaiting = ({ nodes }: ExecutionRow): boolean => nodes.some(({ status }) => status === 'rate_limited');
const started = (workflow: TestWorkflow, input: string): Promise<string> => insertExecution(database.owner, workflow, { user_input: input });

/** The second of two: it waits for a turn that comes late. */
async function waiting(perMinute: number): Promise<string> {
  const workflow = await insertWorkflow(database.owner, limited(perMinute));
  await untilOver(database, await started(workflow, 'first'));
  const id = await started(workflow, 'second');
  await untilExecution(database, id, isWaiting);
  return id;
}

const lease = async (id: string): Promise<unknown> => (await database.owner.query('select worker_id is not null as held from app_private.execution_leases where execution_id = $1', [id])).rows[0];
const jobs = async (id: string): Promise<number | null> => (await database.owner.query('select from graphile_worker.jobs where key = $1', [id])).rowCount;

test('a worker with one place does other things meanwhile; the one that waits goes on by itself', async () => {
  const id = await waiting(10);
  const other = await insertWorkflow(database.owner, { nodes: [{ id: 'input', type: 'input' }], edges: [], start_node: 'input' });
  for (let count = 0; count < 3; count += 1) expect(await untilOver(database, await started(other, 'x'))).toMatchObject({ status: 'completed' });
  expect(isWaiting(await readExecution(database, id))).toBe(true);
  expect([await lease(id), await jobs(id)]).toEqual([{ held: true }, 0]);
  expect(await untilOver(database, id)).toMatchObject({ status: 'completed', final_state: { text_result: 'answer to ask second' } });
});

test('cancelling reaches it', async () => {
  const id = await waiting(2);
  await database.asRole('agentflow_user', { tenant_id: sampleTenant, user_id: sampleUser, role: 'operator' }, (client) => client.query('select app_public.cancel_execution($1)', [id]), { commit: true });
  expect(await untilOver(database, id)).toMatchObject({ status: 'cancelled' });
});

test('a worker that stops gives it back with a job; another goes on', async () => {
  const id = await waiting(6);
  await worker.close(5_000);
  expect([await lease(id), await jobs(id)]).toEqual([{ held: false }, 1]);
  worker = await start();
  expect(await untilOver(database, id)).toMatchObject({ status: 'completed', final_state: { text_result: 'answer to ask second' } });
});

test('the room is bounded, and so are those who go on from it', () => {
  const room = new WaitingRoom(2);
  const places = Array.from({ length: 20 }, () => room.enter()!);
  expect(room.enter()).toBeNull();
  expect(places.slice(0, 3).map((place) => place.goOn())).toEqual([true, true, false]);
  places[0]!.leave();
  places[0]!.leave();
  expect(places[2]!.goOn()).toBe(true);
  places[5]!.leave();
  expect(Array.from({ length: 5 }, () => room.enter() !== null)).toEqual([true, true, true, true, false]);
});
