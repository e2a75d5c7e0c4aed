/** Database sources: what they read, and that they can neither write, wander nor reach the platform. */
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { DbRequest, JsonObject } from '../../src/engine/types.ts';
import { withClient } from '../../src/schema/connection.ts';
import { useTestDatabase } from '../support/database.ts';
import { useSources } from '../support/sources.ts';

const platform = useTestDatabase();
const sources = useSources();
let shopUrl: string;
let host: string;
let name: string;

beforeAll(async () => {
  const admin = new URL(platform.url('postgres'));
  name = `${platform.name}_shop`;
  await withClient(admin.href, (client) => client.query(`create database ${name}`));
  admin.pathname = `/${name}`;
  shopUrl = admin.href;
  host = admin.host;
  await withClient(shopUrl, (client) => client.query(`
    create table products (id int primary key, name text, price numeric, at timestamptz, tags text[], extra jsonb);
    insert into products values (1, 'Lamp', 12.50, '2026-01-31 12:00+00', '{a,b}', '{"x": 1}'), (2, null, 99999999999999999999.5, null, null, null);
    create schema branch; create table branch.products (id int); insert into branch.products values (7)`));
});
afterAll(() => withClient(new URL('/postgres', platform.url('postgres')).href, (client) => client.query(`drop database ${name} with (force)`)));

interface Setup { url?: string; config?: JsonObject; hosts?: string[]; allowHosts?: string[]; isSaved?: boolean; signal?: AbortSignal }

function ask(request: Partial<DbRequest> & { text: string }, { url = shopUrl, config = {}, hosts, allowHosts, ...binding }: Setup = {}): Promise<{ rows: JsonObject[]; truncated: boolean }> {
  const settings = {
    sourceVariables: [{ name: 'SHOP_URL', tenant: null, hosts: hosts ?? ['127.0.0.1', 'localhost', '*.example'] }],
    sourceValues: { SHOP_URL: url }, allowHosts: allowHosts ?? [host, host.replace(/^[^:]+/, 'localhost')],
  };
  return sources.port({ connection_string_env: 'SHOP_URL', ...config }, settings, binding).db({ values: [], limit: 100, timeoutSeconds: 5, ...request });
}

test('rows are objects of JSON values, and what is bound stays a value', async () => {
  const { rows } = await ask({ text: 'select * from products where name is not distinct from $1', values: ['Lamp'] });
  expect(rows).toEqual([{ id: 1, name: 'Lamp', price: 12.5, at: '2026-01-31T12:00:00+00:00', tags: ['a', 'b'], extra: { x: 1 } }]);
  expect((await ask({ text: 'select $1::text as said', values: ["'; drop table products; --"] })).rows).toEqual([{ said: "'; drop table products; --" }]);
  expect((await ask({ text: 'select price from products where id = $1', values: [2] })).rows).toEqual([{ price: '99999999999999999999.5' }]);
  expect((await ask({ text: "select 1 as a, 2 as a, 'NaN'::float8 as n, null as nothing, '{1,2}'::bigint[] as many" })).rows).toEqual([{ a: 1, a_2: 2, n: 'NaN', nothing: null, many: [1, 2] }]);
  expect((await ask({ text: 'select id from products where id = any($1::int[]) order by id', values: [[1, 2]] })).rows).toEqual([{ id: 1 }, { id: 2 }]);
  expect((await ask({ text: "select $1::jsonb -> 'k' as k", values: [{ k: [1] }] })).rows).toEqual([{ k: [1] }]);
});

test('the limit is that of the rows read, not of the rows there are', async () => {
  expect(await ask({ text: 'select * from generate_series(1, 1000000) as n', limit: 3 })).toEqual({ rows: [{ n: 1 }, { n: 2 }, { n: 3 }], truncated: true });
  expect(await ask({ text: 'select 1 as n', limit: 1 })).toEqual({ rows: [{ n: 1 }], truncated: false });
});

