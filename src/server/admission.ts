/** Who may come in, and with what: identity, rate limits, and a look at the operation, for HTTP and WebSocket alike. */
import type { GraphQLSchema } from 'postgraphile/graphql';
import { AgentFlowError } from '../errors.ts';
import { type Callers, confirm } from './callers.ts';
import { answeredInTime } from './deadline.ts';
import type { Operation } from './documents.ts';
import type { Face } from './face.ts';
import { sessionCondition } from '../store/identity.ts';
import { type Credentials, type Identity, tenantOf } from './identity.ts';
import { addressName, type RateLimits } from './rate-limits.ts';
import type { RequestScope } from './scope.ts';

export interface AdmissionParts {
  face: Face;
  limits: RateLimits;
  callers: Callers;
  /** Nobody begins from memory: what is read next need not come from the database that would confirm him. */
  confirmsFirst: boolean;
  /** As it is now. */
  schema(): GraphQLSchema;
}

export class Admission {
  readonly face: Face;
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.face = parts.face;
  }

  /** Refused credentials count for the address. Throws what `identify` throws, or RATE_LIMITED. */
  identify(credentials: Credentials, ip: string | null): Promise<Identity> {
    return this.#counted(() => this.#parts.callers.identify(credentials), ip);
  }

  /** As `identify`, for a query: who called a moment ago with these credentials may begin, and is confirmed later (see callers.ts). */
  async begin(credentials: Credentials, scope: RequestScope): Promise<void> {
    scope.identity = await this.#counted(async () => {
      const recalled = this.#parts.confirmsFirst ? undefined : await this.#parts.callers.recall(credentials);
      if (recalled === undefined) return await this.#parts.callers.identify(credentials);
      scope.unconfirmed = { condition: sessionCondition(recalled), identify: () => this.identify(credentials, scope.ip) };
      return recalled;
    }, scope.ip);
  }

  async #counted(identify: () => Promise<Identity>, ip: string | null): Promise<Identity> {
    try {
      const identity = await answeredInTime(identify());
      // Before the body is read: who has had enough is told so at once.
      const tenantId = tenantOf(identity);
      this.#parts.limits.demand(tenantId === null ? 'address' : 'tenant', tenantId ?? addressName(ip));
      return identity;
    } catch (error) {
      if (error instanceof AgentFlowError && error.code !== 'RATE_LIMITED') await this.#parts.limits.charge('address', addressName(ip));
      throw error;
    }
  }

  /** As `identify`, of somebody who is in already: nothing is counted. */
  identifyAgain(credentials: Credentials): Promise<Identity> {
    return this.#parts.callers.identify(credentials);
  }

  /** Counts a request of a tenant, or of an address that nobody has signed in from. Throws RATE_LIMITED. */
  async charge({ identity, ip }: RequestScope, cost: number): Promise<void> {
    const tenantId = tenantOf(identity);
    await answeredInTime(tenantId === null ? this.#parts.limits.charge('address', addressName(ip), cost) : this.#parts.limits.charge('tenant', tenantId, cost));
  }

  /** Everything that is asked of an operation before it is planned. Throws RATE_LIMITED, LIMIT_EXCEEDED, DOCUMENT_NOT_TRUSTED, UNAUTHENTICATED. */
  async admit(operation: Operation, scope: RequestScope): Promise<void> {
    scope.onlyReads = !mayChange(operation);
    // A start goes with the confirmation in one transaction, as a read does. Who may send what is not registered is never said from memory.
    const beginsFromMemory = (scope.onlyReads || this.face.changesByStarts(this.#parts.schema(), operation.query)) && !this.face.dependsOnCaller(operation.query);
    if (!beginsFromMemory) await answeredInTime(confirm(scope));
    let cost = 0;
    try {
      cost = this.face.admit(this.#parts.schema(), operation, scope);
    } catch (error) {
      // Who is not in any more is told that, and nothing else.
      await answeredInTime(confirm(scope));
      throw error;
    } finally {
      // What was refused has been a request, too.
      await this.charge(scope, cost);
    }
  }
}

/** Errs on the safe side: either word may stand anywhere in the document. */
function mayChange({ query }: Operation): boolean {
  return /\b(mutation|subscription)\b/.test(query);
}
