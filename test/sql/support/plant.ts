/** Two tenants with a row in every table of `app_public`, written by the owner without any settings. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';

export interface PlantedTenant {
  id: string;
  slug: string;
  /** One user of each role. */
  users: Record<RoleOfUser, string>;
  workflowId: string;
  versionId: string;
  executionId: string;
  sourceId: string;
  apiKeyId: string;
  flowId: string;
  flowExecutionId: string;
}

export const rolesOfUsers = ['viewer', 'operator', 'developer', 'architect', 'admin'] as const;
export type RoleOfUser = (typeof rolesOfUsers)[number];

export const smallestSpec = { nodes: [{ id: 'input', type: 'input' }], edges: [], queues: [], sources: [], start_node: 'input' };

/** The definition of a flow of that id and name: one task, `first`. */
export function smallestFlow(id: string, name: string = id): object {
  return { id, name, start_task: 'first', tasks: [{ name: 'first' }], conditions: [] };
}

/** `client` acts as agentflow_owner. The execution is finished, so that no worker is asked for anything. */
export async function plantTenant(client: pg.ClientBase): Promise<PlantedTenant> {
  const slug = `t-${randomUUID().slice(0, 8)}`;
  const tenantId = await one<string>(client, 'insert into app_public.tenants (slug, name) values ($1, $1) returning id', [slug]);
  const users = {} as Record<RoleOfUser, string>;
  for (const role of rolesOfUsers) users[role] = await plantUser(client, tenantId, role);
  const owner = users.architect;
  const workflowId = await one<string>(client,
    'insert into app_public.workflows (name, spec, user_id, tenant_id) values ($1, $2, $3, $4) returning id', [`workflow of ${slug}`, smallestSpec, owner, tenantId]);
  const versionId = await one<string>(client, 'select id from app_public.workflow_versions where workflow_id = $1', [workflowId]);
  const executionId = await plantExecution(client, { tenantId, workflowId, userId: owner });
  await client.query(`
    insert into app_public.node_executions (execution_id, node_id, execution_created_at, tenant_id, node_type, status)
    select id, 'input', created_at, tenant_id, 'input', 'pending' from app_public.executions where id = $1`, [executionId]);
  const sourceId = await one<string>(client,
    `insert into app_public.sources (name, kind, config, user_id, tenant_id) values ($1, 'llm', '{"model_name": "gpt-4"}', $2, $3) returning id`,
    [`source of ${slug}`, owner, tenantId]);
  const apiKeyId = await one<string>(client,
    `insert into app_public.api_keys (name, key_hash, permissions, user_id, tenant_id) values ('key', $1, '{"workflows": ["read"]}', $2, $3) returning id`,
    [randomUUID(), owner, tenantId]);
  await client.query(`
    insert into app_public.access_links (tenant_id, kind, email, role, token_hash, expires_at)
    values ($1, 'invitation', $2, 'viewer', $3, now() + interval '1 day')`, [tenantId, `invited-${slug}@example.com`, `token of ${slug}`]);
  const flowId = `flow-of-${slug}`;
  await client.query(`insert into app_public.flows (tenant_id, id, name, start_task, definition) values ($1, $2, $2, 'first', $3)`, [tenantId, flowId, smallestFlow(flowId)]);
  const flowExecutionId = await one<string>(client,
    `insert into app_public.flow_executions (tenant_id, flow_id, user_id, definition) values ($1, $2, $3, '{}') returning id`, [tenantId, flowId, owner]);
  await client.query(`
    insert into app_public.task_executions (tenant_id, flow_execution_id, task_name, sequence_number, error_traceback)
    values ($1, $2, 'first', 1, 'at secret.ts:1')`, [tenantId, flowExecutionId]);
  return { id: tenantId, slug, users, workflowId, versionId, executionId, sourceId, apiKeyId, flowId, flowExecutionId };
}

export async function plantUser(client: pg.ClientBase, tenantId: string, role: RoleOfUser): Promise<string> {
  return one<string>(client,
    `insert into app_public.users (email, name, password_hash, tenant_id, role) values ($1, $2, '$2b$12$planted', $3, $2) returning id`,
    [`${role}-${randomUUID()}@example.com`, role, tenantId]);
}

export interface NewExecution {
  tenantId: string;
  workflowId: string;
  userId: string;
  /** `completed` when left out. */
  status?: 'pending' | 'running' | 'completed' | 'failed' | 'cancelled';
}

export async function plantExecution(client: pg.ClientBase, { tenantId, workflowId, userId, status = 'completed' }: NewExecution): Promise<string> {
  const isFinished = !['pending', 'running'].includes(status);
  return one<string>(client, `
    insert into app_public.executions (tenant_id, workflow_id, user_id, status, initial_state, completed_at, error_message)
    values ($1, $2, $3, $4, '{}', $5, $6) returning id`,
  [tenantId, workflowId, userId, status, isFinished ? new Date() : null, status === 'failed' ? 'it failed' : null]);
}

/** The first column of the only row. */
export async function one<T>(client: pg.ClientBase, sql: string, values: unknown[] = []): Promise<T> {
  const { rows } = await client.query<Record<string, T>>(sql, values);
  if (rows.length !== 1) throw new Error(`Expected one row, got ${rows.length}: ${sql}`);
  return Object.values(rows[0]!)[0]!;
}