test('search_path is that of the source, and only a path', async () => {
  expect((await ask({ text: 'select * from products' }, { config: { search_path: 'branch, public' } })).rows).toEqual([{ id: 7 }]);
  expect((await ask({ text: 'select * from products where id = 1' }, { config: { search_path: 'public; drop table products' } }).catch((error: Error) => error))).toMatchObject({ code: 'SOURCE_FAILED' });
});

test.each([
  ['insert into products values (3)', 'SOURCE_FAILED'], ['select 1; drop table products', 'SOURCE_FAILED'], ['select 1; commit; drop table products', 'SOURCE_FAILED'],
  ["with gone as (delete from products returning *) select * from gone", 'SOURCE_FAILED'], ["select query_to_xml('delete from products', true, true, '')", 'SOURCE_FAILED'],
  ["select lo_create(0)", 'SOURCE_NOT_ALLOWED'], ["select set_config('transaction_read_only', 'off', true), query_to_xml('delete from products', true, true, '')", 'SOURCE_FAILED'],
  ['select * into stolen from products', 'SOURCE_FAILED'], ['select 1) ; delete from products; --', 'SOURCE_FAILED'], ["select nextval(pg_get_serial_sequence('products', 'id'))", null],
])('nothing is written by: %s', async (text, code) => {
  const outcome = await ask({ text }).then(() => null, (error: { code: string }) => error.code);
  expect(outcome).toBe(code);
  const left = await withClient(shopUrl, (client) => client.query<{ count: number }>(`select count(*)::int as count from products`));
  expect(left.rows).toEqual([{ count: 2 }]);
});

