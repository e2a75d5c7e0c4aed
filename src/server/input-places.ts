/** Where in a caller's input the value stands that PostgreSQL refused: its own words quote the value or name its length, never the field. */
import type { FieldNode } from 'postgraphile/graphql';
import { GraphQLError, valueFromASTUntyped } from 'postgraphile/graphql';
import { isDatabaseError, type DatabaseError } from './database-errors.ts';

type Variables = Readonly<Record<string, unknown>> | null | undefined;

/** Arguments that are made of other values, so that a refused part of one is not found as it is. */
const composed = ['globalId', 'after', 'before'];
const maxDepth = 20;

/** Gives those of the errors that come from a refused value the name of the field that it was given for, in `column`. */
export function notePlaces(errors: readonly GraphQLError[], variables: Variables): void {
  for (const error of errors) {
    const original = deepestOriginal(error);
    if (!isDatabaseError(original) || !original.code.startsWith('22') || original.column) continue;
    const node = error.nodes?.find((candidate) => candidate.kind === 'Field');
    const place = node && placeIn(argumentsOf(node, variables), original);
    if (place !== undefined) original.column = place;
  }
}

function deepestOriginal(error: GraphQLError): unknown {
  let current: unknown = error;
  while (current instanceof GraphQLError && current.originalError != null) current = current.originalError;
  return current;
}

function argumentsOf(node: FieldNode, variables: Variables): Record<string, unknown> {
  return Object.fromEntries((node.arguments ?? []).map(({ name, value }) => [name.value, valueFromASTUntyped(value, variables)]));
}

function placeIn(given: Record<string, unknown>, error: DatabaseError): string | undefined {
  const isRefused = refusedBy(error);
  const path = isRefused && pathTo(given, isRefused, []);
  if (!path) return composed.find((name) => given[name] != null);
  // A filter is made of fields, and each of those of comparisons.
  return path[0] === 'filter' ? path.at(-2) : path.at(-1);
}

/** Recognises the refused value; null when the error does not tell enough. */
function refusedBy({ code, message }: DatabaseError): ((value: unknown) => boolean) | null {
  if (code === '22021' || code === '22P05') return (value) => typeof value === 'string' && (value.includes('\0') || !value.isWellFormed());
  if (code === '22001') {
    const longest = Number(/\((\d+)\)/.exec(message)?.[1] ?? Infinity);
    return (value) => typeof value === 'string' && [...value].length > longest;
  }
  const quoted = /"([^]*)"/.exec(message)?.[1];
  return quoted === undefined ? null : (value) => (typeof value === 'string' || typeof value === 'number') && String(value) === quoted;
}

/** The names on the way to the refused value, without the places in lists. */
function pathTo(value: unknown, isRefused: (value: unknown) => boolean, path: readonly string[]): readonly string[] | undefined {
  if (isRefused(value)) return path;
  if (typeof value !== 'object' || value === null || path.length > maxDepth) return undefined;
  for (const [key, part] of Object.entries(value)) {
    const found = pathTo(part, isRefused, Array.isArray(value) ? path : [...path, key]);
    if (found) return found;
  }
  return undefined;
}
