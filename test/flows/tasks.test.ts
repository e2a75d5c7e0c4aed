/** Tasks that are files: the ready-made ones, those that an extension brings, and what bad ones do. The worker is a process of its own, started in the extension's project. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startApi, type TestApi } from '../support/api.ts';
import { chain, createFlow, executeFlow, startFlow, untilFlow, untilFlowOver, type Definition } from '../support/flows.ts';
import { insertWorkflow } from '../support/executions.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-processes.ts';

let api: TestApi;
let worker: WorkerProcess;
let project: string;
let service: Server;
let asked: { url: string; method: string; key: string | undefined; body: string }[] = [];

const bad: Record<string, string> = {
  throws_a_text: `export default () => { throw 'only a text'; };`,
  throws_nothing: `export default () => { throw undefined; };`,
  throws_an_object: `export default () => { throw { code: 7 }; };`,
  rejects: `export default async () => { throw new TypeError('late'); };`,
  returns_a_function: `export default () => () => 1;`,
  returns_nothing: `export default () => undefined;`,
  returns_odd_values: `export default () => ({ f: () => 1, at: new Date(0), none: undefined, nan: NaN, big: 5n, nul: 'a\\0b' });`,
  returns_itself: `export default () => { const self = {}; self.self = self; return self; };`,
  returns_too_much: `export default () => 'x'.repeat(2_000_000);`,
  never_ends: `export default () => new Promise(() => undefined);`,
  ignores_abort: `export default async (context, { log }) => { await new Promise((resolve) => setTimeout(resolve, 1_500)); log.info('too late'); return 'too late'; };`,
  fails_with_nul: `export default () => { throw new Error('a\\0b \\ud800'); };`,
  changes_its_context: `export default (context) => { context.kept = 'changed'; context.more.deep = 'changed'; return context; };`,
  changes_its_config: `export default (context, { config }) => { config.changed = true; };`,
  says_what_it_gets: `
    export default (context, { config, attempt, idempotencyKey, signal, log, fill }) => {
      log.info('hello'); log.warn('careful');
      return { context, config, attempt, idempotencyKey, aborted: signal.aborted, filled: fill({ text: 'Dear {name}', all: '{list}' }) };
    };`,
};

beforeAll(async () => {
  project = mkdtempSync(path.join(os.tmpdir(), 'agentflow-extension-'));
  const folder = path.join(project, 'extension', 'tasks', 'flow');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type: 'module', agentflow: { extensions: ['./extension'] } }));
  for (const [name, code] of Object.entries(bad)) writeFileSync(path.join(folder, `${name}.js`), code);
  service = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
    request.on('end', () => {
      asked.push({ url: request.url!, method: request.method!, key: request.headers['idempotency-key'] as string | undefined, body });
      response.writeHead(request.url!.startsWith('/broken') ? 500 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ said: 'hello' }));
    });
  });
  await new Promise<void>((resolve) => { service.listen(0, '127.0.0.1', resolve); });
  api = await startApi();
  worker = await startWorkerProcess(api.db, 'http://127.0.0.1:1', { cwd: project, settings: { allowHosts: [`127.0.0.1:${port()}`, `127.0.0.1:${new URL(api.db.url('agentflow_owner')).port}`] } });
});
afterAll(async () => {
  worker.kill('SIGTERM');
  expect(await worker.exited).toBe(0);
  await api.server.close(1_000);
  await api.db.drop();
  service.close();
  rmSync(project, { recursive: true });
});
beforeEach(() => { asked = []; });

const port = (): number => (service.address() as AddressInfo).port;

/** A flow of one task of that name and config. */
const lonely = (task: string, config: object = {}): Definition => ({ id: `only-${task}-${Math.random()}`, name: task, start_task: task, tasks: [{ name: task, config }] });
const run = async (task: string, config: object = {}, context: object = {}, seconds?: number): ReturnType<typeof untilFlowOver> => untilFlowOver(api, await startFlow(api, lonely(task, config), context), seconds);

