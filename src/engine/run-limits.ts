/** Which limit an execution has crossed by what it has used so far. Time and the number of nodes are looked at elsewhere. */
import { dollars } from './cost.ts';
import type { ErrorCode } from '../errors.ts';
import type { Limits, RunState } from './types.ts';

export function crossedLimit(limits: Limits, state: Pick<RunState, 'tokens' | 'costUnits' | 'dataBytes'>): { code: ErrorCode; message: string } | null {
  if (limits.maxTokens !== null && state.tokens > limits.maxTokens) {
    return { code: 'LIMIT_TOKENS', message: `the execution used ${state.tokens} tokens, ${limits.maxTokens} are allowed` };
  }
  if (limits.maxCost !== null && dollars(state.costUnits) > limits.maxCost) {
    return { code: 'LIMIT_COST', message: `the execution cost $${dollars(state.costUnits)}, $${limits.maxCost} are allowed` };
  }
  if (state.dataBytes > limits.maxStateBytes) {
    return { code: 'LIMIT_STATE', message: `the state is ${state.dataBytes} bytes large, ${limits.maxStateBytes} are allowed` };
  }
  return null;
}
