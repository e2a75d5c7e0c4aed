/**
 * Identity as settings of a transaction. Every setting is always given, empty when it does not apply: nothing that a pooled
 * connection might still hold can speak for the next caller.
 */
import { type AnswerBudget, answerBudgetKey } from '../store/answer-size.ts';
import { originSettings } from '../store/identity.ts';
import { type Condition, conditionKey } from '../store/settled-query.ts';
import type { Identity } from './identity.ts';
import type { RequestScope } from './scope.ts';

export type PgSettings = Record<string, string> & { [conditionKey]?: Condition; [answerBudgetKey]?: AnswerBudget };

export function settingsOf(scope: RequestScope, statementTimeoutMs: number): PgSettings {
  return {
    ...claimsOf(scope.identity),
    ...originSettings(scope),
    statement_timeout: String(statementTimeoutMs),
    ...(scope.answerBudget ? { [answerBudgetKey]: scope.answerBudget } : null),
    ...(scope.unconfirmed ? { [conditionKey]: scope.unconfirmed.condition } : null),
  };
}

export function claimsOf(identity: Identity): PgSettings {
  if (identity.kind === 'visitor') return claims('agentflow_visitor', '', '', '', '', '');
  const { tenantId, userId, role } = identity;
  if (identity.kind === 'session') return claims('agentflow_user', tenantId, userId, role, '', '');
  const permissions = identity.permissions === null ? '' : JSON.stringify(identity.permissions);
  return claims('agentflow_user', tenantId, userId, role, identity.apiKeyId, permissions);
}

function claims(databaseRole: string, tenantId: string, userId: string, role: string, apiKeyId: string, permissions: string): PgSettings {
  return {
    role: databaseRole,
    'jwt.claims.tenant_id': tenantId,
    'jwt.claims.user_id': userId,
    'jwt.claims.role': role,
    'jwt.claims.api_key_id': apiKeyId,
    'jwt.claims.permissions': permissions,
  };
}