describe('a task that', () => {
  test.each([
    ['throws_a_text', 'only a text'], ['throws_nothing', 'undefined'], ['throws_an_object', '{"code":7}'], ['rejects', 'late'],
    ['returns_a_function', 'returned a function; a task returns JSON'], ['returns_itself', 'nested deeper'], ['returns_too_much', '1048576 bytes'],
    ['fails_with_nul', 'a\ufffdb \ufffd'], ['changes_its_config', 'object is not extensible'],
  ])('%s fails, and says so', async (task, message) => {
    const row = await run(task);
    expect(row).toMatchObject({ status: 'FAILURE', errorTask: task, totalTasksExecuted: 1, outputData: null });
    expect(row.errorMessage).toContain(message);
    expect(row.taskExecutions.nodes).toMatchObject([{ status: 'FAILURE', errorMessage: expect.stringContaining(message) }]);
  });

  test.each([['never_ends'], ['ignores_abort']])('%s is cut off when its time is up, and leaves the worker working', async (task) => {
    const row = await run(task, { timeout_seconds: 0.2 });
    expect(row).toMatchObject({ status: 'FAILURE', errorCode: 'NODE_TIMEOUT', errorMessage: `Task '${task}' failed: Task '${task}' took longer than its timeout of 0.2 s.` });
    expect(await run('returns_nothing')).toMatchObject({ status: 'COMPLETED', outputData: { returns_nothing: { status: 'SUCCESS', data: null } } });
  });

  test('ignores_abort lets a flow be cancelled nevertheless', async () => {
    const id = await startFlow(api, chain('stubborn', ['ignores_abort', 'returns_nothing']));
    await untilFlow(api, id, ({ status }) => status === 'RUNNING');
    await api.data('operator', 'mutation ($id: BigInt!) { cancelFlowExecution(input: { id: $id }) { flowExecution { id } } }', { id });
    const row = await untilFlowOver(api, id);
    expect(row).toMatchObject({ status: 'FAILURE', errorMessage: 'cancelled' });
    await new Promise((resolve) => setTimeout(resolve, 1_600)); // the task is over by now, and nobody looks
    expect(await untilFlowOver(api, id)).toEqual(row);
  });

  test('returns odd values gives them as JSON', async () => {
    expect((await run('returns_odd_values')).outputData).toEqual({ returns_odd_values: { status: 'SUCCESS', data: { at: '1970-01-01T00:00:00.000Z', nan: null, big: 5, nul: 'a\ufffdb' } } });
  });

  test('changes its context changes nothing but its own copy', async () => {
    const row = await run('changes_its_context', {}, { kept: 'as it was', more: { deep: 1 } });
    expect(row.inputContext).toEqual({ kept: 'as it was', more: { deep: 1 } });
    expect(row.outputData).toMatchObject({ kept: 'as it was', more: { deep: 1 } });
  });

  test('says what it gets has its context, config, attempt, key, signal, log and templates', async () => {
    const row = await run('says_what_it_gets', { mine: [1] }, { name: 'Ada', list: [1, 2] });
    const tenant = '123e4567-e89b-12d3-a456-426614174000';
    expect(row.taskExecutions.nodes[0]).toMatchObject({
      outputData: {
        context: { name: 'Ada', list: [1, 2] }, config: { mine: [1] }, attempt: 1, aborted: false, idempotencyKey: `${tenant}:${row.id}:says_what_it_gets`,
        filled: { text: 'Dear Ada', all: [1, 2] },
      },
      logs: [{ level: 'info', message: 'hello' }, { level: 'warn', message: 'careful' }],
    });
  });
});

test('what workers have is told, and what they have not keeps a flow from being activated and executed', async () => {
  const { flowTasks } = await api.data('jane', '{ flowTasks }');
  expect(flowTasks).toEqual([...Object.keys(bad), 'execute_workflow', 'fetch_data', 'http_request', 'process_data', 'run_query', 'store_data', 'transform', 'wait'].sort());
  expect((await createFlow(api, chain('unwritten', ['fetch_data', 'nobody', 'wrote_this']))).errors).toBeUndefined();
  for (const mutation of ['activateFlow(input: { id: "unwritten" }) { flow { id } }', 'executeFlow(input: { flowId: "unwritten", inputContext: {} }) { flowExecution { id } }']) {
    const { errors } = await api.query('architect', `mutation { ${mutation} }`);
    expect(errors![0]!.extensions).toMatchObject({ code: 'INVALID_FLOW', problems: [{ code: 'E004', field: 'tasks.1.name', nodeId: 'nobody' }, { code: 'E004', field: 'tasks.2.name', nodeId: 'wrote_this' }] });
  }
  const { errors } = await api.query('architect', 'mutation { executeFlows(input: { inputs: [{ flowId: "data_pipeline", inputContext: {} }, { flowId: "unwritten", inputContext: {} }] }) { flowExecutions { id } } }');
  expect(errors![0]!.extensions).toMatchObject({ code: 'INVALID_FLOW', problems: [{ code: 'INVALID_FLOW', field: 'inputs.1.flow_id', message: expect.stringContaining('nobody') }] });
});

