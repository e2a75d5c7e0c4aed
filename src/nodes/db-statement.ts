/**
 * From a query template to a statement with bind parameters: `{path}` and `:name` become $1, $2 ..., never text. A placeholder inside a quoted text
 * (`'%{name}%'`) is taken out of it and joined on, so that it works as its author meant it and still cannot leave its place.
 */
import { FillBudget, fillTemplate, resolvePath, templatePieces, type TemplateField, type TemplatePiece, type TemplateScope } from '../engine/template.ts';
import { jsonBytes, ownValue } from '../engine/json.ts';
import type { Json, JsonObject } from '../engine/types.ts';

/** Where a value comes from: a path into the state, or an entry of `params`. */
export type Binding = TemplateField | { param: string };

export interface Statement {
  text: string;
  /** The value of $n is that of bindings[n - 1]. */
  bindings: Binding[];
}

type Place = 'code' | 'text' | 'escapeText' | 'identifier' | 'lineComment' | 'blockComment' | 'dollar';

export function statementOf(query: string, params: JsonObject): Statement {
  return new Writer(params).write(templatePieces(query));
}

/** @throws AgentFlowError TOO_LARGE */
export function boundValues(bindings: readonly Binding[], params: JsonObject, scope: TemplateScope): { values: Json[]; missing: string[] } {
  const missing: string[] = [];
  const budget = new FillBudget();
  const values = bindings.map((binding): Json => {
    const value = 'param' in binding ? paramValue(ownValue(params, binding.param) ?? null, scope, missing) : fieldValue(binding, scope, missing);
    budget.spend(jsonBytes(value));
    return value;
  });
  return { values, missing };
}

function fieldValue({ path, raw }: TemplateField, scope: TemplateScope, missing: string[]): Json {
  const value = resolvePath(scope, path);
  if (value === undefined) missing.push(raw);
  return value ?? null;
}

/** A text is a template; one placeholder alone keeps the type of its value. */
function paramValue(value: Json, scope: TemplateScope, missing: string[]): Json {
  if (typeof value !== 'string') return value;
  const [only, second] = templatePieces(value);
  if (typeof only === 'object' && second === undefined) return fieldValue(only, scope, missing);
  const filled = fillTemplate(value, scope);
  missing.push(...filled.missing);
  return filled.text;
}

class Writer {
  readonly #params: JsonObject;
  readonly #bindings: Binding[] = [];
  #text = '';
  #place: Place = 'code';
  #blockDepth = 0;
  #dollarTag = '';
  /** Where the quoted text that is being written began. */
  #quoteStart = 0;
  #joined = false;

  constructor(params: JsonObject) {
    this.#params = params;
  }

  write(pieces: readonly TemplatePiece[]): Statement {
    for (const piece of pieces) {
      if (typeof piece === 'string') this.#literal(piece);
      else this.#field(piece);
    }
    return { text: this.#text, bindings: this.#bindings };
  }

  #bind(binding: Binding): string {
    this.#bindings.push(binding);
    return `$${this.#bindings.length}`;
  }

  #field(field: TemplateField): void {
    if (this.#place === 'code') {
      this.#text += this.#bind(field);
    } else if (this.#place === 'text' || this.#place === 'escapeText') {
      if (!this.#joined) this.#text = `${this.#text.slice(0, this.#quoteStart)}(${this.#text.slice(this.#quoteStart)}`;
      this.#joined = true;
      this.#text += `' || ${this.#bind(field)}::text || ${this.#place === 'text' ? '' : 'E'}'`;
    } else {
      this.#text += field.raw;
    }
  }

  #literal(text: string): void {
    let at = 0;
    while (at < text.length) at += this.#place === 'code' ? this.#code(text, at) : this.#inside(text, at);
  }

  #emit(part: string): number {
    this.#text += part;
    return part.length;
  }

  #enter(place: Place, opening: string): number {
    this.#place = place;
    this.#quoteStart = this.#text.length;
    this.#joined = false;
    return this.#emit(opening);
  }

  /** Writes one token of code and says how long it was. */
  #code(text: string, at: number): number {
    const rest = text.slice(at, at + 200);
    if (rest.startsWith("'")) return this.#enter('text', "'");
    if (/^[eE]'/.test(rest) && !/[\w$]$/.test(this.#text)) return this.#enter('escapeText', rest.slice(0, 2));
    if (rest.startsWith('"')) return this.#enter('identifier', '"');
    if (rest.startsWith('--')) return this.#enter('lineComment', '--');
    if (rest.startsWith('/*')) {
      this.#blockDepth = 1;
      return this.#enter('blockComment', '/*');
    }
    const dollar = /^\$(?:[A-Za-z_]\w*)?\$/.exec(rest);
    if (dollar && !/\w$/.test(this.#text)) {
      this.#dollarTag = dollar[0];
      return this.#enter('dollar', dollar[0]);
    }
    if (rest.startsWith('::')) return this.#emit('::');
    const named = /^:([A-Za-z_]\w*)/.exec(rest);
    if (named && Object.hasOwn(this.#params, named[1] as string)) {
      this.#text += this.#bind({ param: named[1] as string });
      return named[0].length;
    }
    return this.#emit(/^\w+/.exec(rest)?.[0] ?? (rest[0] as string));
  }

  /** Writes on to the next character that means something here. */
  #inside(text: string, at: number): number {
    const rest = text.slice(at);
    switch (this.#place) {
      case 'text': return this.#quoted(rest, "'", false);
      case 'escapeText': return this.#quoted(rest, "'", true);
      case 'identifier': return this.#quoted(rest, '"', false);
      case 'lineComment': return this.#until(rest, '\n');
      case 'blockComment': return this.#blockComment(rest);
      default: return this.#until(rest, this.#dollarTag);
    }
  }

  #quoted(rest: string, quote: string, escapes: boolean): number {
    if (escapes && rest.startsWith('\\') && rest.length > 1) return this.#emit(rest.slice(0, 2));
    if (rest.startsWith(quote + quote)) return this.#emit(quote + quote);
    if (!rest.startsWith(quote)) return this.#emit(rest[0] as string);
    this.#text += this.#joined ? `${quote})` : quote;
    this.#place = 'code';
    return 1;
  }

  #until(rest: string, end: string): number {
    const at = rest.indexOf(end);
    if (at === -1) return this.#emit(rest);
    this.#place = 'code';
    return this.#emit(rest.slice(0, at + end.length));
  }

  #blockComment(rest: string): number {
    const mark = /\/\*|\*\//.exec(rest);
    if (!mark) return this.#emit(rest);
    this.#blockDepth += mark[0] === '/*' ? 1 : -1;
    if (this.#blockDepth === 0) this.#place = 'code';
    return this.#emit(rest.slice(0, mark.index + 2));
  }
}
