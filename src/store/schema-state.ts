/** What the database says of its own schema, to whoever serves from it. */
import type { Pool } from 'pg';

export interface SchemaStateRow {
  /** File name of the last committed migration it has, e.g. `000001.sql`; null without any. */
  last_migration: string | null;
  worker_schema: boolean;
}

export async function readSchemaState(db: Pool): Promise<SchemaStateRow> {
  const { rows } = await db.query<SchemaStateRow>({ name: 'schema_state', text: 'select * from app_private.schema_state()' });
  if (!rows[0]) throw new Error('schema_state returned no row');
  return rows[0];
}
