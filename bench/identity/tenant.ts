/** A tenant for measuring: an admin and sources. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { signToken } from '../../src/server/tokens.ts';
import type { OwnCluster } from '../support/own-cluster.ts';

export interface BenchTenant {
  id: string;
  slug: string;
  userId: string;
  sourceIds: string[];
}

export async function makeTenant(owner: pg.ClientBase, sources: number): Promise<BenchTenant> {
  const slug = `t-${randomUUID().slice(0, 13)}`;
  const { rows: [tenant] } = await owner.query<{ id: string }>('insert into app_public.tenants (slug, name) values ($1, $1) returning id', [slug]);
  const { rows: [user] } = await owner.query<{ id: string }>(
    `insert into app_public.users (email, name, password_hash, tenant_id, role) values ($1, $1, '!', $2, 'admin') returning id`, [`${slug}@example.com`, tenant!.id]);
  const { rows } = await owner.query<{ id: string }>(
    `insert into app_public.sources (name, kind, config, user_id, tenant_id) select $3 || ' source ' || n, 'llm', '{"model_name": "m"}', $1, $2 from generate_series(1, $4::int) as n returning id`,
    [user!.id, tenant!.id, slug, sources]);
  return { id: tenant!.id, slug, userId: user!.id, sourceIds: rows.map(({ id }) => id) };
}

/** A bearer token of the tenant's admin, with a session behind it, for an hour. */
export async function tokenOf(owner: pg.ClientBase, { id: tenantId, userId }: BenchTenant, cluster: OwnCluster): Promise<string> {
  const expiresAt = new Date(Date.now() + 3_600_000);
  const { rows: [session] } = await owner.query<{ id: string }>('insert into app_private.sessions (tenant_id, user_id, expires_at) values ($1, $2, $3) returning id', [tenantId, userId, expiresAt]);
  return await signToken({ userId, tenantId, role: 'admin', sessionId: session!.id, expiresAt }, cluster.secrets.jwtSecret);
}
