/**
 * What the API is made of is asked for before the code is loaded that asks: PostgreSQL needs for its answer about as long as that takes.
 */
import pg from 'pg';
import { makeIntrospectionQuery } from 'postgraphile/graphile-build-pg/pg-introspection';
import { type Answers, questionOf, schemaSettings } from './schema-answers.ts';

/**
 * Connects as `authenticatorUrl` says (login of agentflow_authenticator), and returns what sends the question at once. Nothing is known when it
 * cannot be answered: whoever makes the API then asks by itself, and tells why not.
 */
export async function openQuestion(authenticatorUrl: string): Promise<() => Promise<Answers>> {
  const client = new pg.Client({ connectionString: authenticatorUrl, application_name: 'agentflow server' });
  client.on('error', () => undefined);
  const isOpen = await client.connect().then(() => true, () => false);
  return () => (isOpen ? ask(client) : Promise.resolve({}));
}

/** One transaction, as a pooler between us and the database needs it. */
async function ask(client: pg.Client): Promise<Answers> {
  const text = makeIntrospectionQuery();
  try {
    const results = await client.query(`begin; set local role ${client.escapeIdentifier(schemaSettings.role)}; ${text}; commit`) as unknown as pg.QueryResult[];
    return { [questionOf({ text })]: results[2]!.rows };
  } catch {
    return {};
  } finally {
    client.end().catch(() => undefined);
  }
}
