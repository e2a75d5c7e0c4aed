/** One HTTP call of an api source, with its further pages where it has some. */
import { NodeError } from '../../errors.ts';
import type { ApiAnswer, ApiRequest, Json } from '../../engine/types.ts';
import { numberOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { statusError, unreachable } from '../failures.ts';
import type { Ask } from '../guard/fetch.ts';
import type { Answer } from '../guard/ask.ts';
import { itemsOf, nextPage, pagingOf, type Paging } from './pages.ts';
import { baseOf, bodyOf, headersOf, urlOf } from './request.ts';

/** Of all pages together. */
const mostItems = 100_000;
/** Never handed on: they are between the service and us. */
const hiddenHeaders = new Set(['set-cookie', 'set-cookie2', 'proxy-authenticate', 'authorization']);

interface Prepared {
  base: URL;
  request: ApiRequest;
  headers: Headers;
  body: string | null;
}

export function callApi(request: ApiRequest, call: SourceCall, ask: Ask): Promise<ApiAnswer> {
  return call.run(async () => {
    const base = baseOf(call);
    const headers = await headersOf(call, base, request);
    const prepared = { base, request, headers, body: bodyOf(request, headers) };
    const url = urlOf(base, request.path, request.query);
    const paging = pagingOf(request.pagination ?? call.binding.config['pagination']);
    return paging === null ? await send(url, prepared, call, ask) : await allPages(url, paging, prepared, { call, ask });
  }, (error) => unreachable(error, (text) => call.said(text)));
}

async function allPages(first: URL, paging: Paging, prepared: Prepared, { call, ask }: { call: SourceCall; ask: Ask }): Promise<ApiAnswer> {
  const items: Json[] = [];
  let url: URL | null = first;
  let pages = 0;
  let answer: ApiAnswer | null = null;
  while (url !== null && pages < paging.maxPages) {
    answer = await send(url, prepared, call, ask);
    if (answer.status >= 300) return answer;
    for (const item of itemsOf(paging, answer.body)) items.push(item);
    if (items.length > mostItems) throw new NodeError('LIMIT_OUTPUT', `its pages hold more than ${mostItems} entries.`);
    pages += 1;
    url = nextPage(paging, prepared.base, url, answer);
  }
  return { ...answer!, body: items, pages, truncated: url !== null };
}

async function send(url: URL, { request, headers, body }: Prepared, call: SourceCall, ask: Ask): Promise<ApiAnswer> {
  const seconds = numberOf(call.binding.config, 'timeout');
  const signal = seconds === null ? call.binding.signal : AbortSignal.any([call.binding.signal, AbortSignal.timeout(seconds * 1_000)]);
  let answer: Answer;
  try {
    answer = await ask(url, { method: request.method, headers, body, signal });
  } catch (error) {
    if (signal.aborted && !call.binding.signal.aborted) throw new NodeError('SOURCE_UNAVAILABLE', `did not answer within its timeout of ${seconds} s.`, { transient: true });
    throw error;
  }
  const { status } = answer;
  const text = call.redact(answer.text);
  const shown = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !hiddenHeaders.has(name)).map(([name, value]) => [name, call.redact(value)]));
  if (status === 429 || status >= 500) throw statusError({ status, headers: shown, said: call.said(text) });
  return { status, headers: shown, body: parsed(text, answer) };
}

/** @throws NodeError SOURCE_FAILED when what calls itself JSON is none. */
function parsed(text: string, { headers, status }: Answer): Json {
  if (!/^[^;]*\bjson\b/i.test(headers['content-type'] ?? '')) return text;
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    // A failure's body may be anything: what counts is its status.
    if (status >= 300) return text;
    throw new NodeError('SOURCE_FAILED', 'its answer calls itself JSON and is none.', { remedy: 'Check base_url and path: is this the service that is meant?' });
  }
}
