/** Nodes behind queues: they wait their turn, in place or without a worker, and it shows. */
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';
import type { Data } from '../support/api.ts';

const platform = usePlatform();

function limited(bandwidth: object): object {
  return {
    nodes: [{ id: 'input', type: 'input' }, { id: 'a', type: 'llm', metadata: { source: 'm', prompt: 'ask {user_input}', retry: { initial_seconds: 0.01 } } }],
    edges: [{ from: 'input', to: 'a', queue: 'q' }], queues: [{ id: 'q', from: 'input', to: 'a', bandwidth }],
    sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'input',
  };
}

async function startMany(spec: object, count: number): Promise<string[]> {
  const workflowId = await platform.publish(spec);
  const inputs = Array.from({ length: count }, (_, index) => ({ workflowId, initialState: { user_input: String(index) } }));
  const { executeWorkflows } = await platform.data('john', 'mutation ($inputs: [WorkflowStartInput!]!) { executeWorkflows(input: {inputs: $inputs}) { executions { id } } }', { inputs });
  return executeWorkflows.executions.map(({ id }: Data) => id);
}

beforeEach(() => {
  platform.models.requests.length = 0;
  platform.reply = ({ prompt }) => `answer to ${prompt}`;
});

test('a short wait is waited in place and recorded', async () => {
  const ids = await startMany(limited({ max_messages_per_second: 10, burst_size: 1 }), 5);
  const all = await Promise.all(ids.map((id) => platform.until(id, isOver)));
  expect(all.map(({ status }) => status)).toEqual(ids.map(() => 'COMPLETED'));
  expect(all.map((execution) => Number(nodeOf(execution, 'a').waitTime)).filter((seconds) => seconds > 0)).toHaveLength(4);
  expect(platform.models.requests).toHaveLength(5);
});

test('a long wait gives the worker back and shows as rate limited; each is asked once, in the end', async () => {
  const ids = await startMany(limited({ max_messages_per_second: 2, burst_size: 1 }), 6);
  const late = await Promise.race(ids.map((id) => platform.until(id, (execution) => nodeOf(execution, 'a')?.status === 'RATE_LIMITED' && nodeOf(execution, 'a').waitUntil !== null)));
  expect(nodeOf(late, 'a')).toMatchObject({ waitReason: 'rate_limit', waitDetails: { queue: 'q' }, attempts: 0 });
  const all = await Promise.all(ids.map((id) => platform.until(id, isOver)));
  expect(all.map(({ status }) => status)).toEqual(ids.map(() => 'COMPLETED'));
  expect(all.map((execution) => nodeOf(execution, 'a').attempts)).toEqual(ids.map(() => 1));
  expect(platform.models.requests.map(({ prompt }) => prompt).sort()).toEqual(ids.map((_, index) => `ask ${index}`));
});

test('every try goes through the queue', async () => {
  let tries = 0;
  platform.reply = () => ((tries += 1) < 3 ? { status: 503, text: 'busy' } : 'fine');
  const [id] = await startMany(limited({ max_requests_per_minute: 40, burst_size: 1 }), 1);
  const over = await platform.until(id!, isOver);
  expect(nodeOf(over, 'a')).toMatchObject({ status: 'COMPLETED', attempts: 3 });
  expect(Number(nodeOf(over, 'a').waitTime)).toBeGreaterThan(0);
});

test('the repair of an answer goes through the queue as well, and a long wait before it gives the worker back', async () => {
  platform.reply = () => (platform.models.requests.length === 1 ? 'no JSON, with a NUL: \0' : '{"fine": true}');
  const spec = limited({ max_requests_per_minute: 12 }) as { nodes: { metadata?: object }[] };
  Object.assign(spec.nodes[1]!.metadata!, { response_format: 'json' });
  const [id] = await startMany(spec, 1);
  const waiting = await platform.until(id!, (execution) => nodeOf(execution, 'a')?.status === 'RATE_LIMITED' && nodeOf(execution, 'a').waitUntil !== null);
  expect(nodeOf(waiting, 'a').waitDetails).toMatchObject({ queue: 'q', kept: { answer: 'no JSON, with a NUL: \uFFFD' } });
  const over = await platform.until(id!, isOver);
  expect(over).toMatchObject({ status: 'COMPLETED', finalState: { text_result: { fine: true } } });
  expect(platform.models.requests.map(({ prompt }) => prompt.includes('no JSON'))).toEqual([false, true]);
  expect(nodeOf(over, 'a')).toMatchObject({ attempts: 1, tokensUsed: over.tokensUsed });
  expect(over.tokensUsed).toBeGreaterThan(platform.models.requests.length);
  expect(nodeOf(over, 'a').logs.map(({ message }: Data) => message)).toEqual([expect.stringContaining('asking for a repair'), expect.stringContaining('first answer was not as asked')]);
  expect(Number(nodeOf(over, 'a').waitTime)).toBeGreaterThan(1);
});

