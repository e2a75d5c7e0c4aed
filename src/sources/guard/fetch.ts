/**
 * The one way of sources to the outside over HTTP. Names are resolved once and the connection goes to the address that was checked;
 * every redirect is checked like a first request; answers are cut at a size; proxy variables are not read.
 */
import dns from 'node:dns';
import { isIP } from 'node:net';
import { Agent, fetch as undiciFetch, type Dispatcher } from 'undici';
import { NodeError } from '../../errors.ts';
import { isPublicAddress } from './addresses.ts';
import { askOnce, type Answer, type Asked } from './ask.ts';
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
export type Ask = (input: string | URL, init: Asked) => Promise<Answer>;

const maxRedirects = 5;
const connectTimeoutMs = 10_000;
// Time is the caller's: the node's abort signal ends a call. These would end long answers before that.
const agentOptions: Agent.Options = { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 10_000 };
/** All others may identify us, whatever they are called. */
const keptOnOtherOrigin = new Set(['accept', 'accept-language', 'content-type', 'user-agent']);

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
  return {
    fetch: async (input, init = {}) => limited((await followed(asUrl(input), init, (url, request) => fetchOnce(url, request, agentFor(url)))).response, options.maxBytes),
    ask: async (input, init) => (await followed(asUrl(input), init, (url, request) => asking(url, request, agentFor(url)))).read(options.maxBytes),
    async close() {
      await Promise.all([open.close(), checked.close()]);
    },
  };
}

/** An answer of which the body is not read yet. */
export interface Begun {
  status: number;
  /** Of a redirect. */
  location: string | null;
  /** The body is not wanted. */
  drop(): Promise<void>;
}

type Redirectable = Pick<RequestInit, 'method' | 'headers' | 'body'>;

async function followed<Init extends Redirectable, Answered extends Begun>(first: URL, init: Init, send: (url: URL, request: Init) => Promise<Answered>): Promise<Answered> {
  let url = first;
  let request = init;
  for (let redirects = 0; ; redirects += 1) {
    const begun = await send(url, request);
    const location = [301, 302, 303, 307, 308].includes(begun.status) ? begun.location : null;
    if (location === null) return begun;
    await begun.drop();
    if (redirects === maxRedirects) throw new NodeError('SOURCE_FAILED', `${first.host} redirects more than ${maxRedirects} times.`);
    const next = URL.parse(location, url.href);
    if (next === null) throw new NodeError('SOURCE_FAILED', `${url.host} redirects to something that is no URL.`);
    request = redirected(request, begun.status, url, next);
    url = next;
  }
}

async function fetchOnce(url: URL, request: RequestInit, dispatcher: Dispatcher): Promise<Begun & { response: Response }> {
  try {
    // undici's own types of fetch differ from those of the platform in name only.
    const response: Response = await undiciFetch(url, { ...request, redirect: 'manual', dispatcher } as Parameters<typeof undiciFetch>[1]);
    return { response, status: response.status, location: response.headers.get('location'), drop: async () => response.body?.cancel() };
  } catch (error) {
    throw refusalIn(error) ?? error;
  }
}

async function asking(url: URL, request: Asked, dispatcher: Dispatcher): ReturnType<typeof askOnce> {
  try {
    return await askOnce(url, request, dispatcher);
  } catch (error) {
    throw refusalIn(error) ?? error;
  }
}

/** As browsers do: 303, and 301 and 302 after POST, become GET. What identifies us stays with the first origin. */
function redirected<Init extends Redirectable>(request: Init, status: number, from: URL, to: URL): Init {
  const headers = new Headers(request.headers);
  const next: Init = { ...request, headers };
  if (from.origin !== to.origin) for (const name of [...headers.keys()]) if (!keptOnOtherOrigin.has(name)) headers.delete(name);
  if (status === 303 || ((status === 301 || status === 302) && request.method === 'POST')) {
    next.method = 'GET';
    next.body = null;
    for (const name of ['content-type', 'content-length']) headers.delete(name);
  }
  return next;
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
export function hostPort(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`;
}
