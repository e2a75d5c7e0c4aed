/** Flows and their executions as rows, read as the user of the transaction. */
import type pg from 'pg';
import type { JsonObject, NodeStatus } from '../engine/types.ts';

export interface FlowRow {
  id: string;
  name: string;
  description: string | null;
  isActive: boolean;
  version: number;
  startTask: string;
  definition: JsonObject;
  updatedAt: Date;
}

const columns = `id, name, description, is_active = 1 as "isActive", version, start_task as "startTask", definition, updated_at as "updatedAt"`;

/** By name. */
export async function listFlows(client: pg.ClientBase): Promise<FlowRow[]> {
  const { rows } = await client.query<FlowRow>(`select ${columns} from app_public.flows where deleted_at is null order by name, id`);
  return rows;
}

/** The one with that id first, then those of that name. */
export async function findFlows(client: pg.ClientBase, idOrName: string): Promise<FlowRow[]> {
  const { rows } = await client.query<FlowRow>(
    `select ${columns} from app_public.flows where deleted_at is null and (id = $1 or name = $1) order by id <> $1, id`, [idOrName]);
  return rows;
}

export interface FlowVersionRow {
  version: number;
  createdAt: Date;
  createdBy: string | null;
}

/** Newest first. */
export async function listFlowVersions(client: pg.ClientBase, id: string): Promise<FlowVersionRow[]> {
  const { rows } = await client.query<FlowVersionRow>(
    `select version.version, version.created_at as "createdAt", author.email as "createdBy"
       from app_public.flow_versions as version
       left join app_public.users as author on author.id = version.created_by
      where version.flow_id = $1 order by version.version desc`, [id]);
  return rows;
}

export async function readFlowTasks(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ names: string[] }>('select app_public.flow_tasks() as names');
  return rows[0]!.names;
}

export async function startFlow(client: pg.ClientBase, flowId: string, context: JsonObject, key: string | null, priority = 0): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select id::text as id from app_public.execute_flow($1, $2, $3, $4)', [flowId, JSON.stringify(context), key, priority]);
  return rows[0]!.id;
}

export interface TaskView {
  task: string;
  sequence: number;
  /** As a node's. */
  status: NodeStatus;
  attempts: number;
  /** From start to end; null until it has ended. */
  seconds: number | null;
  errorCode: string | null;
  errorMessage: string | null;
  startedAt: Date;
  logs: { at: string; level: string; message: string }[];
}

export interface FlowExecutionView {
  id: string;
  flowId: string;
  flow: string;
  version: number;
  status: 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILURE' | 'COMPLETED';
  seconds: number | null;
  inputContext: JsonObject;
  outputData: JsonObject | null;
  errorCode: string | null;
  errorMessage: string | null;
  errorTask: string | null;
  tasksExecuted: number;
  definition: JsonObject;
  tasks: TaskView[];
}

/** Null when the user sees no such flow execution. */
export async function readFlowExecution(client: pg.ClientBase, id: string): Promise<FlowExecutionView | null> {
  const { rows } = await client.query<FlowExecutionView>(
    `select execution.id::text as id, execution.flow_id as "flowId", flow.name as flow, execution.flow_version as version, execution.status,
            extract(epoch from execution.completed_at - execution.started_at)::float8 as seconds, execution.input_context as "inputContext",
            execution.output_data as "outputData", execution.error_code as "errorCode", execution.error_message as "errorMessage",
            execution.error_task as "errorTask", execution.total_tasks_executed as "tasksExecuted", execution.definition,
            coalesce((
              select jsonb_agg(jsonb_build_object('task', task.task_name, 'sequence', task.sequence_number, 'attempts', task.attempts,
                'status', case task.status when 'SUCCESS' then 'completed' when 'FAILURE' then 'failed' else 'running' end,
                'seconds', extract(epoch from task.completed_at - task.started_at), 'errorCode', task.error_code, 'errorMessage', task.error_message,
                'startedAt', task.started_at, 'logs', coalesce(task.logs, '[]')) order by task.sequence_number)
                from app_public.task_executions as task
               where task.tenant_id = execution.tenant_id and task.flow_execution_id = execution.id), '[]') as tasks
       from app_public.flow_executions as execution
       left join app_public.flows as flow on flow.tenant_id = execution.tenant_id and flow.id = execution.flow_id
      where execution.id = $1`, [id]);
  const [row] = rows;
  return row === undefined ? null : { ...row, flow: row.flow ?? row.flowId, tasks: row.tasks.map((task) => ({ ...task, startedAt: new Date(task.startedAt) })) };
}