describe('the ready-made task', () => {
  test('fetch_data, process_data, store_data: the sample flow', async () => {
    const row = await untilFlowOver(api, await executeFlow(api, 'data_pipeline'));
    expect(row).toMatchObject({ status: 'COMPLETED', totalTasksExecuted: 3, outputData: { process_data: { data: { total: 60 } }, store_data: { data: { stored: 3 } } } });
  });

  test('transform makes values of the context', async () => {
    expect((await run('transform', { expression: 'size(items) + extra.by' }, { items: [1, 2], extra: { by: 5 } })).outputData).toMatchObject({ transform: { data: 7 } });
    expect(await run('transform', { expression: 'size(' })).toMatchObject({ status: 'FAILURE', errorCode: 'INVALID_VALUE' });
  });

  test('wait holds no worker, and fails at once when it could not be over in time', async () => {
    const id = await startFlow(api, lonely('wait', { seconds: 1.6 }));
    await untilFlow(api, id, ({ status }) => status === 'RUNNING');
    for (;;) {
      const { rows } = await api.db.owner.query(`select from app_private.execution_leases where execution_id = app_private.flow_run_id($1) and worker_id is null`, [id]);
      if (rows.length === 1) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const row = await untilFlowOver(api, id);
    expect(row).toMatchObject({ status: 'COMPLETED', taskExecutions: { nodes: [{ status: 'SUCCESS', attempts: 1 }] } });
    expect(Date.parse(row.completedAt!) - Date.parse(row.startedAt)).toBeGreaterThanOrEqual(1_600);
    expect(await run('wait', { seconds: 400 })).toMatchObject({ status: 'FAILURE', errorMessage: expect.stringContaining('time limit of 300 s') });
  });

  test('http_request calls by URL and key, fails on an answer of 400 or more, and reaches nothing that is private', async () => {
    const row = await run('http_request', { url: `http://127.0.0.1:${port()}/things/{id}?x=1`, method: 'POST', body: { name: '{name}' } }, { id: 7, name: 'Ada' });
    expect(row).toMatchObject({ status: 'COMPLETED', outputData: { http_request: { data: { status: 200, body: { said: 'hello' } } } } });
    expect(asked).toEqual([{ url: '/things/7?x=1', method: 'POST', key: expect.stringMatching(new RegExp(`:${row.id}:http_request$`)), body: '{"name":"Ada"}' }]);
    expect(await run('http_request', { url: `http://127.0.0.1:${port()}/broken`, method: 'GET' })).toMatchObject({ status: 'FAILURE', errorMessage: expect.stringContaining('500') });
    expect(await run('http_request', { url: 'http://169.254.169.254/latest/meta-data' })).toMatchObject({ status: 'FAILURE', errorCode: 'SOURCE_NOT_ALLOWED' });
  });

  test('run_query asks a saved source, with bind parameters', async () => {
    const database = (await api.db.owner.query<{ name: string }>('select current_database() as name')).rows[0]!.name;
    const row = await run('run_query', { source: 'Nowhere', query: 'select 1' });
    expect(row).toMatchObject({ status: 'FAILURE', errorCode: 'SOURCE_MISSING', errorTask: 'run_query' });
    expect(await run('run_query', { source: 'Nowhere', query: `drop database ${database}` })).toMatchObject({ status: 'FAILURE', errorCode: 'INVALID_VALUE' });
  });

  test('execute_workflow runs a published workflow, holding no worker, and gives its final state or its failure', async () => {
    const spec = (expression: string): object => ({ start_node: 'in', nodes: [{ id: 'in', type: 'transform', metadata: { expression, output_key: 'answer' } }], edges: [] });
    const published = async (name: string, expression: string): Promise<string> => {
      const { id } = await insertWorkflow(api.db.owner, spec(expression));
      await api.db.owner.query(`update workflows set name = $2, status = 'published' where id = $1`, [id, name]);
      return id;
    };
    const fine = await published('Doubles', 'number * 2');
    await published('Breaks', 'nothing.there');
    const row = await run('execute_workflow', { workflow: 'Doubles', input: { number: '{n}' } }, { n: 21 });
    expect(row).toMatchObject({ status: 'COMPLETED', outputData: { execute_workflow: { data: { number: 21, answer: 42 } } } });
    expect((await api.db.owner.query('select status from executions where workflow_id = $1', [fine])).rows).toEqual([{ status: 'completed' }]);
    expect(await run('execute_workflow', { workflow: 'Breaks' })).toMatchObject({ status: 'FAILURE', errorMessage: expect.stringMatching(/ended as failed: /) });
    expect(await run('execute_workflow', { workflow: 'Never written' })).toMatchObject({ status: 'FAILURE', errorMessage: expect.stringContaining("There is no published workflow 'Never written'") });
  });

  test('an execution that a task waits for ends with the flow when the task takes too long', async () => {
    const { id } = await insertWorkflow(api.db.owner, { start_node: 'sleep', nodes: [{ id: 'sleep', type: 'delay', metadata: { seconds: 600 } }], edges: [] });
    await api.db.owner.query(`update workflows set name = 'Sleeps', status = 'published' where id = $1`, [id]);
    expect(await run('execute_workflow', { workflow: 'Sleeps', timeout_seconds: 1 })).toMatchObject({ status: 'FAILURE', errorCode: 'NODE_TIMEOUT', errorTask: 'execute_workflow' });
    expect((await api.db.owner.query('select status, error_message from executions where workflow_id = $1', [id])).rows)
      .toEqual([{ status: 'cancelled', error_message: 'cancelled with the flow execution that started it' }]);
  });
});
