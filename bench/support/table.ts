/** Results as a table for people, or as JSON. */
import { table } from '../../src/cli/table.ts';

export type TableRow = Readonly<Record<string, string | number | null>>;

/** The first row's keys are the head. */
export function printTable(rows: readonly TableRow[]): void {
  const head = Object.keys(rows[0] ?? {});
  process.stdout.write(`${table(head, rows.map((row) => head.map((name) => String(row[name] ?? '-'))))}\n`);
}

export function printJson(results: unknown): void {
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}
