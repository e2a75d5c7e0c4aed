/** Stored secrets as their tenant sees them, and the artifacts of its executions: each statement as the caller. */
import type { JsonObject } from '../engine/types.ts';

export interface AskingClient {
  query<Row>(statement: { text: string; values: unknown[] }): Promise<{ rows: readonly Row[] }>;
}

export interface SecretRow {
  name: string;
  hosts: string[] | null;
  created_at: string;
  updated_at: string;
}

/** @throws PostgreSQL's error: PERMISSION_DENIED, INVALID_VALUE. */
export async function saveSecret(client: AskingClient, { name, sealed, hosts }: { name: string; sealed: string; hosts: readonly string[] | null }): Promise<SecretRow> {
  const { rows } = await client.query<SecretRow>({ text: "select name, hosts, to_json(created_at) #>> '{}' as created_at, to_json(updated_at) #>> '{}' as updated_at from app_public.save_secret($1, $2, $3)", values: [name, sealed, hosts] });
  return rows[0]!;
}

export async function readArtifact(client: AskingClient, id: string): Promise<{ mediaType: string; bytes: Buffer } | null> {
  const { rows } = await client.query<{ media_type: string; bytes: Buffer }>({ text: 'select media_type, bytes from app_public.read_artifact($1)', values: [id] });
  const [row] = rows;
  return row === undefined ? null : { mediaType: row.media_type, bytes: row.bytes };
}

export interface SourceToTest {
  name: string;
  kind: 'llm' | 'image' | 'db' | 'api';
  config: JsonObject;
  tenant_id: string;
  tenant_slug: string;
  secrets: Record<string, { sealed: string; hosts: string[] | null }>;
}

/** @throws PostgreSQL's error: PERMISSION_DENIED, NOT_FOUND. */
export async function sourceToTest(client: AskingClient, id: string): Promise<SourceToTest> {
  const { rows } = await client.query<SourceToTest>({ text: 'select * from app_public.source_to_test($1)', values: [id] });
  return rows[0]!;
}

/** Whether executions call a source that was tried out just now. One that works is called again at once. */
export async function circuitAfterTest(client: AskingClient, sourceId: string, works: boolean): Promise<string | null> {
  if (works) await client.query({ text: 'select app_public.source_works($1)', values: [sourceId] });
  const { rows } = await client.query<{ circuit: string }>({ text: 'select app_public.sources_circuit(source) as circuit from app_public.sources as source where source.id = $1', values: [sourceId] });
  return rows[0]?.circuit ?? null;
}
