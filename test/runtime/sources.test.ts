/** What a worker adds to calls of sources: budgets, fallbacks, circuits, kept answers, answers that grow. */
import type http from 'node:http';
import { createSources, trySource } from '../../src/sources/index.ts';
import { useApi } from '../support/api.ts';
import { type LocalRequest, useLocalServer } from '../support/sources.ts';
import { type ExecutionRow, plainSettings, startTestWorker, untilOver } from '../support/worker.ts';

const service = useLocalServer();
const api = useApi({
  async test(source) {
    const sources = createSources({ ...plainSettings, allowHosts: [service.host()] });
    const trial = await trySource(sources, source);
    await sources.close();
    return trial;
  },
});
const workers: { close(graceMs: number): Promise<void> }[] = [];

beforeAll(async () => {
  workers.push(await startTestWorker(api.db, { allowHosts: [service.host()] }), await startTestWorker(api.db, { allowHosts: [service.host()] }));
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close(2_000)));
});

const completion = (text: string, tokens: [number, number] = [1_000, 1_000]): object => ({
  id: 'c', object: 'chat.completion', created: 1, model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  usage: { prompt_tokens: tokens[0], completion_tokens: tokens[1], total_tokens: tokens[0] + tokens[1] },
});
const says = (text: string) => (_request: LocalRequest, response: http.ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion(text)));
};
const model = (over: object = {}): object => ({ provider: 'openai-compatible', base_url: `${service.url()}/v1`, model: 'gpt-4o', ...over });
const once = { max_attempts: 1, initial_seconds: 0, max_seconds: 0 };

async function save(name: string, config: object, kind = 'LLM'): Promise<string> {
  const { createSource } = await api.data('john', 'mutation ($name: String!, $kind: SourceKind!, $config: JSON!) { createSource(input: {source: {name: $name, kind: $kind, config: $config}}) { source { id } } }', { name, kind, config });
  return createSource.source.id;
}

async function workflowOf(metadata: object, sources: object[] = [], type = 'llm'): Promise<string> {
  const spec = { nodes: [{ id: 'ask', type, metadata: { prompt: '{question}', retry: once, ...metadata } }], edges: [], sources, start_node: 'ask' };
  const { createWorkflow } = await api.data('john', 'mutation ($name: String!, $spec: JSON!) { createWorkflow(input: {workflow: {name: $name, spec: $spec}}) { workflow { id } } }', { name: `w-${crypto.randomUUID()}`, spec });
  await api.data('john', 'mutation ($id: UUID!) { publishWorkflow(input: {id: $id}) { workflow { id } } }', { id: createWorkflow.workflow.id });
  return createWorkflow.workflow.id;
}

async function start(id: string, headers?: Record<string, string>): Promise<string> {
  const query = 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: {workflowId: $id, initialState: $state}) { execution { id } } }';
  const { data, errors } = await api.post(JSON.stringify({ query, variables: { id, state: { question: 'why?' } } }), headers ?? await api.headersOf('john'));
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data.executeWorkflow.execution.id;
}

async function run(id: string, headers?: Record<string, string>): Promise<ExecutionRow> {
  return untilOver(api.db, await start(id, headers));
}

type Asked = ExecutionRow['nodes'][number] & { source_name: string | null; model: string | null; is_cached: boolean; partial_output: string | null };
const nodeOf = ({ nodes }: ExecutionRow): Asked => nodes[0] as Asked;

