/**
 * Tokens whose signature was found good a moment ago, so that the same bearer is not computed for each of its requests. That a token is signed does not
 * change; its expiry is compared each time, and whether its session still lives is asked of the database, never remembered.
 */
import { AgentFlowError } from '../errors.ts';
import { verifyToken } from './tokens.ts';

const keptMs = 60_000;
const maxKept = 10_000;

interface Kept {
  sessionId: string;
  /** Both in milliseconds since the epoch. */
  expiresAt: number;
  keptUntil: number;
}

export class VerifiedTokens {
  readonly #secret: string;
  readonly #kept = new Map<string, Kept>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** Throws TOKEN_EXPIRED or TOKEN_INVALID. */
  async verify(token: string): Promise<{ sessionId: string }> {
    const now = Date.now();
    const known = this.#kept.get(token);
    if (known && known.keptUntil > now) {
      if (known.expiresAt <= now) throw new AgentFlowError('TOKEN_EXPIRED');
      return known;
    }
    const { sessionId, expiresAt } = await verifyToken(token, this.#secret);
    this.#kept.delete(token);
    // The oldest goes: a Map keeps the order in which its keys came.
    if (this.#kept.size >= maxKept) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(token, { sessionId, expiresAt: expiresAt.getTime(), keptUntil: now + keptMs });
    return { sessionId };
  }
}
