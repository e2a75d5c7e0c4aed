/** The sealed chain over the audit log: seals what is there, then compares every row with its seal. */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';

export interface AuditHead {
  tenantId: string;
  seals: number;
  sealedRows: number;
  /** Of the last seal, in hex. */
  hash: string;
}

export interface AuditChain {
  problems: string[];
  /** Rows that no seal holds: of transactions that are not over, or younger than this look. */
  unsealed: number;
  heads: AuditHead[];
}

/** Writes seals, unless the server is a standby; nothing else. */
export async function auditChain(client: pg.Client, mostNamed: number): Promise<AuditChain> {
  await sealAll(client);
  const { rows: faults } = await client.query<{ tenant: string; row: string | null; at: Date | null; problem: string; count: string }>(
    `select faults.tenant_id as tenant, faults.audit_log_id as row, faults.created_at as at, faults.problem, count(*) over () as count
       from app_private.audit_faults() as faults order by faults.created_at, faults.audit_log_id limit $1`, [mostNamed]);
  const { rows: heads } = await client.query<{ tenant_id: string; seals: string; sealed_rows: string; hash: string }>('select * from app_private.audit_heads()');
  const { rows: [tail] } = await client.query<{ unsealed: string }>(
    'select count(*) as unsealed from app_public.audit_logs where log_number > (select sealed_to from app_private.audit_sealings)');
  const problems = faults.map(({ tenant, row, at, problem }) => `${row === null ? 'chain' : `audit row ${row}`} of tenant ${tenant}${at === null ? '' : ` (${at.toISOString()})`}: ${problem}`);
  const more = Number(faults[0]?.count ?? 0) - faults.length;
  return {
    problems: more > 0 ? [...problems, `and ${more} more`] : problems,
    unsealed: Number(tail!.unsealed),
    heads: heads.map(({ tenant_id: tenantId, seals, sealed_rows: sealedRows, hash }) => ({ tenantId, seals: Number(seals), sealedRows: Number(sealedRows), hash })),
  };
}

/** In portions. Transactions that write at the moment get two chances to end. */
async function sealAll(client: pg.Client): Promise<void> {
  const { rows: [server] } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (server!.standby) return;
  for (let idle = 0, sealedTo = ''; idle < 3;) {
    await client.query('select app_private.seal_audit()');
    const { rows: [state] } = await client.query<{ sealed_to: string; waiting: boolean }>('select sealed_to, app_private.has_unsealed_audit() as waiting from app_private.audit_sealings');
    if (!state!.waiting) return;
    idle = state!.sealed_to === sealedTo ? idle + 1 : 0;
    sealedTo = state!.sealed_to;
    if (idle > 0) await pause(100);
  }
}
