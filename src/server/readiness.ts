/** Whether this process can serve: it takes requests, the database answers, its migrations are ours, and jobs can be worked on. */
import type { Pool } from 'pg';
import { readSchemaState, type SchemaStateRow } from '../store/schema-state.ts';
import type { Check, Health } from './health.ts';

export interface Readiness extends Health {
  /** From now on the answer is no: load balancers send new requests elsewhere. */
  stopServing(): void;
}

/**
 * `expectedMigration`: file name of the newest committed migration, null when there is none, undefined when it is not to be compared.
 * `isWorking`: has the worker of the same process come up? Without one in it, nobody is asked.
 */
export function createReadiness(pool: Pool, expectedMigration: string | null | undefined, isWorking: () => boolean = () => true): Readiness {
  let isServing = true;
  return {
    stopServing() {
      isServing = false;
    },
    async check() {
      const serving: Check = { name: 'serving', ok: isServing, problem: isServing ? null : 'The server is stopping.' };
      try {
        const state = await readSchemaState(pool);
        return [serving, { name: 'database', ok: true, problem: null }, checkMigration(state, expectedMigration), checkWorker(state, isWorking())];
      } catch {
        // The message could name hosts and logins; the log of the pool has it.
        return [serving, { name: 'database', ok: false, problem: 'The database does not answer.' }];
      }
    },
  };
}

function checkMigration({ last_migration: last }: SchemaStateRow, expected: string | null | undefined): Check {
  if (expected === undefined || last === expected) return { name: 'migrations', ok: true, problem: null };
  const problem = `The database is at ${last ?? 'no migration'}, this version needs ${expected ?? 'none'}.`;
  return { name: 'migrations', ok: false, problem };
}

function checkWorker({ worker_schema: isThere }: SchemaStateRow, isWorking: boolean): Check {
  if (!isThere) return { name: 'worker', ok: false, problem: 'The schema graphile_worker is not there.' };
  return { name: 'worker', ok: isWorking, problem: isWorking ? null : 'The worker of this process is still starting.' };
}
