/** Questions about rows of any table of the API, asked as the caller. */
import { escapeIdentifier } from 'pg';
import type { ReadingClient } from './workflow-checks.ts';

/** `table`: a table of `app_public` with an `id`. */
export async function isRowVisible(client: ReadingClient, table: string, id: string): Promise<boolean> {
  const { rows } = await client.query({ text: `select from app_public.${escapeIdentifier(table)} where id = $1`, values: [id] });
  return rows.length > 0;
}

/** Throws PERMISSION_DENIED, naming the right and who has it, unless the caller has it. */
export async function demandRight(client: ReadingClient, right: string): Promise<void> {
  await client.query({ text: 'select app_private.demand($1)', values: [right] });
}
