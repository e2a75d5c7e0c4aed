/**
 * Who is calling, in one round trip less. Whom a session belongs to is remembered from its last request; a query may begin with that, because
 * the database compares it, in the same message as the first statement (`app_private.demand_session`). Nothing is answered from memory: what
 * the database has not confirmed by the end of the request is asked for then. So a session that was ended is refused on the next request, and
 * a role that was changed counts from the next request on, as if each had been looked up first. What may change something begins with a look-up,
 * unless all of it is starts of workflows: what refuses the caller keeps these from running, too.
 */
import type { Pool } from 'pg';
import { bearerToken, type Credentials, identify, type Identity, type IdentityKeys, type SessionIdentity } from './identity.ts';
import type { RequestScope } from './scope.ts';

const maxRemembered = 10_000;

export class Callers {
  readonly #db: Pool;
  readonly #keys: IdentityKeys;
  readonly #remembered = new Map<string, SessionIdentity>();

  constructor(db: Pool, keys: IdentityKeys) {
    this.#db = db;
    this.#keys = keys;
  }

  /** Asks the database. Throws BAD_REQUEST (two credentials), TOKEN_INVALID or TOKEN_EXPIRED. */
  async identify(credentials: Credentials): Promise<Identity> {
    const identity = await identify(this.#db, this.#keys, credentials);
    if (identity.kind === 'session') this.#remember(identity);
    return identity;
  }

  /** Who held the session of a good token when it was last asked for. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
  async recall({ authorization, apiKey }: Credentials): Promise<SessionIdentity | undefined> {
    const token = authorization === undefined || apiKey !== undefined ? undefined : bearerToken(authorization);
    return token === undefined ? undefined : this.#remembered.get((await this.#keys.tokens.verify(token)).sessionId);
  }

  #remember(identity: SessionIdentity): void {
    this.#remembered.delete(identity.sessionId);
    // The oldest goes: a Map keeps the order in which its keys came.
    if (this.#remembered.size >= maxRemembered) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(identity.sessionId, identity);
  }
}

/** Looks the caller up, unless that has been done. Throws as `identify` does. */
export async function confirm(scope: RequestScope): Promise<void> {
  const { unconfirmed } = scope;
  if (!unconfirmed) return;
  scope.identity = await unconfirmed.identify();
  scope.unconfirmed = undefined;
}
