/**
 * Queries read from a streaming replica when there is one. Who asks is always looked up on the primary first, so that an ended session is refused
 * on its next request, however far the replica is behind; what the query reads may be older. Mutations and subscriptions, and what follows them, never
 * come here. While the replica does not answer, or stands in the way of a query, the primary answers.
 */
import type pg from 'pg';
import { makeWithCallerClient, type WithCallerClient } from '../store/caller-transactions.ts';
import { isPassing } from '../store/retry.ts';
import type { Log } from './errors.ts';
import { currentScope } from './scope.ts';

/** After a failure it is left alone for so long. */
const restMs = 5_000;
/** It has been asked to write: a standby refuses. */
const readOnly = '25006';

export function readingReplica(primary: WithCallerClient, replica: pg.Pool, log: Log): WithCallerClient {
  const onReplica = makeWithCallerClient(replica);
  let restsUntil = 0;
  return async (settings, use) => {
    if (currentScope()?.onlyReads !== true || performance.now() < restsUntil) return primary(settings, use);
    try {
      return await onReplica(settings, use);
    } catch (error) {
      const isAway = isPassing(error);
      if (!isAway && (error as { code?: unknown }).code !== readOnly) throw error;
      // A query that stands in the way of what the replica has to apply is cancelled (40001): it is the query, not the replica.
      if (isAway && (error as { code?: unknown }).code !== '40001') {
        restsUntil = performance.now() + restMs;
        log.warn({ err: error }, 'The read replica does not answer: queries go to the primary');
      }
      return primary(settings, use);
    }
  };
}
