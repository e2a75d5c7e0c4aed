/** Takes jobs that are due together with the leases of their executions. */
import type pg from 'pg';
import { claimedExecution, type ExecutionClaimRow } from './claim-rows.ts';
import { claimedFlow, type ClaimedFlow, type FlowClaimRow, type StoredTask } from './flow-rows.ts';
import type { StoreLog } from './pool.ts';
import { retryingQuery, type Query } from './query.ts';
import type { ClaimedExecution, StoredNode } from './rows.ts';

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

type Row = Omit<ExecutionClaimRow, 'nodes'> & Omit<FlowClaimRow, 'flow_execution_id' | 'age_seconds' | 'input_context' | 'tasks'> & {
  short_taken: number; long_taken: number; passed_by: number;
  /** Of nodes, or of tasks. */
  stored: StoredNode[] | StoredTask[] | null;
  /** Null: it is no flow. */
  flow_execution_id: string | null;
};

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
    return { short: counts!.short_taken, long: counts!.long_taken, passedBy: counts!.passed_by, claims: rows.map(claimed) };
  }

  /** Gives back what this worker holds without knowing; resolves to the ids of that. `known`: what it drives or is about to claim. */
  async forget(known: string[]): Promise<string[]> {
    const [row] = await this.#query<{ forgotten: string[] }>('select forgotten from app_private.forget_leases($1, $2)', [this.#workerId(), known]);
    return row!.forgotten;
  }
}

function claimed(row: Row): Claim {
  const { flow_execution_id: flow, stored } = row;
  if (flow === null) return claimedExecution({ ...row, nodes: stored as StoredNode[] | null });
  return claimedFlow({ ...row, flow_execution_id: flow, age_seconds: row.driven_seconds, input_context: row.initial_state, tasks: stored as StoredTask[] | null });
}
