/** What the worker processes know together of sources: circuits, kept answers, what is spent. Absent where sources are only tried out. */
import type { JsonObject } from '../engine/types.ts';

export interface CircuitState {
  /** In a row. */
  failures: number;
  /** HALF_OPEN: this call, and no other, tries the source out. */
  state: 'CLOSED' | 'OPEN' | 'HALF_OPEN';
  /** How long it stays open yet. */
  seconds: number;
}

export interface CircuitOutcome {
  tenantId: string;
  sourceKey: string;
  isOk: boolean;
  /** Failures in a row that open it. */
  threshold: number;
  /** For how long. */
  seconds: number;
  errorCode: string | null;
}

export interface KeptAnswer {
  answer: JsonObject;
  bytes: Uint8Array | null;
}

export interface AnswerToKeep extends KeptAnswer {
  tenantId: string;
  cacheKey: string;
  sourceName: string | null;
  /** How long it is good. */
  seconds: number;
}

export interface SpentCall {
  tenantId: string;
  /** The execution, or the UUID by which the engine knows a flow execution. */
  runId: string;
  tokens: number;
  /** In units of 1e-10 US dollars. */
  costUnits: number;
}

/** Why no model may be called: a budget of the tenant's own, or a quota of the platform. */
export interface BudgetRefusal {
  code: 'BUDGET_EXHAUSTED' | 'QUOTA_EXCEEDED';
  /** `tenant` or `key` of a budget; the quota's name. */
  scope: string;
  limit: number;
  spent: number;
}

export interface SharedState {
  enterCircuit(tenantId: string, sourceKey: string): Promise<CircuitState>;
  recordCircuit(outcome: CircuitOutcome): Promise<void>;
  findAnswer(tenantId: string, cacheKey: string): Promise<KeptAnswer | null>;
  keepAnswer(answer: AnswerToKeep): Promise<void>;
  budgetRefusal(tenantId: string, runId: string): Promise<BudgetRefusal | null>;
  recordSpending(call: SpentCall): Promise<void>;
}
