/**
 * How deeply a document is nested. Whatever reads one (parser, rules, planner) calls itself for each level, so that one of nothing but levels would use up
 * the stack. Brackets are counted before a text is parsed, fragments before a document is looked into; neither takes a stack.
 */
import { type DefinitionNode, type DocumentNode, Kind, type SelectionSetNode } from 'postgraphile/graphql';

/** How deeply brackets stand within each other; no further than what is more than `enough`. Texts and comments are passed over as GraphQL's lexer does; what it refuses may be counted anyhow. */
export function nestingOf(query: string, enough: number): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < query.length && deepest <= enough; at += 1) {
    const character = query[at];
    if (character === '{' || character === '[' || character === '(') deepest = Math.max(deepest, depth += 1);
    else if (character === '}' || character === ']' || character === ')') depth -= 1;
    else if (character === '"') at = endOfText(query, at);
    else if (character === '#') at = endOfLine(query, at);
  }
  return deepest;
}

function endOfText(query: string, start: number): number {
  const quotes = query.startsWith('"""', start) ? '"""' : '"';
  for (let at = start + quotes.length; at < query.length; at += 1) {
    if (query.startsWith(quotes, at)) return at + quotes.length - 1;
    // In a block, the backslash is one unless quotes follow; what it hides otherwise is no quote.
    if (query[at] === '\\' && (quotes === '"' || query.startsWith(quotes, at + 1))) at += quotes.length;
  }
  return query.length;
}

function endOfLine(query: string, start: number): number {
  for (let at = start; at < query.length; at += 1) if (query[at] === '\n' || query[at] === '\r') return at;
  return query.length;
}

interface Part {
  /** Null for an operation. */
  fragment: string | null;
  /** Selections within each other, fragments left out. */
  levels: number;
  spreads: ReadonlySet<string>;
}

/**
 * How deeply selections stand within each other when fragments are put in their places: at most so, as if each stood on the deepest level. Fragments
 * are not walked into, since they can be chained as long as a document; each is counted once, after those that it spreads. Infinity for more than
 * `enough`, null when a fragment spreads itself.
 */
export function expandedNesting(document: DocumentNode, enough: number): number | null {
  const parts = document.definitions.map(partOf);
  const named = new Map(parts.map((part) => [part.fragment, part]));
  const spreaders = new Map<Part, Part[]>(parts.map((part) => [part, []]));
  const open = new Map<Part, number>();
  for (const part of parts) {
    const spread = [...part.spreads].flatMap((name) => named.get(name) ?? []);
    for (const inner of spread) spreaders.get(inner)!.push(part);
    open.set(part, spread.length);
  }
  const ready = parts.filter((part) => open.get(part) === 0);
  const below = new Map<Part, number>();
  let deepest = 0;
  for (const part of ready) {
    const levels = part.levels + (below.get(part) ?? 0);
    deepest = Math.max(deepest, levels);
    if (deepest > enough) return Infinity;
    for (const outer of spreaders.get(part)!) {
      below.set(outer, Math.max(levels, below.get(outer) ?? 0));
      open.set(outer, open.get(outer)! - 1);
      // What is added here is met by this loop.
      if (open.get(outer) === 0) ready.push(outer);
    }
  }
  return ready.length === parts.length ? deepest : null;
}

/** Calls itself for each level: brackets have been counted. */
function partOf(definition: DefinitionNode): Part {
  const spreads = new Set<string>();
  const levelsOf = (selectionSet: SelectionSetNode | undefined): number => {
    let levels = 0;
    for (const selection of selectionSet?.selections ?? []) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) spreads.add(selection.name.value);
      else levels = Math.max(levels, levelsOf(selection.selectionSet));
    }
    return selectionSet ? levels + 1 : 0;
  };
  const levels = 'selectionSet' in definition ? levelsOf(definition.selectionSet) : 0;
  return { fragment: definition.kind === Kind.FRAGMENT_DEFINITION ? definition.name.value : null, levels, spreads };
}
