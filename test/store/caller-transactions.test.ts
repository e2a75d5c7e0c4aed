import pg from 'pg';
import { AnswerBudget, answerBudgetKey } from '../../src/store/answer-size.ts';
import { makeWithCallerClient, type WithCallerClient } from '../../src/store/caller-transactions.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let db: TestDatabase;
let pool: pg.Pool;
let asCaller: WithCallerClient;

beforeAll(async () => {
  db = await createTestDatabase();
  // One connection: whatever a use leaves behind, the next one meets.
  pool = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 1, pipeline: true });
  pool.on('connect', (client) => client.on('error', () => undefined)); // told to whoever uses it, too
  asCaller = makeWithCallerClient(pool);
});
afterAll(async () => {
  await pool.end();
  await db.drop();
});

const user = { role: 'agentflow_user', 'jwt.claims.tenant_id': '11111111-1111-4111-8111-111111111111' };
const whoami = { text: `select current_user::text as role, current_setting('jwt.claims.tenant_id', true) as tenant, pg_backend_pid() as pid` };

test('statements run under the role and the settings given, and the connection forgets them', async () => {
  const inside = await asCaller(user, async (client) => (await client.query<{ role: string; tenant: string }>(whoami)).rows[0]);
  expect(inside).toMatchObject({ role: 'agentflow_user', tenant: user['jwt.claims.tenant_id'] });
  const { rows: [outside] } = await pool.query(whoami);
  expect(outside).toMatchObject({ role: 'agentflow_authenticator', tenant: '' });
});

test('when the settings are refused, their error is told and nothing runs without them', async () => {
  const ran: unknown[] = [];
  await expect(asCaller({ ...user, role: 'no_such_role' }, async (client) => ran.push((await client.query(whoami)).rows))).rejects.toThrow(/no_such_role/);
  expect(ran).toEqual([]);
  expect(await asCaller(user, async (client) => (await client.query<{ role: string }>(whoami)).rows[0]!.role)).toBe('agentflow_user');
});

test('settings that are refused are told even when no statement follows', async () => {
  await expect(asCaller({ role: 'no_such_role' }, () => 'done')).rejects.toThrow(/no_such_role/);
});

test('an error of the use rolls back, and the connection serves the next', async () => {
  await expect(asCaller({ role: 'agentflow_user' }, async (client) => {
    await client.query({ text: 'create temporary table left_behind ()' });
    throw new Error('changed its mind');
  })).rejects.toThrow('changed its mind');
  const { rows: [found] } = await pool.query(`select to_regclass('left_behind') as found`);
  expect(found).toEqual({ found: null });
});

test('an error of a statement is told as it is', async () => {
  await expect(asCaller(user, (client) => client.query({ text: 'select 1 / 0' }))).rejects.toMatchObject({ code: '22012' });
});

test('an inner transaction that fails leaves the outer one standing', async () => {
  const rows = await asCaller(user, async (client) => {
    await client.query({ text: 'create temporary table kept (n int) on commit drop' });
    await client.withTransaction(async (inner) => {
      await inner.query({ text: 'insert into kept values (1)' });
    });
    await client.withTransaction(async (inner) => {
      await inner.query({ text: 'insert into kept values (2)' });
      throw new Error('not this one');
    }).catch(() => undefined);
    return (await client.query({ text: 'select n from kept', arrayMode: true })).rows;
  });
  expect(rows).toEqual([[1]]);
});

test('a connection that broke is not given to anybody else', async () => {
  const broken = await asCaller(user, async (client) => (await client.query<{ pid: number }>(whoami)).rows[0]!.pid);
  const asItself = { 'jwt.claims.tenant_id': '' };
  await expect(asCaller(asItself, (client) => client.query({ text: 'select pg_terminate_backend(pg_backend_pid())' }))).rejects.toMatchObject({ code: '57P01' });
  const next = await asCaller(user, async (client) => (await client.query<{ pid: number }>(whoami)).rows[0]!.pid);
  expect(next).not.toBe(broken);
});

test('named statements are prepared, up to a bound', async () => {
  await asCaller(user, async (client) => {
    for (let n = 0; n < 150; n += 1) await client.query({ name: `statement_${n}`, text: `select ${n}` });
  });
  const { rows: [{ count }] } = await pool.query(`select count(*)::int as count from pg_prepared_statements where name like 'statement_%'`);
  expect(count).toBe(100);
});

