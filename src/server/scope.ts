/**
 * What is known about the request being served, wherever in its asynchronous course one asks: its id for logs and masked errors,
 * and whether somebody is signed in.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Identity } from './identity.ts';
import type { AnswerBudget } from '../store/answer-size.ts';
import type { Origin } from '../store/identity.ts';
import type { Condition } from '../store/settled-query.ts';

export interface RequestScope extends Origin {
  identity: Identity;
  /** When the request must have been answered, by `performance.now()`; not given: it need not be. */
  deadline?: number;
  /** It is a query: what it reads may come from a replica. */
  onlyReads?: boolean;
  /** What the database may answer to the operation. */
  answerBudget?: AnswerBudget;
  /** Of an identity that is from memory: what the database has to agree to, and how to look it up. */
  unconfirmed?: { condition: Condition; identify(): Promise<Identity> };
}

/** What a client may name its request. */
export const requestIdShape: RegExp = /^[A-Za-z0-9._:-]{1,100}$/;

const storage = new AsyncLocalStorage<RequestScope>();

export function currentScope(): RequestScope | undefined {
  return storage.getStore();
}

export function runInScope<T>(scope: RequestScope, work: () => T): T {
  return storage.run(scope, work);
}