describe('budgets', () => {
  const budgets = async (caller = 'john'): Promise<{ apiKeyId: string | null; monthlyLimit: string; spent: string; state: string; warnedAt: string | null; stoppedAt: string | null }[]> => (
    (await api.data(caller, '{ budgets { nodes { id apiKeyId monthlyLimit warnAt spent tokens state warnedAt stoppedAt } } }')).budgets.nodes);
  const set = 'mutation ($limit: BigFloat!, $key: UUID, $warn: BigFloat) { saveBudget(input: {monthlyLimit: $limit, apiKeyId: $key, warnAt: $warn}) { budget { id monthlyLimit spent state } } }';
  const remove = async (): Promise<void> => {
    await api.db.owner.query('delete from app_private.budgets');
  };
  const events = async (): Promise<string[]> => (await api.db.owner.query<{ action: string }>("select action from audit_logs where entity_type = 'budget' order by action")).rows.map(({ action }) => action);

  test('a warning at its part, a stop at its limit, told to admins; then no model is asked', async () => {
    service.answer(says('hello'));
    const id = await workflowOf({ source: 'm' }, [{ id: 'm', kind: 'llm', config: model() }]);
    const first = await run(id);
    // 1,000 tokens in at 2.5 and 1,000 out at 10 US dollars a million.
    expect({ status: first.status, cost: first.cost }).toEqual({ status: 'completed', cost: '0.0125' });
    expect((await api.data('john', set, { limit: '0.03' })).saveBudget.budget).toMatchObject({ monthlyLimit: '0.0300', spent: '0.0125000000', state: 'OK' });
    await run(id);
    expect(await budgets()).toEqual([expect.objectContaining({ apiKeyId: null, spent: '0.0250000000', state: 'WARNED', warnedAt: expect.any(String), stoppedAt: null })]);
    await run(id);
    expect(await budgets()).toEqual([expect.objectContaining({ spent: '0.0375000000', state: 'STOPPED', stoppedAt: expect.any(String) })]);
    const asked = service.requests.length;
    const refused = await run(id);
    expect(refused).toMatchObject({ status: 'failed', error_code: 'BUDGET_EXHAUSTED', error_node_id: 'ask', cost: '0.0000' });
    expect(refused.error_message).toContain("Node 'ask' failed: source 'm' may not be asked: the monthly budget of the tenant is used up (0.04 of 0.03 US dollars)");
    expect(service.requests.length).toBe(asked);
    expect(await events()).toEqual(['create', 'stop', 'warn']);
    await api.data('john', set, { limit: '1' });
    expect((await run(id)).status).toBe('completed');
    await remove();
  });

  test('of an API key: what the key starts is counted and stopped, the rest goes on', async () => {
    service.answer(says('hello'));
    const id = await workflowOf({ source: 'm' }, [{ id: 'm', kind: 'llm', config: model() }]);
    const { createApiKey } = await api.data('john', 'mutation { createApiKey(input: {name: "bounded", permissions: {workflows: ["read", "execute"], executions: ["read"]}}) { key apiKey { id } } }');
    const headers = { 'x-api-key': createApiKey.key as string };
    await api.data('john', set, { limit: '0.01', key: createApiKey.apiKey.id, warn: '0.5' });
    expect((await run(id, headers)).status).toBe('completed');
    expect(await run(id, headers)).toMatchObject({ status: 'failed', error_code: 'BUDGET_EXHAUSTED', error_message: expect.stringContaining('of the API key that started this') as string });
    expect((await run(id)).status).toBe('completed');
    expect(await budgets()).toEqual([expect.objectContaining({ apiKeyId: createApiKey.apiKey.id, spent: '0.0125000000', state: 'STOPPED' })]);
    await remove();
  });

  test('what a key starts is known as its own: flows too, and what executions start in their turn', async () => {
    const { createApiKey } = await api.data('john', 'mutation { createApiKey(input: {name: "starts", permissions: {flows: ["read", "execute"], workflows: ["read", "execute"], executions: ["read"]}}) { key apiKey { id } } }');
    const flow = await api.post('{"query":"mutation { executeFlow(input: {flowId: \\"data_pipeline\\", inputContext: {}}) { flowExecution { id } } }"}', { 'x-api-key': createApiKey.key });
    const { rows: [known] } = await api.db.owner.query<{ key: string }>('select app_private.key_of_run(tenant_id, app_private.flow_run_id(id)) as key from flow_executions where id = $1', [flow.data.executeFlow.flowExecution.id]);
    expect(known!.key).toBe(createApiKey.apiKey.id);
    const child = await workflowOf({ expression: '1' }, [], 'transform');
    const parent = await run(await workflowOf({ workflow_id: child }, [], 'workflow'), { 'x-api-key': createApiKey.key });
    expect(parent.status).toBe('completed');
    const { rows } = await api.db.owner.query<{ key: string }>('select app_private.key_of_run(tenant_id, id) as key from executions where parent_execution_id = $1', [parent.id]);
    expect(rows).toEqual([{ key: createApiKey.apiKey.id }]);
  });

  test('zero stops everything; a quota of the platform says so', async () => {
    const id = await workflowOf({ source: 'm' }, [{ id: 'm', kind: 'llm', config: model() }]);
    await api.data('john', set, { limit: '0' });
    expect((await run(id)).error_code).toBe('BUDGET_EXHAUSTED');
    await remove();
    const tenant = '(select tenant_id from users where email like $1)';
    await api.db.owner.query(`update tenants set quotas = '{"tokens_per_month": 1}' where id = ${tenant}`, ['john@%']);
    const running = await api.db.owner.query<{ id: string }>(`
      insert into executions (workflow_id, user_id, tenant_id, initial_state) select $1, id, tenant_id, '{"question": "why?"}' from users where email like 'john@%' returning id`, [id]);
    expect(await untilOver(api.db, running.rows[0]!.id)).toMatchObject({ error_code: 'QUOTA_EXCEEDED', error_message: expect.stringContaining('tokens_per_month') as string });
    await api.db.owner.query(`update tenants set quotas = '{}' where id = ${tenant}`, ['john@%']);
  });

  test.each([['jane', 'PERMISSION_DENIED'], ['visitor', 'UNAUTHENTICATED'], ['key', 'PERMISSION_DENIED']])('%s may not set one', async (caller, code) => {
    expect((await api.query(caller, set, { limit: '5' })).errors?.[0]?.extensions['code']).toBe(code);
  });

  test.each([[{ limit: '-1' }, 'INVALID_VALUE'], [{ limit: '5', warn: '2' }, 'INVALID_VALUE'], [{ limit: '5', key: crypto.randomUUID() }, 'NOT_FOUND']])('%j is refused', async (input, code) => {
    expect((await api.query('john', set, input)).errors?.[0]?.extensions['code']).toBe(code);
    expect(await budgets()).toEqual([]);
    expect(await budgets('jane')).toEqual([]);
  });
});

