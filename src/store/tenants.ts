/** Tenants, as who runs the installation manages them: on the owner's login. */
import type pg from 'pg';

export interface TenantRow {
  id: string;
  slug: string;
  name: string;
  status: string;
  users: number;
  quotas: Record<string, number>;
  createdAt: Date;
}

/** Returns the tenant's id. Raises INVALID_VALUE for a slug that is taken, and what constraints refuse. */
export async function createTenant(client: pg.ClientBase, tenant: { slug: string; name: string | null; adminEmail: string }, tokenHash: string): Promise<string> {
  const values = [tenant.slug, tenant.name, tenant.adminEmail, tokenHash];
  const { rows } = await client.query<{ id: string }>('select app_private.create_tenant($1, $2, $3, $4) as id', values);
  return rows[0]!.id;
}

export async function listTenants(client: pg.ClientBase): Promise<TenantRow[]> {
  const { rows } = await client.query<TenantRow>(
    `select tenant.id, tenant.slug, tenant.name, tenant.status, tenant.created_at as "createdAt", tenant.quotas,
            (select count(*)::int from app_public.users where users.tenant_id = tenant.id and users.deleted_at is null) as users
       from app_public.tenants as tenant
      order by tenant.created_at, tenant.slug`);
  return rows;
}

/** False when there is no such tenant. Raises ILLEGAL_TRANSITION. */
export async function setTenantStatus(client: pg.ClientBase, slug: string, status: 'active' | 'suspended'): Promise<boolean> {
  const { rowCount } = await client.query('update app_public.tenants set status = $2 where slug = $1', [slug, status]);
  return rowCount === 1;
}

/** As `app_private.is_quotas` has them. */
export const quotaNames = [
  'executions_per_day', 'concurrent_executions', 'storage_bytes', 'tokens_per_month', 'cost_per_month',
  'max_parallel_nodes', 'max_nodes', 'max_tokens', 'max_cost', 'max_seconds', 'max_state_bytes', 'max_output_bytes',
];

/** Sets quotas, takes out those that are null; answers all that there are now, or null when there is no such tenant. Raises what constraints refuse. */
export async function setQuotas(client: pg.ClientBase, slug: string, quotas: Record<string, number | null>): Promise<Record<string, number> | null> {
  const { rows } = await client.query<{ quotas: Record<string, number> }>(
    'update app_public.tenants set quotas = jsonb_strip_nulls(quotas || $2::jsonb) where slug = $1 returning quotas', [slug, JSON.stringify(quotas)]);
  return rows[0]?.quotas ?? null;
}

export interface ErasureCertificate {
  id: string;
  erased_tenant_id: string;
  slug: string;
  reason: string;
  erased_by: string;
  erased_at: string;
  /** By table. */
  row_counts: Record<string, number>;
  last_audit_hash: string | null;
}

/** Raises NOT_FOUND, ILLEGAL_TRANSITION for an active tenant, INVALID_VALUE without a reason. */
export async function eraseTenant(client: pg.ClientBase, slug: string, reason: string): Promise<ErasureCertificate> {
  const { rows } = await client.query<{ certificate: ErasureCertificate }>('select app_private.erase_tenant($1, $2) as certificate', [slug, reason]);
  return rows[0]!.certificate;
}
