/**
 * API keys: `sk_live_` or `sk_test_` and 32 random bytes in base64url. Only their HMAC is stored, under a pepper derived from
 * `AGENTFLOW_SECRET_KEY`: a key is looked up by one index access, and a copy of the table alone is worth nothing.
 */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';

const pepperInfo = 'agentflow api key pepper';
const pepperBytes = 32;
const shape = /^sk_(live|test)_[A-Za-z0-9_-]{43}$/;
const prefixLength = 12;

let lastPepper: { secretKey: string; pepper: Buffer } | null = null;

function pepperOf(secretKey: string): Buffer {
  if (lastPepper?.secretKey !== secretKey) {
    lastPepper = { secretKey, pepper: Buffer.from(hkdfSync('sha256', secretKey, '', pepperInfo, pepperBytes)) };
  }
  return lastPepper.pepper;
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
