/** A worker in this process: what happens around the nodes that it runs. */
import { randomUUID } from 'node:crypto';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow, sampleTenant, sampleUser } from '../support/executions.ts';
import { startModelServer, type ModelReply, type ModelRequest, type ModelServer } from '../support/model-server.ts';
import { keepingLog, readExecution, startTestWorker, untilExecution, untilOver, type ExecutionRow } from '../support/worker.ts';

const database = useTestDatabase({ samples: true });
const log = keepingLog();
let server: ModelServer;
let worker: RunningWorker;
let reply: (request: ModelRequest) => ModelReply | Promise<ModelReply>;

beforeAll(async () => {
  server = await startModelServer((request) => reply(request));
  worker = await startTestWorker(database, { llmGateway: { url: server.url, key: 'gateway-secret' } }, log);
});
beforeEach(() => {
  server.requests.length = 0;
  log.lines.length = 0;
  reply = ({ prompt }) => `answer to ${prompt}`;
});
afterAll(async () => {
  await worker.close(5_000);
  await server.close();
});

const llm = (id: string, more: object = {}): object => ({ id, type: 'llm', metadata: { source: 'm', prompt: `ask ${id}`, output_key: id, ...more } });

function workflow(nodes: object[], edges: object[], more: object = {}): object {
  return { nodes: [{ id: 'input', type: 'input' }, ...nodes], edges, queues: [], sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'input', ...more };
}

const lonely = (more: object = {}): object => workflow([llm('a', more)], [{ from: 'input', to: 'a' }]);

async function started(spec: object, state: object = { user_input: 'x' }): Promise<string> {
  return insertExecution(database.owner, await insertWorkflow(database.owner, spec), state);
}

const asOperator = { tenant_id: sampleTenant, user_id: sampleUser, role: 'operator' };

test('a completed execution leaves state, metrics, tokens, cost and a row for each node', async () => {
  const row = await untilOver(database, await started(lonely()));
  // gpt-4: 5 tokens in at $30, 15 out at $60 a million
  expect(row).toMatchObject({ status: 'completed', tokens_used: 20, cost: '0.0011', final_state: { a: 'answer to ask a', tokens_used: 20, execution_path: ['input', 'a'] } });
  expect(row.metrics).toEqual({
    execution_time: Number(row.execution_time), tokens_used: 20, cost: 0.0011, node_execution_times: { input: expect.any(Number) as number, a: expect.any(Number) as number },
  });
  expect(row.nodes.map(({ node_id, status, sequence_number, finish_order }) => [node_id, status, sequence_number, finish_order])).toEqual(
    [['input', 'completed', 1, 1], ['a', 'completed', 2, 2]]);
});

test('the model gets the prompt, the name of the model and a key that is the same for every try', async () => {
  let tries = 0;
  reply = () => (++tries === 1 ? { status: 503, text: 'busy' } : 'fine');
  const id = await started(lonely({ system_prompt: 'Be kind.', temperature: 0.1, max_tokens: 7, retry: { initial_seconds: 0.01 } }));
  const row = await untilOver(database, id);
  expect(row.nodes[1]).toMatchObject({ attempts: 2, status: 'completed' });
  expect(server.requests).toHaveLength(2);
  for (const request of server.requests) {
    expect(request).toMatchObject({ model: 'gpt-4', prompt: 'ask a', system: 'Be kind.', body: { temperature: 0.1, max_tokens: 7 } });
    expect(request.headers).toMatchObject({ 'idempotency-key': `${id}:a`, authorization: 'Bearer gateway-secret' });
  }
});

test('tries end: the error names node, source and cause, and not the key', async () => {
  reply = () => ({ status: 500, text: 'the key gateway-secret is odd' });
  const row = await untilOver(database, await started(lonely({ retry: { max_attempts: 2, initial_seconds: 0.01 } })));
  expect(row).toMatchObject({ status: 'failed', error_node_id: 'a', error_code: 'SOURCE_UNAVAILABLE', nodes: [{}, { attempts: 2, status: 'failed' }] });
  expect(row.error_message).toMatch(/Node 'a' failed: .*model gpt-4.*500/);
  expect(JSON.stringify(row)).not.toContain('gateway-secret');
  expect(server.requests).toHaveLength(2);
});

test('a node that takes too long is timed out, and its call is ended', async () => {
  const before = server.aborted();
  reply = () => ({ text: 'late', delayMs: 60_000 });
  const row = await untilOver(database, await started(lonely({ timeout: 2 })));
  expect(row).toMatchObject({ status: 'failed', error_code: 'NODE_TIMEOUT', nodes: [{}, { status: 'timed_out', attempts: 1 }] });
  await until(() => server.aborted() > before);
});

