/**
 * API keys: `sk_live_` or `sk_test_` and 32 random bytes in base64url. Only their HMAC is stored, under a pepper derived from
 * `AGENTFLOW_SECRET_KEY`: a key is looked up by one index access, and a copy of the table alone is worth nothing.
 * One-time links: 32 random bytes, too, and their SHA-256 is stored; each is used once, soon, and nothing is signed in by it later.
 */
import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';

const pepperInfo = 'agentflow api key pepper';
const refreshInfo = 'agentflow refresh tokens';
const derivedBytes = 32;
const shape = /^sk_(live|test)_[A-Za-z0-9_-]{43}$/;
const prefixLength = 12;

/** By secret key: the present one, and those before it while they are changed. */
const peppers = new Map<string, Buffer>();
const maxPeppers = 10;

function pepperOf(secretKey: string): Buffer {
  const pepper = peppers.get(secretKey) ?? derived(secretKey, pepperInfo);
  if (peppers.size >= maxPeppers && !peppers.has(secretKey)) peppers.clear();
  peppers.set(secretKey, pepper);
  return pepper;
}

function derived(secretKey: string, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', info, derivedBytes));
}

/** What refresh tokens are signed with: another key than that of bearer tokens, so that neither passes for the other. */
export function refreshSecret(secretKey: string): Uint8Array {
  return derived(secretKey, refreshInfo);
}

export function isApiKey(text: string): boolean {
  return shape.test(text);
}

/** What `api_keys.key_hash` holds: hexadecimal HMAC-SHA-256 of the key. */
export function hashApiKey(key: string, secretKey: string): string {
  return createHmac('sha256', pepperOf(secretKey)).update(key).digest('hex');
}

/** A new key, shown once, and the few characters that people recognise it by (`api_keys.key_prefix`). */
export function createApiKey(mode: 'live' | 'test' = 'live'): { key: string; prefix: string } {
  const key = `sk_${mode}_${randomBytes(32).toString('base64url')}`;
  return { key, prefix: key.slice(0, prefixLength) };
}

/** The token of a one-time link, shown once, and what the database keeps of it. */
export function createLinkToken(): { token: string; tokenHash: string } {
  const token = randomBytes(32).toString('base64url');
  return { token, tokenHash: hashLinkToken(token) };
}

/** What `access_links.token_hash` holds: hexadecimal SHA-256 of the token. */
export function hashLinkToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Where people follow a one-time link to, on the address of the server. The token is behind the `#`: it is in no log and no Referer. */
export function linkPath(token: string): string {
  return `/join#${token}`;
}
