/** What the worker writes and reads, and its form in SQL. Money is in units of 1e-10 US dollars, an integer. */
import type { Json, JsonObject, NodeStatus } from '../engine/types.ts';

/** A row of `node_executions`. */
export interface NodeRow {
  nodeId: string;
  nodeType: string;
  sequence: number | null;
  finishOrder: number | null;
  attempts: number;
  status: NodeStatus;
  input: Json | undefined;
  output: Json | undefined;
  writes: JsonObject | null;
  routeTarget: string | null;
  error: { code: string; message: string } | null;
  tokens: number;
  costUnits: number;
  waitSeconds: number;
  wait: { reason: string; until: string | null; details: JsonObject } | null;
  logs: JsonObject[] | null;
  /** Milliseconds since 1970, by the database's clock. */
  startedMs: number | null;
  completedMs: number | null;
  /** The source and the model that answered. */
  sourceName?: string | null;
  model?: string | null;
  /** Every answer came from the cache of its source. */
  isCached?: boolean;
  /** What a model has said so far. */
  partialOutput?: string | null;
  /** An earlier form of it was written, or may be on its way. */
  mayExist?: boolean;
}

/** A row as it is read back after a crash or a wait. */
export interface StoredNode {
  node_id: string;
  status: NodeStatus;
  sequence_number: number | null;
  finish_order: number | null;
  attempts: number;
  output: Json;
  writes: JsonObject | null;
  route_target: string | null;
  error_code: string | null;
  error_message: string | null;
  tokens_used: number;
  /** US dollars, as text: `0.0012000000`. */
  cost: string;
  wait_reason: string | null;
  wait_until: string | null;
  wait_details: JsonObject | null;
  /** Of nodes that have not finished only: seconds waited before the present wait, and log lines. */
  wait_time?: number | null;
  logs?: JsonObject[] | null;
  started_ms: number | null;
  completed_ms: number | null;
  /** Of executions that are tried again only. */
  input?: Json;
}

/** An execution that this worker holds; names the lease in every write. */
export interface LeaseRef {
  executionId: string;
  attempt: number;
  /** `executions.created_at` with all its digits: part of the key of node rows. */
  createdAt: string;
}

export interface ClaimedExecution extends LeaseRef {
  /** Workers that died while they ran it, since its last progress. */
  losses: number;
  tenantId: string;
  userId: string;
  workflowId: string;
  versionId: string;
  /** The database's clock at the claim. */
  nowMs: number;
  /** How long it was driven under earlier claims. */
  drivenSeconds: number;
  initialState: JsonObject;
  /** Null on the first attempt. */
  nodes: StoredNode[] | null;
  /** The execution whose node waits for this one. */
  parentId: string | null;
  /** The only node to run: a test of one node. */
  onlyNodeId: string | null;
  /** What is tried again, and from which node (null: where it failed). */
  repeats: { executionId: string; fromNode: string | null; nodes: StoredNode[] } | null;
  /** The tenant's bounds for executions, under the names of a document's `limits`. */
  caps: Record<string, number> | null;
  /** Marked as running already. */
  isBegun: boolean;
}

export interface Ending {
  status: 'completed' | 'failed' | 'cancelled';
  finalState: JsonObject;
  metrics: JsonObject;
  tokens: number;
  /** US dollars, rounded to 4 places. */
  cost: number;
  error: { code: string; message: string; nodeId: string | null } | null;
}

const unitsPerDollar = 10_000_000_000;

export function costText(units: number): string {
  const whole = Math.floor(units / unitsPerDollar);
  return `${whole}.${String(Math.round(units - whole * unitsPerDollar)).padStart(10, '0')}`;
}

export function costUnits(text: string): number {
  const [whole = '0', fraction = ''] = text.split('.');
  return Number(whole) * unitsPerDollar + Number(fraction.padEnd(10, '0').slice(0, 10));
}

/** One node row as the JSON object that `app_private.write_nodes` reads. What is null, none or the rule is left out: it would be read for every row. */
export function nodeRowJson(lease: LeaseRef, row: NodeRow): string {
  return JSON.stringify({
    execution_id: lease.executionId,
    attempt: lease.attempt,
    execution_created_at: lease.createdAt,
    node_id: row.nodeId,
    node_type: row.nodeType,
    sequence_number: row.sequence ?? undefined,
    finish_order: row.finishOrder ?? undefined,
    attempts: row.attempts === 1 ? undefined : row.attempts,
    status: row.status,
    input: row.input ?? undefined,
    output: row.output ?? undefined,
    writes: row.writes ?? undefined,
    route_target: row.routeTarget ?? undefined,
    error_code: row.error?.code,
    error_message: row.error?.message,
    tokens_used: row.tokens === 0 ? undefined : row.tokens,
    cost: row.costUnits === 0 ? undefined : costText(row.costUnits),
    wait_time: row.waitSeconds === 0 ? undefined : row.waitSeconds,
    wait_reason: row.wait?.reason,
    wait_until: row.wait?.until ?? undefined,
    wait_details: row.wait?.details,
    logs: row.logs ?? undefined,
    started_ms: row.startedMs ?? undefined,
    completed_ms: row.completedMs ?? undefined,
    source_name: row.sourceName ?? undefined,
    model: row.model ?? undefined,
    is_cached: row.isCached === true ? true : undefined,
    partial_output: row.partialOutput ?? undefined,
    may_exist: row.mayExist === true ? true : undefined,
  });
}

export function endingJson(lease: LeaseRef, ending: Ending): string {
  return JSON.stringify({
    execution_id: lease.executionId,
    status: ending.status,
    final_state: ending.finalState,
    metrics: ending.metrics,
    tokens_used: ending.tokens,
    cost: ending.cost,
    error_code: ending.error?.code,
    error_message: ending.error?.message,
    error_node_id: ending.error?.nodeId,
  });
}
