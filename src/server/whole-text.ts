/**
 * A text in JSON may hold half of a surrogate pair ("\ud800"). No UTF-8 can: it would be stored as another character, and two texts that differ for their
 * senders would be one. What is inside of a JSON scalar is looked at by who takes it.
 */
import { getNullableType, type GraphQLInputType, isInputObjectType, isListType } from 'postgraphile/graphql';

const json = 'JSON';

/** Where the first such text is: the name of its field, or `place` for the value itself. Undefined when there is none. */
export function placeOfHalfCharacter(type: GraphQLInputType, value: unknown, place: string): string | undefined {
  const nullable = getNullableType(type);
  if (typeof value === 'string') return value.isWellFormed() || ('name' in nullable && nullable.name === json) ? undefined : place;
  if (typeof value !== 'object' || value === null) return undefined;
  if (isListType(nullable)) return first(Array.isArray(value) ? value : [value], (entry) => placeOfHalfCharacter(nullable.ofType, entry, place));
  if (!isInputObjectType(nullable)) return undefined;
  const fields = nullable.getFields();
  return first(Object.entries(value), ([name, entry]) => (Object.hasOwn(fields, name) ? placeOfHalfCharacter(fields[name]!.type, entry, name) : undefined));
}

function first<T>(entries: readonly T[], find: (entry: T) => string | undefined): string | undefined {
  for (const entry of entries) {
    const found = find(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}
