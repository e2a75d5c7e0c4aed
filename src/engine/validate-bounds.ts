/** E001: documents too large to look at any closer. */
import { documentBounds } from './limits.ts';
import { isObject, ownValue } from './json.ts';
import type { Report } from './report.ts';
import type { Json, JsonObject } from './types.ts';

export function checkBounds(spec: JsonObject, report: Report): void {
  if (isDeeperThan(spec, documentBounds.depth)) {
    report.add('E001', null, `A workflow is nested at most ${documentBounds.depth} levels deep`);
    return;
  }
  if (storedBytes(spec) > documentBounds.bytes) report.add('E001', null, `A workflow is at most ${documentBounds.bytes} bytes large`);
  for (const key of ['nodes', 'edges'] as const) {
    const value = ownValue(spec, key);
    if (Array.isArray(value) && value.length > documentBounds[key]) report.add('E001', key, `${key} has ${value.length} entries; at most ${documentBounds[key]} are allowed`);
  }
}

function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((entry) => isDeeperThan(entry, levels - 1));
}

/** Bytes of the text that PostgreSQL prints for it: a space after every comma and colon. */
function storedBytes(spec: JsonObject): number {
  return Buffer.byteLength(JSON.stringify(spec)) + separators(spec);
}

function separators(value: Json): number {
  if (Array.isArray(value)) return value.reduce((sum: number, entry) => sum + separators(entry), Math.max(0, value.length - 1));
  if (!isObject(value)) return 0;
  const entries = Object.values(value);
  return entries.reduce((sum: number, entry) => sum + separators(entry), Math.max(0, 2 * entries.length - 1));
}
