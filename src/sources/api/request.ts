/** From a node's request and its source's configuration to a URL and headers: below the base address, with the source's own identity. */
import { NodeError } from '../../errors.ts';
import type { ApiRequest, Json, JsonObject } from '../../engine/types.ts';
import { objectOf, textOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import { readCredential, type Wanted } from '../credentials.ts';
import { RequestHeaders } from '../guard/headers.ts';

/** The connection's own; and what would let a node speak for somebody else. */
const reserved = /^(host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect|keep-alive|proxy-.*|forwarded|x-forwarded-.*|x-real-ip)$/i;
const maxBodyBytes = 8 * 1024 * 1024;
const tokenKeys = ['token', 'api_key', 'key'];
const tokenVariables = ['token_env', 'auth_env', 'api_key_env', 'key_env'];
const identityKeys = ['auth', 'auth_type', ...tokenKeys, ...tokenVariables];

/** By configuration: those that stand in a document are the same object at each call. Never changed. */
const bases = new WeakMap<JsonObject, URL>();

export function baseOf({ binding: { config } }: SourceCall): URL {
  const known = bases.get(config);
  if (known !== undefined) return known;
  const base = parsedBase(config);
  bases.set(config, base);
  return base;
}

function parsedBase(config: JsonObject): URL {
  const text = textOf(config, 'base_url', 'url', 'endpoint');
  if (text === null) throw new NodeError('INVALID_VALUE', 'it names no base_url.', { remedy: 'Set base_url in its configuration.' });
  const base = URL.parse(text);
  if (base === null || !/^https?:$/.test(base.protocol)) throw new NodeError('INVALID_VALUE', 'its base_url is no http or https address.', { remedy: 'Correct base_url in its configuration.' });
  return base;
}

/** @throws NodeError SOURCE_NOT_ALLOWED when it would leave the base address. */
export function urlOf(base: URL, path: string, query: JsonObject): URL {
  const folder = base.pathname.replace(/\/+$/, '');
  const relative = path.replace(/^[/\\]+/, '');
  const url = new URL(base.href);
  const [pathOnly = '', ...rest] = relative.split('?');
  if (relative !== '') url.pathname = `${folder}/${pathOnly.replaceAll('#', '%23').replaceAll('\\', '%5C')}`;
  if (rest.length > 0) url.search = rest.join('?').replaceAll('#', '%23');
  if (url.hash !== '') url.hash = '';
  for (const [name, value] of Object.entries(query)) for (const text of textsOf(value)) url.searchParams.append(name, text);
  demandBelow(base, url);
  return url;
}

export function demandBelow(base: URL, url: URL): void {
  const folder = base.pathname.replace(/\/+$/, '');
  const isBelow = url.origin === base.origin && (folder === '' || url.pathname === folder || url.pathname.startsWith(`${folder}/`));
  if (!isBelow) throw new NodeError('SOURCE_NOT_ALLOWED', `the call would leave ${base.origin}${base.pathname}.`, { remedy: 'Keep path and next pages below base_url.' });
}

function textsOf(value: Json): string[] {
  if (value === null || value === '') return [];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return [typeof value === 'string' ? value : JSON.stringify(value)];
}

/** The source's identity stands over what the node says, the node over the source's plain headers. A promise where secrets may have to be opened. */
export function headersOf(call: SourceCall, base: URL, request: ApiRequest): RequestHeaders | Promise<RequestHeaders> {
  const { config, idempotencyKey } = call.binding;
  const headers = new RequestHeaders([['accept', 'application/json, */*;q=0.5'], ['user-agent', 'AgentFlow'], ['idempotency-key', idempotencyKey]]);
  const plain = objectOf(config['headers']) ?? {};
  if (isIdentified(config, plain)) return identified(headers, call, base, request);
  for (const [name, value] of Object.entries(plain)) setHeader(headers, name, plainText(value));
  for (const [name, value] of Object.entries(request.headers)) setHeader(headers, name, value);
  return headers;
}

/** Is there anything in it that may stand for a secret? */
function isIdentified(config: JsonObject, headers: JsonObject): boolean {
  return identityKeys.some((key) => config[key] !== undefined) || Object.values(headers).some((value) => objectOf(value) !== null);
}

async function identified(headers: RequestHeaders, call: SourceCall, base: URL, request: ApiRequest): Promise<RequestHeaders> {
  for (const [name, value] of Object.entries(objectOf(call.binding.config['headers']) ?? {})) {
    const secret = objectOf(value) === null ? null : await readCredential(call, { secretKeys: ['value'], variableKeys: ['env'], host: base.hostname }, { value, ...objectOf(value) });
    setHeader(headers, name, secret ?? plainText(value));
  }
  for (const [name, value] of Object.entries(request.headers)) setHeader(headers, name, value);
  for (const [name, value] of await identityOf(call, base)) setHeader(headers, name, value);
  return headers;
}

function plainText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function setHeader(headers: RequestHeaders, name: string, value: string): void {
  if (reserved.test(name)) throw new NodeError('SOURCE_NOT_ALLOWED', `the header ${name} may not be set.`, { remedy: 'Remove it.' });
  try {
    headers.set(name, value);
  } catch {
    throw new NodeError('INVALID_VALUE', `the header ${name.slice(0, 40)} cannot be sent: its name or value holds what HTTP does not allow.`);
  }
}

async function identityOf(call: SourceCall, base: URL): Promise<[string, string][]> {
  const { config } = call.binding;
  const auth = objectOf(config['auth']);
  const settings: JsonObject = { ...config, ...auth };
  const type = (textOf(auth ?? {}, 'type') ?? textOf(config, 'auth', 'auth_type'))?.toLowerCase() ?? null;
  const wanted: Wanted = { host: base.hostname, secretKeys: tokenKeys, variableKeys: tokenVariables };
  const header = textOf(settings, 'header', 'auth_header', 'header_name', 'api_key_header');
  if (type === 'none') return [];
  if (type === 'basic') return [['authorization', await basic(call, settings, wanted)]];
  const token = await readCredential(call, wanted, settings);
  if (token === null) {
    if (type === null) return [];
    throw new NodeError('SOURCE_KEY_MISSING', `its auth is ${type}, and no token is named.`, { remedy: 'Set token_env to the name of a variable, or token to {"secret": "name"}.' });
  }
  if (type === null || type === 'bearer') return [header !== null && type === null ? [header, token] : ['authorization', `Bearer ${token}`]];
  if (['header', 'api_key', 'apikey', 'api-key'].includes(type)) return [[header ?? 'x-api-key', token]];
  throw new NodeError('INVALID_VALUE', `its auth '${type}' is not known; there are bearer, header, basic and none.`, { remedy: 'Correct auth in its configuration.' });
}

async function basic(call: SourceCall, settings: JsonObject, { host }: Wanted): Promise<string> {
  const user = textOf(settings, 'username', 'user') ?? await readCredential(call, { host, secretKeys: ['username'], variableKeys: ['username_env', 'user_env'] }, settings);
  const password = await readCredential(call, { host, secretKeys: ['password', 'token'], variableKeys: ['password_env', 'token_env', 'auth_env'] }, settings);
  if (user === null || password === null) throw new NodeError('SOURCE_KEY_MISSING', 'its auth is basic, and user or password is not named.', { remedy: 'Set username (or username_env) and password_env, or password to {"secret": "name"}.' });
  const pair = `${user}:${password}`;
  call.keepSecret(pair);
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** A text is sent as it is, everything else as JSON. */
export function bodyOf({ method, body }: ApiRequest, headers: RequestHeaders): string | null {
  if (body === undefined || method === 'GET' || method === 'HEAD') return null;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  if (Buffer.byteLength(text) > maxBodyBytes) throw new NodeError('TOO_LARGE', `the body has more than ${maxBodyBytes} bytes.`);
  if (!headers.has('content-type')) headers.set('content-type', typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json');
  return text;
}
