/**
 * How deeply a document is nested. Whatever reads one (parser, rules, planner) calls itself for each level, so that one of nothing but levels would use up
 * the stack. Brackets are counted before a text is parsed, fragments before a document is looked into; neither takes a stack.
 */
import { type DefinitionNode, type DocumentNode, Kind, visit } from 'postgraphile/graphql';

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
 * are not walked into, since they can be chained as long as a document. Infinity for more than `enough`, null when a fragment spreads itself.
 */
export function expandedNesting(document: DocumentNode, enough: number): number | null {
  const levelsOf = new Map<string, number>();
  let waiting = document.definitions.map(partOf);
  let deepest = 0;
  while (waiting.length > 0) {
    const open = new Set(waiting.map(({ fragment }) => fragment));
    const isReady = ({ spreads }: Part): boolean => ![...spreads].some((name) => open.has(name));
    const ready = waiting.filter(isReady);
    if (ready.length === 0) return null;
    for (const { fragment, levels, spreads } of ready) {
      const found = levels + Math.max(0, ...[...spreads].map((name) => levelsOf.get(name) ?? 0));
      if (fragment !== null) levelsOf.set(fragment, Math.max(found, levelsOf.get(fragment) ?? 0));
      deepest = Math.max(deepest, found);
    }
    if (deepest > enough) return Infinity;
    waiting = waiting.filter((part) => !isReady(part));
  }
  return deepest;
}

function partOf(definition: DefinitionNode): Part {
  const spreads = new Set<string>();
  let depth = 0;
  let levels = 0;
  visit(definition, {
    [Kind.SELECTION_SET]: {
      enter: () => void (levels = Math.max(levels, depth += 1)),
      leave: () => void (depth -= 1),
    },
    [Kind.FRAGMENT_SPREAD]: ({ name }) => void spreads.add(name.value),
  });
  return { fragment: definition.kind === Kind.FRAGMENT_DEFINITION ? definition.name.value : null, levels, spreads };
}
