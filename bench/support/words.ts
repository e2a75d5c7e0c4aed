/** What stands behind the name of a tool. A slip of the pen must not become a run of nothing, which finds nothing wrong. */
import { refuse } from './refusals.ts';

/** The names that are given, or all where none is. Ends the process with exit code 2 for any other word. */
export function namesIn<Name extends string>(words: readonly string[], all: readonly Name[]): readonly Name[] {
  const unknown = words.filter((word) => !(all as readonly string[]).includes(word));
  if (unknown.length > 0) refuse(`There is no ${unknown.join(', ')}.`, `These are: ${all.map((name) => (name.includes(' ') ? `"${name}"` : name)).join(', ')}.`);
  return words.length === 0 ? all : all.filter((name) => words.includes(name));
}

/** The only word, a whole number from 1. Ends the process with exit code 2 for anything else. */
export function numberIn(words: readonly string[], otherwise: number): number {
  if (words.length === 0) return otherwise;
  const [word] = words as [string];
  if (words.length > 1 || !/^[1-9]\d{0,8}$/.test(word)) refuse(`'${words.join(' ')}' is no whole number from 1.`, `Give one, or nothing for ${otherwise}.`);
  return Number(word);
}
