/** The main job with real processes: start, execute over the API, watch, stop, start again; a kill in the middle loses nothing. */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { attachEmbedded } from '../../src/embedded/index.ts';
import { identifyProcess, waitForEnd } from '../../src/embedded/processes.ts';
import { startService, type Service } from '../support/cli.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { openClient, watch } from '../support/subscriptions.ts';
import { preparedDataDir } from './support/data-folder.ts';
import { sampleWorkflow, signIn, until, type ApiClient } from './support/client.ts';

/** Each of these starts AgentFlow at least once, on a machine that may be busy. */
const slow = 180_000;

const execute = `mutation ($workflowId: UUID!, $state: JSON!) {
  executeWorkflow(input: { workflowId: $workflowId, initialState: $state }) { execution { id status } }
}`;
const readExecution = `query ($id: UUID!) { execution(id: $id) {
  status finalState metrics tokensUsed cost executionTime completedAt errorMessage
  nodeExecutions { nodes { sequenceNumber nodeId nodeType status attempts output tokensUsed } }
} }`;

let model: ModelServer;
/** While set, models are asked and do not answer. */
let isSilent = false;
let place: Awaited<ReturnType<typeof preparedDataDir>>;
const services: Service[] = [];

beforeAll(async () => {
  place = await preparedDataDir();
  model = await startModelServer(({ prompt }) => (isSilent ? new Promise<never>(() => undefined) : `An answer to: ${prompt}`));
}, slow);
afterAll(async () => {
  for (const { launcher, finished } of services) {
    launcher.kill('SIGTERM');
    await finished;
  }
  await model.close();
  place.remove();
}, slow);

const serverFile = (): string => path.join(place.dataDir, 'server.json');

async function start(): Promise<Service> {
  const service = await startService(['start'], place.dataDir, { AGENTFLOW_LLM_GATEWAY_URL: model.url });
  services.push(service);
  return service;
}

async function accept(john: ApiClient, question: string): Promise<string> {
  const { executeWorkflow } = await john.data(execute, { workflowId: sampleWorkflow, state: { user_input: question } });
  expect(executeWorkflow.execution.status).toBe('PENDING');
  return executeWorkflow.execution.id;
}

async function read(john: ApiClient, id: string): Promise<any> {
  return (await john.data(readExecution, { id })).execution;
}

/** An execution whose model was asked, does not answer, and is shown as running. */
async function inTheMiddle({ info }: Service, question: string): Promise<string> {
  isSilent = true;
  const john = await signIn(info, 'john@');
  const id = await accept(john, question);
  await until(() => read(john, id), ({ nodeExecutions: { nodes } }) => nodes.some((node: any) => node.nodeId === 'llm' && node.status === 'RUNNING'));
  await until(async () => model.requests.map(({ prompt }) => prompt), (prompts) => prompts.includes(question));
  return id;
}

const untilStatus = (john: ApiClient, id: string, status: string): Promise<any> => until(() => read(john, id), (execution) => execution.status === status);

function completed(question: string, attempts: number): object {
  const answer = `An answer to: ${question}`;
  const tokens = question.length + answer.length;
  const node = (sequenceNumber: number, nodeId: string, output: string, tokensUsed: number, tries: number): object =>
    ({ sequenceNumber, nodeId, nodeType: nodeId, status: 'COMPLETED', attempts: tries, output, tokensUsed });
  return {
    status: 'COMPLETED',
    errorMessage: null,
    completedAt: expect.any(String),
    finalState: { user_input: question, intent: 'text', text_result: answer, execution_path: ['input', 'router', 'llm'], tokens_used: tokens, cost: expect.any(Number), errors: [] },
    metrics: {
      tokens_used: tokens, cost: expect.any(Number), execution_time: expect.any(Number),
      node_execution_times: { input: expect.any(Number), router: expect.any(Number), llm: expect.any(Number) },
    },
    tokensUsed: tokens,
    cost: expect.stringMatching(/^0\.\d{4}$/),
    executionTime: expect.stringMatching(/^\d+\.\d{3}$/),
    nodeExecutions: { nodes: [node(1, 'input', question, 0, 1), node(2, 'router', 'text', 0, 1), node(3, 'llm', answer, tokens, attempts)] },
  };
}

describe('the sample workflow', () => {
  let first: string;

  test('runs from the API to its end, seen by a subscription, and leaves everything in the rows', async () => {
    const { info } = await start();
    expect(statSync(serverFile()).mode & 0o777).toBe(0o600);
    const john = await signIn(info, 'john@');
    first = await accept(john, 'Where is my order?');

    const seen: string[] = [];
    const opened = openClient(info.url, john.headers);
    const watching = watch(opened, `subscription ($id: UUID!) { executionUpdated(id: $id) { execution { status finalState } } }`, { id: first });
    while (seen.at(-1) !== 'COMPLETED') seen.push((await watching.next()).data.executionUpdated.execution.status);
    watching.stop();
    await opened.client.dispose();

    expect(await read(john, first)).toEqual(completed('Where is my order?', 1));
    // The gateway stands in for every provider, and is asked for the source's own model.
    expect(model.requests.map((request) => [request.model, request.prompt])).toEqual([['gpt-4', 'Where is my order?']]);
  }, slow);

  test('is still there after a stop and a second start', async () => {
    const running = services.at(-1)!;
    const postgres = attachEmbedded(place.dataDir)!.pid;
    running.launcher.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
    expect([existsSync(serverFile()), identifyProcess(postgres)]).toEqual([false, null]);

    const { info } = await start();
    expect(info.samples).toEqual(running.info.samples);
    expect(await read(await signIn(info, 'john@'), first)).toEqual(completed('Where is my order?', 1));
  }, slow);

  test('is finished by the next start when everything was killed in the middle of a node', async () => {
    const running = services.at(-1)!;
    const postgres = attachEmbedded(place.dataDir)!.pid;
    const id = await inTheMiddle(running, 'Who are you?');
    process.kill(running.info.pid, 'SIGKILL');
    // null: the launcher has gone on as the service. 137: it tells of the service's end.
    expect([null, 137]).toContain((await running.finished).code);
    expect(await waitForEnd(postgres, 20_000)).toBe(true);

    isSilent = false;
    const { info } = await start();
    const john = await signIn(info, 'john@');
    expect(await untilStatus(john, id, 'COMPLETED')).toEqual(completed('Who are you?', 2));
    expect(await read(john, first)).toEqual(completed('Where is my order?', 1));
  }, slow);

  test('is given back by a stop in the middle of a node, and finished by the next start', async () => {
    const running = services.at(-1)!;
    const id = await inTheMiddle(running, 'Are you there?');
    running.launcher.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
    expect(model.aborted()).toBeGreaterThan(0);

    isSilent = false;
    const { info } = await start();
    expect(await untilStatus(await signIn(info, 'john@'), id, 'COMPLETED')).toMatchObject({ errorMessage: null, finalState: { text_result: 'An answer to: Are you there?' } });
  }, slow);
});
