/**
 * Templates: `{path}` and `{path[key]}` are filled from data, nothing is evaluated.
 * A text whose braces are all well-formed fields or doubled braces is strict: `{{` and `}}` become single braces. Any other text is lenient: every
 * `{path}` that resolves is filled and every other brace stays, so raw JSON survives.
 */
import { AgentFlowError } from '../errors.ts';
import { asText, isObject, jsonBytes, ownValue, setOwn, valueAt } from './json.ts';
import { maxFilledBytes } from './limits.ts';
import type { Json, JsonObject } from './types.ts';

export interface TemplateField {
  path: string[];
  /** The placeholder as written, braces included. */
  raw: string;
}

export type TemplatePiece = string | TemplateField;

/** Where paths start: a state key, else `state` or `outputs`. */
export interface TemplateScope {
  state: JsonObject;
  outputs?: JsonObject;
}

export interface Filled {
  text: string;
  /** Placeholders that resolved to nothing and were left standing. */
  missing: string[];
}

const name = String.raw`[^\s{}\[\].!:"',]+`;
const fieldSource = String.raw`\{(${name}(?:\.${name}|\[[^{}\[\]]+\])*)\}`;

const strictToken = new RegExp(String.raw`\{\{|\}\}|${fieldSource}|[^{}]+|[{}]`, 'gy');

/** Templates stand in documents and are filled again and again: those of ordinary size are taken apart once. */
const known = new Map<string, readonly TemplatePiece[]>();
const maxKnown = 5_000;
const maxKnownLength = 1_000;

/** The pieces of a template, in order. */
export function templatePieces(template: string): readonly TemplatePiece[] {
  const before = known.get(template);
  if (before !== undefined) return before;
  const pieces = strictPieces(template) ?? lenientPieces(template);
  if (template.length > maxKnownLength) return pieces;
  if (known.size >= maxKnown) known.clear();
  known.set(template, pieces);
  return pieces;
}

function strictPieces(template: string): TemplatePiece[] | null {
  const token = new RegExp(strictToken);
  const pieces: TemplatePiece[] = [];
  for (const match of template.matchAll(token)) {
    const [raw, path] = match;
    if (path !== undefined) pieces.push({ path: pathSteps(path), raw });
    else if (raw === '{{' || raw === '}}') pieces.push(raw[0] as string);
    else if (raw === '{' || raw === '}') return null;
    else pieces.push(raw);
  }
  return pieces;
}

function lenientPieces(template: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = [];
  let end = 0;
  for (const match of template.matchAll(new RegExp(fieldSource, 'g'))) {
    if (match.index > end) pieces.push(template.slice(end, match.index));
    pieces.push({ path: pathSteps(match[1] as string), raw: match[0] });
    end = match.index + match[0].length;
  }
  if (end < template.length) pieces.push(template.slice(end));
  return pieces;
}

/** `a.b[c][0]` -> ['a', 'b', 'c', '0']. */
export function pathSteps(path: string): string[] {
  return [...path.matchAll(/\[([^\]]+)\]|[^.[\]]+/g)].map((match) => match[1] ?? match[0]);
}

/** The value of a path in a scope, or undefined. */
export function resolvePath(scope: TemplateScope, path: readonly string[]): Json | undefined {
  const [root, ...rest] = path;
  if (root === undefined) return undefined;
  const own = ownValue(scope.state, root);
  if (own !== undefined) return valueAt(own, rest);
  if (root === 'state') return valueAt(scope.state, rest);
  if (root === 'outputs' && scope.outputs) return valueAt(scope.outputs, rest);
  return undefined;
}

/** Keeps what is made from growing without end. */
export class FillBudget {
  #left = maxFilledBytes;

  /** @throws AgentFlowError TOO_LARGE */
  spend(size: number): void {
    this.#left -= size;
    if (this.#left < 0) throw new AgentFlowError('TOO_LARGE', `what the templates make is larger than ${maxFilledBytes} bytes`);
  }
}

/** @throws AgentFlowError TOO_LARGE */
export function fillTemplate(template: string, scope: TemplateScope, budget: FillBudget = new FillBudget()): Filled {
  const missing: string[] = [];
  let text = '';
  for (const piece of templatePieces(template)) {
    const part = typeof piece === 'string' ? piece : filledField(piece, scope, missing);
    budget.spend(part.length);
    text += part;
  }
  return { text, missing };
}

function filledField({ path, raw }: TemplateField, scope: TemplateScope, missing: string[]): string {
  const value = resolvePath(scope, path);
  if (value !== undefined) return asText(value);
  missing.push(raw);
  return raw;
}

export interface FilledValue {
  value: Json;
  missing: string[];
}

/**
 * Fills every text in a value. A text that is one placeholder alone takes the value itself, so numbers, lists and objects keep their type.
 * @throws AgentFlowError TOO_LARGE
 */
export function fillValue(value: Json, scope: TemplateScope, budget: FillBudget = new FillBudget()): FilledValue {
  const missing: string[] = [];
  return { value: fillInto(value, scope, missing, budget), missing };
}

function fillInto(value: Json, scope: TemplateScope, missing: string[], budget: FillBudget): Json {
  if (typeof value === 'string') {
    const pieces = templatePieces(value);
    const [only] = pieces;
    if (pieces.length === 1 && typeof only === 'object') {
      const found = resolvePath(scope, only.path);
      if (found !== undefined) {
        budget.spend(jsonBytes(found));
        return found;
      }
    }
    const filled = fillTemplate(value, scope, budget);
    missing.push(...filled.missing);
    return filled.text;
  }
  if (Array.isArray(value)) return value.map((entry) => fillInto(entry, scope, missing, budget));
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [key, entry] of Object.entries(value)) setOwn(result, key, fillInto(entry, scope, missing, budget));
  return result;
}