test('usage is summed by model and by source', async () => {
  service.answer(says('hello'));
  const before = new Date().toISOString();
  await save('usage-model', model());
  await run(await workflowOf({ source: 'usage-model' }));
  const usage = async (by: string): Promise<object[]> => (await api.data('john', `query ($from: Datetime!) { usage(from: $from, to: "2200-01-01T00:00:00Z", by: ${by}) { nodes { model sourceName executions tokens cost cacheHits } } }`
    .replace('"2200-01-01T00:00:00Z"', `"${new Date(Date.now() + 3_600_000).toISOString()}"`), { from: before })).usage.nodes;
  const numbers = { executions: '1', tokens: '2000', cost: '0.0125000000', cacheHits: '0' };
  expect(await usage('MODEL')).toEqual([{ model: 'gpt-4o', sourceName: null, ...numbers }]);
  expect(await usage('SOURCE')).toEqual([{ model: null, sourceName: 'usage-model', ...numbers }]);
});

describe('fallbacks', () => {
  test('another source answers when the first cannot be used; the row says which', async () => {
    service.answer((request, response) => (request.url.startsWith('/v1') ? response.writeHead(503).end('overloaded') : says('from the second')(request, response)));
    await save('second', model({ base_url: `${service.url()}/other/v1`, model: 'gpt-4o-mini' }));
    const nowhere = await save('nowhere', model());
    const id = await workflowOf({ source: 'first' }, [{ id: 'first', kind: 'llm', config: model({ fallback: ['nowhere', 'second'], circuit_breaker: false }) }]);
    const remove = 'mutation ($id: UUID!, $force: Boolean) { deleteSource(input: {id: $id, force: $force}) { source { status } } }';
    expect((await api.query('john', remove, { id: nowhere })).errors?.[0]?.extensions['code']).toBe('SOURCE_IN_USE');
    await api.data('john', remove, { id: nowhere, force: true });
    const row = await run(id);
    expect(row).toMatchObject({ status: 'completed', final_state: { text_result: 'from the second' } });
    expect(nodeOf(row)).toMatchObject({ source_name: 'second', model: 'gpt-4o-mini', attempts: 1 });
    const lines = nodeOf(row).logs!.map(({ message }) => message).join('\n');
    expect(lines).toContain("answered 503: overloaded (SOURCE_UNAVAILABLE); the source 'nowhere' is asked instead");
    expect(lines).toContain("there is no active source 'nowhere'. (SOURCE_MISSING); the source 'second' is asked instead");
  });

  test('when none can be used, the failure of the first is told; what a source refuses is not asked elsewhere', async () => {
    service.answer((request, response) => void response.writeHead(request.url.startsWith('/v1') ? 502 : 402).end());
    const second = { id: 'second', kind: 'llm', config: model({ base_url: `${service.url()}/other/v1` }) };
    const first = { id: 'first', kind: 'llm', config: model({ circuit_breaker: false }), fallback: ['second'] };
    expect(await run(await workflowOf({ source: 'first' }, [first, second]))).toMatchObject({ status: 'failed', error_code: 'SOURCE_UNAVAILABLE', error_message: expect.stringContaining("source 'first' (model gpt-4o) answered 502") as string });
    service.answer((request, response) => (request.url.startsWith('/v1') ? void response.writeHead(400).end('no') : says('never')(request, response)));
    expect(await run(await workflowOf({ source: 'first' }, [first, second]))).toMatchObject({ error_code: 'SOURCE_FAILED' });
  });
});

