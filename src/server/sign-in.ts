/**
 * Signing in and out. Known and unknown addresses take the same course: one look-up, one bcrypt comparison, the same answer.
 * Failures are counted by address and by origin, in this process.
 */
import bcrypt from 'bcrypt';
import type { Pool } from 'pg';
import { AgentFlowError } from '../errors.ts';
import { closeSession, findSignIn, openSession } from '../store/identity.ts';
import { AttemptCounter } from './attempts.ts';
import type { Identity } from './identity.ts';
import type { RequestScope } from './scope.ts';
import { signToken } from './tokens.ts';

const sessionLifetime = '1 hour';
/** Compared with when there is no such address, so that it costs the same. The hash of a random text, at the cost of real ones. */
const hashOfNobody = '$2b$12$L7ZCHQDqHleaz0NJ6YCOkOJNKX5n06d05WOvxI9py2sHz4jD2uVsC';
const maxPasswordBytes = 72;
const maxEmailLength = 255;

export interface SignedIn {
  jwt: string;
  identity: Identity & { kind: 'session' };
}

export class SignIn {
  readonly #db: Pool;
  readonly #jwtSecret: string;
  readonly #byAddress = new AttemptCounter({ limit: 10, windowMs: 15 * 60_000 });
  readonly #byOrigin = new AttemptCounter({ limit: 100, windowMs: 15 * 60_000 });

  constructor(db: Pool, jwtSecret: string) {
    this.#db = db;
    this.#jwtSecret = jwtSecret;
  }

  /** Opens a session. Throws INVALID_CREDENTIALS, or TOO_MANY_ATTEMPTS without having looked at the password. */
  async authenticate(email: string, password: string, scope: RequestScope): Promise<SignedIn> {
    const address = email.trim().toLowerCase();
    const origin = scope.ip ?? 'unknown';
    this.#byOrigin.demand(origin);
    this.#byAddress.demand(address);
    const row = address.length <= maxEmailLength && !address.includes('\0') ? await findSignIn(this.#db, address) : null;
    const isPossible = Buffer.byteLength(password) <= maxPasswordBytes && !password.includes('\0');
    const matches = await bcrypt.compare(isPossible ? password : '', row?.password_hash ?? hashOfNobody);
    if (!row || !matches || !isPossible) {
      this.#byOrigin.count(origin);
      this.#byAddress.count(address);
      throw new AgentFlowError('INVALID_CREDENTIALS');
    }
    this.#byAddress.forget(address);
    return await this.#open(row.user_id, scope);
  }

  async #open(userId: string, scope: RequestScope): Promise<SignedIn> {
    const session = await openSession(this.#db, userId, sessionLifetime, scope);
    const { session_id: sessionId, tenant_id: tenantId, role, expires_at: expiresAt } = session;
    const jwt = await signToken({ userId, tenantId, role, sessionId, expiresAt }, this.#jwtSecret);
    return { jwt, identity: { kind: 'session', userId, tenantId, role, sessionId } };
  }

  /** Ends the session of the caller: its token is refused from the next request on. Throws UNAUTHENTICATED or BAD_REQUEST. */
  async logout(identity: Identity): Promise<void> {
    if (identity.kind === 'visitor') throw new AgentFlowError('UNAUTHENTICATED');
    if (identity.kind === 'key') {
      throw new AgentFlowError('BAD_REQUEST', 'An API key has no session to end.', { remedy: 'Revoke the key instead.' });
    }
    await closeSession(this.#db, identity.sessionId);
  }
}
