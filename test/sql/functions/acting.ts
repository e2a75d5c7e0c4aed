/** Calls functions as somebody: in a transaction of its own with that person's claims, as the server does it. */
import type pg from 'pg';
import type { Claims, SqlRole, TestDatabase } from '../../support/database.ts';
import type { PlantedTenant, RoleOfUser } from '../support/plant.ts';

export type Acting = <T = Record<string, unknown>>(sql: string, values?: unknown[]) => Promise<T[]>;

export interface Refusal {
  /** SQLSTATE. */
  code: string;
  message: string;
  /** The field at fault. */
  column?: string;
  hint?: string;
  detail?: string;
}

export function claimsOf(tenant: PlantedTenant, role: RoleOfUser, permissions?: Record<string, string[]> | null): Claims {
  return {
    tenant_id: tenant.id, user_id: tenant.users[role], role,
    ...(permissions === undefined ? {} : { api_key_id: tenant.apiKeyId, permissions: JSON.stringify(permissions) }),
  };
}

/** What is done stays, unless it fails. */
export function as(db: TestDatabase, claims: Claims, role: SqlRole = 'agentflow_user'): Acting {
  return (sql, values = []) => db.asRole(role, claims, async (client) => (await client.query<never>(sql, values)).rows, { commit: true });
}

/** What the work is refused with; fails when it is not refused. */
export async function refusal(work: Promise<unknown>): Promise<Refusal> {
  let result: unknown;
  try {
    result = await work;
  } catch (error) {
    const { code, message, column, hint, detail } = error as pg.DatabaseError & Refusal;
    if (typeof code !== 'string') throw error;
    return { code, message, ...(column ? { column } : {}), ...(hint ? { hint } : {}), ...(detail ? { detail } : {}) };
  }
  throw new Error(`Not refused, but answered: ${JSON.stringify(result)}`);
}

/** Until a session of this database waits for the lock of another. */
export async function someoneWaits(db: TestDatabase): Promise<void> {
  for (;;) {
    const { rowCount } = await db.owner.query(`
      select from pg_locks join pg_stat_activity using (pid) where not granted and pg_stat_activity.datname = current_database()`);
    if (rowCount! > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const unknownId = '00000000-0000-4000-8000-000000000000';

export const sqlstates = {
  INVALID_VALUE: 'AF400', UNAUTHENTICATED: 'AF401', PERMISSION_DENIED: 'AF403', NOT_FOUND: 'AF404', VERSION_CONFLICT: 'AF409', IDEMPOTENCY_CONFLICT: 'AF410',
  ILLEGAL_TRANSITION: 'AF411', SOURCE_IN_USE: 'AF412', TOO_LARGE: 'AF413', LAST_ADMIN: 'AF414', LINK_INVALID: 'AF415', INVALID_WORKFLOW: 'AF422', WORKFLOW_NOT_RUNNABLE: 'AF423', NO_GRANT: '42501',
} as const;
