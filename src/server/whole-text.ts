/**
 * A text in JSON may hold half of a surrogate pair ("\ud800"). No UTF-8 can: it would be stored as another character, and two texts that differ for their
 * senders would be one.
 */

/** Where the first such text is: the name of its field, or `place` for the value itself. Undefined when there is none. No deeper than `isDeeperThan` allows. */
export function placeOfHalfCharacter(value: unknown, place: string): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : place;
  if (typeof value !== 'object' || value === null) return undefined;
  const isList = Array.isArray(value);
  for (const [key, part] of Object.entries(value)) {
    const found = key.isWellFormed() ? placeOfHalfCharacter(part, isList ? place : key) : place;
    if (found !== undefined) return found;
  }
  return undefined;
}
