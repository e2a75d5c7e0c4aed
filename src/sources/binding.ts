/** What one call to the outside is made for: the node, its source and what must accompany every try. */
import type { JsonObject } from '../engine/types.ts';

export interface SourceBinding {
  nodeId: string;
  tenantSlug: string;
  /** How messages name the source: its id, or the node for inline keys. */
  sourceName: string;
  /** The source's configuration, with the node's own keys over it. */
  config: JsonObject;
  signal: AbortSignal;
  /** The same for every try of this node in this execution. */
  idempotencyKey: string;
  /** Units of 1e-10 US dollars for a call of this model; 0 when its price is not known. */
  costUnits(model: string, inputTokens: number, outputTokens: number): number;
  /** The same for one picture. */
  imageCostUnits(model: string): number;
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
