/**
 * Who is calling: a bearer token (a session), an API key, or nobody (a visitor). A credential that is present and not good is an
 * error; it never makes its bearer an anonymous visitor. Sessions and keys are looked up for each request, so that one which was
 * ended is refused on the next.
 */
import type { Pool } from 'pg';
import { AgentFlowError } from '../errors.ts';
import { hashApiKey, isApiKey } from '../keys.ts';
import { identifyApiKey, identifySession, openProviderSession } from '../store/identity.ts';
import { currentScope } from './scope.ts';
import type { VerifiedTokens } from './verified-tokens.ts';

export { hashApiKey } from '../keys.ts';

export interface SessionIdentity {
  kind: 'session';
  userId: string;
  tenantId: string;
  role: string;
  sessionId: string;
}

export type Identity =
  | { kind: 'visitor' }
  | SessionIdentity
  | { kind: 'key'; userId: string; tenantId: string; role: string; apiKeyId: string; permissions: Record<string, unknown> | null };

export interface Credentials {
  authorization: string | undefined;
  apiKey: string | undefined;
}

export interface IdentityKeys {
  /** Null: people sign in at an identity provider alone. */
  jwtSecret: string | null;
  tokens: VerifiedTokens;
  secretKey: string;
  /** Those before it: an API key that was hashed under one of them is taken, and hashed anew. */
  oldSecretKeys?: readonly string[];
}

export const visitor: Identity = { kind: 'visitor' };
const nowhere = { requestId: '', ip: null, userAgent: null };

/** Tenant of a signed-in caller; null for visitors. */
export function tenantOf(identity: Identity): string | null {
  return identity.kind === 'visitor' ? null : identity.tenantId;
}

/**
 * Says who sent these credentials. At most one round trip to the database; none for visitors.
 * Throws BAD_REQUEST (both sent), TOKEN_INVALID or TOKEN_EXPIRED.
 */
export async function identify(db: Pool, keys: IdentityKeys, credentials: Credentials): Promise<Identity> {
  const { authorization, apiKey } = credentials;
  if (authorization !== undefined && apiKey !== undefined) {
    throw new AgentFlowError('BAD_REQUEST', 'The request carries both a bearer token and an API key.', { remedy: 'Send one of Authorization and X-API-Key.' });
  }
  if (apiKey !== undefined) return await identifyByKey(db, keys, apiKey.trim());
  if (authorization !== undefined) return await identifyByToken(db, keys.tokens, authorization);
  return visitor;
}

async function identifyByKey(db: Pool, { secretKey, oldSecretKeys = [] }: IdentityKeys, key: string): Promise<Identity> {
  const row = isApiKey(key) ? await identifyApiKey(db, hashApiKey(key, secretKey), oldSecretKeys.map((old) => hashApiKey(key, old))) : null;
  if (!row) throw new AgentFlowError('TOKEN_INVALID', 'The API key is not valid: unknown, revoked or expired.', { remedy: 'Use another key.' });
  return { kind: 'key', userId: row.user_id, tenantId: row.tenant_id, role: row.role, apiKeyId: row.api_key_id, permissions: row.permissions };
}

/** Undefined when the header is of another form. */
export function bearerToken(authorization: string): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(authorization)?.[1];
}

async function identifyByToken(db: Pool, tokens: VerifiedTokens, authorization: string): Promise<Identity> {
  const token = bearerToken(authorization);
  if (token === undefined) {
    throw new AgentFlowError('TOKEN_INVALID', 'The Authorization header is not of the form "Bearer <token>".');
  }
  const { sessionId, person } = await tokens.verify(token);
  const known = await identifySession(db, sessionId);
  const row = known ?? (person === undefined ? null : await openProviderSession(db, sessionId, person, currentScope() ?? nowhere));
  if (!row && person !== undefined) {
    throw new AgentFlowError('TOKEN_INVALID', 'Nobody here is meant by this token, or its session has ended.', { remedy: 'Sign in at the identity provider again; an admin of the tenant can invite the address.' });
  }
  if (!row) throw new AgentFlowError('TOKEN_INVALID', 'The session of this token has ended.', { remedy: 'Call authenticate again.' });
  return { kind: 'session', userId: row.user_id, tenantId: row.tenant_id, role: row.role, sessionId };
}
