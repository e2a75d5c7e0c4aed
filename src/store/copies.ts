/** Copies of workflows, made as the caller. */
import type { ReadingClient } from './workflow-checks.ts';

/** The id of the copy. */
export async function copyWorkflow(client: ReadingClient, id: string): Promise<string> {
  const { rows: [row] } = await client.query<{ id: string }>({ text: 'select id from app_public.copy_workflow($1::uuid)', values: [id] });
  return row!.id;
}
