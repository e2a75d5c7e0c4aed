/**
 * Tokens of an identity provider (JWKS_URL): signed with a key pair, by the issuer and for the audience that the operator names. Each has a session
 * here, whose id follows from the token, so that it can be ended here, and is refused on the next request like any other.
 */
import { createHash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import { AgentFlowError } from '../errors.ts';

export interface IdentityProvider {
  issuer: string;
  audience: string;
  keys: JWTVerifyGetKey;
}

/** Who a token is for, in the provider's words. */
export interface ProvidedPerson {
  issuer: string;
  subject: string;
  /** Null when the provider has not verified it. */
  email: string | null;
  name: string | null;
  expiresAt: Date;
}

/** Never a shared secret: with one, whoever knows the public key could sign. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** What is older is refused, whatever it says of itself: an ended session is remembered for longer than this. */
const maxTokenAgeSeconds = 24 * 60 * 60;
const maxTextLength = 255;

/** Throws TOKEN_EXPIRED, TOKEN_INVALID, or UNAVAILABLE when the provider's keys cannot be had. */
export async function verifyProviderToken(token: string, { issuer, audience, keys }: IdentityProvider): Promise<{ sessionId: string; person: ProvidedPerson; expiresAt: Date }> {
  const options = { algorithms, issuer, audience, maxTokenAge: maxTokenAgeSeconds, clockTolerance: 5, requiredClaims: ['sub', 'exp', 'iat'] };
  const claims = await verified(() => jwtVerify(token, keys, options).catch((error: unknown) => verifyByAny(token, error, options)));
  const { sub, exp, iat, jti } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > maxTextLength || sub.includes('\0')) throw new AgentFlowError('TOKEN_INVALID');
  // Whatever it says of its end: a connection that stays open must not outlive what a new request with the token would be refused for.
  const expiresAt = new Date(Math.min(exp!, iat! + maxTokenAgeSeconds) * 1_000);
  const person = { issuer, subject: sub, email: verifiedEmail(claims), name: shortText(claims['name']), expiresAt };
  return { sessionId: sessionIdOf([issuer, sub, String(jti ?? iat)]), person, expiresAt };
}

function verifiedEmail({ email, email_verified: isVerified }: JWTPayload): string | null {
  return isVerified === true || isVerified === 'true' ? shortText(email) : null;
}

function shortText(value: unknown): string | null {
  return typeof value === 'string' && value.length <= maxTextLength && !value.includes('\0') ? value : null;
}

/** A UUID of version 8: no random one is ever equal to it. */
function sessionIdOf(parts: string[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(parts)).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function verified(verify: () => Promise<{ payload: JWTPayload }>): Promise<JWTPayload> {
  try {
    return (await verify()).payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new AgentFlowError('TOKEN_EXPIRED', undefined, { cause: error });
    if (isOfTheWay(error)) {
      throw new AgentFlowError('UNAVAILABLE', 'The keys of the identity provider cannot be had.', { remedy: 'Try again in a moment; the operator checks JWKS_URL.', cause: error });
    }
    throw new AgentFlowError('TOKEN_INVALID', undefined, { cause: error });
  }
}

/** A token that does not name its key, where there are several of its kind: one of them may have signed it. */
async function verifyByAny(token: string, error: unknown, options: JWTVerifyOptions): Promise<{ payload: JWTPayload }> {
  if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
  for await (const key of error) {
    try {
      return await jwtVerify(token, key, options);
    } catch (failure) {
      if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** No answer from the provider, or one that holds no keys: no fault of the token. */
function isOfTheWay(error: unknown): boolean {
  return (error as { code?: unknown }).code === errors.JOSEError.code;
}
