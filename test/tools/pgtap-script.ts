/** The tables of the snapshot as assertions of pgTAP: a second reader of the same catalog. */
import type pg from 'pg';
import { readTables } from '../../src/schema/snapshot/model.ts';

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const list = (names: string[]): string => `array[${names.map(quote).join(', ')}]::name[]`;

/** `client` must find pgTAP's functions by its search_path afterwards. */
export async function pgtapScript(client: pg.ClientBase): Promise<string> {
  const tables = await readTables(client);
  const assertions = tables.flatMap(({ schema, name, columns, policies, triggers, indexes }) => [
    `select columns_are(${quote(schema)}::name, ${quote(name)}::name, ${list(columns.map((column) => column.name))})`,
    `select policies_are(${quote(schema)}::name, ${quote(name)}::name, ${list(policies.map((policy) => policy.name))})`,
    `select triggers_are(${quote(schema)}::name, ${quote(name)}::name, ${list(triggers.map((trigger) => trigger.name))})`,
    `select indexes_are(${quote(schema)}::name, ${quote(name)}::name, ${list(indexes.map((index) => index.name))})`,
    `select has_pk(${quote(schema)}::name, ${quote(name)}::name, 'has a primary key')`,
    ...columns.map((column) => `select col_type_is(${quote(schema)}::name, ${quote(name)}::name, ${quote(column.name)}::name, ${quote(column.type)})`),
    ...columns.map((column) => `select ${column.required ? 'col_not_null' : 'col_is_null'}(${quote(schema)}::name, ${quote(name)}::name, ${quote(column.name)}::name)`),
  ]);
  return `begin; select plan(${assertions.length}); ${assertions.join('; ')}; rollback;`;
}
