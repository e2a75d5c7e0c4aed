/**
 * How much PostgreSQL may answer to one operation. Rows can hold documents of megabytes, and a page a hundred of them: what is beyond the bound is not
 * taken in, and its connection is given up, since the rest would still come through it.
 */
import type { Readable } from 'node:stream';
import type { PoolClient } from 'pg';
import { AgentFlowError } from '../errors.ts';

/** Of settings: what the statements under them may take. */
export const answerBudgetKey: unique symbol = Symbol('answer budget');

/** For all statements of an operation together, or for each of them where they go on as long as somebody listens. */
export class AnswerBudget {
  readonly #bytes: number;
  readonly #isForEach: boolean;
  #left: number;

  constructor(bytes: number, isForEach = false) {
    this.#bytes = bytes;
    this.#isForEach = isForEach;
    this.#left = bytes;
  }

  begin(): void {
    if (this.#isForEach) this.#left = this.#bytes;
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }

  /** What is told of an operation that has spent it. */
  refusal(): AgentFlowError {
    return new AgentFlowError('LIMIT_EXCEEDED', `The answer would have more than ${this.#bytes} bytes.`, {
      remedy: 'Ask for smaller pages (first), or for fewer of the large fields at a time.', details: { limit: 'answerBytes', allowed: this.#bytes },
    });
  }
}

interface Meter {
  now: AnswerBudget | null;
  /** Stays once it is there: no budget that begins anew brings the connection back. */
  refusal: AgentFlowError | null;
}

const meters = new WeakMap<PoolClient, Meter>();

/** From now on, what comes through this connection is taken from the budget; null: from none. */
export function chargeAnswers(client: PoolClient, budget: AnswerBudget | null): void {
  const known = meters.get(client) ?? meter(client);
  budget?.begin();
  known.now = budget;
}

/** Why the connection was given up; null when it was not. It can be so while the client itself knows nothing of it yet, and with its last answer whole. */
export function givenUp(client: PoolClient): AgentFlowError | null {
  return meters.get(client)?.refusal ?? null;
}

function meter(client: PoolClient): Meter {
  const current: Meter = { now: null, refusal: null };
  meters.set(client, current);
  const { stream } = (client as unknown as { connection: { stream: Readable } }).connection;
  stream.on('data', (part: Buffer) => {
    current.now?.take(part.length);
    if (!current.now?.isSpent) return;
    current.refusal ??= current.now.refusal();
    stream.destroy();
  });
  return current;
}
