/**
 * Bearer tokens: JWTs signed with HS256 and nothing else, naming a session that the database knows. Refresh tokens are JWTs of another kind, under
 * another key; each names the generation of its session that it continues.
 */
import { AgentFlowError } from '../errors.ts';
import { refreshSecret } from '../keys.ts';

export const ownAlgorithm = 'HS256';
const refreshType = 'refresh+jwt';
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface TokenContent {
  userId: string;
  tenantId: string;
  role: string;
  sessionId: string;
  expiresAt: Date;
}

/** Loaded with the first token, or when there is time for it. */
export function loadJose(): Promise<typeof import('jose')> {
  return import('jose');
}

export async function signToken(content: TokenContent, secret: string): Promise<string> {
  const { SignJWT } = await loadJose();
  return await new SignJWT({ sid: content.sessionId, tenant_id: content.tenantId, role: content.role })
    .setProtectedHeader({ alg: ownAlgorithm, typ: 'JWT' })
    .setSubject(content.userId)
    .setIssuedAt()
    .setExpirationTime(content.expiresAt)
    .sign(new TextEncoder().encode(secret));
}

/** Throws TOKEN_EXPIRED or TOKEN_INVALID. What the token says of user and tenant is not used: the session row decides. */
export async function verifyToken(token: string, secret: string): Promise<{ sessionId: string; expiresAt: Date }> {
  const { sid, exp } = await verified(({ jwtVerify }) => jwtVerify(token, new TextEncoder().encode(secret), { algorithms: [ownAlgorithm], requiredClaims: ['sub', 'sid', 'exp'] }));
  if (typeof sid !== 'string' || !uuid.test(sid)) throw new AgentFlowError('TOKEN_INVALID');
  return { sessionId: sid, expiresAt: new Date(Number(exp) * 1_000) };
}

export interface RefreshContent {
  sessionId: string;
  generation: number;
}

export async function signRefreshToken({ sessionId, generation }: RefreshContent, expiresAt: Date, secretKey: string): Promise<string> {
  const { SignJWT } = await loadJose();
  return await new SignJWT({ sid: sessionId, gen: generation })
    .setProtectedHeader({ alg: ownAlgorithm, typ: refreshType })
    .setIssuedAt()
    .setExpirationTime(expiresAt)
    .sign(refreshSecret(secretKey));
}

/** `secretKeys`: the present one, then those before it. Throws TOKEN_EXPIRED or TOKEN_INVALID. */
export async function verifyRefreshToken(token: string, [secretKey, ...older]: readonly string[]): Promise<RefreshContent> {
  const refused = async (error: unknown): Promise<RefreshContent> => {
    if (older.length > 0 && error instanceof AgentFlowError && error.code === 'TOKEN_INVALID') return verifyRefreshToken(token, older);
    throw error;
  };
  return verifiedRefreshToken(token, secretKey!).catch(refused);
}

async function verifiedRefreshToken(token: string, secretKey: string): Promise<RefreshContent> {
  if (!isWellFormed(token)) throw new AgentFlowError('TOKEN_INVALID');
  const { sid, gen } = await verified(({ jwtVerify }) => jwtVerify(token, refreshSecret(secretKey), { algorithms: [ownAlgorithm], typ: refreshType, requiredClaims: ['sid', 'gen', 'exp'] }));
  if (typeof sid !== 'string' || !uuid.test(sid) || typeof gen !== 'number' || !Number.isSafeInteger(gen)) throw new AgentFlowError('TOKEN_INVALID');
  return { sessionId: sid, generation: gen };
}

/** The claims of a token that is good. Throws TOKEN_EXPIRED or TOKEN_INVALID. */
async function verified(verify: (jose: typeof import('jose')) => Promise<{ payload: Record<string, unknown> }>): Promise<Record<string, unknown>> {
  const jose = await loadJose();
  try {
    return (await verify(jose)).payload;
  } catch (error) {
    throw new AgentFlowError(error instanceof jose.errors.JWTExpired ? 'TOKEN_EXPIRED' : 'TOKEN_INVALID', undefined, { cause: error });
  }
}

/**
 * Whether a text is a compact JWT in the one way in which it is written: readers of base64 overlook other characters, and the bits that are left over
 * at the end, so that many texts would stand for one signature.
 */
export function isWellFormed(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part);
}
