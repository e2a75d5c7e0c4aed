/** The API, a worker and a model server in this process, on a database of their own: what a client of AgentFlow has. */
import type { RunningWorker, WorkerSettings } from '../../src/runtime/index.ts';
import { startApi, type Data, type TestApi } from './api.ts';
import { startModelServer, type ModelReply, type ModelRequest, type ModelServer } from './model-server.ts';
import { keepingLog, startTestWorker } from './worker.ts';

export interface Platform extends TestApi {
  models: ModelServer;
  /** What the model answers; replaced by tests. */
  reply: (request: ModelRequest) => ModelReply | Promise<ModelReply>;
  /** Publishes a workflow as the sample admin; gives its id. */
  publish(spec: object, name?: string): Promise<string>;
  execute(workflowId: string, initialState: object): Promise<string>;
  /** Asks again and again until `isReached`; throws with what it last was after 20 seconds. */
  until(id: string, isReached: (execution: Data) => boolean): Promise<Data>;
  /** Publishes, executes and waits for the end. */
  run(spec: object, initialState: object): Promise<Data>;
}

const executionFields = `id status initialState finalState errorCode errorMessage errorNodeId metrics tokensUsed cost isTest depth
  retryOf { id } parentExecution { id } childExecutions { nodes { id status } }
  nodeExecutions(orderBy: SEQUENCE_NUMBER_ASC) { nodes {
    nodeId nodeType status attempts sequenceNumber finishOrder input output errorCode errorMessage tokensUsed cost waitTime waitReason waitUntil waitDetails logs startedAt completedAt } }`;

/** Call at the top of a test file. */
export function usePlatform(settings: (api: TestApi) => Partial<WorkerSettings> | Promise<Partial<WorkerSettings>> = () => ({})): Platform {
  const platform = {} as Platform;
  let worker: RunningWorker;
  beforeAll(async () => {
    const models = await startModelServer((request) => platform.reply(request));
    const api = await startApi();
    worker = await startTestWorker(api.db, { llmGateway: { url: models.url, key: 'gateway-key' }, ...await settings(api) }, keepingLog());
    Object.assign(platform, api, clientOf(api), { models, reply: ({ prompt }: ModelRequest) => `answer to ${prompt}` });
  });
  afterAll(async () => {
    await worker.close(5_000);
    await platform.server.close(1_000);
    await platform.models.close();
    await platform.db.drop();
  });
  return platform;
}

let names = 0;

function clientOf(api: TestApi): Pick<Platform, 'publish' | 'execute' | 'until' | 'run'> {
  const client: Pick<Platform, 'publish' | 'execute' | 'until' | 'run'> = {
    async publish(spec, name = `workflow ${(names += 1)}`) {
      const { createWorkflow } = await api.data('john', 'mutation ($name: String!, $spec: JSON!) { createWorkflow(input: {workflow: {name: $name, spec: $spec}}) { workflow { id } } }', { name, spec });
      const { id } = createWorkflow.workflow;
      await api.data('john', 'mutation ($id: UUID!) { publishWorkflow(input: {id: $id}) { workflow { status } } }', { id });
      return id as string;
    },
    async execute(workflowId, initialState) {
      const { executeWorkflow } = await api.data('john', 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: {workflowId: $id, initialState: $state}) { execution { id } } }', { id: workflowId, state: initialState });
      return executeWorkflow.execution.id as string;
    },
    async until(id, isReached) {
      const deadline = performance.now() + 90_000;
      for (;;) {
        const { execution } = await api.data('john', `query ($id: UUID!) { execution(id: $id) { ${executionFields} } }`, { id });
        if (isReached(execution)) return execution;
        if (performance.now() > deadline) throw new Error(`The execution did not get there: ${JSON.stringify(execution)}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    run: async (spec, initialState) => client.until(await client.execute(await client.publish(spec), initialState), isOver),
  };
  return client;
}

export const isOver = ({ status }: Data): boolean => ['COMPLETED', 'FAILED', 'CANCELLED'].includes(status);

export const nodeOf = (execution: Data, nodeId: string): Data => execution.nodeExecutions.nodes.find((node: Data) => node.nodeId === nodeId);
