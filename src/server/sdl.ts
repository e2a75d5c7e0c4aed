/** The GraphQL schema as text: what clients generate code from, and what shows every change of the API in a review. */
import pg from 'pg';
import { makeSchema } from 'postgraphile';
import { lexicographicSortSchema, printSchema } from 'postgraphile/graphql';
import { schemaPreset } from './preset.ts';

/** Sorted by name, so that it changes only when the API does. `databaseUrl`: any login that may become agentflow_user. */
export async function printSdl(databaseUrl: string): Promise<string> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2, pipeline: true });
  try {
    const { schema, resolvedPreset } = await makeSchema(schemaPreset(pool));
    for (const service of resolvedPreset.pgServices ?? []) await service.release?.();
    return `${printSchema(lexicographicSortSchema(schema))}\n`;
  } finally {
    await pool.end();
  }
}
