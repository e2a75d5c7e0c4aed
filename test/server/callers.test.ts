/** A caller who is remembered from the last request: what has changed since then counts on the next one, whatever it asks. */
import { type Answer, codesOf, useApi } from '../support/api.ts';

const api = useApi();

const whoAmI = '{ currentUser { role } }';
const nothingOfTheDatabase = '{ __typename }';
const twoReads = '{ workflows { totalCount nodes { name } } sources { totalCount nodes { name } } }';
const aChange = 'mutation { createWorkflow(input: { workflow: { name: "late", spec: {} } }) { workflow { id } } }';

/** A signed-in caller whom the server has seen and remembers. */
async function remembered(caller: string): Promise<(query: string) => Promise<Answer>> {
  const headers = await api.headersOf(caller);
  const ask = (query: string): Promise<Answer> => api.post(JSON.stringify({ query }), headers);
  for (let time = 0; time < 2; time += 1) expect((await ask(whoAmI)).errors).toBeUndefined();
  return ask;
}

async function sessionsOf(caller: string): Promise<{ end(): Promise<void>; restore(): Promise<void> }> {
  const set = (value: string) => async (): Promise<void> => {
    await api.db.owner.query(`update app_private.sessions set revoked_at = ${value} where user_id = (select id from users where email like $1 || '@%')`, [caller]);
  };
  return { end: set('now()'), restore: set('null') };
}

test.each([['asks who it is', whoAmI], ['asks the database nothing', nothingOfTheDatabase], ['reads several things', twoReads], ['changes something', aChange]])(
  'a caller whose session was ended is refused with 401 when it %s', async (_what, query) => {
    const ask = await remembered('john');
    const sessions = await sessionsOf('john');
    await sessions.end();
    const refused = await ask(query);
    expect({ status: refused.status, codes: codesOf(refused), data: refused.data }).toEqual({ status: 401, codes: ['TOKEN_INVALID'], data: undefined });
    expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    await sessions.restore();
    expect((await ask(query)).status).toBe(200);
  });

test('nothing was changed by those who were refused', async () => {
  const { rows } = await api.db.owner.query(`select count(*)::int as changes from workflows where name = 'late'`);
  expect(rows).toEqual([{ changes: 1 }]); // by the caller whose session was restored
});

describe('a start, which is asked together with who starts it', () => {
  const countOf = async (): Promise<number> => (await api.db.owner.query<{ count: number }>('select count(*)::int as count from executions')).rows[0]!.count;
  const startOf = async (): Promise<string> => {
    const { rows: [workflow] } = await api.db.owner.query<{ id: string }>(`select id from workflows where status = 'published' and tenant_id = (select tenant_id from users where email like 'john@%')`);
    return `mutation { one: executeWorkflow(input: { workflowId: "${workflow!.id}", initialState: {} }) { execution { id } } two: executeWorkflow(input: { workflowId: "${workflow!.id}", initialState: {} }) { execution { workflow { id } } } }`;
  };

  test('is refused with 401 when the session was ended, and starts nothing', async () => {
    const [ask, start, before] = [await remembered('john'), await startOf(), await countOf()];
    const sessions = await sessionsOf('john');
    await sessions.end();
    const refused = await ask(start);
    expect({ status: refused.status, codes: codesOf(refused), data: refused.data }).toEqual({ status: 401, codes: ['TOKEN_INVALID'], data: undefined });
    expect((await ask(start.replace('initialState: {}', 'initialState: []'))).status).toBe(401);
    const tooMany = `mutation {${Array.from({ length: 40 }, (_, index) => start.slice(10, -1).replaceAll(/\b(one|two):/g, `$1${index}:`)).join(' ')}}`;
    expect((await ask(tooMany)).status).toBe(401);
    expect(await countOf()).toBe(before);
    await sessions.restore();
    expect(codesOf(await ask(tooMany))).toContain('LIMIT_EXCEEDED');
    expect((await ask(start)).errors).toBeUndefined();
    expect(await countOf()).toBe(before + 2);
  });

  test('is made once, by the role that the caller has now', async () => {
    const [ask, start, before] = [await remembered('john'), await startOf(), await countOf()];
    const become = (role: string): Promise<unknown> => api.db.owner.query(`update users set role = $1 where email like 'john@%'`, [role]);
    await api.db.owner.query(`insert into users (email, name, password_hash, tenant_id, role) select 'third@example.com', 'Third', 'none', tenant_id, 'admin' from users where email like 'john@%'`);
    await become('viewer');
    expect(codesOf(await ask(start))).toContain('PERMISSION_DENIED');
    await become('operator');
    expect((await ask(start)).errors).toBeUndefined();
    expect(await countOf()).toBe(before + 2);
    await become('admin');
  });

  test('together with another change it is asked first', async () => {
    const [ask, start, before] = [await remembered('john'), await startOf(), await countOf()];
    const sessions = await sessionsOf('john');
    await sessions.end();
    expect((await ask(start.replace('{ one', '{ ...rest one') + ' fragment rest on Mutation { createWorkflow(input: { workflow: { name: "later", spec: {} } }) { workflow { id } } }')).status).toBe(401);
    await sessions.restore();
    expect(await countOf()).toBe(before);
    expect((await api.db.owner.query(`select from workflows where name = 'later'`)).rowCount).toBe(0);
  });
});

test('another role counts from the next request on, without signing in again', async () => {
  const ask = await remembered('john');
  const become = (role: string): Promise<unknown> => api.db.owner.query(`update users set role = $1 where email like 'john@%'`, [role]);
  await api.db.owner.query(`insert into users (email, name, password_hash, tenant_id, role) select 'second@example.com', 'Second', 'none', tenant_id, 'admin' from users where email like 'john@%'`);
  expect((await ask('{ apiKeys { totalCount } }')).data.apiKeys.totalCount).toBeGreaterThan(0);
  await become('viewer');
  expect((await ask('{ apiKeys { totalCount } currentUser { role } }')).data).toEqual({ apiKeys: { totalCount: 0 }, currentUser: { role: 'VIEWER' } });
  await become('admin');
  expect((await ask(whoAmI)).data).toEqual({ currentUser: { role: 'ADMIN' } });
});

test('a tenant that is suspended is refused on the next request, and so is an inactive user', async () => {
  const ask = await remembered('john');
  const suspend = (status: string): Promise<unknown> => api.db.owner.query(`update tenants set status = $1 where id = (select tenant_id from users where email like 'john@%')`, [status]);
  await suspend('suspended');
  expect((await ask(twoReads)).status).toBe(401);
  await suspend('active');
  expect((await ask(twoReads)).status).toBe(200);
});

test('tokens that were good a moment ago and were tampered with are refused', async () => {
  await remembered('john');
  const token = await api.token('john');
  const tampered = `${token.slice(0, -3)}${token.endsWith('AAA') ? 'BBB' : 'AAA'}`;
  expect((await api.post(JSON.stringify({ query: whoAmI }), { authorization: `Bearer ${tampered}` })).status).toBe(401);
});
