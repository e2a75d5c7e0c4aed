/** Acting as a user of a tenant by the owner's login: the database refuses what it refuses to that user. */
import type pg from 'pg';
import { inRuleWords } from './refusals.ts';

export interface Actor {
  tenantId: string;
  tenantSlug: string;
  userId: string;
  email: string;
  role: string;
}

/** Users that could be meant, the best first: of the oldest tenant, an admin, the one who has been there longest. Only active ones. */
export async function findActors(client: pg.ClientBase, { tenant, user }: { tenant: string | null; user: string | null }): Promise<Actor[]> {
  const { rows } = await client.query<Actor>(
    `select tenant.id as "tenantId", tenant.slug as "tenantSlug", member.id as "userId", member.email, member.role
       from app_public.tenants as tenant
       join app_public.users as member on member.tenant_id = tenant.id
      where tenant.status = 'active' and member.status = 'active' and member.deleted_at is null
        and ($1::text is null or tenant.slug = $1) and ($2::text is null or member.email = lower($2))
      order by tenant.created_at, tenant.slug, app_private.role_rank(member.role) desc, member.created_at, member.id
      limit 1`, [tenant, user]);
  return rows;
}

export async function tenantSlugs(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ slug: string }>(`select slug from app_public.tenants where status = 'active' order by created_at, slug`);
  return rows.map(({ slug }) => slug);
}

/** One transaction with the user's role and claims, taken back at its end when it is a rehearsal. Refusals are thrown in registered words. */
export async function inTransactionAs<T>(client: pg.ClientBase, actor: Actor, use: (client: pg.ClientBase) => Promise<T>, end: 'commit' | 'rollback' = 'commit'): Promise<T> {
  try {
    await client.query('begin');
    await client.query(
      `select set_config('role', 'agentflow_user', true), set_config('jwt.claims.tenant_id', $1, true), set_config('jwt.claims.user_id', $2, true),
              set_config('jwt.claims.role', $3, true), set_config('jwt.claims.api_key_id', '', true), set_config('jwt.claims.permissions', '', true),
              set_config('request.user_agent', 'agentflow command line', true)`,
      [actor.tenantId, actor.userId, actor.role]);
    const result = await use(client);
    await client.query(end);
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined); // the first error says more
    throw await inRuleWords(client, error);
  }
}
