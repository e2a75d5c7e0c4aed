/** Executions and their nodes as rows, read as the user of the transaction. */
import type pg from 'pg';
import type { Json, JsonObject, NodeStatus } from '../engine/types.ts';

export type ExecutionStatus = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled';

export interface NodeView {
  nodeId: string;
  nodeType: string;
  status: NodeStatus;
  /** Order of starting; null for skipped ones. */
  sequence: number | null;
  attempts: number;
  tokens: number;
  /** US dollars. */
  cost: number;
  /** From start to end, waits included; null until it has ended. */
  seconds: number | null;
  waitSeconds: number;
  waitReason: string | null;
  waitUntil: Date | null;
  waitDetails: JsonObject | null;
  errorCode: string | null;
  errorMessage: string | null;
  startedAt: Date | null;
  logs: { at: string; level: string; message: string }[];
}

export interface ExecutionRow {
  id: string;
  workflowId: string;
  workflow: string;
  version: number;
  status: ExecutionStatus;
  isTest: boolean;
  createdAt: Date;
  completedAt: Date | null;
  /** Seconds; null until it has ended. */
  seconds: number | null;
  tokens: number;
  cost: number;
  errorCode: string | null;
  errorMessage: string | null;
  errorNodeId: string | null;
  retryOf: string | null;
  parent: string | null;
}

export interface ExecutionView extends ExecutionRow {
  initialState: JsonObject;
  finalState: JsonObject | null;
  /** In the order of starting, skipped ones last. */
  nodes: NodeView[];
}

const columns = `execution.id, execution.workflow_id as "workflowId", workflow.name as workflow, version.version, execution.status, execution.is_test as "isTest",
  execution.created_at as "createdAt", execution.completed_at as "completedAt", execution.execution_time::float8 as seconds, coalesce(execution.tokens_used, 0) as tokens,
  coalesce(execution.cost, 0)::float8 as cost, execution.error_code as "errorCode", execution.error_message as "errorMessage", execution.error_node_id as "errorNodeId",
  execution.retry_of_execution_id as "retryOf", execution.parent_execution_id as parent`;

const from = `from app_public.executions as execution
  join app_public.workflows as workflow on workflow.tenant_id = execution.tenant_id and workflow.id = execution.workflow_id
  join app_public.workflow_versions as version on version.tenant_id = execution.tenant_id and version.id = execution.workflow_version_id`;

export interface ExecutionFilter {
  status: string | null;
  workflowId: string | null;
  limit: number;
}

/** Newest first. */
export async function listExecutions(client: pg.ClientBase, { status, workflowId, limit }: ExecutionFilter): Promise<ExecutionRow[]> {
  const { rows } = await client.query<ExecutionRow>(
    `select ${columns} ${from}
      where execution.deleted_at is null and ($1::text is null or execution.status = $1) and ($2::uuid is null or execution.workflow_id = $2)
      order by execution.created_at desc, execution.id desc limit $3`, [status, workflowId, limit]);
  return rows;
}

/** Null when the user sees no such execution. */
export async function readExecution(client: pg.ClientBase, id: string): Promise<ExecutionView | null> {
  const { rows: [row] } = await client.query<Omit<ExecutionView, 'nodes'>>(
    `select ${columns}, execution.initial_state as "initialState", execution.final_state as "finalState" ${from}
      where execution.id = $1 and execution.deleted_at is null`, [id]);
  return row === undefined ? null : { ...row, nodes: await readNodes(client, id) };
}

async function readNodes(client: pg.ClientBase, executionId: string): Promise<NodeView[]> {
  const { rows } = await client.query<NodeView>(
    `select node.node_id as "nodeId", node.node_type as "nodeType", node.status, node.sequence_number as sequence, node.attempts, node.tokens_used as tokens,
            node.cost::float8 as cost, extract(epoch from node.completed_at - node.started_at)::float8 as seconds, node.wait_time::float8 as "waitSeconds",
            node.wait_reason as "waitReason", node.wait_until as "waitUntil", node.wait_details as "waitDetails", node.error_code as "errorCode",
            node.error_message as "errorMessage", node.started_at as "startedAt", coalesce(node.logs, '[]') as logs
       from app_public.node_executions as node
       join app_public.executions as execution on execution.id = node.execution_id and execution.created_at = node.execution_created_at
      where node.execution_id = $1
      order by node.sequence_number nulls last, node.finish_order, node.node_id`, [executionId]);
  return rows;
}

export async function readVersionSpec(client: pg.ClientBase, workflowId: string, version: number): Promise<Json> {
  const { rows } = await client.query<{ spec: Json }>('select spec from app_public.workflow_versions where workflow_id = $1 and version = $2', [workflowId, version]);
  return rows[0]?.spec ?? null;
}

export async function cancelExecution(client: pg.ClientBase, id: string): Promise<void> {
  await client.query('select app_public.cancel_execution($1)', [id]);
}

/** Id of the new execution. */
export async function retryExecution(client: pg.ClientBase, id: string, fromNode: string | null): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select id from app_public.retry_execution($1, $2)', [id, fromNode]);
  return rows[0]!.id;
}

export async function decideApproval(client: pg.ClientBase, decision: { executionId: string; nodeId: string; decision: string; comment: string | null }): Promise<void> {
  await client.query('select app_public.decide_approval($1, $2, $3, $4)', [decision.executionId, decision.nodeId, decision.decision, decision.comment]);
}

/** Is there a worker that showed itself in the last seconds? Asked by the owner. */
export async function hasLivingWorker(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ lives: boolean }>(`select exists (select from app_private.workers where heartbeat_at > now() - interval '30 s') as lives`);
  return rows[0]!.lives;
}
