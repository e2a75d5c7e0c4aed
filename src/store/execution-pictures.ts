/** What a drawing of an execution needs, read as the caller. */
import type { ReadingClient } from './workflow-checks.ts';

export interface ExecutionPictureRow {
  id: string;
  /** The document that runs. */
  spec: unknown;
  /** By node id, of the nodes that have a row: status, seconds from start to end (null before the end), tokens. */
  nodes: Record<string, { status: string; seconds: number | null; tokens: number }>;
}

/** Executions that the caller cannot see, or whose version it cannot see, are left out. */
export async function readExecutionPictures(client: ReadingClient, executionIds: readonly string[]): Promise<ExecutionPictureRow[]> {
  const { rows } = await client.query<ExecutionPictureRow>({
    text: `select execution.id, version.spec,
                  coalesce((select jsonb_object_agg(node.node_id, jsonb_build_object('status', node.status, 'tokens', node.tokens_used,
                                                      'seconds', extract(epoch from node.completed_at - node.started_at)))
                              from app_public.node_executions node
                             where node.execution_id = execution.id and node.execution_created_at = execution.created_at), '{}') as nodes
             from app_public.executions execution
             join app_public.workflow_versions version on version.tenant_id = execution.tenant_id and version.id = execution.workflow_version_id
            where execution.id = any ($1::uuid[])`,
    values: [executionIds],
  });
  return [...rows];
}
