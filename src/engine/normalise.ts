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
  /** A text holds U+FFFD, now or from the start. */
  hasReplacement: boolean;
}

const textWarning = 'NUL characters or lone surrogates were replaced by U+FFFD';
const numberWarning = 'numbers that JSON cannot write (NaN, infinities) became null';

/**
 * `maxBytes`: a value that is certainly larger as JSON is not copied to its end.
 * @throws AgentFlowError INVALID_VALUE when the value is nested too deeply (or holds itself), TOO_LARGE.
 */
export function normalise(input: unknown, maxBytes = Number.POSITIVE_INFINITY): Normalised {
  const at: Walk = { warnings: new Set(), hasReplacement: false, left: maxBytes, maxBytes };
  const value = walk(input, 0, at);
  return { value, warnings: [...at.warnings], hasReplacement: at.hasReplacement };
}

interface Walk {
  warnings: Set<string>;
  hasReplacement: boolean;
  left: number;
  maxBytes: number;
}

/** Every value and key takes at least this much of JSON. */
function count(bytes: number, at: Walk): void {
  at.left -= bytes;
  if (at.left < 0) throw new AgentFlowError('TOO_LARGE', `a value is larger than ${at.maxBytes} bytes`);
}

function walk(value: unknown, depth: number, at: Walk): Json {
  count(1, at);
  switch (typeof value) {
    case 'string': return text(value, at);
    case 'boolean': return value;
    case 'number': return number(value, at);
    case 'bigint': return number(Number(value), at);
    case 'object': return value === null ? null : container(value, depth, at);
    default: return null;
  }
}

function container(value: object, depth: number, at: Walk): Json {
  if (depth >= maxValueDepth) {
    throw new AgentFlowError('INVALID_VALUE', `a value is nested deeper than ${maxValueDepth} levels`, { remedy: 'Make it flatter.' });
  }
  if (Array.isArray(value)) return value.map((entry) => walk(entry, depth + 1, at));
  if ('toJSON' in value && typeof value.toJSON === 'function') return walk(value.toJSON(), depth + 1, at);
  const entries: [string, Json][] = [];
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (entry === undefined || typeof entry === 'function' || typeof entry === 'symbol') continue;
    entries.push([text(key, at), walk(entry, depth + 1, at)]);
  }
  entries.sort(byJsonbKey);
  const result: JsonObject = {};
  for (const [key, entry] of entries) setOwn(result, key, entry);
  return result;
}

function text(value: string, at: Walk): string {
  count(value.length + 1, at);
  if (value.isWellFormed() && !value.includes('\0')) {
    at.hasReplacement ||= value.includes('\uFFFD');
    return value;
  }
  at.hasReplacement = true;
  at.warnings.add(textWarning);
  return value.toWellFormed().replaceAll('\0', '\uFFFD');
}

function number(value: number, at: Walk): Json {
  if (!Number.isFinite(value)) {
    at.warnings.add(numberWarning);
    return null;
  }
  return value === 0 ? 0 : value;
}

/** jsonb keeps keys by length in bytes, then bytewise. What is ASCII alone needs no bytes for that. */
function byJsonbKey([left]: [string, Json], [right]: [string, Json]): number {
  if (isAscii.test(left) && isAscii.test(right)) return left.length - right.length || (left < right ? -1 : Number(left > right));
  return Buffer.byteLength(left) - Buffer.byteLength(right) || Buffer.compare(Buffer.from(left), Buffer.from(right));
}

const isAscii = /^[\0-\x7f]*$/;
