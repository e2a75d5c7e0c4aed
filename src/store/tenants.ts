/** Tenants, as who runs the installation manages them: on the owner's login. */
import type pg from 'pg';

export interface TenantRow {
  id: string;
  slug: string;
  name: string;
  status: string;
  users: number;
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
    `select tenant.id, tenant.slug, tenant.name, tenant.status, tenant.created_at as "createdAt",
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
