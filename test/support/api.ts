/** A running API server on a database of its own, and a client that speaks to it as the sample users do. */
import pg from 'pg';
import pino from 'pino';
import { type FaceConfig, openFace } from '../../src/config.ts';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import type { SourceTools } from '../../src/server/source-tools.ts';
import { signToken } from '../../src/server/tokens.ts';
import { openSession } from '../../src/store/identity.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** `visitor`, a sample user by the part of the address before the @ (`john`: admin), a whole address, or `key`: the sample API key. */
export type Caller = string;

/** What an answer holds depends on what was asked: tests look into it as they expect it to be. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Data = any;

export interface Answer {
  status: number;
  headers: Headers;
  data: Data;
  errors: { message: string; path?: (string | number)[]; extensions: Record<string, Data> }[] | undefined;
  text: string;
}

export interface TestApi {
  url: string;
  db: TestDatabase;
  server: RunningServer;
  /** What the server wrote to its log, one JSON object a line. */
  logged(): Record<string, Data>[];
  headersOf(caller: Caller): Promise<Record<string, string>>;
  token(caller: Caller): Promise<string>;
  query(caller: Caller, query: string, variables?: object): Promise<Answer>;
  /** Like `query`, but an error in the answer fails the test. */
  data(caller: Caller, query: string, variables?: object): Promise<Data>;
  post(body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>): Promise<Answer>;
}

export const sampleWorkflow = '660e8400-e29b-41d4-a716-446655440000';

export function useApi(sourceTools?: SourceTools): TestApi {
  const api = {} as TestApi;
  beforeAll(async () => {
    Object.assign(api, await startApi(sourceTools === undefined ? {} : { sourceTools }));
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });
  return api;
}

/** `before`: statements that the owner runs before the server looks at the schema. `face`: what of it is not open. */
export async function startApi({ before, sourceTools, face, readReplicaUrl }: { before?: string; sourceTools?: SourceTools; face?: Partial<FaceConfig>; readReplicaUrl?: (db: TestDatabase) => string } = {}): Promise<TestApi> {
  const db = await createTestDatabase({ samples: true });
  if (before !== undefined) await db.owner.query(before);
  const lines: string[] = [];
  const log = pino({ level: 'debug', base: null }, { write: (line: string) => void lines.push(line) });
  const server = await startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: db.jwtSecret, secretKey: db.secretKey, environment: 'test', face: { ...openFace, ...face }, readReplicaUrl: readReplicaUrl?.(db) ?? null },
    authenticatorUrl: db.url('agentflow_authenticator'),
    workflowTools: loadWorkflowTools,
    ...(sourceTools === undefined ? {} : { sourceTools }),
    log,
  });
  const tokens = new Map<Caller, Promise<string>>();
  const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Answer> => send(server.url, body, headers);
  const token = (caller: Caller): Promise<string> => {
    const known = tokens.get(caller) ?? openSessionOf(db, caller);
    tokens.set(caller, known);
    return known;
  };
  const headersOf = async (caller: Caller): Promise<Record<string, string>> => {
    if (caller === 'visitor') return {};
    if (caller === 'key') return { 'x-api-key': db.samples.apiKey };
    return { authorization: `Bearer ${await token(caller)}` };
  };
  const query = async (caller: Caller, text: string, variables: object = {}): Promise<Answer> =>
    post(JSON.stringify({ query: text, variables }), await headersOf(caller));
  return {
    url: server.url, db, server, token, headersOf, post, query,
    logged: () => lines.map((line) => JSON.parse(line) as Record<string, Data>),
    async data(caller, text, variables) {
      const { data, errors } = await query(caller, text, variables);
      if (errors) throw new Error(`${caller} got ${JSON.stringify(errors)}`);
      return data;
    },
  };
}

async function send(url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST', body, headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
  });
  const text = await response.text();
  const { data, errors } = text.startsWith('{') ? (JSON.parse(text) as Answer) : { data: undefined, errors: undefined };
  return { status: response.status, headers: response.headers, data, errors, text };
}

/** A session as `authenticate` opens it, without the quarter of a second that checking a password takes. */
async function openSessionOf(db: TestDatabase, caller: Caller): Promise<string> {
  const { rows: [user] } = await db.owner.query<{ id: string }>(`select id from users where email = $1 or email like $1 || '@%' order by created_at, id limit 1`, [caller]);
  if (!user) throw new Error(`There is no user ${caller}`);
  const authenticator = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 1, pipeline: true });
  try {
    const origin = { requestId: 'test', ip: null, userAgent: null };
    const { session_id: sessionId, tenant_id: tenantId, role, expires_at: expiresAt } = (await openSession(authenticator, user.id, '1 hour', origin))!;
    return await signToken({ userId: user.id, tenantId, role, sessionId, expiresAt }, db.jwtSecret);
  } finally {
    await authenticator.end();
  }
}

/** The codes of an answer's errors, in order. */
export function codesOf({ errors }: Answer): string[] {
  return errors?.map(({ extensions }) => extensions.code as string) ?? [];
}
