/**
 * The one way of sources to the outside over HTTP. Names are resolved once and the connection goes to the address that was checked;
 * every redirect is checked like a first request; answers are cut at a size; proxy variables are not read.
 */
import dns from 'node:dns';
import { isIP } from 'node:net';
import { Agent, fetch as undiciFetch, type Dispatcher } from 'undici';
import { NodeError } from '../../errors.ts';
import { isPublicAddress } from './addresses.ts';
import { askOnce, redirectOf, type Answer, type Asked } from './ask.ts';
import { checkingLookup, refusedAddress } from './lookup.ts';

export interface GuardOptions {
  /** `host:port`, lower case: may be reached although private. */
  allowHosts: readonly string[];
  /** May reach anything: for the operator's own gateway only. */
  trusted?: boolean;
  maxBytes: number;
  /** For tests: how names become addresses. */
  lookup?: typeof dns.lookup;
}

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** A call whose answer is read whole: by the same rules, and a fraction of the work. */
export type Ask = (input: string | URL, request: Asked) => Promise<Answer>;

const maxRedirects = 5;
const connectTimeoutMs = 10_000;
// Time is the caller's: the node's abort signal ends a call. These would end long answers before that.
const agentOptions: Agent.Options = { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 10_000 };
/** All others may identify us, whatever they are called. */
const keptOnOtherOrigin = new Set(['accept', 'accept-language', 'content-type', 'user-agent']);
const aboutBody = new Set(['content-type', 'content-length']);

/** A `fetch` and an `ask` that throw NodeError SOURCE_NOT_ALLOWED for what they refuse. `close` ends idle connections. */
export function createGuardedFetch(options: GuardOptions): { fetch: Fetch; ask: Ask; close(): Promise<void> } {
  const open = new Agent({ ...agentOptions, connect: { timeout: connectTimeoutMs } });
  const checked = new Agent({ ...agentOptions, connect: { timeout: connectTimeoutMs, lookup: checkingLookup(options.lookup ?? dns.lookup) } });
  const agentFor = (url: URL): Dispatcher => {
    checkUrl(url);
    if (options.trusted || options.allowHosts.includes(hostPort(url))) return open;
    const host = bareHost(url);
    if (isIP(host) !== 0 && !isPublicAddress(host)) throw refusedAddress(url.host);
    return checked;
  };
  const rules = { agentFor, maxBytes: options.maxBytes };
  return {
    fetch: async (input, init = {}) => limited(await fetched(asUrl(input), init, agentFor), options.maxBytes),
    ask: (input, request) => answered(rules, input, request),
    async close() {
      await Promise.all([open.close(), checked.close()]);
    },
  };
}

/** As of `createGuardedFetch`: throws for what is refused. */
type AgentFor = (url: URL) => Dispatcher;

async function fetched(first: URL, init: RequestInit, agentFor: AgentFor): Promise<Response> {
  let url = first;
  let request = init;
  for (let redirects = 0; ; redirects += 1) {
    const response = await fetchOnce(url, request, agentFor(url));
    const location = redirectOf(response.status, response.headers.get('location'));
    if (location === null) return response;
    await response.body?.cancel();
    const next = nextUrl(location, { first, url, redirects });
    const { losesBody, isDropped } = changes(response.status, request.method ?? 'GET', url, next);
    const headers = new Headers(request.headers);
    for (const name of [...headers.keys()]) if (isDropped(name)) headers.delete(name);
    request = { ...request, headers, ...(losesBody ? { method: 'GET', body: null } : {}) };
    url = next;
  }
}

async function fetchOnce(url: URL, request: RequestInit, dispatcher: Dispatcher): Promise<Response> {
  try {
    // undici's own types of fetch differ from those of the platform in name only.
    return await undiciFetch(url, { ...request, redirect: 'manual', dispatcher } as Parameters<typeof undiciFetch>[1]);
  } catch (error) {
    throw refusalIn(error) ?? error;
  }
}

/** Without `async`: of many calls under way each keeps as little as can be. */
function answered(rules: { agentFor: AgentFor; maxBytes: number }, input: string | URL, request: Asked, redirects = 0, first = String(input)): Promise<Answer> {
  let url: URL;
  let dispatcher: Dispatcher;
  try {
    url = input instanceof URL ? input : asUrl(input);
    dispatcher = rules.agentFor(url);
  } catch (error) {
    return Promise.reject(error);
  }
  // The text is less to keep than the URL.
  const { href } = url;
  return askOnce(url, request, dispatcher, rules.maxBytes).then((answer) => {
    const location = redirectOf(answer.status, answer.headers['location']);
    if (location === null) return answer;
    const from = new URL(href);
    const next = nextUrl(location, { first: new URL(first), url: from, redirects });
    const { losesBody, isDropped } = changes(answer.status, request.method, from, next);
    return answered(rules, next, { ...request, headers: request.headers.without(isDropped), ...(losesBody ? { method: 'GET', body: null } : {}) }, redirects + 1, first);
  }, (error: unknown) => {
    throw refusalIn(error) ?? error;
  });
}

function nextUrl(location: string, { first, url, redirects }: { first: URL; url: URL; redirects: number }): URL {
  if (redirects === maxRedirects) throw new NodeError('SOURCE_FAILED', `${first.host} redirects more than ${maxRedirects} times.`);
  const next = URL.parse(location, url.href);
  if (next === null) throw new NodeError('SOURCE_FAILED', `${url.host} redirects to something that is no URL.`);
  return next;
}

/** As browsers do: 303 (but for HEAD), and 301 and 302 after POST, become GET. What identifies us stays with the first origin. */
function changes(status: number, method: string, from: URL, to: URL): { losesBody: boolean; isDropped(header: string): boolean } {
  const losesBody = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST');
  const isElsewhere = from.origin !== to.origin;
  return { losesBody, isDropped: (header) => (isElsewhere && !keptOnOtherOrigin.has(header)) || (losesBody && aboutBody.has(header)) };
}

function checkUrl(url: URL): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new NodeError('SOURCE_NOT_ALLOWED', `A source may use http and https only, not ${url.protocol}`);
  if (url.username !== '' || url.password !== '') throw new NodeError('SOURCE_NOT_ALLOWED', `The URL of a source may not hold a user or password (${url.host}).`);
}

/** The refusal that a lookup gave arrives as the cause of the connection's error. */
export function refusalIn(error: unknown): NodeError | null {
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    if (current instanceof NodeError) return current;
    if (current instanceof AggregateError) for (const inner of current.errors) {
      const found = refusalIn(inner);
      if (found !== null) return found;
    }
  }
  return null;
}

/** The body counts its bytes as they come, after decompression, and fails at the cap. */
function limited(response: Response, maxBytes: number): Response {
  // The connection is cut at the length that was announced; only what is decompressed can become more.
  const length = response.headers.get('content-length');
  const isBounded = length !== null && Number(length) <= maxBytes && !response.headers.has('content-encoding');
  if (response.body === null || isBounded) return response;
  let seen = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      seen += chunk.byteLength;
      if (seen > maxBytes) controller.error(new NodeError('LIMIT_OUTPUT', `The source answered with more than ${maxBytes} bytes.`));
      else controller.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(counter), { status, statusText, headers });
}

function asUrl(input: string | URL | Request): URL {
  const url = URL.parse(typeof input === 'string' ? input : input instanceof URL ? input.href : input.url);
  if (url === null) throw new NodeError('SOURCE_NOT_ALLOWED', 'The URL of a source is not a URL.');
  return url;
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** `host:port` as AGENTFLOW_ALLOW_HOSTS writes it. */
function hostPort(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`;
}
