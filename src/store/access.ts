/** Users, one-time links and API keys, as an admin of the tenant manages them: called inside the caller's transaction. */
import type { ReadingClient } from './workflow-checks.ts';

export interface NewUser {
  email: string;
  name: string | null;
  role: string | null;
}

export interface NewApiKey {
  name: string;
  permissions: unknown;
  expiresAt: string | null;
  /** Null: the caller. */
  userId: string | null;
}

export interface StoredKey {
  hash: string;
  prefix: string;
}

/** Returns the id of the invitation. */
export async function inviteUser(client: ReadingClient, { email, name, role }: NewUser, tokenHash: string): Promise<string> {
  return idFrom(client, 'select (app_public.create_user($1, $2, $3, $4)).id', [email, name, role, tokenHash]);
}

/** Returns the id of the one-time link. */
export async function createPasswordReset(client: ReadingClient, userId: string, tokenHash: string): Promise<string> {
  return idFrom(client, 'select (app_public.create_password_reset($1, $2)).id', [userId, tokenHash]);
}

export async function storeApiKey(client: ReadingClient, { name, permissions, expiresAt, userId }: NewApiKey, { hash, prefix }: StoredKey): Promise<string> {
  const values = [name, permissions == null ? null : JSON.stringify(permissions), expiresAt, userId, hash, prefix];
  return idFrom(client, 'select (app_public.create_api_key($1, $2, $3, $4, $5, $6)).id', values);
}

/** Returns the id of the key that takes the place of the old one, which works on for `overlapSeconds`. */
export async function rotateApiKey(client: ReadingClient, id: string, overlapSeconds: number, { hash, prefix }: StoredKey): Promise<string> {
  return idFrom(client, `select (app_public.rotate_api_key($1, make_interval(secs => $2), $3, $4)).id`, [id, overlapSeconds, hash, prefix]);
}

async function idFrom(client: ReadingClient, text: string, values: unknown[]): Promise<string> {
  const { rows } = await client.query<{ id: string }>({ text, values });
  return rows[0]!.id;
}
