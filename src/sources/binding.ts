/** What one call to the outside is made for: the node, its source and what must accompany every try. */
import type { Json, JsonObject } from '../engine/types.ts';

/** A secret of the tenant, opened. `hosts` null: no host was named when it was stored. */
export interface OpenedSecret {
  value: string;
  hosts: readonly string[] | null;
}

export interface SourceBinding {
  nodeId: string;
  tenantSlug: string;
  /** What follows is absent where a source is only tried out. The execution, or the UUID of a flow execution. */
  tenantId?: string;
  runId?: string;
  /** By which all workers know it: `saved:<name>`, or a digest of what a document says of it. */
  sourceKey?: string;
  /** How messages name the source: its id or name; null for the inline keys of the node. */
  sourceName: string | null;
  /** The source's configuration, with the node's own keys over it. */
  config: JsonObject;
  /** The configuration is that of a row of `sources` alone: people with the right to keep sources wrote all of it. */
  isSaved?: boolean;
  signal: AbortSignal;
  /** The same for every try of this node in this execution. */
  idempotencyKey: string;
  /** Units of 1e-10 US dollars for a call of this model; 0 when its price is not known. */
  costUnits(model: string, inputTokens: number, outputTokens: number): number;
  /** The same for one picture. */
  imageCostUnits(model: string): number;
  /** The tenant's stored secret of that name; null when there is none. Absent where none are kept. */
  openSecret?(name: string): Promise<OpenedSecret | null>;
}

/** "source 'shop'", as messages say it. */
export function nameOf({ sourceName }: SourceBinding): string {
  return sourceName === null ? 'its source' : `source '${sourceName}'`;
}

/** "Node 'look-up': source 'shop'", the beginning of every message about a call. */
export function placeOf(binding: SourceBinding): string {
  return `Node '${binding.nodeId}': ${nameOf(binding)}`;
}

/** The text under the first of these keys that holds one. */
export function textOf(config: JsonObject, ...keys: string[]): string | null {
  for (const key of keys) {
    const value = config[key];
    if (typeof value === 'string' && value !== '') return value;
  }
  return null;
}

export function numberOf(config: JsonObject, key: string): number | null {
  const value = config[key];
  return typeof value === 'number' ? value : null;
}

export function objectOf(value: Json | undefined): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}
