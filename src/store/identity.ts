/**
 * The identity functions of the database. They run on a connection of the authenticator before any role is set; nobody else may call them.
 */
import type { Pool, PoolClient } from 'pg';

type Queryable = Pool | PoolClient;

export interface SignInRow {
  user_id: string;
  tenant_id: string;
  role: string;
  password_hash: string;
}

export interface SessionRow {
  session_id: string;
  tenant_id: string;
  role: string;
  expires_at: Date;
}

export interface SessionUserRow {
  user_id: string;
  tenant_id: string;
  role: string;
}

export interface ApiKeyRow extends SessionUserRow {
  api_key_id: string;
  permissions: Record<string, unknown> | null;
}

export interface Origin {
  requestId: string;
  ip: string | null;
  userAgent: string | null;
}

/** The active user of an active tenant with this address, or null. */
export async function findSignIn(db: Queryable, email: string): Promise<SignInRow | null> {
  const { rows } = await db.query<SignInRow>({ name: 'find_sign_in', text: 'select * from app_private.find_sign_in($1)', values: [email] });
  return rows[0] ?? null;
}

/** Opens a session and writes it to the audit log with where it came from. `lifetime` is an interval such as `1 hour`. */
export async function openSession(db: Pool, userId: string, lifetime: string, origin: Origin): Promise<SessionRow> {
  const client = await db.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin');
    await client.query(`select set_config('request.id', $1, true), set_config('request.ip', $2, true), set_config('request.user_agent', $3, true)`,
      [origin.requestId, origin.ip ?? '', origin.userAgent ?? '']);
    const { rows } = await client.query<SessionRow>('select * from app_private.open_session($1, $2::interval)', [userId, lifetime]);
    await client.query('commit');
    if (!rows[0]) throw new Error('open_session returned no row');
    return rows[0];
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw failure;
  } finally {
    // With an error the connection is closed, and so the transaction is rolled back.
    client.release(failure);
  }
}

/** Who a session belongs to; null when it has ended, or its user or tenant is no longer active. */
export async function identifySession(db: Queryable, sessionId: string): Promise<SessionUserRow | null> {
  const { rows } = await db.query<SessionUserRow>({ name: 'identify_session', text: 'select * from app_private.identify_session($1)', values: [sessionId] });
  return rows[0] ?? null;
}

/** Who an API key belongs to and what it narrows that user to; null when it is unknown, revoked or expired. */
export async function identifyApiKey(db: Queryable, keyHash: string): Promise<ApiKeyRow | null> {
  const { rows } = await db.query<ApiKeyRow>({ name: 'identify_api_key', text: 'select * from app_private.identify_api_key($1)', values: [keyHash] });
  return rows[0] ?? null;
}

export async function closeSession(db: Queryable, sessionId: string): Promise<void> {
  await db.query({ name: 'close_session', text: 'select app_private.close_session($1)', values: [sessionId] });
}
