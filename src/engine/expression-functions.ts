/** What expressions can call. Functions take their values, methods a receiver first; wrong types are told, never converted in silence. */
import { compilePattern } from './pattern.ts';
import { Duration, ExpressionError, Timestamp, isMap, isNumber, toJson, typeName, type Budget, type CelValue } from './expression-values.ts';

type Call = (values: CelValue[], budget: Budget) => CelValue;

type Arity = readonly [least: number, most: number];

/** How many arguments they take, the name of the variable included. */
export const macros: Readonly<Record<string, Arity>> = { __proto__: null as never, all: [2, 2], exists: [2, 2], exists_one: [2, 2], filter: [2, 2], map: [2, 3], bind: [3, 3] };

export const functions: Readonly<Record<string, Call>> = {
  __proto__: null as never,
  size: ([value], budget) => BigInt(sizeOf(value as CelValue, budget)),
  string: ([value]) => (typeof value === 'string' ? value : isNumber(value as CelValue) ? String(value) : JSON.stringify(toJson(value as CelValue))),
  int: ([value]) => toInt(value as CelValue),
  double: ([value]) => toDouble(value as CelValue),
  bool: ([value]) => toBool(value as CelValue),
  dyn: ([value]) => value as CelValue,
  timestamp: ([value]) => toTimestamp(value as CelValue),
  duration: ([value]) => toDuration(value as CelValue),
};

export const methods: Readonly<Record<string, Call>> = {
  __proto__: null as never,
  size: ([value], budget) => BigInt(sizeOf(value as CelValue, budget)),
  startsWith: onText((text, part) => text.startsWith(part)),
  endsWith: onText((text, part) => text.endsWith(part)),
  contains: onText((text, part) => text.includes(part)),
  matches: ([text, pattern], budget) => matches(textOf(text), textOf(pattern), budget),
  indexOf: onText((text, part) => BigInt(text.indexOf(part))),
  lastIndexOf: onText((text, part) => BigInt(text.lastIndexOf(part))),
  split: (values, budget) => budget.list(onText((text, separator) => text.split(separator))(values, budget) as CelValue[]),
  lowerAscii: ([text], budget) => budget.text(textOf(text).toLowerCase()),
  upperAscii: ([text], budget) => budget.text(textOf(text).toUpperCase()),
  trim: ([text], budget) => budget.text(textOf(text).trim()),
  substring: ([text, from, to], budget) => substring(budget.text(textOf(text)), from as CelValue, to),
  replace: ([text, from, to], budget) => replaced(textOf(text), textOf(from), textOf(to), budget),
  join: ([list, separator], budget) => joined(list as CelValue, separator, budget),
  ...timeParts(),
};

/** How many arguments methods take; none where nothing is said. */
export const arities: Readonly<Record<string, Arity>> = {
  __proto__: null as never,
  startsWith: [1, 1], endsWith: [1, 1], contains: [1, 1], matches: [1, 1], indexOf: [1, 1], lastIndexOf: [1, 1], split: [1, 1], substring: [1, 2], replace: [2, 2], join: [0, 1],
};

/** Rules of routers: on the router's text, ignoring case. */
export const ruleFunctions: Readonly<Record<string, (text: string, argument: CelValue) => boolean>> = {
  __proto__: null as never,
  contains: (text, part) => text.includes(textOf(part).toLowerCase()),
  starts_with: (text, part) => text.startsWith(textOf(part).toLowerCase()),
  ends_with: (text, part) => text.endsWith(textOf(part).toLowerCase()),
  equals: (text, part) => text === textOf(part).toLowerCase(),
  length_gt: (text, count) => text.length > toDouble(count),
  length_lt: (text, count) => text.length < toDouble(count),
};

export function callFunction(name: string, values: CelValue[], budget: Budget): CelValue {
  return (functions[name] as Call)(values, budget);
}

export function callMethod(name: string, receiver: CelValue, values: CelValue[], budget: Budget): CelValue {
  return (methods[name] as Call)([receiver, ...values], budget);
}

export function callRule(name: string, values: CelValue[], text: string | undefined): boolean {
  if (text === undefined) throw new ExpressionError(`${name}() is known in the rules of a router only; use .${name}() on a text`);
  return (ruleFunctions[name] as (text: string, argument: CelValue) => boolean)(text.toLowerCase(), values[0] as CelValue);
}

