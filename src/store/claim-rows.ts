/** What a claim of an execution answers. */
import type { JsonObject } from '../engine/types.ts';
import type { ClaimedExecution, StoredNode } from './rows.ts';

export interface ExecutionClaimRow {
  id: string;
  attempt: number;
  losses: number;
  tenant_id: string;
  user_id: string;
  workflow_id: string;
  workflow_version_id: string;
  created_at: string;
  now_ms: number;
  driven_seconds: number;
  initial_state: JsonObject;
  nodes: StoredNode[] | null;
  parent_execution_id: string | null;
  only_node_id: string | null;
  repeats: { execution_id: string; from_node: string | null; nodes: StoredNode[] } | null;
  caps: Record<string, number> | null;
  is_begun: boolean;
}

export function claimedExecution(row: ExecutionClaimRow): ClaimedExecution {
  return {
    executionId: row.id, attempt: row.attempt, createdAt: row.created_at, losses: row.losses, tenantId: row.tenant_id, userId: row.user_id,
    workflowId: row.workflow_id, versionId: row.workflow_version_id, nowMs: row.now_ms, drivenSeconds: row.driven_seconds,
    initialState: row.initial_state, nodes: row.nodes, parentId: row.parent_execution_id, onlyNodeId: row.only_node_id, caps: row.caps, isBegun: row.is_begun,
    repeats: row.repeats === null ? null : { executionId: row.repeats.execution_id, fromNode: row.repeats.from_node, nodes: row.repeats.nodes },
  };
}
