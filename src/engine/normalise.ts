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
  /** As JSON it has no more bytes than that. */
  mostBytes: number;
}

const textWarning = 'NUL characters or lone surrogates were replaced by U+FFFD';
const numberWarning = 'numbers that JSON cannot write (NaN, infinities) became null';

/**
 * `maxBytes`: a value that is certainly larger as JSON is not copied to its end.
 * @throws AgentFlowError INVALID_VALUE when the value is nested too deeply (or holds itself), TOO_LARGE.
 */
export function normalise(input: unknown, maxBytes = Number.POSITIVE_INFINITY): Normalised {
  const at: Walk = { warnings: null, hasReplacement: false, counted: 0, maxBytes };
  const value = walk(input, 0, at);
  return { value, warnings: at.warnings === null ? [] : [...at.warnings], hasReplacement: at.hasReplacement, mostBytes: at.counted * mostBytesEach };
}

interface Walk {
  /** Null: none yet. */
  warnings: Set<string> | null;
  hasReplacement: boolean;
  counted: number;
  maxBytes: number;
}

/** What is counted as one takes no more of JSON than that: a number has up to 24 characters, and something stands beside it. */
const mostBytesEach = 30;

/** Every value and key takes at least this much of JSON. */
function count(bytes: number, at: Walk): void {
  at.counted += bytes;
  if (at.counted > at.maxBytes) throw new AgentFlowError('TOO_LARGE', `a value is larger than ${at.maxBytes} bytes`);
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
  const result: JsonObject = {};
  for (const key of keysInOrder(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (entry === undefined || typeof entry === 'function' || typeof entry === 'symbol') continue;
    setOwn(result, text(key, at), walk(entry, depth + 1, at));
  }
  return result;
}

function text(value: string, at: Walk): string {
  count(value.length + 1, at);
  if (value.isWellFormed() && !value.includes('\0')) {
    at.hasReplacement ||= value.includes('\uFFFD');
    return value;
  }
  at.hasReplacement = true;
  (at.warnings ??= new Set()).add(textWarning);
  return value.toWellFormed().replaceAll('\0', '\uFFFD');
}

function number(value: number, at: Walk): Json {
  if (!Number.isFinite(value)) {
    (at.warnings ??= new Set()).add(numberWarning);
    return null;
  }
  return value === 0 ? 0 : value;
}

/** Most are in order already, and sorting would cost more than looking. */
function keysInOrder(value: object): string[] {
  const keys = Object.keys(value);
  for (let index = 1; index < keys.length; index += 1) if (byJsonbKey(keys[index - 1]!, keys[index]!) > 0) return keys.sort(byJsonbKey);
  return keys;
}

/** jsonb keeps keys by length in bytes, then bytewise. What is ASCII alone needs no bytes for that. */
function byJsonbKey(left: string, right: string): number {
  if (isAscii.test(left) && isAscii.test(right)) return left.length - right.length || (left < right ? -1 : Number(left > right));
  const [leftBytes, rightBytes] = [left, right].map((key) => Buffer.from(key.replaceAll('\0', '\uFFFD'))) as [Buffer, Buffer];
  return leftBytes.length - rightBytes.length || Buffer.compare(leftBytes, rightBytes);
}

/** But for NUL, in the place of which something else will stand. */
const isAscii = /^[\x01-\x7f]*$/;
