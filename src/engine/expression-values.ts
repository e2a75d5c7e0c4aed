/** Values, errors and the budget of expressions. Whole-number literals and sizes are bigint (CEL's int); JSON numbers are doubles; they mix. */
import type { Json, JsonObject } from './types.ts';

/** The part of the parser's syntax tree that is used. */
export interface CelNode {
  op: string;
  args: unknown;
}

/** A moment or a span, in milliseconds. */
export class Timestamp {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}
export class Duration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

export type CelValue = null | boolean | number | bigint | string | Timestamp | Duration | CelValue[] | { [key: string]: CelValue };

/** Something that the expression did wrong; `||`, `&&` and the quantifiers may still settle on another operand. */
export class ExpressionError extends Error {}

/** The expression costs too much: nothing absorbs this. */
export class BudgetError extends ExpressionError {}

const maxCost = 100_000;
const maxTextLength = 1_048_576;
const maxListLength = 100_000;

export class Budget {
  #left = maxCost;

  spend(cost: number): void {
    this.#left -= cost;
    if (this.#left < 0) throw new BudgetError('the expression takes too many steps');
  }

  /** Looking through a text costs a little. */
  spendText(text: string): void {
    this.spend(text.length >> 6);
  }

  text(value: string): string {
    this.spendText(value);
    if (value.length > maxTextLength) throw new BudgetError('the expression makes too long a text');
    return value;
  }

  list(value: CelValue[]): CelValue[] {
    this.spend(value.length >> 2);
    if (value.length > maxListLength) throw new BudgetError('the expression makes too long a list');
    return value;
  }
}

export type CelMap = { [key: string]: CelValue };

export function isMap(value: CelValue): value is CelMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Timestamp) && !(value instanceof Duration);
}

export function isNumber(value: CelValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function typeName(value: CelValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Timestamp) return 'timestamp';
  if (value instanceof Duration) return 'duration';
  const kind = typeof value;
  return kind === 'bigint' ? 'int' : kind === 'boolean' ? 'bool' : kind === 'object' ? 'map' : kind === 'number' ? 'double' : kind;
}

/** CEL's equality: values of different types differ, numbers compare as numbers. */
export function equal(left: CelValue, right: CelValue, budget: Budget): boolean {
  budget.spend(1);
  if (left === right) return true;
  if (isNumber(left) && isNumber(right)) return left == right; // oxlint-disable-line eqeqeq -- int and double compare by value
  if (typeof left === 'string' || typeof right === 'string') return false;
  if (Array.isArray(left)) return Array.isArray(right) && left.length === right.length && left.every((entry, i) => equal(entry, right[i] as CelValue, budget));
  if ((left instanceof Timestamp && right instanceof Timestamp) || (left instanceof Duration && right instanceof Duration)) return left.ms === right.ms;
  if (!isMap(left) || right === undefined || !isMap(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && equal(left[key] as CelValue, right[key] as CelValue, budget));
}

const maxResultSize = 4_194_304;

/** The result as JSON: ints become numbers, moments ISO texts, spans texts like "90s". The same large value may stand in it many times: what is copied is counted. */
export function toJson(value: CelValue): Json {
  return copied(value, { left: maxResultSize });
}

function copied(value: CelValue, room: { left: number }): Json {
  room.left -= typeof value === 'string' ? value.length : 1;
  if (room.left < 0) throw new BudgetError('the expression makes too large a value');
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Timestamp) return new Date(value.ms).toISOString();
  if (value instanceof Duration) return `${value.ms / 1000}s`;
  if (Array.isArray(value)) return value.map((entry) => copied(entry, room));
  if (!isMap(value)) return value;
  const result: JsonObject = Object.create(null);
  for (const [key, entry] of Object.entries(value)) result[key] = copied(entry, room);
  return result;
}
