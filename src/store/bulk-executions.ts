/** Cancelling and repeating many executions as one statement. */
import type { ReadingClient } from './workflow-checks.ts';

const statements = {
  cancel: 'select app_public.cancel_executions($1::uuid[]) as ids',
  retry: 'select app_public.retry_executions($1::uuid[]) as ids',
} as const;

export type BulkChange = keyof typeof statements;

/** A tagged template that makes SQL, and what it makes. */
type Sql<Fragment> = (texts: TemplateStringsArray, ...parts: Fragment[]) => Fragment;

/** Which executions can be changed at all. `row`: how the statement calls them. */
export function candidates<Fragment>(sql: Sql<Fragment>, change: BulkChange, row: Fragment): Fragment {
  if (change === 'cancel') return sql`${row}.deleted_at is null and ${row}.completed_at is null`;
  return sql`${row}.deleted_at is null and ${row}.status in ('failed', 'cancelled') and not exists (
    select from app_public.executions as later where later.tenant_id = ${row}.tenant_id and later.retry_of_execution_id = ${row}.id)`;
}

/** The ids of those that were cancelled, or of the new executions. */
export async function changeExecutions(client: ReadingClient, change: BulkChange, ids: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ ids: string[] }>({ text: statements[change], values: [ids] });
  return rows[0]!.ids;
}
