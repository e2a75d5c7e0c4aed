/** Which node types this installation brings, for the checks in the database. Written by the owner. */
import type pg from 'pg';
import type { NodeType } from '../engine/types.ts';

/**
 * Adds those that the database does not know, or knows otherwise. None is ever taken out: another process may bring it, and a document
 * that uses one that nobody brings fails when it is executed.
 */
export async function registerNodeTypes(client: pg.ClientBase | pg.Pool, types: readonly NodeType[]): Promise<void> {
  const given = types.map(({ type, sourceKind, sourceRequired }) => ({ type, source_kind: sourceKind, source_required: sourceRequired }));
  await client.query(
    `insert into app_private.added_node_types as known (type, source_kind, source_required)
     select given.type, given.source_kind, given.source_required
       from jsonb_to_recordset($1) as given (type text, source_kind text, source_required boolean)
      where given.type <> all (app_private.node_types())
      order by given.type
     on conflict (type) do update set source_kind = excluded.source_kind, source_required = excluded.source_required
      where (known.source_kind, known.source_required) is distinct from (excluded.source_kind, excluded.source_required)`, [JSON.stringify(given)]);
}
