/** Flows through the API, with a worker in this process that answers for their tasks from scripts. */
import type { RunningWorker } from '../../src/runtime/index.ts';
import { startApi, type Answer, type TestApi } from './api.ts';
import { keepingLog, startTestWorker, type LoggedLine } from './worker.ts';

export interface TaskExecutionRow {
  taskName: string;
  sequenceNumber: number;
  status: string;
  attempts: number;
  inputData: Record<string, unknown> | null;
  outputData: unknown;
  errorCode: string | null;
  errorMessage: string | null;
  errorTraceback: string | null;
  logs: { level: string; message: string }[] | null;
}

export interface FlowExecutionRow {
  id: string;
  status: string;
  flowVersion: number;
  inputContext: unknown;
  outputData: Record<string, unknown> | null;
  errorCode: string | null;
  errorMessage: string | null;
  errorTask: string | null;
  totalTasksExecuted: number;
  definition: Record<string, unknown>;
  startedAt: string;
  completedAt: string | null;
  taskExecutions: { nodes: TaskExecutionRow[] };
}

export interface TestFlows {
  api: TestApi;
  worker: RunningWorker;
  logged: LoggedLine[];
}

/** Names that begin with `ghost` have no task; every other one is answered from the script, unless a file has it and `pattern` says so. */
export const scriptedPattern = '^(?!ghost)';

export function useFlows(pattern: string | null = scriptedPattern): TestFlows {
  const flows = {} as TestFlows;
  beforeAll(async () => {
    const log = keepingLog();
    const api = await startApi();
    const worker = await startTestWorker(api.db, { testTasks: { pattern }, allowHosts: [] }, log);
    Object.assign(flows, { api, worker, logged: log.lines });
  });
  afterAll(async () => {
    await flows.worker.close(5_000);
    await flows.api.server.close(1_000);
    await flows.api.db.drop();
  });
  return flows;
}

export interface Definition {
  id: string;
  name: string;
  start_task: string;
  tasks: object[];
  conditions?: object[];
  [key: string]: unknown;
}

export async function createFlow(api: TestApi, definition: Definition, as = 'architect'): Promise<Answer> {
  const { id, name, start_task: startTask } = definition;
  return api.query(as, 'mutation ($flow: FlowInput!) { createFlow(input: { flow: $flow }) { flow { id isActive version } } }', { flow: { id, name, startTask, definition } });
}

/** Creates the flow, which is active then, and executes it; gives the id of the execution. */
export async function startFlow(api: TestApi, definition: Definition, context: object = {}): Promise<string> {
  const { errors } = await createFlow(api, definition);
  if (errors) throw new Error(JSON.stringify(errors));
  return executeFlow(api, definition.id, context);
}

export async function executeFlow(api: TestApi, flowId: string, context: object = {}): Promise<string> {
  const { executeFlow: started } = await api.data('operator', 'mutation ($flowId: String!, $context: JSON!) { executeFlow(input: { flowId: $flowId, inputContext: $context }) { flowExecution { id status } } }',
    { flowId, context });
  if (typeof started.flowExecution.id !== 'string') throw new Error('A BigInt is a text in JSON.');
  return started.flowExecution.id as string;
}

const fields = `id status flowVersion inputContext outputData errorCode errorMessage errorTask totalTasksExecuted definition startedAt completedAt
  taskExecutions { nodes { taskName sequenceNumber status attempts inputData outputData errorCode errorMessage errorTraceback logs } }`;

export async function readFlowExecution(api: TestApi, id: string, as = 'operator'): Promise<FlowExecutionRow> {
  const { flowExecution } = await api.data(as, `query ($id: BigInt!) { flowExecution(id: $id) { ${fields} } }`, { id });
  return flowExecution as FlowExecutionRow;
}

/** Reads it again and again until `isReached`; throws with what it last was after `seconds`. */
export async function untilFlow(api: TestApi, id: string, isReached: (row: FlowExecutionRow) => boolean, seconds = 90): Promise<FlowExecutionRow> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const row = await readFlowExecution(api, id);
    if (isReached(row)) return row;
    if (performance.now() > deadline) throw new Error(`The flow execution did not get there: ${JSON.stringify(row)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const untilFlowOver = (api: TestApi, id: string, seconds?: number): Promise<FlowExecutionRow> =>
  untilFlow(api, id, ({ completedAt }) => completedAt !== null, seconds);

/** The next one of a chain on success; any failure ends the flow. */
export function chain(id: string, tasks: readonly string[], more: Record<string, unknown> = {}): Definition {
  return {
    id, name: id, start_task: tasks[0]!, tasks: tasks.map((name) => ({ name })),
    conditions: tasks.slice(1).map((next, index) => ({
      name: `after ${tasks[index]!}`, source_task: tasks[index]!, outcome: 'success', target_task_success: next, target_task_failure: 'end',
    })),
    ...more,
  };
}
