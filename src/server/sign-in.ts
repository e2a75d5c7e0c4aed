/**
 * Signing in, going on, and out. Known and unknown accounts take the same course: one look-up, one bcrypt comparison, the same answer.
 * Tries are counted in the database, by account and by origin, so that several servers count together.
 */
import type { Pool } from 'pg';
import { AgentFlowError } from '../errors.ts';
import { hashLinkToken } from '../keys.ts';
import {
  beginPasswordChange, beginSignIn, changePassword, closeSession, closeSessions, findAccessLink, openSession, type PasswordRow, refreshSession, refuseSignIn, useAccessLink,
} from '../store/identity.ts';
import type { Identity } from './identity.ts';
import { hashNewPassword, isPassword } from './passwords.ts';
import type { RequestScope } from './scope.ts';
import { signRefreshToken, signToken, verifyRefreshToken } from './tokens.ts';

const sessionLifetime = '30 days';
const bearerMs = 60 * 60_000;
/** Who has not been back for so long signs in again. */
const refreshMs = 7 * 24 * 60 * 60_000;
const maxEmailLength = 255;

type SessionIdentity = Identity & { kind: 'session' };

export interface SignedIn {
  jwt: string;
  /** Until when the jwt is good. */
  expiresAt: Date;
  refreshToken: string;
  identity: SessionIdentity;
}

export interface SignInKeys {
  /** Null: people sign in at an identity provider, and nobody here. */
  jwtSecret: string | null;
  secretKey: string;
  oldSecretKeys?: readonly string[];
}

export class SignIn {
  readonly #db: Pool;
  readonly #keys: SignInKeys;

  constructor(db: Pool, keys: SignInKeys) {
    this.#db = db;
    this.#keys = keys;
  }

  /** Opens a session. Throws INVALID_CREDENTIALS, or TOO_MANY_ATTEMPTS without having looked at the password. */
  async authenticate(email: string, password: string, scope: RequestScope): Promise<SignedIn> {
    this.#demandOwnTokens();
    const address = email.trim().toLowerCase();
    // What cannot be an address counts as a try like any other.
    const account = address.length <= maxEmailLength && !address.includes('\0') ? address : '';
    const userId = await this.#check(await beginSignIn(this.#db, account, scope), password, account, scope);
    return await this.#open(userId, scope);
  }

  /** Goes on with a session. Throws TOKEN_INVALID (also when the token was used before, which ends the session) or TOKEN_EXPIRED. */
  async refresh(refreshToken: string, scope: RequestScope): Promise<SignedIn> {
    this.#demandOwnTokens();
    const { sessionId, generation } = await verifyRefreshToken(refreshToken, [this.#keys.secretKey, ...this.#keys.oldSecretKeys ?? []]);
    const row = await refreshSession(this.#db, sessionId, generation, scope);
    if (!row) throw new AgentFlowError('TOKEN_INVALID', 'The session of this token has ended.', { remedy: 'Call authenticate again.' });
    if (row.is_reused) {
      throw new AgentFlowError('TOKEN_INVALID', 'This refresh token was used before, so its session has been ended.', { remedy: 'Call authenticate again; keep only the newest refresh token.' });
    }
    const { user_id: userId, tenant_id: tenantId, role, expires_at: sessionEnd } = row;
    return await this.#tokens({ kind: 'session', userId, tenantId, role, sessionId }, row.generation, sessionEnd);
  }

  /** All sessions of the caller end, and a new one is opened. Throws INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS, or INVALID_VALUE for the new password. */
  async changePassword(present: string, next: string, scope: RequestScope): Promise<SignedIn> {
    const { userId } = demandSession(scope.identity, 'An API key has no password.');
    const row = await beginPasswordChange(this.#db, userId, scope);
    if (!row) throw new AgentFlowError('UNAUTHENTICATED');
    await this.#check(row, present, row.email, scope);
    await changePassword(this.#db, userId, await hashNewPassword(next, [row.email, row.name], 'newPassword'), scope);
    return await this.#open(userId, scope);
  }

  /** Makes the invited user, or sets a forgotten password, and signs in. Throws LINK_INVALID, or INVALID_VALUE for the password. */
  async useAccessLink(token: string, name: string | null, password: string, scope: RequestScope): Promise<SignedIn> {
    this.#demandOwnTokens();
    const tokenHash = hashLinkToken(token);
    const link = await findAccessLink(this.#db, tokenHash, scope);
    const passwordHash = await hashNewPassword(password, [link.email, name ?? '', link.name ?? '']);
    return await this.#open(await useAccessLink(this.#db, { tokenHash, name, passwordHash }, scope), scope);
  }

  /** Ends the session of the caller: its token is refused from the next request on. Throws UNAUTHENTICATED or BAD_REQUEST. */
  async logout({ identity, ...origin }: RequestScope): Promise<void> {
    await closeSession(this.#db, demandSession(identity, 'An API key has no session to end.').sessionId, origin);
  }

  /** Ends all sessions of the caller; returns how many there were. Throws UNAUTHENTICATED or BAD_REQUEST. */
  async logoutEverywhere({ identity, ...origin }: RequestScope): Promise<number> {
    return await closeSessions(this.#db, demandSession(identity, 'An API key has no session to end.').sessionId, origin);
  }

  async #check(row: PasswordRow, password: string, account: string, scope: RequestScope): Promise<string> {
    if (!row.is_allowed) throw new AgentFlowError('TOO_MANY_ATTEMPTS');
    const matches = await isPassword(password, row.password_hash);
    if (matches && row.user_id !== null) return row.user_id;
    await refuseSignIn(this.#db, account, scope);
    throw new AgentFlowError('INVALID_CREDENTIALS');
  }

  async #open(userId: string, scope: RequestScope): Promise<SignedIn> {
    const session = await openSession(this.#db, userId, sessionLifetime, scope);
    if (!session) throw new AgentFlowError('INVALID_CREDENTIALS');
    const { session_id: sessionId, tenant_id: tenantId, role, expires_at: sessionEnd } = session;
    return await this.#tokens({ kind: 'session', userId, tenantId, role, sessionId }, 0, sessionEnd);
  }

  async #tokens(identity: SessionIdentity, generation: number, sessionEnd: Date): Promise<SignedIn> {
    const within = (ms: number): Date => new Date(Math.min(Date.now() + ms, sessionEnd.getTime()));
    const expiresAt = within(bearerMs);
    const { sessionId } = identity;
    const jwt = await signToken({ ...identity, expiresAt }, this.#demandOwnTokens());
    const refreshToken = await signRefreshToken({ sessionId, generation }, within(refreshMs), this.#keys.secretKey);
    return { jwt, expiresAt, refreshToken, identity };
  }

  #demandOwnTokens(): string {
    if (this.#keys.jwtSecret !== null) return this.#keys.jwtSecret;
    throw new AgentFlowError('NOT_SUPPORTED', 'People sign in at the identity provider of this installation.', { remedy: 'Send a token of that provider as the bearer token.' });
  }
}

/** Throws UNAUTHENTICATED or BAD_REQUEST. */
function demandSession(identity: Identity, whyNoKey: string): SessionIdentity {
  if (identity.kind === 'session') return identity;
  if (identity.kind === 'key') throw new AgentFlowError('BAD_REQUEST', whyNoKey, { remedy: 'Sign in, and send the bearer token.' });
  throw new AgentFlowError('UNAUTHENTICATED');
}
