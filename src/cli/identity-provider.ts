/** The identity provider that JWKS_URL names: its keys are fetched when a token needs one, kept, and fetched again now and then. */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Config } from '../config.ts';
import type { IdentityProvider } from '../server/provider-tokens.ts';

const answerWithinMs = 5_000;
/** A token that names an unknown key makes us ask again, and so does a provider that has not answered, but no more often than this. */
const askAgainAfterMs = 10_000;
const freshForMs = 10 * 60_000;
/** Through an outage of the provider. */
const goodForMs = 60 * 60_000;
const maxAnswerBytes = 1_048_576;

export function identityProvider({ jwksUrl, jwtIssuer, jwtAudience }: Config): IdentityProvider | null {
  if (jwksUrl === null || jwtIssuer === null || jwtAudience === null) return null;
  return { issuer: jwtIssuer, audience: jwtAudience, keys: providerKeys(new URL(jwksUrl)) };
}

/** `now`: milliseconds since the epoch. Throws a JOSEError without a code of its own when there are no keys to be had. */
export function providerKeys(url: URL, now: () => number = Date.now): JWTVerifyGetKey {
  let known: JWTVerifyGetKey | null = null;
  let [hadAt, askedAt] = [-Infinity, -Infinity];
  let asking: Promise<void> | null = null;
  const ask = (): Promise<void> => {
    askedAt = now();
    return asking ??= fetchKeys(url).then((keys) => {
      [known, hadAt] = [keys, now()];
    }).finally(() => {
      asking = null;
    });
  };
  const mayAsk = (): boolean => now() - askedAt > askAgainAfterMs;
  return async (header, token) => {
    const isGood = (): boolean => known !== null && now() - hadAt <= goodForMs;
    if (!isGood()) await ask();
    // Those that were had are good enough if there are no others.
    else if (now() - hadAt > freshForMs && mayAsk()) await ask().catch(() => undefined);
    try {
      return await known!(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayAsk()) throw error;
      await ask();
      return await known!(header, token);
    }
  };
}

async function fetchKeys(url: URL): Promise<JWTVerifyGetKey> {
  try {
    const response = await fetch(url, { redirect: 'manual', headers: { accept: 'application/json, application/jwk-set+json' }, signal: AbortSignal.timeout(answerWithinMs) });
    if (response.status !== 200) throw new Error(`The answer has the status ${response.status}.`);
    return createLocalJWKSet(JSON.parse(await textOf(response)) as JSONWebKeySet);
  } catch (cause) {
    throw new errors.JOSEError('The keys of the identity provider cannot be had.', { cause });
  }
}

/** What is more than any set of keys is not read to its end. */
async function textOf({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.byteLength;
    if (length > maxAnswerBytes) throw new Error(`The answer has more than ${maxAnswerBytes} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
