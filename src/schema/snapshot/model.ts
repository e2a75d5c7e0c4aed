/** The tables as the catalog has them, in the shape in which they are written down. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { inReadOnly } from '../fingerprint.ts';

export interface TableModel {
  schema: 'app_public' | 'app_private';
  name: string;
  comment: string | null;
  secured: boolean;
  forced: boolean;
  partitioned_by: string | null;
  columns: ColumnModel[];
  constraints: ConstraintModel[];
  indexes: { name: string; definition: string }[];
  policies: { name: string; command: string; roles: string; using: string | null; check: string | null }[];
  triggers: { name: string; definition: string; comment: string | null }[];
  rights: { role: string; privilege: string }[];
}

export interface ColumnModel {
  name: string;
  type: string;
  required: boolean;
  default: string | null;
  comment: string | null;
  isKey: boolean;
  isReference: boolean;
  /** What agentflow_user may: select, insert, update. */
  rights: string[];
}

export interface ConstraintModel {
  name: string;
  /** As in pg_constraint: p, u, f, c. */
  kind: string;
  definition: string;
  /** Of a reference: the name of the table. */
  target: string | null;
  columns: string[];
}

const query = readFileSync(path.join(import.meta.dirname, 'tables.sql'), 'utf8');

/** Those of `app_public` first, then by name. */
export async function readTables(client: pg.ClientBase): Promise<TableModel[]> {
  return inReadOnly(client, async () => {
    await client.query(`set local search_path = ''`);
    return (await client.query<TableModel>(query)).rows;
  });
}
