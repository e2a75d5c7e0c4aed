/** The identity provider that JWKS_URL names: its keys are fetched when a token needs one, and kept. */
import { createRemoteJWKSet } from 'jose';
import type { Config } from '../config.ts';
import type { IdentityProvider } from '../server/provider-tokens.ts';

const answerWithinMs = 5_000;
/** A token that names an unknown key makes us ask again, but no more often than this. */
const askAgainAfterMs = 10_000;

export function identityProvider({ jwksUrl, jwtIssuer, jwtAudience }: Config): IdentityProvider | null {
  if (jwksUrl === null || jwtIssuer === null || jwtAudience === null) return null;
  return { issuer: jwtIssuer, audience: jwtAudience, keys: createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: answerWithinMs, cooldownDuration: askAgainAfterMs }) };
}
