/** Walks the syntax tree of an expression. Every node costs; nothing here loops over more than data that was charged. */
import { callFunction, callMethod, callRule, functions, macros } from './expression-functions.ts';
import { BudgetError, Duration, ExpressionError, Timestamp, equal, isMap, isNumber, typeName, type Budget, type CelMap, type CelNode, type CelValue } from './expression-values.ts';
import type { Json } from './types.ts';

/** A failure that is absorbed costs as much as so many steps. */
const failureCost = 100;

/** The value of a name, or undefined. */
export type Names = (name: string) => CelValue | Json | undefined;

export interface Frame {
  names: Names;
  budget: Budget;
  ruleText: string | undefined;
}

export function evaluateNode(node: CelNode, frame: Frame): CelValue {
  frame.budget.spend(1);
  switch (node.op) {
    case 'value': return literal(node.args);
    case 'id': return named(node.args as string, frame);
    case '.': return field(node, frame);
    case '[]': return indexed(node, frame);
    case 'call': return called(node, frame);
    case 'rcall': return methodCalled(node, frame);
    case 'list': return frame.budget.list((node.args as CelNode[]).map((entry) => evaluateNode(entry, frame)));
    case 'map': return mapLiteral(node.args as [CelNode, CelNode][], frame);
    case '?:': return ternary(node.args as CelNode[], frame);
    case '||': return logical(node.args as CelNode[], true, frame);
    case '&&': return logical(node.args as CelNode[], false, frame);
    case '!_': return !bool(evaluateNode(node.args as CelNode, frame), '!');
    case '-_': return negated(evaluateNode(node.args as CelNode, frame));
    default: return binary(node, frame);
  }
}

function literal(value: unknown): CelValue {
  switch (typeof value) {
    case 'string': case 'number': case 'boolean': case 'bigint': return value;
    default:
      if (value === null) return null;
      throw new ExpressionError('bytes and unsigned literals are not known here: JSON has none');
  }
}

function named(name: string, frame: Frame): CelValue {
  const value = frame.names(name);
  if (value === undefined) throw new ExpressionError(`there is no ${name} in the state (has(state.${name}) asks whether there is)`);
  return value;
}

function member(container: CelValue, key: string): CelValue | undefined {
  if (!isMap(container)) throw new ExpressionError(`a ${typeName(container)} has no field ${key}`);
  return Object.hasOwn(container, key) ? container[key] : undefined;
}

function field(node: CelNode, frame: Frame): CelValue {
  const [left, key] = node.args as [CelNode, string];
  const value = member(evaluateNode(left, frame), key);
  if (value === undefined) throw new ExpressionError(`there is no field ${key}`);
  return value;
}

function indexed(node: CelNode, frame: Frame): CelValue {
  const [left, right] = node.args as [CelNode, CelNode];
  const container = evaluateNode(left, frame);
  const key = evaluateNode(right, frame);
  const value = Array.isArray(container) && isNumber(key) ? container[Number(key)] : member(container, String(key));
  if (value === undefined) throw new ExpressionError(`there is nothing at [${String(key)}]`);
  return value;
}

function called(node: CelNode, frame: Frame): CelValue {
  const [name, args] = node.args as [string, CelNode[]];
  if (name === 'has') {
    const [left, key] = (args[0] as CelNode).args as [CelNode, string];
    const container = evaluateNode(left, frame);
    return isMap(container) && member(container, key) !== undefined;
  }
  const values = args.map((argument) => evaluateNode(argument, frame));
  return name in functions ? callFunction(name, values, frame.budget) : callRule(name, values, frame.ruleText);
}

function methodCalled(node: CelNode, frame: Frame): CelValue {
  const [name, receiver, args] = node.args as [string, CelNode, CelNode[]];
  if (name in macros) return macro(name, receiver, args, frame);
  return callMethod(name, evaluateNode(receiver, frame), args.map((argument) => evaluateNode(argument, frame)), frame.budget);
}

function mapLiteral(entries: [CelNode, CelNode][], frame: Frame): CelValue {
  const result: CelMap = Object.create(null);
  for (const [key, value] of entries) {
    const name = evaluateNode(key, frame);
    if (typeof name !== 'string') throw new ExpressionError('keys of a map are texts');
    result[name] = evaluateNode(value, frame);
  }
  return result;
}

function ternary([condition, yes, no]: CelNode[], frame: Frame): CelValue {
  return evaluateNode((bool(evaluateNode(condition as CelNode, frame), '? :') ? yes : no) as CelNode, frame);
}

/** `||` is settled by one true, `&&` by one false, whatever the other side does. */
function logical([left, right]: CelNode[], settling: boolean, frame: Frame): boolean {
  const sign = settling ? '||' : '&&';
  const first = attempt(() => bool(evaluateNode(left as CelNode, frame), sign), frame.budget);
  if (first === settling) return settling;
  const second = attempt(() => bool(evaluateNode(right as CelNode, frame), sign), frame.budget);
  if (second === settling) return settling;
  if (first instanceof Error) throw first;
  if (second instanceof Error) throw second;
  return !settling;
}

function attempt<Value>(evaluate: () => Value, budget: Budget): Value | ExpressionError {
  try {
    return evaluate();
  } catch (error) {
    if (!(error instanceof ExpressionError) || error instanceof BudgetError) throw error;
    budget.spend(failureCost);
    return error;
  }
}

function bool(value: CelValue, sign: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionError(`${sign} needs true or false, not a ${typeName(value)}`);
}

function negated(value: CelValue): CelValue {
  if (typeof value === 'bigint') return -value;
  if (typeof value === 'number') return -value;
  throw new ExpressionError(`- needs a number, not a ${typeName(value)}`);
}

/* ---------- binary operators ---------- */

