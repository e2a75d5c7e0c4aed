/** Money: a call of a model is made while budgets and quotas last, and counted when it ends, whatever becomes of its execution. */
import { NodeError } from '../errors.ts';
import type { SourceBinding } from './binding.ts';
import type { BudgetRefusal, SharedState } from './shared-state.ts';

interface Spent {
  tokens: number;
  costUnits: number;
}

/** @throws NodeError BUDGET_EXHAUSTED or QUOTA_EXCEEDED */
export async function paid<T>(shared: SharedState | null, { tenantId, runId }: SourceBinding, work: () => Promise<T>, spentOf: (answer: T) => Spent): Promise<T> {
  if (shared === null || tenantId === undefined || runId === undefined) return work();
  const refusal = await shared.budgetRefusal(tenantId, runId);
  if (refusal !== null) throw refused(refusal);
  const answer = await work();
  const { tokens, costUnits } = spentOf(answer);
  if (tokens > 0 || costUnits > 0) await shared.recordSpending({ tenantId, runId, tokens, costUnits });
  return answer;
}

function refused({ code, scope, limit, spent }: BudgetRefusal): NodeError {
  const said = scope === 'tokens_per_month' ? `${spent} of ${limit} tokens` : `${spent.toFixed(2)} of ${limit.toFixed(2)} US dollars`;
  if (code === 'QUOTA_EXCEEDED') return new NodeError(code, `may not be asked: the tenant's quota ${scope} is used up (${said}).`, { remedy: 'Ask the operator to raise it, or wait for the next month.' });
  const whose = scope === 'key' ? 'of the API key that started this' : 'of the tenant';
  return new NodeError(code, `may not be asked: the monthly budget ${whose} is used up (${said}).`);
}
