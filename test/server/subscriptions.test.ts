import { withClient } from '../../src/schema/connection.ts';
import { type Data, startApi, type TestApi } from '../support/api.ts';
import { type Opened, openClient, watch } from '../support/subscriptions.ts';

const execution = '880e8400-e29b-41d4-a716-446655440000';
const updated = 'subscription ($id: UUID!) { executionUpdated(id: $id) { execution { id status tokensUsed } } }';

let api: TestApi;
const opened: Opened[] = [];

beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  for (const { client } of opened) await client.dispose();
  await api.server.close(1_000);
  await api.db.drop();
});

async function open(caller: string): Promise<Opened> {
  const connection = openClient(api.url, await api.headersOf(caller));
  opened.push(connection);
  return connection;
}

async function makeRunning(): Promise<string> {
  const { executeWorkflow } = await api.data('john', `mutation { executeWorkflow(input: { workflowId: "660e8400-e29b-41d4-a716-446655440000", initialState: {} }) { execution { id } } }`);
  return executeWorkflow.execution.id;
}

/** As the engine does it: the row changes, and one notification tells of it. */
async function change(id: string, tokens: number): Promise<void> {
  await api.db.owner.query(
    `with changed as (update executions set tokens_used = $2 where id = $1 returning tenant_id, id)
     select app_private.notify_executions(array_agg(tenant_id), array_agg(id)) from changed`, [id, tokens]);
}

