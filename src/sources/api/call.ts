/** One HTTP call of an api source, with its further pages where it has some. */
import { NodeError } from '../../errors.ts';
import type { ApiAnswer, ApiRequest, Json } from '../../engine/types.ts';
import { numberOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { statusError, unreachable } from '../failures.ts';
import type { Ask } from '../guard/fetch.ts';
import type { Answer } from '../guard/ask.ts';
import type { RequestHeaders } from '../guard/headers.ts';
import { itemsOf, nextPage, pagingOf, type Paging } from './pages.ts';
import { baseOf, bodyOf, headersOf, urlOf } from './request.ts';

/** Of all pages together. */
const mostItems = 100_000;
/** Never handed on: they are between the service and us, or say something of the connection alone (RFC 9110, 7.6.1). */
const hiddenHeaders = new Set(['set-cookie', 'set-cookie2', 'proxy-authenticate', 'authorization', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'trailer', 'upgrade']);

interface Prepared {
  base: URL;
  request: ApiRequest;
  headers: RequestHeaders;
  body: string | null;
}

interface Outside {
  call: SourceCall;
  ask: Ask;
}

/** Without `async` where there is nothing to wait for but the answer: of many calls under way each keeps as little as can be. */
export function callApi(request: ApiRequest, call: SourceCall, ask: Ask): Promise<ApiAnswer> {
  return call.run(() => {
    const base = baseOf(call);
    const headers = headersOf(call, base, request);
    return headers instanceof Promise ? headers.then((opened) => callWith(opened, base, request, { call, ask })) : callWith(headers, base, request, { call, ask });
  }, (error) => unreachable(error, (text) => call.said(text)));
}

function callWith(headers: RequestHeaders, base: URL, request: ApiRequest, outside: Outside): Promise<ApiAnswer> {
  const prepared = { base, request, headers, body: bodyOf(request, headers) };
  const url = urlOf(base, request.path, request.query);
  const paging = pagingOf(request.pagination ?? outside.call.binding.config['pagination']);
  return paging === null ? send(url, prepared, outside) : allPages(url, paging, prepared, outside);
}

async function allPages(first: URL, paging: Paging, prepared: Prepared, outside: Outside): Promise<ApiAnswer> {
  const items: Json[] = [];
  let url: URL | null = first;
  let pages = 0;
  let answer: ApiAnswer | null = null;
  while (url !== null && pages < paging.maxPages) {
    answer = await send(url, prepared, outside);
    if (answer.status >= 300) return answer;
    for (const item of itemsOf(paging, answer.body)) items.push(item);
    if (items.length > mostItems) throw new NodeError('LIMIT_OUTPUT', `its pages hold more than ${mostItems} entries.`);
    pages += 1;
    url = nextPage(paging, prepared.base, url, answer);
  }
  return { ...answer!, body: items, pages, truncated: url !== null };
}

function send(url: URL, { request: { method }, headers, body }: Prepared, { call, ask }: Outside): Promise<ApiAnswer> {
  const { signal, config } = call.binding;
  const seconds = numberOf(config, 'timeout');
  if (seconds === null) return ask(url, { method, headers, body, signal }).then((answer) => shownTo(call, answer));
  const ended = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1_000)]);
  return ask(url, { method, headers, body, signal: ended }).then((answer) => shownTo(call, answer), (error: unknown) => {
    if (ended.aborted && !signal.aborted) throw new NodeError('SOURCE_UNAVAILABLE', `did not answer within its timeout of ${seconds} s.`, { transient: true });
    throw error;
  });
}

/** An answer as the node gets it. @throws NodeError SOURCE_UNAVAILABLE, SOURCE_FAILED */
function shownTo(call: SourceCall, answer: Answer): ApiAnswer {
  const { status } = answer;
  const text = call.redact(answer.text);
  const headers: Record<string, string> = {};
  for (const name of Object.keys(answer.headers)) if (!hiddenHeaders.has(name)) headers[name] = call.redact(answer.headers[name]!);
  if (status === 429 || status >= 500) throw statusError({ status, headers, said: call.said(text) });
  return { status, headers, body: parsed(text, answer) };
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
