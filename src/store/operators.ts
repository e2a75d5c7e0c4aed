/** Grants by which logins of the platform look into a tenant: on the owner's login. */
import type pg from 'pg';

export interface OperatorGrant {
  id: string;
  operator: string;
  reason: string;
  may_act: boolean;
  granted_by: string;
  created_at: Date;
  expires_at: Date;
  ended_at: Date | null;
}

export interface NewGrant {
  slug: string;
  operator: string;
  reason: string;
  /** As PostgreSQL reads it: `1 hour`. */
  lasts: string;
  mayAct: boolean;
}

const columns = 'id, operator, reason, may_act, granted_by, created_at, expires_at, ended_at';

/** Raises NOT_FOUND and INVALID_VALUE. */
export async function openOperatorGrant(client: pg.ClientBase, { slug, operator, reason, lasts, mayAct }: NewGrant): Promise<OperatorGrant> {
  const { rows } = await client.query<OperatorGrant>(`select ${columns} from app_private.open_operator_grant($1, $2, $3, $4::interval, $5)`, [slug, operator, reason, lasts, mayAct]);
  return rows[0]!;
}

/** Raises NOT_FOUND. */
export async function endOperatorGrant(client: pg.ClientBase, id: string): Promise<OperatorGrant> {
  const { rows } = await client.query<OperatorGrant>(`select ${columns} from app_private.end_operator_grant($1)`, [id]);
  return rows[0]!;
}

export async function listOperatorGrants(client: pg.ClientBase): Promise<(OperatorGrant & { slug: string; isAlive: boolean })[]> {
  const { rows } = await client.query<OperatorGrant & { slug: string; isAlive: boolean }>(`
    select ${columns.split(', ').map((column) => `given.${column}`).join(', ')}, tenants.slug, given.ended_at is null and given.expires_at > now() as "isAlive"
      from app_private.operator_grants as given join app_public.tenants on tenants.id = given.tenant_id
     order by given.created_at desc, given.id desc limit 100`);
  return rows;
}
