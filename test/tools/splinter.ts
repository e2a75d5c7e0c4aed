/**
 * Supabase's splinter asks its questions of a database of theirs: what they ask for by name is made for the while, in a transaction that
 * is taken back. Its roles `anon` and `authenticated` are our visitors and users.
 */
import type pg from 'pg';

export interface SplinterRow {
  name: string;
  level: string;
  detail: string;
}

/** `client` is a superuser; `sql` is splinter.sql, or some of its queries. Findings about our schemas only. */
export async function splinterFindings(client: pg.ClientBase, sql: string): Promise<SplinterRow[]> {
  await client.query('begin');
  try {
    await client.query(`
      create role anon in role agentflow_visitor;
      create role authenticated in role agentflow_user;
      create schema auth; create table auth.users (id uuid primary key);
      set local pgrst.db_schemas = 'app_public'`);
    const results = [await client.query(sql)].flat() as { rows: SplinterRow[] }[];
    return results.flatMap(({ rows }) => rows).filter(({ detail }) => /\bapp_(public|private)\b/.test(detail ?? ''));
  } finally {
    await client.query('rollback');
  }
}
