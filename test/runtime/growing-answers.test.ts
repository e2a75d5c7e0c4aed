/** A streamed answer, watched by a subscriber. */
import { useApi } from '../support/api.ts';
import { useLocalServer } from '../support/sources.ts';
import { openClient, watch } from '../support/subscriptions.ts';
import { startTestWorker, untilOver } from '../support/worker.ts';

const service = useLocalServer();
const api = useApi();

test('an answer is seen growing, in few steps, without secrets, and is whole at the end', async () => {
  const secret = 'the-secret-of-the-stream-42';
  await api.data('john', 'mutation ($input: CreateSecretInput!) { createSecret(input: $input) { secret { name } } }', { input: { name: 'streaming', value: secret, hosts: ['127.0.0.1'] } });
  const worker = await startTestWorker(api.db, { allowHosts: [service.host()], secretKey: api.db.secretKey });
  const words: string[] = [];
  let more: () => void = () => undefined;
  service.answer((request, response) => {
    expect(JSON.parse(request.body)).toMatchObject({ stream: true });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const part = (delta: object, reason: string | null): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
    const say = (word: string): void => {
      words.push(word);
      response.write(part({ content: word }, null));
    };
    // It goes on until it was seen growing.
    const timer = setInterval(() => say(`word${words.length} `), 25);
    more = () => {
      more = () => undefined;
      clearInterval(timer);
      for (const word of [secret.slice(0, 10), secret.slice(10), ' end']) say(word);
      response.write(part({}, 'stop'));
      response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [], usage: { prompt_tokens: 7, completion_tokens: 43, total_tokens: 50 } })}\n\n`);
      response.end('data: [DONE]\n\n');
    };
  });
  const config = { provider: 'openai-compatible', base_url: `${service.url()}/v1`, model: 'gpt-4o', stream: true, api_key: { secret: 'streaming' } };
  await api.data('john', 'mutation ($config: JSON!) { createSource(input: {source: {name: "streaming", kind: LLM, config: $config}}) { source { id } } }', { config });
  const spec = { nodes: [{ id: 'ask', type: 'llm', metadata: { prompt: 'why?', source: 'streaming' } }], edges: [], start_node: 'ask' };
  const { createWorkflow } = await api.data('john', 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "streaming", spec: $spec}}) { workflow { id } } }', { spec });
  const { executeWorkflow } = await api.data('john', 'mutation ($id: UUID!) { executeWorkflow(input: {workflowId: $id, initialState: {}}) { execution { id } } }', { id: createWorkflow.workflow.id });
  const { id } = executeWorkflow.execution as { id: string };
  const connection = openClient(api.url, await api.headersOf('john'));
  const watching = watch(connection, 'subscription ($id: UUID!) { executionUpdated(id: $id) { execution { status finalState nodeExecutions { nodes { nodeId status partialOutput output } } } } }', { id });
  const partials: string[] = [];
  for (;;) {
    const { data } = await watching.next();
    const { status, finalState, nodeExecutions } = data.executionUpdated.execution;
    const partial: string | null = nodeExecutions.nodes[0]?.partialOutput ?? null;
    if (partial !== null) partials.push(partial);
    if (partials.length >= 2) more();
    if (status === 'COMPLETED') {
      expect(finalState.text_result).toBe(words.join('').replace(secret, '[redacted]'));
      expect(nodeExecutions.nodes[0]).toMatchObject({ status: 'COMPLETED', partialOutput: null });
      break;
    }
  }
  watching.stop();
  expect(partials.length).toBeGreaterThanOrEqual(2);
  for (const partial of partials) expect(words.join('').startsWith(partial) && !partial.includes(secret.slice(0, 4))).toBe(true);
  const row = await untilOver(api.db, id);
  await connection.client.dispose();
  await worker.close(2_000);
  expect(row).toMatchObject({ tokens_used: 50 });
});
