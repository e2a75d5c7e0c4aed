/** What an execution leaves behind: its final state and its metrics. */
import { roundedDollars } from './cost.ts';
import type { JsonObject, RunState } from './types.ts';

export interface Times {
  /** Wall-clock seconds of the execution, and of each node by id. */
  executionSeconds: number;
  nodeSeconds: Readonly<Record<string, number>>;
}

export interface Metrics {
  /** Seconds, 3 places. */
  execution_time: number;
  tokens_used: number;
  /** US dollars, 4 places, half up. */
  cost: number;
  node_execution_times: Record<string, number>;
}

export function finalState(state: RunState): JsonObject {
  return state.data;
}

export function metricsOf(state: Pick<RunState, 'tokens' | 'costUnits'>, times: Times): Metrics {
  return {
    execution_time: thousandths(times.executionSeconds),
    tokens_used: state.tokens,
    cost: roundedDollars(state.costUnits),
    node_execution_times: Object.fromEntries(Object.entries(times.nodeSeconds).map(([id, seconds]) => [id, thousandths(seconds)])),
  };
}

function thousandths(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
