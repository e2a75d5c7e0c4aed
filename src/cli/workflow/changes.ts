/** What applying files would change in a tenant, and doing it. */
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { deleteWorkflow, insertWorkflow, listWorkflows, publishWorkflow, updateWorkflow, demandRight, type WorkflowRow } from '../../store/workflow-rows.ts';
import { isSame, type WorkflowFile } from './file.ts';
import { meantBy } from './find.ts';

export interface Change {
  kind: 'create' | 'update' | 'same' | 'delete';
  name: string;
  id: string | null;
  /** Before the change; 1 for what is created. */
  version: number;
  /** Before the change; draft for what is created. */
  status: WorkflowRow['status'];
  publishes: boolean;
  /** Null for what is deleted. */
  file: string | null;
}

/** Changes with what they need to be carried out, which is no news to anybody. */
const contents = new WeakMap<Change, WorkflowFile>();

export async function planChanges(client: pg.ClientBase, files: readonly WorkflowFile[], { publish, prune }: { publish: boolean; prune: boolean }): Promise<Change[]> {
  const changes: Change[] = [];
  for (const workflow of files) {
    const row = await meantBy(client, workflow.name);
    const change: Change = {
      kind: row === null ? 'create' : isSame(row, workflow) ? 'same' : 'update', name: workflow.name, id: row?.id ?? null, version: row?.version ?? 1,
      status: row?.status ?? 'draft', publishes: publish && row?.status !== 'published', file: workflow.file,
    };
    contents.set(change, workflow);
    changes.push(change);
  }
  if (!prune) return changes;
  const kept = new Set(changes.map(({ id }) => id));
  const left = (await listWorkflows(client)).filter(({ id, status }) => status !== 'archived' && !kept.has(id));
  return [...changes, ...left.map(({ id, name, version, status }): Change => ({ kind: 'delete', name, id, version, status, publishes: false, file: null }))];
}

/** @throws AgentFlowError for what the database refuses. Fills in the ids of what is created. */
export async function carryOut(client: pg.ClientBase, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    const workflow = contents.get(change);
    if (change.kind === 'delete') await deleteWorkflow(client, change.id!);
    else if (change.kind === 'create') change.id = (await insertWorkflow(client, workflow!)).id;
    else if (change.kind === 'update') await update(client, change, workflow!);
    if (change.publishes) await publishWorkflow(client, change.id!);
  }
}

async function update(client: pg.ClientBase, change: Change, workflow: WorkflowFile): Promise<void> {
  if (await updateWorkflow(client, change.id!, change.version, workflow)) return;
  await demandRight(client, 'workflows:write');
  throw new AgentFlowError('NOT_FOUND', `The workflow ${change.name} is gone.`);
}
