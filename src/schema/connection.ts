/** Connection strings for the roles that migrating needs, all by the one login that DATABASE_URL gives. */
import pg from 'pg';

/** The same login, acting as `role` from the first statement on. */
export function actingAs(connectionString: string, role: string): string {
  const url = new URL(connectionString);
  const options = url.searchParams.get('options');
  url.searchParams.set('options', `${options ? `${options} ` : ''}-c role=${role}`);
  return url.toString();
}

export async function withClient<T>(connectionString: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString, application_name: 'agentflow schema' });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/**
 * Only one process at a time gets past this, per database; the others wait. Sessions hold it, so a killed process lets go.
 */
export async function withSchemaLock<T>(client: pg.Client, use: () => Promise<T>): Promise<T> {
  await client.query(`select pg_catalog.pg_advisory_lock(pg_catalog.hashtext('agentflow schema'))`);
  try {
    return await use();
  } finally {
    await client.query(`select pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('agentflow schema'))`);
  }
}
