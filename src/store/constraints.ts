/** What the catalog says of the constraints of the API's tables: the columns they are about, and in words what they ask for. */
import type { Pool } from 'pg';

export interface ConstraintRow {
  name: string;
  /** In the order of the constraint. */
  columns: string[];
  /** The comment of a CHECK or of a uniqueness, without smart tags; null when it has none. */
  description: string | null;
}

/** CHECK, UNIQUE, primary-key and foreign-key constraints, and unique indexes. */
export async function readConstraints(db: Pool): Promise<ConstraintRow[]> {
  const { rows } = await db.query<ConstraintRow>(`
    select k.conname as name, array_agg(a.attname::text order by position.n) as columns,
           case when k.contype <> 'f' then obj_description(k.oid, 'pg_constraint') end as description
      from pg_catalog.pg_constraint k
      join pg_catalog.pg_class c on c.oid = k.conrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     cross join lateral unnest(k.conkey) with ordinality as position (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = position.attnum
     where n.nspname = 'app_public' and k.contype in ('c', 'u', 'p', 'f')
     group by k.oid, k.conname, k.contype
    union all
    select i.relname, array_agg(a.attname::text order by position.n), obj_description(i.oid, 'pg_class')
      from pg_catalog.pg_index x
      join pg_catalog.pg_class i on i.oid = x.indexrelid
      join pg_catalog.pg_namespace n on n.oid = i.relnamespace
     cross join lateral unnest(x.indkey::int2[]) with ordinality as position (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = position.attnum
     where n.nspname = 'app_public' and x.indisunique and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.oid)
     group by i.oid, i.relname`);
  return rows.map((row) => ({ ...row, description: withoutTags(row.description) }));
}

/** Smart tags (`@name value`) stand at the beginning, a line each. */
function withoutTags(comment: string | null): string | null {
  const words = (comment ?? '').split('\n').filter((line) => !line.startsWith('@')).join(' ').trim();
  return words === '' ? null : words;
}