test('a long Retry-After gives the worker back; the next try is counted, and the lines of the first stay', async () => {
  platform.reply = () => (platform.models.requests.length === 1 ? { status: 429, text: 'slow down', headers: { 'retry-after': '5' } } : 'fine');
  const [id] = await startMany({ ...limited({ max_messages_per_second: 100 }), queues: [], edges: [{ from: 'input', to: 'a' }] }, 1);
  const waiting = await platform.until(id!, (execution) => nodeOf(execution, 'a')?.status === 'WAITING');
  expect(nodeOf(waiting, 'a')).toMatchObject({ attempts: 1, waitReason: 'retry', waitDetails: { tries: 1, message: expect.stringContaining('429') } });
  const hasJob = async (): Promise<boolean> => (await platform.db.owner.query('select from graphile_worker.jobs where key = $1', [id])).rowCount === 1;
  while (await hasJob()) await new Promise((resolve) => setTimeout(resolve, 20));
  const over = await platform.until(id!, isOver);
  expect(nodeOf(over, 'a')).toMatchObject({ status: 'COMPLETED', attempts: 2, output: 'fine', logs: [expect.objectContaining({ message: expect.stringContaining('try 1 failed') })] });
  expect(platform.models.requests).toHaveLength(2);
});

test('a node on a path that the queue does not stand on is not held up', async () => {
  const spec = {
    nodes: [
      { id: 'input', type: 'input' }, { id: 'by', type: 'transform', metadata: { expression: '1' } }, { id: 'through', type: 'transform', metadata: { expression: '1', output_key: 'other' } },
      { id: 'a', type: 'transform', metadata: { expression: "'done'", output_key: 'result' } },
    ],
    edges: [{ from: 'input', to: 'through', condition: "user_input == 'queue'" }, { from: 'input', to: 'by', default: true }, { from: 'by', to: 'a' }, { from: 'through', to: 'a' }],
    queues: [{ id: 'q', from: 'through', to: 'a', bandwidth: { max_requests_per_minute: 1 } }], start_node: 'input',
  };
  const workflowId = await platform.publish(spec);
  for (let count = 0; count < 3; count += 1) {
    const over = await platform.until(await platform.execute(workflowId, { user_input: 'free' }), isOver);
    expect(over).toMatchObject({ status: 'COMPLETED', finalState: { result: 'done' } });
    expect(Number(nodeOf(over, 'a').waitTime)).toBe(0);
  }
  await platform.until(await platform.execute(workflowId, { user_input: 'queue' }), isOver);
  const second = await platform.execute(workflowId, { user_input: 'queue' });
  expect(nodeOf(await platform.until(second, (execution) => nodeOf(execution, 'a')?.status === 'RATE_LIMITED'), 'a')).toMatchObject({ waitDetails: { queue: 'q' } });
  await platform.data('john', 'mutation ($id: UUID!) { cancelExecution(input: {id: $id}) { execution { status } } }', { id: second });
  expect(nodeOf(await platform.until(second, isOver), 'a')).toMatchObject({ status: 'CANCELLED' });
});

test('tokens that were used hold up those who come after', async () => {
  platform.reply = () => 'x'.repeat(100);
  const ids = await startMany(limited({ max_tokens_per_minute: 6_000 }), 3);
  expect((await platform.until(ids[0]!, isOver)).status).toBe('COMPLETED');
  const all = await Promise.all(ids.map((id) => platform.until(id, isOver)));
  expect(all.map(({ status }) => status)).toEqual(ids.map(() => 'COMPLETED'));
  const { rows: [bucket] } = await platform.db.owner.query(`select tokens < 0 as owes from app_private.rate_buckets where tokens is not null`);
  expect(bucket).toEqual({ owes: true });
});

test('the limits of the tenant are tighter than those of a document', async () => {
  const { rows: [tenant] } = await platform.db.owner.query(`update tenants set quotas = '{"max_nodes": 2}', settings = '{"limits": {"max_nodes": 1}}' where id = '123e4567-e89b-12d3-a456-426614174000' returning id`);
  const over = await platform.run(limited({ max_messages_per_second: 10 }), { user_input: 'x' });
  await platform.db.owner.query(`update tenants set quotas = '{}', settings = '{}' where id = $1`, [tenant.id]);
  expect(over).toMatchObject({ status: 'FAILED', errorCode: 'LIMIT_NODES' });
});
