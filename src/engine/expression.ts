/**
 * Expressions of users: CEL. The library parses; what is evaluated here is its syntax tree, over JSON values, because conditions need three things that
 * its own evaluator does not give: a bound on cost, RE2 instead of JavaScript's regular expressions, and numbers that mix as in JSON.
 */
import { Environment } from '@marcbachmann/cel-js';
import { AgentFlowError } from '../errors.ts';
import { evaluateNode, type Names } from './expression-evaluate.ts';
import { arities, functions, macros, methods, ruleFunctions } from './expression-functions.ts';
import { Budget, ExpressionError, toJson, type CelNode } from './expression-values.ts';
import { ownValue } from './json.ts';
import { remember } from './remember.ts';
import type { Json, JsonObject } from './types.ts';

export interface Expression {
  source: string;
  root: CelNode;
}

/** What the names in an expression mean. */
export interface ExpressionScope {
  /** The state: `state` itself, and each of its keys. */
  state: JsonObject;
  /** `outputs`: by node id. */
  outputs?: JsonObject;
  /** `intent` and `error` when they are not simply the state's. */
  intent?: Json;
  error?: Json;
  /** The text that a router's rules (`contains('t')` ...) look at. */
  ruleText?: string;
}

const maxLength = 4_000;
const environment = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  limits: { maxAstNodes: 1_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 8 },
});
const compiled = new Map<string, Expression>();

/** @throws AgentFlowError EXPRESSION_FAILED when the text is no expression or calls what does not exist. */
function compileExpression(source: string): Expression {
  return remember(compiled, source, () => {
    if (source.length > maxLength) throw failure(source, `an expression is at most ${maxLength} characters long`);
    try {
      const root = environment.parse(source).ast as unknown as CelNode;
      checkCalls(root);
      return { source, root };
    } catch (error) {
      throw failure(source, parseMessage(error), error);
    }
  });
}

/** What is wrong with a text as an expression, or null. */
export function expressionProblem(source: string): string | null {
  try {
    compileExpression(source);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * The value of an expression. `place` says where it stands (`edges.3.condition`) and leads the message of every error.
 * @throws AgentFlowError EXPRESSION_FAILED
 */
export function evaluateExpression(source: string, scope: ExpressionScope, place: string): Json {
  try {
    const budget = new Budget();
    const names: Names = (name) => valueOfName(name, scope);
    const value = evaluateNode(compileExpression(source).root, { names, budget, ruleText: scope.ruleText });
    return toJson(value);
  } catch (error) {
    const message = error instanceof AgentFlowError || error instanceof ExpressionError ? error.message : reason(error);
    throw new AgentFlowError('EXPRESSION_FAILED', `${place}: ${message}`, { details: { field: place, expression: source }, cause: error });
  }
}

/** The value of an expression that must be true or false. @throws AgentFlowError EXPRESSION_FAILED */
export function evaluateCondition(source: string, scope: ExpressionScope, place: string): boolean {
  const value = evaluateExpression(source, scope, place);
  if (typeof value === 'boolean') return value;
  const shown = JSON.stringify(value);
  throw new AgentFlowError('EXPRESSION_FAILED', `${place}: a condition must be true or false, this one is ${shown.length > 80 ? `${shown.slice(0, 80)}...` : shown}`,
    { details: { field: place, expression: source } });
}

function valueOfName(name: string, scope: ExpressionScope): Json | undefined {
  if (name === 'state') return scope.state;
  if (name === 'outputs') return scope.outputs ?? {};
  if (name === 'intent') return scope.intent ?? ownValue(scope.state, name) ?? null;
  if (name === 'error') return scope.error ?? ownValue(scope.state, name) ?? null;
  return ownValue(scope.state, name);
}

function failure(source: string, message: string, cause?: unknown): AgentFlowError {
  return new AgentFlowError('EXPRESSION_FAILED', message, { details: { expression: source }, cause });
}

function parseMessage(error: unknown): string {
  if (error instanceof ExpressionError) return error.message;
  const { summary, range } = error as { summary?: string; range?: { start: number } };
  if (summary === undefined) return reason(error);
  return range === undefined ? summary : `${summary} at character ${range.start + 1}`;
}

function reason(error: unknown): string {
  return error instanceof RangeError ? 'the expression is nested too deeply' : String((error as Error).message);
}

/** A slip in a function's name is told when the workflow is checked, not when it runs. */
function checkCalls(node: CelNode): void {
  if (node.op === 'call') {
    const [name, args] = node.args as [string, CelNode[]];
    if (!(name in functions || name in ruleFunctions || name === 'has')) throw new ExpressionError(`there is no function ${name}()`);
    if (name === 'has' && (args.length !== 1 || args[0]?.op !== '.')) throw new ExpressionError('has() takes one field, as in has(state.x)');
    if (args.length !== 1) throw new ExpressionError(`${name}() takes one value`);
    for (const argument of args) checkCalls(argument);
    return;
  }
  if (node.op === 'rcall') {
    const [name, receiver, args] = node.args as [string, CelNode, CelNode[]];
    if (!(name in methods || name in macros)) throw new ExpressionError(`there is no method .${name}()`);
    checkArguments(name, receiver, args);
    checkCalls(receiver);
    for (const argument of args) checkCalls(argument);
    return;
  }
  for (const child of childrenOf(node)) checkCalls(child);
}

function checkArguments(name: string, receiver: CelNode, args: CelNode[]): void {
  const [least, most] = macros[name] ?? arities[name] ?? [0, 0];
  const words = least === most ? String(least) : `${least} or ${most}`;
  if (args.length < least || args.length > most) throw new ExpressionError(`.${name}() takes ${words} values, not ${args.length}`);
  if (name === 'bind' && !(receiver.op === 'id' && receiver.args === 'cel')) throw new ExpressionError('bind() belongs to cel: cel.bind(name, value, expression)');
}

function childrenOf(node: CelNode): CelNode[] {
  const found: CelNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (typeof value === 'object' && value !== null && 'op' in value) found.push(value as CelNode);
  };
  collect(node.args);
  return found;
}
