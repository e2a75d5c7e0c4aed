/** Everything that a tenant has, as JSON texts in portions, of one moment. On the owner's login. */
import type pg from 'pg';

export interface ExportedTenant {
  id: string;
  slug: string;
  name: string;
  status: string;
}

export interface ExportedTable {
  /** With its schema. */
  name: string;
  /** By column; those that are left out are not there. */
  types: Record<string, string>;
  leftOut: string[];
}

/** Hashes and sealed secrets are of no use elsewhere, and a danger. */
const secretColumns = ['password_hash', 'key_hash', 'token_hash', 'sealed'];
const portion = 500;

/** Begins the transaction in which all is read. Null when there is no such tenant. */
export async function beginExport(client: pg.ClientBase, slug: string): Promise<ExportedTenant | null> {
  await client.query('begin isolation level repeatable read read only');
  const { rows } = await client.query<ExportedTenant>('select id, slug, name, status from app_public.tenants where slug = $1', [slug]);
  return rows[0] ?? null;
}

/** The tenant's own row first, then every table that belongs to tenants, from the catalog. */
export async function exportedTables(client: pg.ClientBase): Promise<ExportedTable[]> {
  const { rows } = await client.query<{ name: string; columns: { name: string; type: string }[] }>(`
    select tables.name, (select json_agg(json_build_object('name', attribute.attname, 'type', format_type(attribute.atttypid, attribute.atttypmod)) order by attribute.attnum)
        from pg_attribute as attribute where attribute.attrelid = tables.name::regclass and attribute.attnum > 0 and not attribute.attisdropped) as columns
      from (select 'app_public.tenants' as name union all select name from app_private.tenant_tables()) as tables`);
  return rows.map(({ name, columns }) => ({
    name,
    types: Object.fromEntries(columns.filter((column) => !secretColumns.includes(column.name)).map((column) => [column.name, column.type])),
    leftOut: columns.map((column) => column.name).filter((column) => secretColumns.includes(column)),
  }));
}

export async function* exportedRows(client: pg.ClientBase, { name, leftOut }: ExportedTable, tenantId: string): AsyncGenerator<string[]> {
  const key = name === 'app_public.tenants' ? 'id' : 'tenant_id';
  await client.query({ text: `declare exported no scroll cursor for select (to_jsonb(t) - $2::text[])::text as line from ${name} as t where t.${key} = $1`, values: [tenantId, leftOut] });
  for (;;) {
    const { rows } = await client.query<{ line: string }>(`fetch ${portion} from exported`);
    if (rows.length === 0) break;
    yield rows.map(({ line }) => line);
  }
  await client.query('close exported');
}

/** Ends the transaction, and notes in the tenant's audit log what was taken out. */
export async function endExport(client: pg.ClientBase, tenantId: string, rows: number): Promise<void> {
  await client.query('commit');
  await client.query(`select app_private.record_audit($1, null, 'export', 'tenant', $1, null, jsonb_build_object('rows', $2::bigint))`, [tenantId, rows]);
}
