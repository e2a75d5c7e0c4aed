/** What an execution leaves behind. */
import { metricsOf } from '../engine/index.ts';
import type { RunCommand, RunState } from '../engine/types.ts';
import type { Ending } from '../store/rows.ts';

type Finish = Omit<Extract<RunCommand, { type: 'finish' }>, 'type'>;
type Left = Pick<RunState, 'data' | 'tokens' | 'costUnits'>;

/** `execution_time` is left to the database, which tells it by its own clock. */
export function endingOf(state: Left, { status, error }: Finish, nodeSeconds: Record<string, number>): Ending {
  const { tokens_used, cost, node_execution_times } = metricsOf(state, { executionSeconds: 0, nodeSeconds });
  return { status, error, finalState: state.data, metrics: { tokens_used, cost, node_execution_times }, tokens: tokens_used, cost };
}
