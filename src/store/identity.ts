/**
 * The identity functions of the database. They run on a connection of the authenticator before any role is set; nobody else may call them.
 */
import type { Pool, PoolClient } from 'pg';
import { makeWithCallerClient, type CallerClient } from './caller-transactions.ts';
import type { Condition } from './settled-query.ts';

type Queryable = Pool | PoolClient;

/** Where a request comes from, for the audit log. */
export interface Origin {
  requestId: string;
  ip: string | null;
  userAgent: string | null;
}

export interface PasswordRow {
  /** False: too many tries; then the rest is null. */
  is_allowed: boolean;
  /** Null for an unknown account, and one that is not active. */
  user_id: string | null;
  password_hash: string | null;
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

export interface RefreshRow extends SessionUserRow {
  is_reused: boolean;
  generation: number;
  expires_at: Date;
}

export interface AccessLinkRow {
  kind: 'invitation' | 'reset';
  email: string;
  name: string | null;
}

const maxUserAgentLength = 500;

export function originSettings({ requestId, ip, userAgent }: Origin): Record<string, string> {
  return { 'request.id': requestId, 'request.ip': ip ?? '', 'request.user_agent': (userAgent ?? '').replaceAll('\0', '').slice(0, maxUserAgentLength) };
}

function inTransaction<T>(db: Pool, origin: Origin, use: (client: CallerClient) => Promise<T>): Promise<T> {
  return makeWithCallerClient(db)(originSettings(origin), use);
}

/** Counts the try; then says whether it may be made, and what to compare the password with. */
export async function beginSignIn(db: Pool, email: string, origin: Origin): Promise<PasswordRow> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<PasswordRow>({ text: 'select * from app_private.begin_sign_in($1, $2)', values: [email, origin.ip] });
    return rows[0]!;
  });
}

/** As `beginSignIn`, for the password of somebody who is signed in; null when there is no such user any more. */
export async function beginPasswordChange(db: Pool, userId: string, origin: Origin): Promise<(PasswordRow & { email: string; name: string }) | null> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<PasswordRow & { email: string; name: string }>({ text: 'select * from app_private.begin_password_change($1, $2)', values: [userId, origin.ip] });
    return rows[0] ?? null;
  });
}

/** Notes a wrong password; nothing for an unknown account. */
export async function refuseSignIn(db: Pool, email: string, origin: Origin): Promise<void> {
  await inTransaction(db, origin, (client) => client.query({ text: 'select app_private.refuse_sign_in($1)', values: [email] }));
}

/** Opens a session and writes it to the audit log with where it came from. `lifetime` is an interval such as `1 hour`. Null when the user is not active any more. */
export async function openSession(db: Pool, userId: string, lifetime: string, origin: Origin): Promise<SessionRow | null> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<SessionRow>({ text: 'select * from app_private.open_session($1, $2::interval)', values: [userId, lifetime] });
    return rows[0] ?? null;
  });
}

/** Null when the session has ended; with `is_reused`, it has ended just now because the token was used before. */
export async function refreshSession(db: Pool, sessionId: string, generation: number, origin: Origin): Promise<RefreshRow | null> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<RefreshRow>({ text: 'select * from app_private.refresh_session($1, $2)', values: [sessionId, generation] });
    return rows[0] ?? null;
  });
}

/** Who a session belongs to; null when it has ended, or its user or tenant is no longer active. */
export async function identifySession(db: Queryable, sessionId: string): Promise<SessionUserRow | null> {
  const { rows } = await db.query<SessionUserRow>({ name: 'identify_session', text: 'select * from app_private.identify_session($1)', values: [sessionId] });
  return rows[0] ?? null;
}

/** That the session still belongs to this user, of this tenant and in this role. */
export function sessionCondition({ sessionId, userId, tenantId, role }: { sessionId: string; userId: string; tenantId: string; role: string }): Condition {
  return { function: 'app_private.demand_session', values: [sessionId, userId, tenantId, role], outcome: 'open' };
}