describe('executionUpdated', () => {
  test('tells the present state at once, and each change after it', async () => {
    const id = await makeRunning();
    const watching = watch(await open('jane'), updated, { id });
    expect((await watching.next()).data.executionUpdated.execution).toEqual({ id, status: 'PENDING', tokensUsed: 0 });
    await change(id, 5);
    expect((await watching.next()).data.executionUpdated.execution).toEqual({ id, status: 'PENDING', tokensUsed: 5 });
    await api.data('john', 'mutation ($id: UUID!) { cancelExecution(input: { id: $id }) { execution { id } } }', { id });
    expect((await watching.next()).data.executionUpdated.execution).toMatchObject({ id, status: 'CANCELLED' });
    expect(await watching.next()).toBeNull();
  });

  test('of an execution that has ended tells its state and is complete', async () => {
    const watching = watch(await open('jane'), updated, { id: execution });
    expect((await watching.next()).data.executionUpdated.execution).toMatchObject({ id: execution, status: 'COMPLETED' });
    expect(await watching.next()).toBeNull();
  });

  test('of one tenant tells another nothing: not that it exists, not that it changes', async () => {
    const id = await makeRunning();
    const foreign = watch(await open('admin@globex.example'), updated, { id });
    const refused = await foreign.next();
    expect(refused.errors.map(({ extensions }: Data) => extensions.code)).toEqual(['NOT_FOUND']);
    const unknown = watch(await open('admin@globex.example'), updated, { id: '00000000-0000-4000-8000-000000000000' });
    expect((await unknown.next()).errors[0].message).toBe(refused.errors[0].message);
    await change(id, 9);
    expect(await foreign.next()).toBeNull();
  });

  test('reaches those who watch this execution, and nobody else', async () => {
    const [one, other] = [await makeRunning(), await makeRunning()];
    const connection = await open('jane');
    const [first, second] = [watch(connection, updated, { id: one }), watch(connection, updated, { id: other })];
    await first.next();
    await second.next();
    await change(one, 1);
    await change(other, 2);
    expect((await second.next()).data.executionUpdated.execution).toMatchObject({ id: other, tokensUsed: 2 });
    expect((await first.next()).data.executionUpdated.execution).toMatchObject({ id: one, tokensUsed: 1 });
    first.stop();
    second.stop();
  });

  test('goes on after a connection of the server to PostgreSQL was cut, and misses no state', async () => {
    const id = await makeRunning();
    const watching = watch(await open('jane'), updated, { id });
    await watching.next();
    const cut = await withClient(api.db.url('postgres'), (client) => client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'agentflow server events' and datname = current_database()`));
    expect(cut.rowCount).toBe(1);
    await api.db.owner.query('update executions set tokens_used = 77 where id = $1', [id]);
    expect((await watching.next()).data.executionUpdated.execution).toMatchObject({ tokensUsed: 77 });
    watching.stop();
  });

  test('does not fall for notifications that are not ours', async () => {
    const id = await makeRunning();
    const watching = watch(await open('jane'), updated, { id });
    await watching.next();
    for (const payload of ['', 'nonsense', '{"executions": 7}', '{"executions":[[1,2],"x",null]}', '[]']) {
      await api.db.owner.query('select pg_notify($1, $2)', ['agentflow', payload]);
    }
    await change(id, 3);
    expect((await watching.next()).data.executionUpdated.execution).toMatchObject({ tokensUsed: 3 });
    watching.stop();
  });
});

describe('a connection', () => {
  test('serves queries and mutations, too', async () => {
    const asked = watch(await open('john'), '{ currentUser { email } }');
    expect((await asked.next()).data).toEqual({ currentUser: { email: 'john@example.com' } });
  });

  test.each([
    ['Authorization in any case', async () => ({ AUTHORIZATION: `Bearer ${await api.token('jane')}` })],
    ['X-API-Key in any case', () => Promise.resolve({ 'X-Api-Key': api.db.samples.apiKey })],
  ])('takes %s', async (_what, params) => {
    const connection = openClient(api.url, await params());
    opened.push(connection);
    expect((await watch(connection, '{ currentUser { email } }').next()).data.currentUser.email).toMatch(/@example\.com$/);
  });

  test('takes the headers of the upgrade', async () => {
    const connection = openClient(api.url, {}, await api.headersOf('jane'));
    opened.push(connection);
    expect((await watch(connection, '{ currentUser { email } }').next()).data.currentUser.email).toBe('jane@example.com');
  });

  test.each([
    ['a bad token', { authorization: 'Bearer nonsense' }],
    ['a bad key', { 'x-api-key': 'sk_live_nonsense' }],
    ['both', { authorization: 'Bearer a', 'x-api-key': 'b' }],
    ['a token that is no text', { authorization: { bearer: 'a' } }],
    ['a list of keys', { 'X-API-Key': ['a'] }],
    ['no text at all', { authorization: false }],
  ])('with %s is refused', async (_what, params) => {
    const { code, reason } = await openClient(api.url, params).closed;
    expect(code).toBe(4401);
    expect(reason).toMatch(/^(TOKEN_INVALID|BAD_REQUEST): /);
  });

  test('without an identity is a visitor, who may watch nothing', async () => {
    const refused = await watch(await open('visitor'), updated, { id: execution }).next();
    expect(refused.errors[0].extensions.code).toBe('UNAUTHENTICATED');
    const connection = openClient(api.url, { authorization: null, 'x-api-key': null });
    opened.push(connection);
    expect((await watch(connection, '{ currentUser { email } }').next()).data).toEqual({ currentUser: null });
  });

  test('is told what is wrong with a document, with a code', async () => {
    const connection = await open('jane');
    const codes = async (query: string): Promise<string[]> => watch(connection, query).next().then(
      ({ errors }) => errors.map(({ extensions }: Data) => extensions.code),
      (errors: unknown) => (errors as Data[]).map(({ extensions }) => extensions.code));
    expect(await codes('{ nonsense }')).toEqual(['BAD_REQUEST']);
    expect(await codes('{')).toEqual(['BAD_REQUEST']);
    expect(await codes(`{ ${Array.from({ length: 31 }, (_, index) => `a${index}: __typename`).join(' ')} }`)).toEqual(['LIMIT_EXCEEDED']);
  });

  test('at another address is refused', async () => {
    const { code } = await openClient(`${api.url}/elsewhere`).closed;
    expect(code).not.toBe(1000);
  });
});
