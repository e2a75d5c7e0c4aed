/**
 * Makes a value look as it will after a round through jsonb, so that a run sees the same before and after a crash: key order, no NUL, no lone
 * surrogates, no negative zero, only JSON types.
 */
import { AgentFlowError } from '../errors.ts';
import { maxValueDepth } from './limits.ts';
import { setOwn } from './json.ts';
import type { Json, JsonObject } from './types.ts';

export interface Normalised {
  value: Json;
  /** One sentence per kind of change that loses something. */
  warnings: string[];
}

const textWarning = 'NUL characters or lone surrogates were replaced by U+FFFD';
const numberWarning = 'numbers that JSON cannot write (NaN, infinities) became null';

/** @throws AgentFlowError INVALID_VALUE when the value is nested too deeply (or holds itself). */
export function normalise(input: unknown): Normalised {
  const warnings = new Set<string>();
  return { value: walk(input, 0, warnings), warnings: [...warnings] };
}

function walk(value: unknown, depth: number, warnings: Set<string>): Json {
  switch (typeof value) {
    case 'string': return text(value, warnings);
    case 'boolean': return value;
    case 'number': return number(value, warnings);
    case 'bigint': return number(Number(value), warnings);
    case 'object': return value === null ? null : container(value, depth, warnings);
    default: return null;
  }
}

function container(value: object, depth: number, warnings: Set<string>): Json {
  if (depth >= maxValueDepth) {
    throw new AgentFlowError('INVALID_VALUE', `a value is nested deeper than ${maxValueDepth} levels`, { remedy: 'Return a flatter value.' });
  }
  if (Array.isArray(value)) return value.map((entry) => walk(entry, depth + 1, warnings));
  if ('toJSON' in value && typeof value.toJSON === 'function') return walk(value.toJSON(), depth + 1, warnings);
  const entries: [string, Json][] = [];
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (entry === undefined || typeof entry === 'function' || typeof entry === 'symbol') continue;
    entries.push([text(key, warnings), walk(entry, depth + 1, warnings)]);
  }
  entries.sort(byJsonbKey);
  const result: JsonObject = {};
  for (const [key, entry] of entries) setOwn(result, key, entry);
  return result;
}

function text(value: string, warnings: Set<string>): string {
  if (value.isWellFormed() && !value.includes('\0')) return value;
  warnings.add(textWarning);
  return value.toWellFormed().replaceAll('\0', '\uFFFD');
}

function number(value: number, warnings: Set<string>): Json {
  if (!Number.isFinite(value)) {
    warnings.add(numberWarning);
    return null;
  }
  return value === 0 ? 0 : value;
}

/** jsonb keeps keys by length in bytes, then bytewise. */
function byJsonbKey([left]: [string, Json], [right]: [string, Json]): number {
  const difference = Buffer.byteLength(left) - Buffer.byteLength(right);
  return difference !== 0 ? difference : Buffer.compare(Buffer.from(left), Buffer.from(right));
}
