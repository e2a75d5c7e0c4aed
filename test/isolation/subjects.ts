/** What there is to be proved, read from the catalog: a table that is new is a subject from its first day on. */
import type pg from 'pg';

export interface Subject {
  /** With its schema. */
  name: string;
  /** `tenants` is its own tenant. */
  tenantColumn: string;
  /** Of the primary key. */
  key: string[];
  columns: Column[];
}

export interface Column {
  name: string;
  type: string;
  required: boolean;
  /** A default, an identity or a generated value fills it. */
  filled: boolean;
  /** What an enum or a CHECK `column in (...)` allows; null for anything. */
  values: string[] | null;
  /** The column that a foreign key of this table copies: of which table, and which one there. */
  reference: { table: string; column: string } | null;
  isUnique: boolean;
}

/** The tables of `app_public`. An empty search_path makes names come with their schema. */
export async function publicSubjects(client: pg.ClientBase): Promise<Subject[]> {
  const { rows } = await client.query<Subject>(`
    select c.oid::regclass::text as name,
      case c.relname when 'tenants' then 'id' else 'tenant_id' end as "tenantColumn",
      array(select a.attname::text from pg_constraint k, unnest(k.conkey) with ordinality as part (number, place) join pg_attribute a on a.attrelid = c.oid and a.attnum = part.number
        where k.conrelid = c.oid and k.contype = 'p' order by part.place) as key,
      (select json_agg(json_build_object(
          'name', a.attname, 'type', format_type(a.atttypid, null), 'required', a.attnotnull,
          'filled', a.atthasdef or a.attidentity <> '' or a.attgenerated <> '',
          'values', coalesce(
            (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid having count(*) > 0),
            (select json_agg(m[1]) from pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), '''([^'']*)''::', 'g') m
              where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum] and pg_get_constraintdef(k.oid) ~ '= ANY' having count(*) > 0)),
          'reference', (select json_build_object('table', k.confrelid::regclass::text, 'column', f.attname)
            from pg_constraint k, unnest(k.conkey, k.confkey) as part (own, foreign_number) join pg_attribute f on true
            where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0 and part.own = a.attnum and f.attrelid = k.confrelid and f.attnum = part.foreign_number
            order by cardinality(k.conkey) desc, k.conname limit 1),
          'isUnique', exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey::int2[]) and not a.attname = 'tenant_id')
        ) order by a.attnum)
       from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_class c
    where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by 1`);
  return rows;
}

/** Tables, partitions and sequences of `app_private`. */
export async function privateTables(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relnamespace = 'app_private'::regnamespace and relkind in ('r', 'p') order by 1`);
  return rows.map(({ name }) => name);
}

export function columnOf(subject: Subject, name: string): Column {
  const column = subject.columns.find((one) => one.name === name);
  if (!column) throw new Error(`${subject.name} has no column ${name}.`);
  return column;
}
