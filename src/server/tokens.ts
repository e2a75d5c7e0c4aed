/** Bearer tokens: JWTs signed with HS256 and nothing else, naming a session that the database knows. */
import { errors, jwtVerify, SignJWT } from 'jose';
import { AgentFlowError } from '../errors.ts';

const algorithm = 'HS256';
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface TokenContent {
  userId: string;
  tenantId: string;
  role: string;
  sessionId: string;
  expiresAt: Date;
}

export async function signToken(content: TokenContent, secret: string): Promise<string> {
  return await new SignJWT({ sid: content.sessionId, tenant_id: content.tenantId, role: content.role })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(content.userId)
    .setIssuedAt()
    .setExpirationTime(content.expiresAt)
    .sign(new TextEncoder().encode(secret));
}

/** Throws TOKEN_EXPIRED or TOKEN_INVALID. What the token says of user and tenant is not used: the session row decides. */
export async function verifyToken(token: string, secret: string): Promise<{ sessionId: string }> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: [algorithm], requiredClaims: ['sub', 'sid', 'exp'] });
    if (typeof payload.sid === 'string' && uuid.test(payload.sid)) return { sessionId: payload.sid };
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new AgentFlowError('TOKEN_EXPIRED', undefined, { cause: error });
    throw new AgentFlowError('TOKEN_INVALID', undefined, { cause: error });
  }
  throw new AgentFlowError('TOKEN_INVALID');
}