test('a circuit opens for all workers, one call tries the source out, and one that works closes it', async () => {
  service.answer((_request, response) => void response.writeHead(500).end());
  const id = await save('shaky', { base_url: service.url(), circuit_breaker: { failures: 3, seconds: 60 } }, 'API');
  const workflow = await workflowOf({ source: 'shaky', path: '/x' }, [], 'api');
  for (let each = 0; each < 3; each += 1) expect(await run(workflow)).toMatchObject({ status: 'failed', error_code: 'SOURCE_UNAVAILABLE' });
  const asked = service.requests.length;
  const rows = await Promise.all(Array.from({ length: 6 }, () => run(workflow)));
  expect(rows.map(({ error_code: code }) => code)).toEqual(Array.from({ length: 6 }, () => 'SOURCE_PAUSED'));
  expect(rows[0]!.error_message).toMatch(/^Node 'ask' failed: .*source 'shaky' is not called: it failed 3 times in a row, and is tried out again in \d+ s/);
  expect(service.requests.length).toBe(asked);
  const circuit = async (): Promise<string> => (await api.data('john', 'query ($id: UUID!) { source(id: $id) { circuit } }', { id })).source.circuit;
  expect(await circuit()).toBe('OPEN');
  service.answer((_request, response) => void response.writeHead(200).end());
  const trial = 'mutation ($id: UUID!) { testSource(input: {id: $id}) { ok code circuit } }';
  expect((await api.data('john', trial, { id })).testSource).toEqual({ ok: true, code: null, circuit: 'CLOSED' });
});

test('after its time a circuit lets one call through, and opens again when that fails', async () => {
  service.answer((_request, response) => void response.writeHead(500).end());
  const id = await save('slow-to-heal', { base_url: service.url(), circuit_breaker: { failures: 1, seconds: 60 } }, 'API');
  const workflow = await workflowOf({ source: 'slow-to-heal', path: '/x' }, [], 'api');
  await run(workflow);
  const ripen = (): Promise<unknown> => api.db.owner.query("update app_private.source_circuits set retry_at = now() - interval '1 s' where source_key = 'saved:slow-to-heal'");
  await ripen();
  expect((await api.data('john', 'query ($id: UUID!) { source(id: $id) { circuit } }', { id })).source.circuit).toBe('HALF_OPEN');
  const asked = service.requests.length;
  const codes = (await Promise.all(Array.from({ length: 5 }, () => run(workflow)))).map(({ error_code: code }) => code);
  expect(service.requests.length).toBe(asked + 1);
  expect(codes.filter((code) => code === 'SOURCE_UNAVAILABLE')).toHaveLength(1);
  service.answer((_request, response) => void response.writeHead(200).end());
  await ripen();
  expect((await run(workflow)).status).toBe('completed');
  expect((await run(workflow)).status).toBe('completed');
  expect((await api.db.owner.query("select from app_private.source_circuits where source_key = 'saved:slow-to-heal'")).rows).toEqual([]);
});

