/** Stored secrets under a new key, one by one: whoever reads meanwhile finds each of them sealed under a key that it has. By the owner's login. */
import type pg from 'pg';

export interface Box {
  /** Of what it seals. */
  prefix: string;
  seal(value: string, owner: { tenantId: string; name: string }): string;
  open(sealed: string, owner: { tenantId: string; name: string }): string | null;
}

export interface Resealed {
  sealed: number;
  kept: number;
  /** None of the keys opens these; they stay as they are. */
  lost: { tenant: string; name: string }[];
}

export async function resealSecrets(client: pg.ClientBase, box: Box): Promise<Resealed> {
  const { rows } = await client.query<{ id: string; tenant_id: string; tenant: string; name: string; sealed: string }>(`
    select secret.id, secret.tenant_id, tenant.slug as tenant, secret.name, secret.sealed
      from app_private.secrets as secret join app_public.tenants as tenant on tenant.id = secret.tenant_id order by secret.id`);
  const result: Resealed = { sealed: 0, kept: 0, lost: [] };
  for (const { id, tenant_id: tenantId, tenant, name, sealed } of rows) {
    const value = sealed.startsWith(box.prefix) ? null : box.open(sealed, { tenantId, name });
    if (sealed.startsWith(box.prefix)) result.kept += 1;
    else if (value === null) result.lost.push({ tenant, name });
    else {
      // One that was replaced meanwhile is left alone.
      const { rowCount } = await client.query('update app_private.secrets set sealed = $1 where id = $2 and sealed = $3', [box.seal(value, { tenantId, name }), id, sealed]);
      result.sealed += rowCount ?? 0;
    }
  }
  return result;
}

/** Active API keys, and how many of them nobody has used in the last day: those may still be known by a hash under an earlier secret key alone. */
export async function keysInUse(client: pg.ClientBase): Promise<{ active: number; unused: number }> {
  const { rows } = await client.query<{ active: number; unused: number }>(`
    select count(*)::int as active, count(*) filter (where last_used_at is null or last_used_at < now() - interval '1 day')::int as unused
      from app_public.api_keys where status = 'active' and deleted_at is null`);
  return rows[0]!;
}
