/** The database goes away and comes back: work goes on, nothing is lost, nothing finished is done twice. */
import { startWorker } from '../../src/runtime/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow } from '../support/executions.ts';
import { startModelServer } from '../support/model-server.ts';
import { startProxy } from '../support/proxy.ts';
import { plainSettings, startTestWorker, untilOver } from '../support/worker.ts';

const database = useTestDatabase({ samples: true });

const llm = (id: string): object => ({ id, type: 'llm', metadata: { source: 'm', prompt: `ask ${id} {user_input}`, output_key: id } });
const chain = {
  nodes: [{ id: 'input', type: 'input' }, llm('a'), llm('b'), llm('c')],
  edges: [{ from: 'input', to: 'a' }, { from: 'a', to: 'b' }, { from: 'b', to: 'c' }],
  queues: [], sources: [{ id: 'm', kind: 'llm', config: { model: 'any' } }], start_node: 'input',
};

async function manyExecutions(count: number): Promise<string[]> {
  const workflow = await insertWorkflow(database.owner, chain);
  return Promise.all(Array.from({ length: count }, (_, index) => insertExecution(database.owner, workflow, { user_input: String(index) })));
}

async function expectAllCompleted(ids: string[]): Promise<void> {
  for (const id of ids) {
    const row = await untilOver(database, id, 60);
    expect(row).toMatchObject({ status: 'completed', final_state: { execution_path: ['input', 'a', 'b', 'c'] } });
    expect(row.nodes.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed', 'completed']);
  }
}

test('every session is ended, again and again', async () => {
  const server = await startModelServer(({ prompt }) => ({ text: `answer to ${prompt}`, delayMs: 40 }));
  const worker = await startTestWorker(database, { llmGateway: { url: server.url, key: null } });
  const ids = await manyExecutions(40);
  await withClient(clusterUrl(testCluster(), 'postgres', 'postgres'), async (root) => {
    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await root.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = 'agentflow_worker'`, [database.name]);
    }
  });
  await expectAllCompleted(ids);
  const prompts = server.requests.map(({ prompt }) => prompt);
  expect(prompts.toSorted()).toEqual([...new Set(prompts)].toSorted()); // no call was made twice
  await worker.close(5_000);
  await server.close();
}, 180_000);

test('the server is away for a while', async () => {
  const server = await startModelServer(({ prompt }) => ({ text: `answer to ${prompt}`, delayMs: 40 }));
  const proxy = await startProxy(database.url('agentflow_worker'));
  const workerUrl = proxy.through(database.url('agentflow_worker'));
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const worker = await startWorker({ config: { ...plainSettings, llmGateway: { url: server.url, key: null } }, workerUrl, log });
  const ids = await manyExecutions(40);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await proxy.shut();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await proxy.open();
  await expectAllCompleted(ids);
  await worker.close(5_000);
  await proxy.shut();
  await server.close();
}, 180_000);

test('jobs cannot be completed for a while: the runner that gave up is replaced, and what it held goes free', async () => {
  const server = await startModelServer(({ prompt }) => `answer to ${prompt}`);
  const worker = await startTestWorker(database, { llmGateway: { url: server.url, key: null } });
  await database.owner.query(`create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$`);
  await database.owner.query(`create trigger refuse before delete or update on graphile_worker._private_jobs
    for each row when (old.locked_at is not null) execute function public.refuse()`);
  const ids = await manyExecutions(40);
  await new Promise((resolve) => setTimeout(resolve, 6_500)); // a heartbeat falls into it, and fails too
  await database.owner.query('drop trigger refuse on graphile_worker._private_jobs');
  await expectAllCompleted(ids);
  await worker.close(5_000);
  await server.close();
}, 180_000);

test('a worker whose database is away stops within its grace all the same', async () => {
  const proxy = await startProxy(database.url('agentflow_worker'));
  const workerUrl = proxy.through(database.url('agentflow_worker'));
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const worker = await startWorker({ config: plainSettings, workerUrl, log });
  await proxy.shut();
  await expect(worker.close(1_000)).resolves.toBeUndefined();
});

test('a database that is not there at the start is told at once', async () => {
  await expect(startWorker({
    config: plainSettings, workerUrl: 'postgres://agentflow_worker:x@127.0.0.1:1/nothing',
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
