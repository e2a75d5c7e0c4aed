import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { findWorkflows, type WorkflowRow } from '../../store/workflow-rows.ts';

/** The one workflow meant by a name or an id. Names need not be unique: @throws AgentFlowError NOT_FOUND, USAGE when several could be meant. */
export async function findWorkflow(client: pg.ClientBase, nameOrId: string): Promise<WorkflowRow> {
  const found = await meantBy(client, nameOrId);
  if (found) return found;
  throw new AgentFlowError('NOT_FOUND', `There is no workflow ${nameOrId}.`, { remedy: 'agentflow workflow list shows what there is.' });
}

/** Null when there is none. Archived ones step back behind one that is in use. */
export async function meantBy(client: pg.ClientBase, nameOrId: string): Promise<WorkflowRow | null> {
  const all = await findWorkflows(client, nameOrId);
  const inUse = all.filter(({ status }) => status !== 'archived');
  const candidates = inUse.length > 0 ? inUse : all;
  if (candidates.length <= 1) return candidates[0] ?? null;
  throw new AgentFlowError('USAGE', `${candidates.length} workflows are called ${nameOrId}: ${candidates.map(({ id, status }) => `${id} (${status})`).join(', ')}.`, { remedy: 'Name one by its id, or rename the others.' });
}
