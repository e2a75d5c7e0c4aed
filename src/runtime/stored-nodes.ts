/** Stored node rows as what the engine replays, and as what the driver goes on from. */
import type { NodeOutcome } from '../engine/types.ts';
import { costUnits, type StoredNode } from '../store/rows.ts';

type FinalStatus = NodeOutcome['status'];

/** Finished nodes in the order in which they finished. */
export function storedOutcomes(stored: readonly StoredNode[]): NodeOutcome[] {
  return stored.filter((node) => node.finish_order !== null)
    .sort((a, b) => a.finish_order! - b.finish_order!)
    .map((node) => ({
      nodeId: node.node_id,
      status: node.status as FinalStatus,
      sequence: node.sequence_number,
      finishOrder: node.finish_order!,
      output: node.output,
      writes: node.writes ?? {},
      error: node.error_code === null ? null : { code: node.error_code, message: node.error_message ?? '' },
      routeTarget: node.route_target,
      tokens: node.tokens_used,
      costUnits: costUnits(node.cost),
    }));
}

/** Nodes that had started and not finished, by id. */
export function unfinished(stored: readonly StoredNode[]): Map<string, StoredNode> {
  return new Map(stored.filter((node) => node.finish_order === null).map((node) => [node.node_id, node]));
}

/** Seconds that each finished node took. */
export function storedSeconds(stored: readonly StoredNode[]): Map<string, number> {
  return new Map(stored.flatMap((node) => (node.finish_order === null || node.started_ms === null || node.completed_ms === null
    ? [] : [[node.node_id, (node.completed_ms - node.started_ms) / 1_000] as const])));
}
