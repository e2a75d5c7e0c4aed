/** What the catalog says about single-column CHECK constraints of some schemas. */
export interface CheckConstraintRow {
  schema: string;
  table: string;
  column: string;
  /** As `pg_get_constraintdef` writes it. */
  definition: string;
}

export const checkConstraintsQuery = `
  select n.nspname as schema, c.relname as table, a.attname as column, pg_get_constraintdef(k.oid) as definition
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
   where k.contype = 'c' and cardinality(k.conkey) = 1 and n.nspname = any ($1::text[])`;
