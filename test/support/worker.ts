/** A worker in this process, on a test database. */
import type { Metrics } from '../../src/metrics.ts';
import { startWorker, type RunningWorker, type WorkerLog, type WorkerSettings } from '../../src/runtime/index.ts';
import type { TestDatabase } from './database.ts';

export const plainSettings: WorkerSettings = {
  workerConcurrency: 10, sourceVariables: [], sourceValues: {}, allowHosts: [], llmGateway: null, mockLlm: null, testTasks: null,
};

export interface LoggedLine { level: string; details: object; message: string }

/** Keeps what is logged at level warn and error. */
export function keepingLog(): WorkerLog & { lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const keep = (level: string) => (details: object, message: string): void => {
    lines.push({ level, details, message });
  };
  return { lines, debug: () => undefined, info: () => undefined, warn: keep('warn'), error: keep('error') };
}

export async function startTestWorker(database: TestDatabase, settings: Partial<WorkerSettings>, log: WorkerLog = keepingLog(), metrics?: Metrics): Promise<RunningWorker> {
  return startWorker({ config: { ...plainSettings, ...settings }, workerUrl: database.url('agentflow_worker'), log, ...(metrics === undefined ? {} : { metrics }) });
}

export interface ExecutionRow {
  id: string;
  status: string;
  final_state: Record<string, unknown> | null;
  error_code: string | null;
  error_message: string | null;
  error_node_id: string | null;
  metrics: Record<string, unknown> | null;
  tokens_used: number;
  cost: string;
  execution_time: string | null;
  nodes: { node_id: string; status: string; attempts: number; output: unknown; input: unknown; error_code: string | null; error_message: string | null; sequence_number: number | null; finish_order: number | null; logs: { message: string }[] | null; wait_time: string; wait_reason: string | null }[];
}

export async function readExecution(database: TestDatabase, id: string): Promise<ExecutionRow> {
  const { rows } = await database.owner.query<ExecutionRow>(`
    select e.*, coalesce((select jsonb_agg(to_jsonb(n) order by n.sequence_number nulls last) from node_executions n where n.execution_id = e.id), '[]') as nodes
      from executions e where e.id = $1`, [id]);
  return rows[0]!;
}

/** Reads the execution again and again until `isReached`; throws with what it last was after `seconds`. */
export async function untilExecution(database: TestDatabase, id: string, isReached: (row: ExecutionRow) => boolean, seconds = 90): Promise<ExecutionRow> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const row = await readExecution(database, id);
    if (isReached(row)) return row;
    if (performance.now() > deadline) throw new Error(`The execution did not get there: ${JSON.stringify(row)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const untilOver = (database: TestDatabase, id: string, seconds?: number): Promise<ExecutionRow> =>
  untilExecution(database, id, ({ status }) => ['completed', 'failed', 'cancelled'].includes(status), seconds);
