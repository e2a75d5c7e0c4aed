/** Statements and values that want more than rows, on a database whose login may do everything: nothing of it changes, nothing else is reached. */
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { loadSelectChecker } from '../../src/engine/index.ts';
import type { Json } from '../../src/engine/types.ts';
import { boundValues, statementOf } from '../../src/nodes/db-statement.ts';
import { withClient } from '../../src/schema/connection.ts';
import { report } from '../support/attacks.ts';
import { useTestDatabase } from '../support/database.ts';
import { useSources } from '../support/sources.ts';
import { places, statements, values } from '../support/sql-payloads.ts';

const platform = useTestDatabase();
const sources = useSources();
let name: string;
let powerful: string;
let ordinary: string;
let host: string;
let watcher: pg.Client;
let heard = 0;
let reached = 0;
const canary = net.createServer((socket) => {
  reached += 1;
  socket.destroy();
});

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    canary.listen(0, '127.0.0.1', resolve);
  });
  const admin = new URL(platform.url('postgres'));
  name = `${platform.name}_target`;
  await withClient(admin.href, async (client) => {
    await client.query(`create database ${name}`);
    await client.query(`create role ${name}_login login password 'ordinary-login'`);
  });
  admin.pathname = `/${name}`;
  powerful = admin.href;
  host = admin.host;
  const login = new URL(powerful);
  login.username = `${name}_login`;
  login.password = 'ordinary-login';
  ordinary = login.href;
  await withClient(powerful, (client) => client.query(`
    create table products (id int primary key, name text, price numeric);
    insert into products values (1, 'Lamp', 12.50), (2, 'Desk', 80);
    create sequence tickets;
    create materialized view v as select 1 as one;
    alter table products owner to ${name}_login; alter sequence tickets owner to ${name}_login; alter materialized view v owner to ${name}_login;
    grant all on schema public to ${name}_login`));
  watcher = new pg.Client({ connectionString: powerful });
  watcher.on('error', () => undefined);
  watcher.on('notification', () => {
    heard += 1;
  });
  await watcher.connect();
  await watcher.query('listen attack');
});
afterAll(async () => {
  await watcher.end();
  canary.close();
  await withClient(new URL('/postgres', platform.url('postgres')).href, async (client) => {
    await client.query(`drop database ${name} with (force)`);
    await client.query(`drop role ${name}_login`);
  });
});

/** Everything of the target that an attack could change. Of the roles those that the statements name: tests beside this one make others in the same cluster. */
async function fingerprint(): Promise<object> {
  const { rows } = await watcher.query<object>(`
    select (select md5(string_agg(p::text, '|' order by id)) from products p) as rows, (select last_value || ' ' || is_called from tickets) as ticket,
      (select md5(string_agg(c.oid || c.relname || c.relowner || coalesce(c.relacl::text, ''), '|' order by c.oid)) from pg_class c where c.relnamespace = 'public'::regnamespace) as relations,
      (select count(*)::int from pg_proc) as functions, (select count(*)::int from pg_largeobject_metadata) as objects, (select md5(string_agg(r::text, '|' order by r.oid)) from pg_authid r where r.rolname in (current_user, '${name}_login', 'intruder')) as roles,
      (select count(*)::int from pg_replication_slots) as slots, (select count(*)::int from pg_replication_origin) as origins, (select count(*)::int from pg_extension) as extensions, (select count(*)::int from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())) as locks,
      (select md5(string_agg(s.name || s.setting, '|' order by s.name)) from pg_file_settings s) as settings`);
  return { ...rows[0]!, heard, reached };
}

interface Said { refused: boolean; text: string }

async function ask(url: string, text: string, bound: Json[] = []): Promise<Said> {
  const settings = { sourceVariables: [{ name: 'TARGET_URL', tenant: null, hosts: ['127.0.0.1'] }], sourceValues: { TARGET_URL: url }, allowHosts: [host] };
  try {
    const { rows } = await sources.port({ connection_string_env: 'TARGET_URL' }, settings).db({ text, values: bound, limit: 100, timeoutSeconds: 5 });
    return { refused: false, text: JSON.stringify(rows) };
  } catch (error) {
    return { refused: true, text: (error as Error).message };
  }
}

const withPort = (statement: string): string => statement.replaceAll('PORT', String((canary.address() as AddressInfo).port));

test(`${statements.length} statements, by a superuser: refused before they are sent, or without effect`, async () => {
  const check = await loadSelectChecker();
  const before = await fingerprint();
  const hits: string[] = [];
  for (const statement of statements.map(withPort)) {
    if (check(statementOf(statement, {}).text) !== null) continue;
    const { text } = await ask(powerful, statement);
    if (/root:.*:0:0:|bin\b.*\betc\b/.test(text)) hits.push(`${statement} read a file`);
    const after = await fingerprint();
    if (JSON.stringify(after) !== JSON.stringify(before)) hits.push(`${statement} changed ${JSON.stringify(after)}`);
  }
  report('SQL statements as queries, superuser login', statements.length, hits);
  expect(hits).toEqual([]);
}, 300_000);

test(`${statements.length} statements, past the check, by the owner of the tables: without effect`, async () => {
  const before = await fingerprint();
  const hits: string[] = [];
  for (const statement of statements.map(withPort)) {
    // Locks and notifications of an ordinary session are harmless to the data, and are refused by the check.
    if (/advisory|pg_notify/.test(statement)) continue;
    await ask(ordinary, statement);
    const after = await fingerprint();
    if (JSON.stringify(after) !== JSON.stringify(before)) hits.push(`${statement} changed ${JSON.stringify(after)}`);
  }
  report('SQL statements sent unchecked, owner of the tables', statements.length, hits);
  expect(hits).toEqual([]);
}, 300_000);

test(`${values.length} values in ${places.length} places of queries: they stay values`, async () => {
  const check = await loadSelectChecker();
  const before = await fingerprint();
  const hits: string[] = [];
  for (const [index, value] of values.map(withPort).entries()) {
    const place = places[index % places.length]!;
    const params = { value: '{value}' };
    const { text, bindings } = statementOf(place, params);
    if (text !== statementOf(place, params).text || check(text) !== null) hits.push(`${place} is refused`);
    const { values: bound } = boundValues(bindings, params, { state: { value }, outputs: {} });
    const said = await ask(powerful, text, bound);
    if (said.refused || said.text !== '[]') hits.push(`${value} in ${place}: ${said.text}`);
  }
  const after = await fingerprint();
  if (JSON.stringify(after) !== JSON.stringify(before)) hits.push(`changed ${JSON.stringify(after)}`);
  report('SQL in values of queries, superuser login', values.length, hits);
  expect(hits).toEqual([]);
}, 300_000);
