/** Takes jobs that are due together with the leases of their executions. */
import type pg from 'pg';
import { claimedExecution, type ExecutionClaimRow } from './claim-rows.ts';
import { claimedFlow, type ClaimedFlow, type FlowClaimRow } from './flow-rows.ts';
import type { StoreLog } from './pool.ts';
import { retryingQuery, type Query } from './query.ts';
import type { ClaimedExecution } from './rows.ts';

export type Claim = ClaimedExecution | ClaimedFlow;

export interface Taken {
  /** Jobs that were taken: of what waits as everybody does, and of long queues. */
  short: number;
  long: number;
  /** Jobs that were due and are left to graphile-worker. */
  passedBy: number;
  /** Fewer than jobs where some were over by then. */
  claims: Claim[];
}

interface Row { short_taken: number | null; long_taken: number | null; passed_by: number | null; execution: ExecutionClaimRow | null; flow: FlowClaimRow | null }

export class TakeStore {
  readonly #query: Query;
  readonly #workerId: () => string;

  constructor(pool: pg.Pool, workerId: () => string, log: StoreLog) {
    // Whoever asks must know that an answer was lost, so nothing is tried again here.
    this.#query = retryingQuery(pool, AbortSignal.abort(), log);
    this.#workerId = workerId;
  }

  /** At most `wanted`, of which `ofLong` at most from long queues. */
  async take(wanted: number, ofLong: number): Promise<Taken> {
    const [counts, ...rows] = await this.#query<Row>('select * from app_private.take_executions($1, $2, $3)', [this.#workerId(), wanted, ofLong], 'take');
    return {
      short: counts!.short_taken!, long: counts!.long_taken!, passedBy: counts!.passed_by!,
      claims: rows.map(({ execution, flow }) => (execution === null ? claimedFlow(flow!) : claimedExecution(execution))),
    };
  }

  /** Gives back what this worker holds without knowing. `known`: what it drives or is about to claim. */
  async forget(known: string[]): Promise<void> {
    await this.#query('select app_private.forget_leases($1, $2)', [this.#workerId(), known]);
  }
}
