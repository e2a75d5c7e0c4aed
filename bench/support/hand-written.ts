/**
 * The peer of the API's benchmarks: what a careful person writes by hand for three queries and no others. node:http, pg, one SQL statement
 * a query that gives the finished JSON, prepared; everything of a request in one way to the server and back.
 *
 *     /guarded/<n>   with the duties of the API: the token verified, its session looked up, role and claims set, row-level security
 *     /bare/<n>      without them: the tenant is believed, and stands in the statement
 *
 * Runs as a process of its own and tells its port to its parent.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import pg from 'pg';
import { apiQueries } from './api-queries.ts';

interface Settings {
  /** Of agentflow_authenticator, as the API has it. */
  guardedUrl: string;
  /** Of a login that no policy binds. */
  bareUrl: string;
  jwtSecret: string;
}

interface Body {
  tenant: string;
  values: Record<string, unknown>;
}

const { guardedUrl, bareUrl, jwtSecret } = JSON.parse(process.env['HAND_WRITTEN']!) as Settings;
const options = { max: 20, keepAlive: true, pipeline: true } as const;
const guarded = new pg.Pool({ ...options, connectionString: guardedUrl });
const bare = new pg.Pool({ ...options, connectionString: bareUrl });
for (const pool of [guarded, bare]) pool.on('connect', (client) => void client.query('set jit = off'));

const identifySql = `
  with caller as materialized (select * from app_private.identify_session($1))
  select set_config('role', 'agentflow_user', true), set_config('jwt.claims.tenant_id', tenant_id::text, true), set_config('jwt.claims.user_id', user_id::text, true),
    set_config('jwt.claims.role', role, true), set_config('jwt.claims.api_key_id', '', true), set_config('jwt.claims.permissions', '', true), set_config('statement_timeout', '30000', true)
    from caller`;

/** Throws when the token is not good. */
function sessionOf(header: string | undefined): string {
  const [head, body, signature] = (header ?? '').replace(/^Bearer /, '').split('.');
  const wanted = createHmac('sha256', jwtSecret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature ?? '', 'base64url');
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Error('The token is not good');
  const claims = JSON.parse(Buffer.from(body!, 'base64url').toString()) as { sid: string; exp: number };
  if (claims.exp * 1_000 < Date.now()) throw new Error('The token has expired');
  return claims.sid;
}

async function answerGuarded(index: number, { values }: Body, authorization: string | undefined): Promise<string> {
  const session = sessionOf(authorization);
  const client = await guarded.connect();
  try {
    const [, identified, rows] = await Promise.all([
      client.query('begin'),
      client.query({ name: 'identify', text: identifySql, values: [session] }),
      client.query<{ answer: string }>({ name: `q${index}`, text: apiQueries[index]!.sql.underPolicies, values: Object.values(values) }),
      client.query('commit'),
    ]);
    if (identified.rowCount !== 1) throw new Error('The session has ended');
    return rows.rows[0]!.answer;
  } finally {
    client.release();
  }
}

async function answerBare(index: number, { tenant, values }: Body): Promise<string> {
  const { rows } = await bare.query<{ answer: string }>({ name: `q${index}`, text: apiQueries[index]!.sql.bare, values: [tenant, ...Object.values(values)] });
  return rows[0]!.answer;
}

const server = http.createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const [, kind, index] = request.url!.split('/');
    const body = JSON.parse(Buffer.concat(parts).toString()) as Body;
    const answer = kind === 'bare' ? answerBare(Number(index), body) : answerGuarded(Number(index), body, request.headers.authorization);
    answer.then(
      (text) => response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(`{"data":${text}}`),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
});
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as { port: number }).port }));
process.on('disconnect', () => process.exit(0));
