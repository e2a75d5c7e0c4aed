/** Workflows and their versions as rows, read and written as the user of the transaction. */
import type pg from 'pg';
import type { JsonObject } from '../engine/types.ts';

export interface WorkflowRow {
  id: string;
  name: string;
  description: string | null;
  status: 'draft' | 'published' | 'archived';
  version: number;
  spec: JsonObject;
  updatedAt: Date;
}

export interface VersionRow {
  version: number;
  spec: JsonObject;
  createdAt: Date;
  createdBy: string | null;
}

const columns = 'id, name, description, status, version, spec, updated_at as "updatedAt"';
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** By name; those that are in use first. */
export async function listWorkflows(client: pg.ClientBase): Promise<WorkflowRow[]> {
  const { rows } = await client.query<WorkflowRow>(
    `select ${columns} from app_public.workflows where deleted_at is null order by status = 'archived', name, created_at, id`);
  return rows;
}

/** All of that name, or the one with that id; published ones first, archived ones last. */
export async function findWorkflows(client: pg.ClientBase, nameOrId: string): Promise<WorkflowRow[]> {
  const { rows } = await client.query<WorkflowRow>(
    `select ${columns} from app_public.workflows
      where deleted_at is null and (name = $1 or id = $2::uuid)
      order by array_position(array['published', 'draft', 'archived']::text[], status::text), created_at desc, id`,
    [nameOrId, uuid.test(nameOrId) ? nameOrId : null]);
  return rows;
}

export interface WorkflowText {
  name: string;
  description: string | null;
  spec: JsonObject;
}

/** A draft. */
export async function insertWorkflow(client: pg.ClientBase, { name, description, spec }: WorkflowText): Promise<WorkflowRow> {
  const { rows } = await client.query<WorkflowRow>(
    `insert into app_public.workflows (name, description, spec) values ($1, $2, $3) returning ${columns}`, [name, description, JSON.stringify(spec)]);
  return rows[0]!;
}

/** Null when the user may not change it. Throws VERSION_CONFLICT when it is not at `version` any more. */
export async function updateWorkflow(client: pg.ClientBase, id: string, version: number, { name, description, spec }: WorkflowText): Promise<WorkflowRow | null> {
  const { rows } = await client.query<WorkflowRow>(
    `update app_public.workflows set name = $3, description = $4, spec = $5, version = $2 where id = $1 returning ${columns}`,
    [id, version, name, description, JSON.stringify(spec)]);
  return rows[0] ?? null;
}

export async function publishWorkflow(client: pg.ClientBase, id: string): Promise<void> {
  await client.query('select app_public.publish_workflow($1)', [id]);
}

/** Soft. */
export async function deleteWorkflow(client: pg.ClientBase, id: string): Promise<void> {
  await client.query('select app_public.delete_workflow($1)', [id]);
}

/** The new present version, with the spec of an earlier one. */
export async function restoreVersion(client: pg.ClientBase, id: string, version: number): Promise<WorkflowRow> {
  const { rows } = await client.query<WorkflowRow>(`select ${columns} from app_public.restore_workflow_version($1, $2)`, [id, version]);
  return rows[0]!;
}

/** Newest first. */
export async function listVersions(client: pg.ClientBase, workflowId: string): Promise<VersionRow[]> {
  const { rows } = await client.query<VersionRow>(
    `select version.version, version.spec, version.created_at as "createdAt", author.email as "createdBy"
       from app_public.workflow_versions as version
       left join app_public.users as author on author.id = version.created_by
      where version.workflow_id = $1 order by version.version desc`, [workflowId]);
  return rows;
}

export async function startExecution(client: pg.ClientBase, workflowId: string, input: JsonObject, key: string | null, priority = 0): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select id from app_public.execute_workflow($1, $2, $3, $4)', [workflowId, JSON.stringify(input), key, priority]);
  return rows[0]!.id;
}

/** A test run of one node on a given state. */
export async function startNodeTest(client: pg.ClientBase, workflowId: string, nodeId: string, state: JsonObject): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select id from app_public.test_node($1, $2, $3)', [workflowId, nodeId, JSON.stringify(state)]);
  return rows[0]!.id;
}

/** Throws PERMISSION_DENIED, naming the right and who has it. */
export async function demandRight(client: pg.ClientBase, right: string): Promise<void> {
  await client.query('select app_private.demand($1)', [right]);
}
