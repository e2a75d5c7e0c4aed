/** What a rollback cannot bring back: read from the two catalogs and from its text, and counted where there are rows. */
import type pg from 'pg';
import type { Catalog } from './fingerprint.ts';
import { rowStatements } from './statements.ts';

/** Tables and columns that it drops, those that come back empty, and rows that its statements write. `rewritten`: columns whose values the migration changed, as its header says. */
export function foreseenLosses(before: Catalog, after: Catalog, sql: string, rewritten: readonly string[]): string[] {
  return [...dataObjects(only(after, before)).map((object) => `${object} is dropped with what is in it`), ...emptyComebacks(before, after), ...conversions(before, after),
    ...rewritten.map((column) => `column ${column} keeps the values that the migration gave it`), ...new Set(rowStatements(sql))];
}

/** The same with the number of rows that there are; what statements do to rows is counted while they run (`countRows`). */
export async function lossesIn(client: pg.ClientBase, before: Catalog, after: Catalog, rewritten: readonly string[]): Promise<string[]> {
  const counted: string[] = [];
  for (const object of dataObjects(only(after, before))) {
    const [kind, name] = object.split(' ') as ['table' | 'column', string];
    const parts = name.split('.');
    const table = parts.slice(0, 2).map((part) => client.escapeIdentifier(part)).join('.');
    const what = kind === 'table' ? 'count(*)' : `count(${client.escapeIdentifier(parts[2]!)})`;
    const { rows: [row] } = await client.query<{ count: string }>(`select ${what} as count from ${table}`);
    counted.push(`${object} is dropped with ${row!.count} ${kind === 'table' ? 'rows' : 'values'} in it`);
  }
  return [...counted, ...emptyComebacks(before, after), ...conversions(before, after), ...rewritten.map((column) => `column ${column} keeps the values that the migration gave it`)];
}

/** Of each table: its rows, and how many this transaction has changed or deleted. */
export type RowCounts = ReadonlyMap<string, { rows: number; changed: number; deleted: number }>;

/** Within an open transaction. Partitions count for the table that they are of. */
export async function countRows(client: pg.ClientBase): Promise<RowCounts> {
  const { rows: tables } = await client.query<{ name: string; changed: number; deleted: number }>(`
    select format('%I.%I', n.nspname, c.relname) as name, coalesce(sum(s.n_tup_upd), 0)::int as changed, coalesce(sum(s.n_tup_del), 0)::int as deleted
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join lateral pg_partition_tree(c.oid) part on true
    left join pg_stat_xact_all_tables s on s.relid = coalesce(part.relid, c.oid)
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'graphile_migrate', 'graphile_worker') and c.relkind in ('r', 'p') and not c.relispartition
      and has_table_privilege(c.oid, 'select')
    group by n.nspname, c.relname`);
  const counts = new Map<string, { rows: number; changed: number; deleted: number }>();
  for (const { name, changed, deleted } of tables) {
    const { rows: [row] } = await client.query<{ count: string }>(`select count(*) as count from ${name}`);
    counts.set(name, { rows: Number(row!.count), changed, deleted });
  }
  return counts;
}

/** What the statements between two counts did to the rows of tables that are still there. */
export function rowLosses(before: RowCounts, after: RowCounts): string[] {
  return [...before].flatMap(([name, was]) => {
    const now = after.get(name);
    if (now === undefined) return [];
    const lost = Math.max(was.rows - now.rows, now.deleted - was.deleted);
    const changed = now.changed - was.changed;
    return [...(lost > 0 ? [`${lost} rows of ${name} are deleted`] : []), ...(changed > 0 ? [`${changed} rows of ${name} are changed`] : [])];
  });
}

function only(one: Catalog, other: Catalog): string[] {
  return [...one.keys()].filter((object) => !other.has(object));
}

function emptyComebacks(before: Catalog, after: Catalog): string[] {
  return dataObjects(only(before, after)).map((object) => `${object} comes back without what was in it`);
}

/** The type stands at the beginning of a column's first line. */
function conversions(before: Catalog, after: Catalog): string[] {
  const typeOf = (text: string): string => text.split('\n')[0]!.split(/ (?:collate|not null|default|generated|options|storage|compression|statistics) ?/)[0]!;
  return [...before].flatMap(([object, text]) => {
    const now = after.get(object);
    if (!object.startsWith('column ') || object.startsWith('column order of') || now === undefined || typeOf(now) === typeOf(text)) return [];
    return [`${object} goes back from ${typeOf(now)} to ${typeOf(text)}: what the first conversion took from its values does not come back`];
  });
}

/** Columns of a table that is named itself need no line of their own. */
function dataObjects(objects: string[]): string[] {
  const tables = objects.filter((object) => object.startsWith('table '));
  const isOfTable = (column: string): boolean => tables.some((table) => column.startsWith(`column ${table.slice('table '.length)}.`));
  return [...tables, ...objects.filter((object) => object.startsWith('column ') && !object.startsWith('column order of') && !isOfTable(object))];
}
