/** What the worker writes and reads of flow executions, and its form in SQL. */
import type { Json, JsonObject } from '../engine/types.ts';
import type { LeaseRef } from './rows.ts';

/** A row of `task_executions`. */
export interface TaskRow {
  task: string;
  description: string | null;
  sequence: number;
  status: 'RUNNING' | 'SUCCESS' | 'FAILURE';
  attempts: number;
  /** The context before the task. */
  input: JsonObject;
  output: Json | undefined;
  error: { code: string; message: string } | null;
  traceback: string | null;
  wait: { reason: string; until: string | null; details: JsonObject } | null;
  logs: JsonObject[] | null;
  /** Milliseconds since 1970, by the database's clock. */
  startedMs: number | null;
  completedMs: number | null;
}

/** A row as it is read back after a crash or a wait, or taken over by a retry. */
export interface StoredTask {
  task_name: string;
  sequence_number: number;
  status: 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILURE';
  attempts: number;
  output_data: Json;
  error_code: string | null;
  error_message: string | null;
  wait_reason: string | null;
  wait_until: string | null;
  wait_details: JsonObject | null;
  /** Of tasks that have not finished only. */
  logs: JsonObject[] | null;
  started_ms: number;
}

/** A flow execution that this worker holds. `executionId` is the UUID by which the engine knows it. */
export interface ClaimedFlow extends LeaseRef {
  /** `flow_executions.id`. */
  flowExecutionId: string;
  losses: number;
  tenantId: string;
  tenantSlug: string;
  userId: string;
  /** The database's clock at the claim. */
  nowMs: number;
  /** Seconds since a worker first took it. */
  ageSeconds: number;
  /** As JSON text. */
  definition: string;
  inputContext: JsonObject;
  /** What test tasks answer, by task. */
  script: JsonObject | null;
  /** Null on the first attempt, unless tasks were taken over. */
  tasks: StoredTask[] | null;
  /** Does the database show it as running? */
  isBegun: boolean;
}

export interface FlowEnding {
  status: 'COMPLETED' | 'FAILURE';
  outputData: JsonObject | null;
  tasksExecuted: number;
  error: { code: string; message: string; task: string | null } | null;
}

/** How the workflow fares that a task runs. */
export interface FlowChild {
  executionId: string;
  status: string;
  finalState: JsonObject | null;
  errorMessage: string | null;
}

/** One task row as the JSON object that `app_private.write_tasks` reads. */
export function taskRowJson(lease: LeaseRef, row: TaskRow): string {
  return JSON.stringify({
    execution_id: lease.executionId,
    attempt: lease.attempt,
    task_name: row.task,
    task_description: row.description,
    sequence_number: row.sequence,
    status: row.status,
    attempts: row.attempts,
    input_data: row.input,
    output_data: row.output,
    error_code: row.error?.code,
    error_message: row.error?.message,
    error_traceback: row.traceback,
    wait_reason: row.wait?.reason,
    wait_until: row.wait?.until,
    wait_details: row.wait?.details,
    logs: row.logs,
    started_ms: row.startedMs,
    completed_ms: row.completedMs,
  });
}

export function flowEndingJson(lease: LeaseRef, ending: FlowEnding): string {
  return JSON.stringify({
    execution_id: lease.executionId,
    attempt: lease.attempt,
    status: ending.status,
    output_data: ending.outputData,
    total_tasks_executed: ending.tasksExecuted,
    error_code: ending.error?.code,
    error_message: ending.error?.message,
    error_task: ending.error?.task,
  });
}

/** What a claim of a flow execution answers. */
export interface FlowClaimRow {
  id: string;
  flow_execution_id: string;
  attempt: number;
  losses: number;
  tenant_id: string;
  tenant_slug: string;
  user_id: string;
  now_ms: number;
  age_seconds: number;
  definition: string;
  input_context: JsonObject | null;
  script: JsonObject | null;
  tasks: StoredTask[] | null;
  is_begun: boolean;
}

export function claimedFlow(row: FlowClaimRow): ClaimedFlow {
  return {
    executionId: row.id, attempt: row.attempt, createdAt: '', flowExecutionId: row.flow_execution_id, losses: row.losses,
    tenantId: row.tenant_id, tenantSlug: row.tenant_slug, userId: row.user_id, nowMs: row.now_ms, ageSeconds: row.age_seconds,
    definition: row.definition, inputContext: row.input_context ?? {}, script: row.script, tasks: row.tasks, isBegun: row.is_begun,
  };
}