function textOf(value: CelValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new ExpressionError(`a text is needed, not a ${value === undefined ? 'missing value' : typeName(value)}`);
}

function onText(call: (text: string, argument: string) => CelValue): Call {
  return ([text, argument], budget) => call(budget.text(textOf(text)), textOf(argument));
}

function matches(text: string, pattern: string, budget: Budget): boolean {
  budget.spend((text.length * pattern.length) >> 4);
  try {
    return compilePattern(pattern).finds(text);
  } catch (error) {
    throw new ExpressionError(`matches() needs an RE2 pattern: ${(error as Error).message}`);
  }
}

function sizeOf(value: CelValue, budget: Budget): number {
  if (typeof value === 'string') return [...budget.text(value)].length;
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw new ExpressionError(`size() needs a text, a list or a map, not a ${typeName(value)}`);
}

function substring(text: string, from: CelValue, to: CelValue | undefined): string {
  const start = Number(toInt(from));
  const end = to === undefined ? text.length : Number(toInt(to));
  if (start < 0 || end < start || end > text.length) throw new ExpressionError(`substring(${start}, ${end}) lies outside a text of ${text.length}`);
  return text.slice(start, end);
}

function replaced(text: string, from: string, to: string, budget: Budget): string {
  const parts = budget.text(text).split(from);
  budget.spend((parts.length * (to.length + 8)) / 64);
  return budget.text(parts.join(to));
}

function joined(list: CelValue, separator: CelValue | undefined, budget: Budget): string {
  if (!Array.isArray(list)) throw new ExpressionError(`join() needs a list of texts, not a ${typeName(list)}`);
  const between = separator === undefined ? '' : textOf(separator);
  budget.spend((list.length * (between.length + 8)) / 64);
  return budget.text(list.map((entry) => textOf(entry)).join(between));
}

function toInt(value: CelValue): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  if (typeof value === 'string' && /^[+-]?\d{1,18}$/.test(value)) return BigInt(value.replace('+', ''));
  throw new ExpressionError(`int() cannot take this ${typeName(value)}`);
}

function toDouble(value: CelValue): number {
  if (isNumber(value)) return Number(value);
  if (typeof value === 'string' && value.trim() === value && value !== '' && Number.isFinite(Number(value))) return Number(value);
  throw new ExpressionError(`a number is needed, not this ${typeName(value)}`);
}

function toBool(value: CelValue): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw new ExpressionError(`bool() cannot take this ${typeName(value)}`);
}

function toTimestamp(value: CelValue): Timestamp {
  if (value instanceof Timestamp) return value;
  const ms = typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d)$/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw new ExpressionError('timestamp() needs a text like 2026-01-31T12:00:00Z');
  return new Timestamp(ms);
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

function toDuration(value: CelValue): Duration {
  if (value instanceof Duration) return value;
  const text = typeof value === 'string' && value.length <= 40 ? value : '';
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  const sign = text.startsWith('-') ? -1 : 1;
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.replace(/^[+-]/, '')) throw new ExpressionError('duration() needs a text like 1h30m or 90s');
  return new Duration(sign * parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit as string] as number), 0));
}

/** `.getHours()` and its kin, in UTC; of a duration the whole span in that unit. */
function timeParts(): Record<string, Call> {
  const parts: [string, (date: Date) => number, number | null][] = [
    ['getFullYear', (date) => date.getUTCFullYear(), null], ['getMonth', (date) => date.getUTCMonth(), null], ['getDate', (date) => date.getUTCDate(), null],
    ['getDayOfMonth', (date) => date.getUTCDate() - 1, null], ['getDayOfWeek', (date) => date.getUTCDay(), null],
    ['getHours', (date) => date.getUTCHours(), 3_600_000], ['getMinutes', (date) => date.getUTCMinutes(), 60_000],
    ['getSeconds', (date) => date.getUTCSeconds(), 1_000], ['getMilliseconds', (date) => date.getUTCMilliseconds(), 1],
  ];
  return Object.fromEntries(parts.map(([name, read, unit]) => [name, ([value]: CelValue[]): CelValue => {
    if (value instanceof Timestamp) return BigInt(read(new Date(value.ms)));
    if (value instanceof Duration && unit !== null) return BigInt(Math.trunc(value.ms / unit));
    throw new ExpressionError(`${name}() needs a timestamp${unit === null ? '' : ' or a duration'}, not a ${typeName(value as CelValue)}`);
  }]));
}
