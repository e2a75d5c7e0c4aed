/** Texts as PostgreSQL can hold them: without NUL and lone surrogates, and no longer than that. */
export function storable(text: string, maxCharacters: number): string {
  return text.slice(0, maxCharacters).toWellFormed().replaceAll('\0', '\uFFFD');
}
