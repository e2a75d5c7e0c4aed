/** What PostgreSQL refuses, in registered words: for callers that are no GraphQL clients. */
import { isNativeError } from 'node:util/types';
import type pg from 'pg';
import { AgentFlowError, errorRegistry, type ErrorCode } from '../errors.ts';

const codeBySqlstate = new Map<string, ErrorCode>(
  Object.entries(errorRegistry).flatMap(([code, { sqlstate }]) => (sqlstate === null ? [] : [[sqlstate, code as ErrorCode]])));

interface Refusal extends Error {
  code: string;
  hint?: string;
  column?: string;
  detail?: string;
  constraint?: string;
}

/** The registered error for what the database raised or refused; anything else comes back as it is. */
function inRegisteredWords(error: unknown): unknown {
  if (!isRefusal(error)) return error;
  const registered = codeBySqlstate.get(error.code) ?? (error.code === '42501' ? 'PERMISSION_DENIED' : error.code.startsWith('22') ? 'INVALID_VALUE' : undefined);
  if (registered === undefined) return error;
  return new AgentFlowError(registered, error.message, {
    ...(error.hint ? { remedy: error.hint } : {}),
    details: { ...(error.column ? { field: error.column } : {}), ...(error.constraint ? { constraint: error.constraint } : {}), ...problemsIn(error.detail) },
    cause: error,
  });
}

/** As `inRegisteredWords`; of a constraint its comment, which says the rule. The client must be outside of a transaction. */
export async function inRuleWords(client: pg.ClientBase, error: unknown): Promise<unknown> {
  const shown = inRegisteredWords(error);
  if (!(shown instanceof AgentFlowError) || !isRefusal(error) || error.constraint === undefined) return shown;
  const { rows: [rule] } = await client.query<{ words: string | null }>(`select obj_description(oid, 'pg_constraint') as words from pg_catalog.pg_constraint where conname = $1 limit 1`, [error.constraint]).catch(() => ({ rows: [] })); // inside of a transaction that has failed there is no more to be learnt
  return new AgentFlowError(shown.code, rule?.words ?? shown.message, { remedy: shown.remedy, details: shown.details, cause: error });
}

function isRefusal(error: unknown): error is Refusal {
  return isNativeError(error) && 'severity' in error && 'code' in error && typeof error.code === 'string';
}

/** `app_private.fail` gives lists as JSON; what PostgreSQL itself writes there is a sentence. */
function problemsIn(detail: string | undefined): { problems?: unknown } {
  if (!detail?.startsWith('[')) return {};
  return { problems: JSON.parse(detail) as unknown };
}
