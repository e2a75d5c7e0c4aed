import { once } from 'node:events';
import http from 'node:http';
import pg from 'pg';
import pino from 'pino';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { openFace } from '../../src/config.ts';
import { isConnectionFailure } from '../../src/server/database-errors.ts';
import { startServer, type ServerOptions } from '../../src/server/index.ts';
import { makeWithCallerClient } from '../../src/store/caller-transactions.ts';
import { codesOf, startApi, type TestApi } from '../support/api.ts';
import { createTestDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { openClient, watch } from '../support/subscriptions.ts';

const slowQuery = JSON.stringify({ query: '{ currentUser { email } }' });

async function optionsFor(api: TestApi, changes: Partial<ServerOptions> = {}, port = 0): Promise<ServerOptions> {
  return {
    config: { host: '127.0.0.1', port, jwtSecret: api.db.jwtSecret, secretKey: api.db.secretKey, environment: 'test' },
    authenticatorUrl: api.db.url('agentflow_authenticator'),
    workflowTools: loadWorkflowTools,
    log: pino({ level: 'silent' }),
    ...changes,
  };
}

/** Connections that a server keeps to this database. */
async function connectionsOf(api: TestApi): Promise<number> {
  const { rows } = await api.db.owner.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name like 'agentflow server%'`);
  return rows[0]!.count;
}

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await check()); tries += 1) {
    if (tries === 1_200) throw new Error('It did not come true within a minute');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('starting', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('on a port that is taken says so, and leaves nothing behind', async () => {
    const before = await connectionsOf(api);
    const port = Number(new URL(api.url).port);
    await expect(startServer(await optionsFor(api, {}, port))).rejects.toMatchObject({ code: 'PORT_IN_USE', details: { port } });
    await eventually(async () => (await connectionsOf(api)) <= before);
  });

  test('without a database says so', async () => {
    const authenticatorUrl = 'postgres://agentflow_authenticator@127.0.0.1:1/agentflow';
    await expect(startServer(await optionsFor(api, { authenticatorUrl }))).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
  });

  test('without its secrets says so', async () => {
    const options = await optionsFor(api);
    await expect(startServer({ ...options, config: { ...options.config, jwtSecret: null } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('on a database that lacks migrations is not ready, and says which', async () => {
    const server = await startServer(await optionsFor(api, { expectedMigration: '000099.sql' }));
    try {
      const response = await fetch(`${server.url}/readyz`);
      expect(response.status).toBe(503);
      const { checks } = (await response.json()) as { checks: { name: string; ok: boolean; problem: string }[] };
      expect(checks.find(({ name }) => name === 'migrations')).toMatchObject({ ok: false, problem: expect.stringContaining('000099.sql') });
    } finally {
      await server.close(1_000);
    }
  });
});

/** Emits 'continue' when the server has it. */
function halfSent(api: TestApi, half: string, wholeLength: number): http.ClientRequest {
  const headers = { 'content-type': 'application/json', 'content-length': wholeLength, expect: '100-continue' };
  const request = http.request(`${api.url}/graphql`, { method: 'POST', headers });
  request.write(half);
  return request;
}

describe('stopping', () => {
  test('lets a running request finish, says goodbye to sockets, and gives every connection back', async () => {
    const api = await startApi();
    const connection = openClient(api.url, await api.headersOf('jane'));
    await watch(connection, '{ __typename }').next();
    // The body is only half there when the stop begins.
    const answered = Promise.withResolvers<number>();
    const request = halfSent(api, slowQuery.slice(0, 10), slowQuery.length);
    request.on('response', (response) => response.resume().on('end', () => answered.resolve(response.statusCode!)));
    request.on('error', answered.reject);
    await once(request, 'continue');
    const [first, second] = [api.server.close(60_000), api.server.close(60_000)];
    request.end(slowQuery.slice(10));
    expect(await answered.promise).toBe(200);
    await Promise.all([first, second]);
    expect((await connection.closed).code).toBe(1001);
    await expect(fetch(`${api.url}/healthz`)).rejects.toThrow('fetch failed');
    await eventually(async () => (await connectionsOf(api)) === 0);
    await api.db.drop();
  });

  test('cuts off what has not ended within the grace', async () => {
    const api = await startApi();
    const request = halfSent(api, '{', 1_000);
    const cut = new Promise<unknown>((resolve) => {
      request.on('error', resolve);
    });
    await once(request, 'continue');
    await api.server.close(200);
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });
    await api.db.drop();
  });
});

describe('while PostgreSQL is away', () => {
  test('everybody is told to try again, and served when it is back', async () => {
    const api = await startApi();
    const proxy = await startProxy(api.db.url('agentflow_authenticator'));
    const server = await startServer(await optionsFor(api, { authenticatorUrl: proxy.through(api.db.url('agentflow_authenticator')) }));
    const ask = async (caller: string) => {
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST', headers: { 'content-type': 'application/json', ...(await api.headersOf(caller)) }, body: JSON.stringify({ query: '{ currentUser { email } }' }),
      });
      const { data, errors } = (await response.json()) as Awaited<ReturnType<TestApi['query']>>;
      return { status: response.status, data, codes: codesOf({ errors } as never) };
    };
    expect(await ask('john')).toMatchObject({ status: 200, data: { currentUser: { email: 'john@example.com' } } });
    await proxy.shut();
    for (const caller of ['john', 'key', 'visitor']) expect(await ask(caller)).toMatchObject({ status: 503, codes: ['UNAVAILABLE'] });
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    await proxy.open();
    await eventually(async () => (await ask('john')).status === 200);
    await eventually(async () => (await fetch(`${server.url}/readyz`)).status === 200);
    await server.close(1_000);
    await proxy.shut();
    await api.server.close(1_000);
    await api.db.drop();
  });
});

describe('while PostgreSQL hangs', () => {
  test('everybody is told so when the time of the request is over, and served when it answers again', async () => {
    const api = await startApi();
    const proxy = await startProxy(api.db.url('agentflow_authenticator'));
    const { config } = await optionsFor(api);
    const server = await startServer(await optionsFor(api, { authenticatorUrl: proxy.through(api.db.url('agentflow_authenticator')), config: { ...config, face: { ...openFace, requestSeconds: 1 } } }));
    const ask = async (caller: string, path = '/graphql', query = '{ __typename }') => {
      const post = { method: 'POST', body: JSON.stringify({ query }) };
      const response = await fetch(`${server.url}${path}`, {
        ...(path.startsWith('/graphql') ? post : {}), headers: { 'content-type': 'application/json', ...(await api.headersOf(caller)) },
      });
      const { errors } = (await response.json()) as Awaited<ReturnType<TestApi['query']>>;
      return { status: response.status, codes: codesOf({ errors } as never) };
    };
    const mutation = 'mutation { logout(input: {}) { clientMutationId } }';
    expect(await ask('john', '/graphql', '{ currentUser { email } }')).toMatchObject({ status: 200 });
    proxy.swallow();
    const asked = [
      ask('john', '/graphql', mutation), ask('jane'), ask('key'), ask('operator', '/graphql?'), ask('key', '/graphql?'), ask('john', '/artifacts/123e4567-e89b-12d3-a456-426614174000'),
    ];
    expect(await Promise.all(asked)).toEqual(asked.map(() => ({ status: 503, codes: ['UNAVAILABLE'] })));
    await proxy.shut();
    await proxy.open();
    await eventually(async () => (await ask('john')).status === 200);
    await server.close(1_000);
    await proxy.shut();
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('a connection that does not answer is given up, and told as one that was lost', async () => {
    const db = await createTestDatabase({});
    const proxy = await startProxy(db.url('agentflow_authenticator'));
    const pool = new pg.Pool({ connectionString: proxy.through(db.url('agentflow_authenticator')), pipeline: true, query_timeout: 500 });
    pool.on('error', () => undefined).on('connect', (client) => void client.on('error', () => undefined));
    const ask = () => makeWithCallerClient(pool)({ role: 'agentflow_visitor' }, (client) => client.query<{ one: number }>({ text: 'select 1 as one' }));
    expect((await ask()).rows).toEqual([{ one: 1 }]);
    proxy.swallow();
    const error = await ask().catch((failure: unknown) => failure);
    expect([isConnectionFailure(error), pool.totalCount]).toEqual([true, 0]);
    await proxy.shut();
    await proxy.open();
    expect((await ask()).rows).toEqual([{ one: 1 }]);
    await pool.end();
    await proxy.shut();
    await db.drop();
  });
});

describe('what nobody expected', () => {
  test('is masked, with an id to quote, and told to the log in full', async () => {
    const api = await startApi();
    await api.db.owner.query(`create or replace function app_public.signed_in_user() returns app_public.users language plpgsql stable
      as $$ begin raise exception 'planted mark %', 42 using detail = 'planted detail', errcode = 'XX000'; end $$`);
    const answer = await api.post(JSON.stringify({ query: '{ currentUser { email } }' }), { 'x-request-id': 'quote-me' });
    expect(answer.errors).toEqual([expect.objectContaining({ path: ['currentUser'], extensions: expect.objectContaining({ code: 'INTERNAL', requestId: 'quote-me' }) })]);
    expect(answer.text).not.toMatch(/planted/);
    expect(api.logged().filter(({ requestId }) => requestId === 'quote-me')).toEqual([expect.objectContaining({ err: expect.objectContaining({ message: 'planted mark 42' }) })]);
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('a statement that runs too long is ended and told as a timeout', async () => {
    const api = await startApi();
    await api.db.owner.query(`create or replace function app_public.signed_in_user() returns app_public.users language plpgsql stable
      as $$ begin raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end $$`);
    expect(codesOf(await api.query('visitor', '{ currentUser { email } }'))).toEqual(['TIMEOUT']);
    await api.server.close(1_000);
    await api.db.drop();
  });
});