test('refusals and full queues do not open a circuit', async () => {
  let status = 401;
  service.answer((_request, response) => void response.writeHead(status).end());
  const workflow = await workflowOf({ source: 'm' }, [{ id: 'm', kind: 'llm', config: model({ model: 'refusing', circuit_breaker: { failures: 1 } }) }]);
  for (status of [401, 402, 404, 429]) expect((await run(workflow)).error_code).not.toBe('SOURCE_PAUSED');
});

describe('kept answers', () => {
  test('a model is asked once; a hit costs nothing and is recorded', async () => {
    service.answer(says('kept'));
    await save('keeping', model({ cache: { ttl_seconds: 600 } }));
    const id = await workflowOf({ source: 'keeping' });
    const first = await run(id);
    expect(nodeOf(first)).toMatchObject({ is_cached: false, tokens_used: 2_000 });
    const asked = service.requests.length;
    const second = await run(id);
    expect(second).toMatchObject({ status: 'completed', final_state: { text_result: 'kept' }, tokens_used: 0, cost: '0.0000' });
    expect(nodeOf(second)).toMatchObject({ is_cached: true, source_name: 'keeping', model: 'gpt-4o' });
    expect(service.requests.length).toBe(asked);
    expect((await api.db.owner.query('select hits from app_private.kept_answers where source_name = $1', ['keeping'])).rows).toEqual([{ hits: 1 }]);
    // Another question, the same words of an inline source, and a time that is over: each asks.
    await run(await workflowOf({ source: 'keeping', prompt: 'and {question}' }));
    await run(await workflowOf({ source: 'keeping' }, [{ id: 'keeping', kind: 'llm', config: model({ cache: { ttl_seconds: 600 } }) }]));
    await api.db.owner.query("update app_private.kept_answers set expires_at = now() where source_name = 'keeping'");
    await run(id);
    expect(service.requests.length).toBe(asked + 3);
  });

  test('the tenant is in the key', async () => {
    service.answer(says('for acme'));
    const spec = { nodes: [{ id: 'ask', type: 'llm', metadata: { prompt: 'same', source: 'm' } }], edges: [], sources: [{ id: 'm', kind: 'llm', config: model({ cache: true }) }], start_node: 'ask' };
    const runAs = async (caller: string): Promise<ExecutionRow> => {
      const { createWorkflow } = await api.data(caller, 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "same", spec: $spec}}) { workflow { id } } }', { spec });
      return run(createWorkflow.workflow.id, await api.headersOf(caller));
    };
    await runAs('john');
    service.answer(says('for globex'));
    expect((await runAs('admin@globex.example')).final_state).toMatchObject({ text_result: 'for globex' });
    expect((await runAs('john')).final_state).toMatchObject({ text_result: 'for acme' });
  });

  test('of services, only what reads and went well is kept', async () => {
    let count = 0;
    service.answer((request, response) => {
      count += 1;
      response.writeHead(request.url === '/gone' ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ count }));
    });
    await save('kept-api', { base_url: service.url(), cache: 60 }, 'API');
    const counts = async (metadata: object): Promise<unknown[]> => {
      const id = await workflowOf({ source: 'kept-api', ...metadata }, [], 'api');
      const bodyOf = async (): Promise<unknown> => ((await run(id)).final_state!['api_result'] as { body: { count: number } }).body.count;
      return [await bodyOf(), await bodyOf()];
    };
    expect(await counts({ path: '/a' })).toEqual([1, 1]);
    expect(await counts({ path: '/a', method: 'POST' })).toEqual([2, 3]);
    expect(await counts({ path: '/gone' })).toEqual([4, 5]);
  });
});