function binary(node: CelNode, frame: Frame): CelValue {
  const [leftNode, rightNode] = node.args as [CelNode, CelNode];
  const left = evaluateNode(leftNode, frame);
  const right = evaluateNode(rightNode, frame);
  switch (node.op) {
    case '==': return equal(left, right, frame.budget);
    case '!=': return !equal(left, right, frame.budget);
    case 'in': return contains(left, right, frame.budget);
    case '<': case '<=': case '>': case '>=': return ordered(node.op, left, right);
    case '+': case '-': case '*': case '/': case '%': return arithmetic(node.op, left, right, frame.budget);
    default: throw new ExpressionError(`the operator ${node.op} is not known here`);
  }
}

function contains(value: CelValue, container: CelValue, budget: Budget): boolean {
  if (Array.isArray(container)) return container.some((entry) => equal(value, entry, budget));
  if (isMap(container)) return typeof value === 'string' && Object.hasOwn(container, value);
  throw new ExpressionError(`in needs a list or a map, not a ${typeName(container)}`);
}

function ordered(op: string, left: CelValue, right: CelValue): boolean {
  const [a, b] = comparable(op, left, right);
  switch (op) {
    case '<': return a < b;
    case '<=': return a <= b;
    case '>': return a > b;
    default: return a >= b;
  }
}

function comparable(op: string, left: CelValue, right: CelValue): [number | bigint | string, number | bigint | string] {
  if (isNumber(left) && isNumber(right)) return [left, right];
  if (typeof left === 'string' && typeof right === 'string') return [left, right];
  if (typeof left === 'boolean' && typeof right === 'boolean') return [Number(left), Number(right)];
  if ((left instanceof Timestamp && right instanceof Timestamp) || (left instanceof Duration && right instanceof Duration)) return [left.ms, right.ms];
  throw unfit(op, left, right);
}

function unfit(op: string, left: CelValue, right: CelValue): ExpressionError {
  return new ExpressionError(`${op} does not go between a ${typeName(left)} and a ${typeName(right)}`);
}

function arithmetic(op: string, left: CelValue, right: CelValue, budget: Budget): CelValue {
  if (typeof left === 'bigint' && typeof right === 'bigint') return onInts(op, left, right);
  if (isNumber(left) && isNumber(right)) return onDoubles(op, Number(left), Number(right));
  if (op === '+' && typeof left === 'string' && typeof right === 'string') return budget.text(left + right);
  if (op === '+' && Array.isArray(left) && Array.isArray(right)) return budget.list([...left, ...right]);
  return onTimes(op, left, right);
}

function onInts(op: string, left: bigint, right: bigint): bigint {
  if (right === 0n && (op === '/' || op === '%')) throw new ExpressionError('division by zero');
  const result = op === '+' ? left + right : op === '-' ? left - right : op === '*' ? left * right : op === '/' ? left / right : left % right;
  if (BigInt.asIntN(64, result) !== result) throw new ExpressionError('a whole number became too large');
  return result;
}

function onDoubles(op: string, left: number, right: number): number {
  if (right === 0 && (op === '/' || op === '%')) throw new ExpressionError('division by zero');
  return op === '+' ? left + right : op === '-' ? left - right : op === '*' ? left * right : op === '/' ? left / right : left % right;
}

function onTimes(op: string, left: CelValue, right: CelValue): CelValue {
  const sign = op === '-' ? -1 : 1;
  if (op === '+' || op === '-') {
    if (left instanceof Timestamp && right instanceof Duration) return new Timestamp(left.ms + sign * right.ms);
    if (left instanceof Duration && right instanceof Duration) return new Duration(left.ms + sign * right.ms);
    if (op === '+' && left instanceof Duration && right instanceof Timestamp) return new Timestamp(left.ms + right.ms);
    if (op === '-' && left instanceof Timestamp && right instanceof Timestamp) return new Duration(left.ms - right.ms);
  }
  throw unfit(op, left, right);
}

/* ---------- macros over lists and maps ---------- */

function macro(name: string, receiver: CelNode, args: CelNode[], frame: Frame): CelValue {
  const [variable, first, second] = args as [CelNode, CelNode, CelNode | undefined];
  if (name === 'bind') return evaluateNode(second as CelNode, withName(frame, variable.args as string, evaluateNode(first, frame)));
  const over = evaluateNode(receiver, frame);
  const entries = Array.isArray(over) ? over : isMap(over) ? Object.keys(over) : null;
  if (entries === null) throw new ExpressionError(`${name}() needs a list or a map, not a ${typeName(over)}`);
  const within = (entry: CelValue): Frame => withName(frame, variable.args as string, entry);
  const test = (entry: CelValue): boolean => bool(evaluateNode(first, within(entry)), `${name}()`);
  switch (name) {
    case 'all': return quantified(entries, test, false, frame.budget);
    case 'exists': return quantified(entries, test, true, frame.budget);
    case 'exists_one': return entries.filter(test).length === 1;
    case 'filter': return entries.filter(test);
    default: return second === undefined
      ? entries.map((entry) => evaluateNode(first, within(entry)))
      : entries.filter(test).map((entry) => evaluateNode(second, within(entry)));
  }
}

function quantified(entries: CelValue[], test: (entry: CelValue) => boolean, settling: boolean, budget: Budget): boolean {
  let failed: ExpressionError | null = null;
  for (const entry of entries) {
    const result = attempt(() => test(entry), budget);
    if (result === settling) return settling;
    if (result instanceof Error) failed ??= result;
  }
  if (failed) throw failed;
  return !settling;
}

function withName(frame: Frame, name: string, value: CelValue): Frame {
  return { ...frame, names: (asked) => (asked === name ? value : frame.names(asked)) };
}
