/** Who watches an execution is told of every node: that it runs, that it waits, how it ended. */
import type { Data } from '../support/api.ts';
import { usePlatform } from '../support/platform.ts';
import { openClient, watch, type Opened, type Watching } from '../support/subscriptions.ts';

const platform = usePlatform();
const opened: Opened[] = [];
afterAll(async () => {
  for (const { client } of opened) await client.dispose();
});

const subscription = `subscription ($id: UUID!) { executionUpdated(id: $id) { execution { id status
  nodeExecutions(orderBy: SEQUENCE_NUMBER_ASC) { nodes { nodeId status attempts waitReason output logs } } } } }`;

async function watching(id: string): Promise<Watching> {
  const connection = openClient(platform.url, await platform.headersOf('jane'));
  opened.push(connection);
  return watch(connection, subscription, { id });
}

/** Reads on until an event shows what is looked for, and gives that execution. */
async function told(events: Watching, isThere: (execution: Data, nodes: Record<string, Data>) => boolean): Promise<Data> {
  for (;;) {
    const event = await events.next();
    if (event === null) throw new Error('The subscription ended before.');
    const { execution } = event.data.executionUpdated;
    const nodes = Object.fromEntries(execution.nodeExecutions.nodes.map((node: Data) => [node.nodeId, node]));
    if (isThere(execution, nodes)) return execution;
  }
}

const llm = (id: string): object => ({ id, type: 'llm', metadata: { source: 'm', prompt: `ask ${id}`, output_key: id } });

test('each node of a chain and of parallel branches: running, ended, waiting for a decision', async () => {
  const gates = new Map(['a', 'b', 'c'].map((id) => [id, Promise.withResolvers<void>()]));
  platform.reply = async ({ prompt }) => {
    await gates.get(prompt.replace('ask ', ''))?.promise;
    return `answer to ${prompt}`;
  };
  const id = await platform.execute(await platform.publish({
    nodes: [llm('a'), llm('b'), llm('c'), { id: 'ok', type: 'approval', metadata: { message: 'Go on?' } }, { id: 'last', type: 'transform', metadata: { expression: 'approval.decision' } }],
    edges: [{ from: 'a', to: ['b', 'c'] }, { from: 'b', to: 'ok' }, { from: 'c', to: 'ok' }, { from: 'ok', to: 'last' }],
    sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'a',
  }), {});
  const events = await watching(id);
  await told(events, (_, { a }) => a?.status === 'RUNNING');
  gates.get('a')!.resolve();
  await told(events, (_, { a, b, c }) => a?.status === 'COMPLETED' && b?.status === 'RUNNING' && c?.status === 'RUNNING');
  gates.get('c')!.resolve();
  await told(events, (_, { b, c }) => c?.status === 'COMPLETED' && c.output === 'answer to ask c' && b?.status === 'RUNNING');
  gates.get('b')!.resolve();
  await told(events, (execution, { ok }) => execution.status === 'RUNNING' && ok?.status === 'WAITING' && ok.waitReason === 'approval');
  await platform.data('john', 'mutation ($id: UUID!) { decideApproval(input: {executionId: $id, nodeId: "ok", decision: "approved"}) { execution { id } } }', { id });
  const over = await told(events, ({ status }) => status === 'COMPLETED');
  expect(over.nodeExecutions.nodes.map(({ nodeId, status }: Data) => [nodeId, status])).toEqual(['a', 'b', 'c', 'ok', 'last'].map((node) => [node, 'COMPLETED']));
  events.stop();
});

test('a failure, what it skips, and lines of the log', async () => {
  platform.reply = () => ({ status: 503, text: 'busy' });
  const id = await platform.execute(await platform.publish({
    nodes: [
      { id: 'a', type: 'llm', metadata: { source: 'm', prompt: 'x', on_error: 'continue', retry: { max_attempts: 2, initial_seconds: 0.01 } } },
      { id: 'fine', type: 'transform', metadata: { expression: '1' } }, { id: 'sorry', type: 'transform', metadata: { expression: 'errors[0].code', output_key: 'sorry' } },
    ],
    edges: [{ from: 'a', to: 'fine', condition: 'error == null' }, { from: 'a', to: 'sorry', condition: 'error != null' }],
    sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'a',
  }), {});
  const events = await watching(id);
  const over = await told(events, ({ status }) => !['PENDING', 'RUNNING'].includes(status));
  expect(over.status).toBe('COMPLETED');
  const nodes = Object.fromEntries(over.nodeExecutions.nodes.map((node: Data) => [node.nodeId, node]));
  expect(nodes.a).toMatchObject({ status: 'FAILED', attempts: 2, logs: [{ level: 'warn', message: expect.stringContaining('try 1 failed') }] });
  expect(nodes).toMatchObject({ fine: { status: 'SKIPPED' }, sorry: { status: 'COMPLETED', output: 'SOURCE_UNAVAILABLE' } });
  events.stop();
});
