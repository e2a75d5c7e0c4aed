/** Answers in pages: where the next one is, and how their entries become one list. */
import { NodeError } from '../../errors.ts';
import type { ApiAnswer, Json } from '../../engine/types.ts';
import { numberOf, objectOf, textOf } from '../binding.ts';
import { demandBelow } from './request.ts';

export interface Paging {
  /** `link`: the Link header, or a path to a URL in the body. `cursor`: a value of the body goes into a query parameter. */
  by: 'link' | 'cursor';
  /** Data path of the entries; null: the body itself is the list. */
  items: string | null;
  /** Data path of the next URL or cursor. */
  next: string | null;
  parameter: string;
  maxPages: number;
}

const defaultPages = 10;
const mostPages = 100;

/** Null: one answer is all. @throws NodeError INVALID_VALUE */
export function pagingOf(given: Json | undefined): Paging | null {
  const config = objectOf(given);
  if (config === null) return null;
  const by = textOf(config, 'type', 'by') ?? 'link';
  if (by !== 'link' && by !== 'cursor') throw new NodeError('INVALID_VALUE', `its pagination '${by}' is not known; there are link and cursor.`);
  const next = textOf(config, 'next', 'cursor', 'next_path');
  if (by === 'cursor' && next === null) throw new NodeError('INVALID_VALUE', 'its pagination by cursor does not say where the next cursor is (next).');
  return { by, next, items: textOf(config, 'items'), parameter: textOf(config, 'parameter', 'param') ?? 'cursor', maxPages: Math.min(Math.max(1, numberOf(config, 'max_pages') ?? defaultPages), mostPages) };
}

/** Null: that was the last page. */
export function nextPage(paging: Paging, base: URL, current: URL, answer: ApiAnswer): URL | null {
  const said = paging.next === null ? null : at(answer.body, paging.next);
  const place = paging.by === 'link' && paging.next === null ? linkOf(answer.headers['link'] ?? '') : said;
  if (place === null || place === undefined || place === '' || typeof place === 'object' || typeof place === 'boolean') return null;
  const next = new URL(current.href);
  if (paging.by === 'cursor') next.searchParams.set(paging.parameter, String(place));
  const url = paging.by === 'cursor' ? next : URL.parse(String(place), current.href);
  if (url === null) throw new NodeError('SOURCE_FAILED', 'its next page is no URL.');
  demandBelow(base, url);
  return url.href === current.href ? null : url;
}

function linkOf(header: string): string | null {
  for (const [, url, parameters] of header.matchAll(/<([^>]*)>((?:\s*;\s*[^,;]+)*)/g)) {
    if (/;\s*rel\s*=\s*"?(?:[^"]*\s)?next(?:\s[^"]*)?"?/i.test(parameters ?? '')) return url ?? null;
  }
  return null;
}

export function itemsOf(paging: Paging, body: Json): Json[] {
  const found = paging.items === null ? body : at(body, paging.items);
  if (Array.isArray(found)) return found;
  throw new NodeError('SOURCE_FAILED', `its page has no list ${paging.items === null ? 'as its body' : `at ${paging.items}`}.`, { remedy: 'Correct items of its pagination.' });
}

/** A data path: keys and indexes between dots. */
function at(value: Json, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((current, key) => {
    if (Array.isArray(current)) return current[Number(key)];
    return typeof current === 'object' && current !== null && Object.hasOwn(current, key) ? current[key] : undefined;
  }, value);
}
