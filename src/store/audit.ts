/** The audit log, as an admin of a tenant reads it. */
import type pg from 'pg';

export interface AuditFilter {
  /** Times as PostgreSQL reads them; `from` is in, `to` is not. */
  from: string | null;
  to: string | null;
  action: string | null;
  entityType: string | null;
  userEmail: string | null;
}

const columns = ['id', 'created_at', 'user_id', 'action', 'entity_type', 'entity_id', 'entity_key', 'old_value', 'new_value', 'ip_address', 'user_agent', 'api_key_id', 'request_id', 'tenant_id'];

const query = `
  select jsonb_build_object(${columns.map((column) => `'${column}', audit.${column}`).join(', ')}, 'user_email', users.email)::text as line
    from app_public.audit_logs as audit
    left join app_public.users on users.id = audit.user_id
   where audit.tenant_id = (select app_public.current_tenant_id())
     and ($1::timestamptz is null or audit.created_at >= $1) and ($2::timestamptz is null or audit.created_at < $2)
     and ($3::text is null or audit.action = $3) and ($4::text is null or audit.entity_type = $4)
     and ($5::text is null or users.email = lower($5))`;

const portion = 1_000;

/** JSON texts, one a row, oldest first, in portions. Inside a transaction. */
export async function* auditLines(client: pg.ClientBase, { from, to, action, entityType, userEmail }: AuditFilter): AsyncGenerator<string[]> {
  await client.query({ text: `declare audit_lines no scroll cursor for ${query} order by audit.created_at, audit.id`, values: [from, to, action, entityType, userEmail] });
  for (;;) {
    const { rows } = await client.query<{ line: string }>(`fetch ${portion} from audit_lines`);
    if (rows.length === 0) break;
    yield rows.map(({ line }) => line);
  }
  await client.query('close audit_lines');
}

/** The newest rows first. */
export async function latestAudit(client: pg.ClientBase, { from, to, action, entityType, userEmail }: AuditFilter, most: number): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<{ line: string }>(`${query} order by audit.created_at desc, audit.id desc limit $6`, [from, to, action, entityType, userEmail, most]);
  return rows.map(({ line }) => JSON.parse(line) as Record<string, unknown>);
}
