/** Regular expressions of users: RE2 only, so matching takes linear time. */
import { RE2JS } from 're2js';
import { remember } from './remember.ts';

export interface Pattern {
  /** Somewhere in the text. */
  finds(text: string): boolean;
  /** At the beginning of the text. */
  startsWith(text: string): boolean;
}

const maxPatternLength = 1_000;
const compiled = new Map<string, Pattern>();

/** @throws Error with RE2's words when the pattern is none. */
export function compilePattern(source: string, options: { ignoreCase?: boolean } = {}): Pattern {
  if (source.length > maxPatternLength) throw new Error(`a pattern is at most ${maxPatternLength} characters long`);
  return remember(compiled, `${options.ignoreCase ? 'i' : '-'}${source}`, () => {
    const regex = RE2JS.compile(source, options.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    return { finds: (text) => regex.matcher(text).find(), startsWith: (text) => regex.matcher(text).lookingAt() };
  });
}