test('a node that takes a while is shown as running', async () => {
  const release = Promise.withResolvers<string>();
  reply = () => release.promise;
  const id = await started(lonely());
  const shown = await untilExecution(database, id, ({ nodes }) => nodes.length === 2);
  expect(shown.nodes).toMatchObject([{ node_id: 'input', status: 'completed' }, { node_id: 'a', status: 'running', attempts: 1 }]);
  release.resolve('at last');
  expect(await untilOver(database, id)).toMatchObject({ status: 'completed', nodes: [{}, { status: 'completed', output: 'at last' }] });
});

test('cancelling reaches the running node, and the row stays as it was cancelled', async () => {
  const before = server.aborted();
  reply = () => new Promise<string>(() => undefined);
  const id = await started(lonely());
  await until(() => server.requests.length === 1);
  await database.asRole('agentflow_user', asOperator, (client) => client.query('select app_public.cancel_execution($1)', [id]), { commit: true });
  await until(() => server.aborted() > before);
  const row = await readExecution(database, id);
  expect(row).toMatchObject({ status: 'cancelled' });
  expect(row.nodes.filter(({ status }) => status === 'running')).toEqual([]);
});

test('the time limit of an execution ends what runs', async () => {
  reply = () => new Promise<string>(() => undefined);
  const row = await untilOver(database, await started(workflow([llm('a')], [{ from: 'input', to: 'a' }], { limits: { max_seconds: 0.1 } })));
  expect(row).toMatchObject({ status: 'failed', error_code: 'LIMIT_TIME', nodes: [{}, { node_id: 'a', status: 'cancelled', error_code: 'LIMIT_TIME' }] });
});

test('a token limit ends the execution after the node that crossed it', async () => {
  const spec = workflow([llm('a'), llm('b')], [{ from: 'input', to: 'a' }, { from: 'a', to: 'b' }], { limits: { max_tokens: 1 } });
  const row = await untilOver(database, await started(spec));
  expect(row).toMatchObject({ status: 'failed', error_code: 'LIMIT_TOKENS', error_node_id: 'a' });
  expect(server.requests).toHaveLength(1);
});

test('a delay holds no worker, and goes on when its time is up', async () => {
  const spec = workflow([{ id: 'wait', type: 'delay', metadata: { seconds: 1.5 } }, llm('a')], [{ from: 'input', to: 'wait' }, { from: 'wait', to: 'a' }]);
  const id = await started(spec);
  const waiting = await untilExecution(database, id, ({ nodes }) => nodes.some(({ status }) => status === 'waiting'));
  expect(waiting).toMatchObject({ status: 'running', nodes: [{ node_id: 'input', status: 'completed' }, { node_id: 'wait', wait_reason: 'delay' }] });
  const { rows } = await database.owner.query('select worker_id from app_private.execution_leases where execution_id = $1', [id]);
  expect(rows).toEqual([{ worker_id: null }]);
  const row = await untilOver(database, id);
  expect(row).toMatchObject({ status: 'completed', nodes: [{}, { node_id: 'wait', status: 'completed', attempts: 1 }, { node_id: 'a' }] });
  expect(Number(row.nodes[1]!.wait_time)).toBeGreaterThanOrEqual(1.5);
});

test('an approval waits for its decision, whenever that comes', async () => {
  const spec = workflow([{ id: 'ok', type: 'approval', metadata: { message: 'Send {user_input}?' } }, llm('a')], [{ from: 'input', to: 'ok' }, { from: 'ok', to: 'a', condition: "approval.decision == 'approved'" }]);
  const id = await started(spec);
  await untilExecution(database, id, ({ nodes }) => nodes.some(({ status }) => status === 'waiting'));
  const decision = { decision: 'approved', comment: 'fine', decided_by: sampleUser, decided_at: '2026-01-01T00:00:00Z' };
  const decide = async (): Promise<boolean> => {
    const { rows } = await database.owner.query<{ done: boolean }>('select app_private.resume_node($1, $2, $3, $4) as done', [sampleTenant, id, 'ok', JSON.stringify(decision)]);
    return rows[0]!.done;
  };
  expect(await decide()).toBe(true);
  const row = await untilOver(database, id);
  expect(row).toMatchObject({ status: 'completed', final_state: { approval: decision, a: 'answer to ask a' } });
  expect(await decide()).toBe(false);
});