test('read_only: false is for saved sources only', async () => {
  await withClient(shopUrl, (client) => client.query('create sequence if not exists tickets'));
  await expect(ask({ text: "select nextval('tickets')" })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  await expect(ask({ text: "select nextval('tickets')" }, { config: { read_only: false } })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  expect((await ask({ text: "select nextval('tickets') as n" }, { config: { read_only: false }, isSaved: true })).rows).toEqual([{ n: 1 }]);
});

describe('the database of AgentFlow is refused', () => {
  const spellings: [string, (url: URL) => string][] = [
    ['as it is', (url) => url.href], ['by name', (url) => url.href.replace('127.0.0.1', 'localhost')], ['by a number', (url) => url.href.replace('127.0.0.1', '2130706433')],
    ['by a short form', (url) => url.href.replace('127.0.0.1', '127.1')], ['by IPv6', (url) => url.href.replace('127.0.0.1', '[::ffff:127.0.0.1]')], ['by a driver', (url) => url.href.replace('postgres:', 'postgresql+psycopg:')],
    ['by host in the query', (url) => `postgres://u:p@example.com/db?host=127.0.0.1&port=${url.port}&dbname=${url.pathname.slice(1)}`], ['by a socket', (url) => `postgres://u:p@%2Ftmp/${url.pathname.slice(1)}`],
    ['by several hosts', (url) => url.href.replace('127.0.0.1', 'example.com,127.0.0.1')], ['in capitals', (url) => url.href.replace('127.0.0.1', 'LOCALHOST')], ['percent-encoded', (url) => url.href.replace('127.0.0.1', '%31%32%37.0.0.1')],
  ];
  test.each(spellings)('%s, whichever role it is', async (_what, spell) => {
    for (const role of ['postgres', 'agentflow_owner', 'agentflow_worker'] as const) {
      const url = spell(new URL(platform.url(role)));
      const { port } = new URL(platform.url(role));
      const allowHosts = ['127.0.0.1', 'localhost', '2130706433', '127.1', '[::ffff:127.0.0.1]', '::ffff:127.0.0.1'].map((each) => `${each}:${port}`);
      const outcome = await ask({ text: 'select * from app_public.users' }, { url, allowHosts, hosts: ['*.example.com', 'example.com', '127.0.0.1', 'localhost', '2130706433', '127.1', '::ffff:127.0.0.1', '[::ffff:7f00:1]', '::ffff:7f00:1'] })
        .then(() => 'READ', (error: { code: string; message: string }) => error);
      expect(outcome).not.toBe('READ');
      expect(['SOURCE_NOT_ALLOWED', 'INVALID_VALUE', 'SOURCE_UNAVAILABLE']).toContain((outcome as { code: string }).code);
      expect((outcome as { message: string }).message).not.toContain(new URL(platform.url(role)).password);
    }
  });

  test('and its login roles are, in every database', async () => {
    const url = new URL(platform.url('agentflow_owner'));
    url.pathname = `/${name}`;
    await expect(ask({ text: 'select 1' }, { url: url.href })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });
});

test('a private address is refused unless the operator lists it', async () => {
  await expect(ask({ text: 'select 1' }, { allowHosts: [] })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED', transient: false, message: expect.stringContaining("Node 'n': source 's'") as string });
  await expect(ask({ text: 'select 1' }, { allowHosts: [], url: shopUrl.replace('127.0.0.1', 'localhost') })).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
});

test('variables of this machine are not read in place of what the connection leaves out', async () => {
  process.env['PGPASSWORD'] = decodeURIComponent(new URL(shopUrl).password);
  try {
    const bare = new URL(shopUrl);
    bare.password = '';
    await expect(ask({ text: 'select 1' }, { url: bare.href })).rejects.toMatchObject({ code: expect.stringMatching(/SOURCE_UNAUTHORIZED|SOURCE_UNAVAILABLE/) as string });
  } finally {
    delete process.env['PGPASSWORD'];
  }
});

test.each([
  ['a wrong password', (url: URL) => { url.password = 'wrong-password'; }, 'SOURCE_UNAUTHORIZED'],
  ['a database that is not there', (url: URL) => { url.pathname = '/nowhere'; }, 'SOURCE_FAILED'],
  ['a server that is not there', (url: URL) => { url.port = '1'; }, 'SOURCE_UNAVAILABLE'],
  ['no PostgreSQL URL', (url: URL) => { url.pathname = ''; }, 'INVALID_VALUE'],
])('%s is told with node, source and remedy', async (_what, change, code) => {
  const url = new URL(shopUrl);
  change(url);
  const error = await ask({ text: 'select 1' }, { url: url.href, allowHosts: [host, '127.0.0.1:1'] }).catch((caught: Error) => caught);
  expect(error).toMatchObject({ code, message: expect.stringContaining("Node 'n': source 's'") as string, remedy: expect.stringMatching(/\.$/) as string });
  expect((error as Error).message).not.toContain(new URL(shopUrl).password);
  expect((error as Error).message).not.toContain('wrong-password');
});

test('a query that takes too long ends, and the connection after it is a good one', async () => {
  await expect(ask({ text: 'select pg_sleep(30)', timeoutSeconds: 0.2 })).rejects.toMatchObject({ code: 'NODE_TIMEOUT' });
  await expect(ask({ text: "select set_config('statement_timeout', '0', false), pg_sleep(30)", timeoutSeconds: 0.2 })).rejects.toMatchObject({ code: 'NODE_TIMEOUT' });
  expect((await ask({ text: 'select 1 as n' })).rows).toEqual([{ n: 1 }]);
});

test('a server that takes connections and says nothing ends with the node', async () => {
  const taken: net.Socket[] = [];
  const silent = net.createServer((socket) => taken.push(socket));
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  const { port } = silent.address() as AddressInfo;
  const abort = new AbortController();
  const asked = ask({ text: 'select 1' }, { url: `postgres://u:p@127.0.0.1:${port}/db`, allowHosts: [`127.0.0.1:${port}`], signal: abort.signal });
  setTimeout(() => abort.abort(new Error('enough')), 100);
  await expect(asked).rejects.toThrow('enough');
  for (const socket of taken) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test('an answer is cut at its bytes, in one row or in many', async () => {
  await expect(ask({ text: "select repeat('x', 40000000) as big" })).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
  await expect(ask({ text: "select repeat('x', 100000) as big from generate_series(1, 10000)", limit: 10_000 })).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
});

test('what a query says is told, and may be corrected', async () => {
  await expect(ask({ text: 'select * from nothing_here' })).rejects.toMatchObject({ code: 'SOURCE_FAILED', transient: false, message: expect.stringContaining('nothing_here') as string });
  await expect(ask({ text: 'select 1 / 0' })).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
});