test('a change, which comes without a name, is prepared by its text, up to a bound', async () => {
  const own = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 1, pipeline: true });
  try {
    const change = (n: number, value: number): Promise<unknown> => makeWithCallerClient(own)(user, async (client) => (await client.query({ text: `select $1::int + ${n}`, values: [value], arrayMode: true })).rows);
    const prepared = async (): Promise<number> => (await own.query<{ count: number }>(`select count(*)::int as count from pg_prepared_statements where statement like 'select $1::int + %'`)).rows[0]!.count;
    for (const value of [1, 2]) expect(await change(40, value)).toEqual([[40 + value]]);
    expect(await prepared()).toBe(1);
    for (let n = 0; n < 120; n += 1) expect(await change(n, 1)).toEqual([[n + 1]]);
    expect(await prepared()).toBe(100);
  } finally {
    await own.end();
  }
});

const read = { ...whoami, text: `select current_user::text, current_setting('jwt.claims.tenant_id', true)`, name: 'read', arrayMode: true };

test('a lone read runs under the role and the settings given, and the connection forgets them', async () => {
  for (let round = 0; round < 2; round += 1) {
    expect(await asCaller(user, async (client) => (await client.query(read)).rows)).toEqual([['agentflow_user', user['jwt.claims.tenant_id']]]);
    const { rows: [outside] } = await pool.query(whoami);
    expect(outside).toMatchObject({ role: 'agentflow_authenticator', tenant: '' });
  }
});

test('a lone read does not run when its settings are refused, and the connection serves the next', async () => {
  await expect(asCaller({ ...user, role: 'no_such_role' }, (client) => client.query(read))).rejects.toThrow(/no_such_role/);
  await expect(asCaller(user, (client) => client.query({ ...read, name: 'failing', text: 'select 1 / 0' }))).rejects.toMatchObject({ code: '22012' });
  expect(await asCaller({ role: 'agentflow_visitor' }, async (client) => (await client.query(read)).rows)).toEqual([['agentflow_visitor', '']]);
});

test('nothing follows a lone read in what would look like its transaction', async () => {
  await expect(asCaller(user, async (client) => {
    await client.query(read);
    await client.query(whoami);
  })).rejects.toThrow('follows a lone read');
  expect(await asCaller(user, async (client) => (await client.query<{ role: string }>(whoami)).rows[0]!.role)).toBe('agentflow_user');
});

test('a named read within a transaction sees what the transaction wrote', async () => {
  expect(await asCaller(user, async (client) => {
    await client.query({ text: 'create temporary table written (n int) on commit drop' });
    await client.query({ text: 'insert into written values (7)' });
    return (await client.query({ text: 'select n from written', name: 'within', arrayMode: true })).rows;
  })).toEqual([[7]]);
});

describe('an answer that comes whole and is just over its bound', () => {
  const long = { text: `select repeat('x', 2000)`, arrayMode: true };

  test.each([['of a lone read', { ...long, name: 'long' }, false], ['within a transaction', long, false], ['of a lone read, bounded alone', { ...long, name: 'long' }, true], ['within a transaction, bounded alone', long, true]])('%s is refused, and whoever waits for the connection gets another one', async (_name, statement, isForEach) => {
    const before = await asCaller(user, async (client) => (await client.query<{ pid: number }>(whoami)).rows[0]!.pid);
    const budget = new AnswerBudget(2_000, isForEach);
    const refused = asCaller({ ...user, [answerBudgetKey]: budget }, async (client) => {
      const { rows } = await client.query(statement);
      budget.begin();
      return rows;
    });
    const waiting = asCaller(user, async (client) => (await client.query<{ pid: number }>(whoami)).rows[0]!.pid);
    await expect(refused).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', details: { limit: 'answerBytes', allowed: 2_000 } });
    expect(await waiting).not.toBe(before);
    expect(pool.totalCount).toBe(1);
  });
});

test('without settings there is no transaction', async () => {
  expect(await asCaller(null, async (client) => {
    await client.query({ text: `set application_name = 'no transaction'` });
    await expect(client.query({ text: 'select 1 / 0' })).rejects.toThrow(/zero/);
    return (await client.query<{ name: string }>({ text: `select current_setting('application_name') as name` })).rows[0]!.name;
  })).toBe('no transaction');
});
