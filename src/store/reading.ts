/** A node-postgres client in the shape that both it and PostGraphile's have. */
import type pg from 'pg';
import type { ReadingClient } from './workflow-checks.ts';

export function readingClient(client: pg.ClientBase): ReadingClient {
  return { query: async <Row>({ text, values }: { text: string; values?: unknown[] }) => ({ rows: (await client.query(text, values)).rows as Row[] }) };
}
