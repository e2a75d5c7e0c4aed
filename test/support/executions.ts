/** Workflows and executions put into a test database by its owner, as rows. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';

/** The tenant and the user of the seed document's sample rows. */
export const sampleTenant = '123e4567-e89b-12d3-a456-426614174000';
export const sampleUser = '550e8400-e29b-41d4-a716-446655440000';

export interface TestWorkflow {
  id: string;
  tenantId: string;
  userId: string;
}

/** A draft, so that anything may be in it. */
export async function insertWorkflow(owner: pg.Pool, spec: object, at: { tenantId: string; userId: string } = { tenantId: sampleTenant, userId: sampleUser }): Promise<TestWorkflow> {
  const { rows } = await owner.query<{ id: string }>('insert into workflows (name, spec, tenant_id, user_id) values ($1, $2, $3, $4) returning id',
    [`test ${randomUUID()}`, JSON.stringify(spec), at.tenantId, at.userId]);
  return { id: rows[0]!.id, ...at };
}

/** A pending execution of the workflow's present version; its job comes with it. */
export async function insertExecution(owner: pg.Pool, workflow: TestWorkflow, initialState: object): Promise<string> {
  const { rows } = await owner.query<{ id: string }>(
    `insert into executions (workflow_id, workflow_version_id, tenant_id, user_id, initial_state)
     select $1, version.id, $2, $3, $4 from workflow_versions as version where version.workflow_id = $1 order by version.version desc limit 1
     returning id`,
    [workflow.id, workflow.tenantId, workflow.userId, JSON.stringify(initialState)]);
  if (rows[0] === undefined) throw new Error(`Workflow ${workflow.id} has no version.`);
  return rows[0].id;
}
