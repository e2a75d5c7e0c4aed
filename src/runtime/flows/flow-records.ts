/** What the driver of executions writes, as rows of tasks and the end of a flow execution. */
import { flowContext } from '../../engine/index.ts';
import type { Json, JsonObject } from '../../engine/types.ts';
import type { FlowEnding, TaskRow } from '../../store/flow-rows.ts';
import type { Ending, NodeRow } from '../../store/rows.ts';
import type { ExecutionStore } from '../world.ts';
import type { FlowRun } from './flow-run.ts';
import type { TaskNotes } from './task-notes.ts';

/** Tasks that were passed by, and one that nobody has written, leave no row. */
function taskRows(rows: readonly NodeRow[], notes: TaskNotes, descriptions: ReadonlyMap<string, string | null>): TaskRow[] {
  return rows.filter(({ status, error }) => status !== 'skipped' && error?.code !== 'TASK_MISSING').map((row) => {
    const status = row.status === 'completed' ? 'SUCCESS' : row.completedMs === null ? 'RUNNING' : 'FAILURE';
    return {
      task: row.nodeId, description: descriptions.get(row.nodeId) ?? null, sequence: row.sequence!, status, attempts: row.attempts,
      input: notes.inputOf(row.nodeId), output: status === 'SUCCESS' ? row.output : undefined,
      error: row.error, traceback: status === 'FAILURE' ? notes.traceOf(row.nodeId) : null,
      wait: row.wait === null ? null : { ...row.wait, reason: 'execution_id' in row.wait.details ? 'child' : row.wait.reason },
      logs: row.logs, startedMs: row.startedMs, completedMs: row.completedMs,
    };
  });
}

function flowEnding({ status, error, finalState }: Ending): FlowEnding {
  const path = Array.isArray(finalState.execution_path) ? finalState.execution_path.map(String) : [];
  if (status === 'completed') return { status: 'COMPLETED', outputData: flowContext(finalState), tasksExecuted: path.length, error: null };
  const { code, message, nodeId } = error ?? { code: 'CANCELLED', message: 'cancelled', nodeId: null };
  return {
    status: 'FAILURE', outputData: null, tasksExecuted: path.length,
    error: { code, task: nodeId ?? path.at(-1) ?? null, message: taskMessage(finalState.errors, nodeId) ?? message.replace(/^the execution/, 'the flow').replace(/, after node /, ', after task ') },
  };
}

/** Null when it was no task that failed. */
function taskMessage(errors: Json | undefined, task: string | null): string | null {
  const failure = (Array.isArray(errors) ? errors as JsonObject[] : []).findLast(({ node }) => node === task);
  if (failure === undefined) return null;
  return failure.code === 'TASK_MISSING' ? String(failure.message) : `Task '${task!}' failed: ${String(failure.message)}`;
}

/** The store of the driver, on the tables of flows. */
export function flowStoreFor(run: FlowRun, others: ExecutionStore): ExecutionStore {
  const descriptions = new Map([...run.plan.nodes.values()].map(({ id, description }) => [id, description]));
  const rowsOf = (rows: NodeRow[]): TaskRow[] => taskRows(rows, run.notes, descriptions);
  return {
    findSource: (tenantId, name) => others.findSource(tenantId, name),
    checkpoint: (lease, rows, begins) => run.store.checkpoint(lease, rowsOf(rows), begins),
    finish: (lease, rows, ending) => run.store.finish(lease, rowsOf(rows), flowEnding(ending)),
    release: (lease, rows, runAt, begins) => run.store.release(lease, rowsOf(rows), runAt, begins),
  };
}
