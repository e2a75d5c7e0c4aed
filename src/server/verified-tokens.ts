/**
 * Tokens whose signature was found good a moment ago, so that the same bearer is not computed for each of its requests. That a token is signed does not
 * change; its expiry is compared each time, and whether its session still lives is asked of the database, never remembered.
 */
import { AgentFlowError } from '../errors.ts';
import type { IdentityProvider, ProvidedPerson } from './provider-tokens.ts';
import { isWellFormed, loadJose, ownAlgorithm, verifyToken } from './tokens.ts';

const keptMs = 60_000;
const maxKept = 10_000;

export interface GoodToken {
  sessionId: string;
  /** Of a token of the identity provider: who it is for, should there be no such session yet. */
  person?: ProvidedPerson;
}

interface Kept extends GoodToken {
  /** Both in milliseconds since the epoch. */
  expiresAt: number;
  keptUntil: number;
}

export class VerifiedTokens {
  readonly #secret: string | null;
  readonly #provider: IdentityProvider | null;
  readonly #kept = new Map<string, Kept>();

  /** `secret`: of our own tokens, null for none; `provider`: whose tokens are taken beside them. */
  constructor(secret: string | null, provider: IdentityProvider | null = null) {
    this.#secret = secret;
    this.#provider = provider;
  }

  /** Throws TOKEN_EXPIRED or TOKEN_INVALID, and UNAVAILABLE when the provider's keys cannot be had. */
  async verify(token: string): Promise<GoodToken> {
    const now = Date.now();
    const known = this.#kept.get(token);
    if (known && known.keptUntil > now) {
      if (known.expiresAt <= now) throw new AgentFlowError('TOKEN_EXPIRED');
      return known;
    }
    const { expiresAt, ...good } = await this.#verifyAnew(token);
    this.#kept.delete(token);
    // The oldest goes: a Map keeps the order in which its keys came.
    if (this.#kept.size >= maxKept) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(token, { ...good, expiresAt: expiresAt.getTime(), keptUntil: now + keptMs });
    return good;
  }

  /** What the token says of its algorithm only chooses who is asked: each of the two takes its own algorithms and no other. */
  async #verifyAnew(token: string): Promise<GoodToken & { expiresAt: Date }> {
    if (!isWellFormed(token)) throw new AgentFlowError('TOKEN_INVALID');
    if (this.#provider !== null && (this.#secret === null || await algorithmOf(token) !== ownAlgorithm)) {
      const { verifyProviderToken } = await import('./provider-tokens.ts');
      return await verifyProviderToken(token, this.#provider);
    }
    if (this.#secret !== null) return await verifyToken(token, this.#secret);
    throw new AgentFlowError('TOKEN_INVALID');
  }
}

async function algorithmOf(token: string): Promise<string | undefined> {
  const { decodeProtectedHeader } = await loadJose();
  try {
    return decodeProtectedHeader(token).alg;
  } catch {
    return undefined; // no token at all: whoever verifies it says so
  }
}
