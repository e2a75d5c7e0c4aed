/** Refusals for the audit log. The refused transaction is gone, so each is noted in one of its own, behind the answer. */
import type { Pool } from 'pg';
import type { ErrorCode } from '../errors.ts';
import { noteRefusal } from '../store/identity.ts';
import type { Log } from './errors.ts';
import { currentScope } from './scope.ts';
import { claimsOf } from './settings.ts';

export type OnRefused = (code: ErrorCode, operation: string) => void;

/** Of the same kind by the same caller, the database keeps one in a quarter of an hour; so many of them are not even told it. */
const rememberedMs = 60_000;
const mostRemembered = 10_000;

export function createRefusals(db: Pool, log: Log): OnRefused {
  const told = new Map<string, number>();
  return (code, operation) => {
    const scope = currentScope();
    if (scope === undefined || scope.identity.kind === 'visitor') return;
    const { role: _, ...claims } = claimsOf(scope.identity);
    const key = `${Object.values(claims).join(' ')} ${code} ${operation}`;
    const now = performance.now();
    if (now - (told.get(key) ?? -Infinity) < rememberedMs) return;
    if (told.size >= mostRemembered) told.clear();
    told.set(key, now);
    noteRefusal(db, claims, scope, code, operation).catch((error: unknown) => log.warn({ err: error }, 'A refusal could not be noted'));
  };
}