test('a document that only the full parser can refuse fails with every problem named', async () => {
  const row = await untilOver(database, await started(workflow([llm('a')], [{ from: 'input', to: 'a', condition: 'level >' }])));
  expect(row).toMatchObject({ status: 'failed', error_code: 'INVALID_WORKFLOW' });
  expect(row.error_message).toContain('edges.0.condition');
});

test('a source row of the tenant is used by its name, and only while it is active', async () => {
  const spec = { ...workflow([{ id: 'a', type: 'llm', metadata: { source: 'OpenAI GPT-4', prompt: 'ask a' } }], [{ from: 'input', to: 'a' }]), sources: [] };
  expect(await untilOver(database, await started(spec))).toMatchObject({ status: 'completed' });
  await database.owner.query(`update sources set status = 'inactive' where name = 'OpenAI GPT-4'`);
  const row = await untilOver(database, await started(spec));
  await database.owner.query(`update sources set status = 'active' where name = 'OpenAI GPT-4'`);
  expect(row).toMatchObject({ status: 'failed', error_code: 'SOURCE_MISSING', error_node_id: 'a' });
});

test('a thousand forged payloads have no effect', async () => {
  const over = await started(lonely());
  await untilOver(database, over);
  const rows = async (): Promise<unknown> => (await database.owner.query(`
    select (select md5(string_agg(e::text, '' order by id)) from executions e) as executions, (select md5(string_agg(n::text, '' order by execution_id, node_id)) from node_executions n) as nodes,
      (select md5(string_agg(f::text, '' order by id)) from flow_executions f) as flows, (select count(*) from app_private.execution_leases) as leases`)).rows;
  const before = await rows();
  const ids: unknown[] = [over, over.toUpperCase(), 'not an id', 7, -1, 1e308, null, true, [], [over], {}, { id: over }, '', ' ', '\'; drop table executions; --', '00000000-0000-4000-8000-000000000000', '00000000-0000-8000-8000-000000000001', '__proto__', 'x'.repeat(10_000), '\\', '{}'];
  const tenants: unknown[] = [undefined, '223e4567-e89b-12d3-a456-426614174000', '', null, '__proto__'];
  const made = ids.flatMap((id) => tenants.map((tenant) => ({ id, ...(tenant === undefined ? {} : { tenant_id: tenant, tenantId: tenant, user_id: tenant, attempt: 0, workflow_version_id: tenant, initial_state: {} }) })));
  const payloads = [...['[]', 'null', '7', '"x"', '{}', '{"__proto__": {"id": 1}}', `{"id": "${over}", "id": "x"}`], ...Array.from({ length: 993 }, (_, index) => JSON.stringify(index < made.length ? made[index] : { id: randomUUID(), number: index }))];
  await database.owner.query(`select graphile_worker.add_job('run_execution', payload::json) from unnest($1::text[]) as forged (payload)`, [payloads]);
  await until(async () => (await database.owner.query(`select from graphile_worker.jobs where task_identifier = 'run_execution'`)).rowCount === 0);
  expect(await rows()).toEqual(before);
});

test('what goes wrong inside fails the execution cleanly', async () => {
  // The row cannot be written: the engine may not let a run go round for ever.
  await database.owner.query(`alter table node_executions add constraint chk_test check (node_id <> 'poison') not valid`);
  const slow = Promise.withResolvers<string>();
  reply = ({ prompt }) => (prompt === 'ask slow' ? slow.promise : 'fine');
  const id = await started(workflow([llm('slow'), llm('before'), llm('poison')], [{ from: 'input', to: ['slow', 'before'] }, { from: 'before', to: 'poison' }], { limits: { max_parallel_nodes: 5 } }));
  const row = await untilOver(database, id);
  slow.resolve('too late');
  await database.owner.query('alter table node_executions drop constraint chk_test');
  expect(row).toMatchObject({ status: 'failed', error_code: 'INTERNAL' });
  expect(row.nodes.map(({ node_id }) => node_id)).not.toContain('poison');
  expect(row.nodes.every(({ finish_order }) => finish_order !== null)).toBe(true);
  expect(log.lines).toContainEqual(expect.objectContaining({ level: 'error', message: 'an execution could not go on' }));
});

test('many executions at once all complete, each once', async () => {
  const target = await insertWorkflow(database.owner, lonely());
  const ids = await Promise.all(Array.from({ length: 100 }, (_, index) => insertExecution(database.owner, target, { user_input: String(index) })));
  const rows: ExecutionRow[] = [];
  for (const id of ids) rows.push(await untilOver(database, id, 60));
  expect(rows.map(({ status }) => status)).toEqual(ids.map(() => 'completed'));
  expect(server.requests).toHaveLength(100);
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}