/** Who an API key belongs to and what it narrows that user to; null when it is unknown, revoked or expired. */
/** `oldHashes`: those of the same key under earlier secret keys; where one of them is known, `keyHash` takes its place. */
export async function identifyApiKey(db: Queryable, keyHash: string, oldHashes: readonly string[] = []): Promise<ApiKeyRow | null> {
  const identified = async (): Promise<ApiKeyRow | null> => {
    const { rows } = await db.query<ApiKeyRow>({ name: 'identify_api_key', text: 'select * from app_private.identify_api_key($1)', values: [keyHash] });
    return rows[0] ?? null;
  };
  const known = await identified();
  if (known !== null) return known;
  for (const oldHash of oldHashes) {
    const { rows } = await db.query<{ rehashed: boolean }>({ name: 'rehash_api_key', text: 'select app_private.rehash_api_key($1, $2) as rehashed', values: [oldHash, keyHash] });
    if (rows[0]!.rehashed) return identified();
  }
  return null;
}

export async function closeSession(db: Pool, sessionId: string, origin: Origin): Promise<void> {
  await inTransaction(db, origin, (client) => client.query({ text: 'select app_private.close_session($1)', values: [sessionId] }));
}

/** Ends all sessions of the user who holds this one; returns how many there were. */
export async function closeSessions(db: Pool, sessionId: string, origin: Origin): Promise<number> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<{ ended: number }>({ text: 'select app_private.close_sessions($1) as ended', values: [sessionId] });
    return rows[0]!.ended;
  });
}

/** All sessions of the user end. */
export async function changePassword(db: Pool, userId: string, passwordHash: string, origin: Origin): Promise<void> {
  await inTransaction(db, origin, (client) => client.query({ text: 'select app_private.change_password($1, $2)', values: [userId, passwordHash] }));
}

/** Raises LINK_INVALID when the link cannot be used. */
export async function findAccessLink(db: Pool, tokenHash: string, origin: Origin): Promise<AccessLinkRow> {
  return inTransaction(db, origin, async (client) => {
    const { rows } = await client.query<AccessLinkRow>({ text: 'select * from app_private.find_access_link($1)', values: [tokenHash] });
    return rows[0]!;
  });
}

/** Returns the user who can sign in now. Raises LINK_INVALID. */
export async function useAccessLink(db: Pool, link: { tokenHash: string; name: string | null; passwordHash: string }, origin: Origin): Promise<string> {
  return inTransaction(db, origin, async (client) => {
    const values = [link.tokenHash, link.name, link.passwordHash];
    const { rows } = await client.query<{ user_id: string }>({ text: 'select app_private.use_access_link($1, $2, $3) as user_id', values });
    return rows[0]!.user_id;
  });
}

/** Notes that the caller with these claims was refused an operation; the database keeps one of a kind in a quarter of an hour. */
export async function noteRefusal(db: Pool, claims: Record<string, string>, origin: Origin, code: string, operation: string): Promise<void> {
  await makeWithCallerClient(db)({ ...claims, ...originSettings(origin) }, (client) => client.query({ text: 'select app_private.note_refusal($1, $2)', values: [code, operation] }));
}

/** A person as an identity provider's token names it. */
export interface ProviderToken {
  issuer: string;
  subject: string;
  email: string | null;
  name: string | null;
  expiresAt: Date;
}

/** The session of a token of the identity provider that comes for the first time; null when nobody here is meant, or it was ended. */
export async function openProviderSession(db: Pool, sessionId: string, { issuer, subject, email, name, expiresAt }: ProviderToken, origin: Origin): Promise<SessionUserRow | null> {
  return inTransaction(db, origin, async (client) => {
    const values = [sessionId, issuer, subject, email, name, expiresAt];
    const { rows } = await client.query<SessionUserRow>({ text: 'select * from app_private.open_provider_session($1, $2, $3, $4, $5, $6)', values });
    return rows[0] ?? null;
  });
}
