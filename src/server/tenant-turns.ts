/**
 * One tenant never holds all connections to the database: what it asks for beyond its part waits for its own statements, and others go on. Who
 * waits for long is told to come more slowly.
 */
import { AgentFlowError } from '../errors.ts';
import type { WithCallerClient } from '../store/caller-transactions.ts';

interface Turns {
  held: number;
  waiting: Set<() => void>;
}

const retryAfterSeconds = 2;
/** No tenant's id. */
const visitors = 'visitors';

/** `most`: connections that one tenant may hold; visitors are one tenant more. Throws RATE_LIMITED for who has waited `patienceMs`. */
export function inTurns(withClient: WithCallerClient, { most, patienceMs }: { most: number; patienceMs: number }): WithCallerClient {
  const turns = new Map<string, Turns>();
  return async (settings, use) => {
    const name = settings?.['jwt.claims.tenant_id'] || visitors;
    const own = turns.get(name) ?? { held: 0, waiting: new Set() };
    turns.set(name, own);
    if (own.held >= most) await turn(own, patienceMs);
    else own.held += 1;
    try {
      return await withClient(settings, use);
    } finally {
      const [next] = own.waiting;
      if (next) {
        own.waiting.delete(next);
        next();
      } else {
        own.held -= 1;
        if (own.held === 0) turns.delete(name);
      }
    }
  };
}

/** The turn of who has just ended goes to who has waited longest. */
function turn({ waiting }: Turns, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      waiting.delete(begin);
      reject(new AgentFlowError('RATE_LIMITED', 'Too many requests of this tenant are at work.', { details: { retryAfter: retryAfterSeconds, limit: 'connections' } }));
    }, patienceMs);
    const begin = (): void => {
      clearTimeout(timer);
      resolve();
    };
    waiting.add(begin);
  });
}
