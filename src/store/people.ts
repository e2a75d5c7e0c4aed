/** Users and API keys of a tenant, read as the caller; what changes them is in access.ts. */
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';

export interface UserRow {
  id: string;
  email: string;
  name: string;
  role: string;
  status: string;
}

export interface KeyRow {
  id: string;
  prefix: string | null;
  name: string;
  user: string;
  status: string;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
}

export async function listUsers(client: pg.ClientBase): Promise<UserRow[]> {
  const { rows } = await client.query<UserRow>('select id, email, name, role, status from app_public.users where deleted_at is null order by email');
  return rows;
}

/** Throws NOT_FOUND. */
export async function findUser(client: pg.ClientBase, email: string): Promise<UserRow> {
  const { rows } = await client.query<UserRow>('select id, email, name, role, status from app_public.users where email = lower($1) and deleted_at is null', [email]);
  if (!rows[0]) throw new AgentFlowError('NOT_FOUND', `There is no user ${email} in this tenant.`, { remedy: 'See: agentflow user list' });
  return rows[0];
}

export async function setUserStatus(client: pg.ClientBase, id: string, status: 'active' | 'inactive'): Promise<void> {
  const { rowCount } = await client.query('update app_public.users set status = $2 where id = $1', [id, status]);
  if (rowCount === 0) throw new AgentFlowError('PERMISSION_DENIED');
}

export async function listKeys(client: pg.ClientBase): Promise<KeyRow[]> {
  const { rows } = await client.query<KeyRow>(
    `select api_keys.id, key_prefix as prefix, api_keys.name, users.email as user, api_keys.status, last_used_at as "lastUsedAt", nullif(expires_at, 'infinity') as "expiresAt"
       from app_public.api_keys join app_public.users on users.tenant_id = api_keys.tenant_id and users.id = api_keys.user_id
      where api_keys.deleted_at is null
      order by api_keys.created_at, api_keys.id`);
  return rows;
}

export async function revokeKey(client: pg.ClientBase, id: string, reason: string | null): Promise<void> {
  await client.query('select app_public.revoke_api_key($1, $2)', [id, reason]);
}
