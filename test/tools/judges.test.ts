/** The judges that need no program of others: what they say of the project, and that they would say something. */
import pg from 'pg';
import { startApi, type TestApi } from '../support/api.ts';
import { clusterUrl, testCluster } from '../support/database.ts';
import { copFindings, numberOfQuestions } from './cop.ts';
import { splinterFindings } from './splinter.ts';

let [closed, open] = [{} as TestApi, {} as TestApi];
beforeAll(async () => {
  [closed, open] = [await startApi({ face: { isClosed: true } }), await startApi()];
}, 180_000);
afterAll(async () => {
  for (const { server, db } of [closed, open]) {
    await server.close(1_000);
    await db.drop();
  }
});

test('in production none of the questions that graphql-cop asks is answered wrongly', async () => {
  expect(await copFindings(`${closed.url}/graphql`)).toEqual([]);
  expect(numberOfQuestions).toBeGreaterThanOrEqual(16);
});

test('of a server that is open for development they find what is open', async () => {
  const found = (await copFindings(`${open.url}/graphql`)).map((line) => line.split(':')[0]);
  expect(found).toEqual(expect.arrayContaining(['introspection', 'an IDE', 'suggestions of names', 'queries over GET']));
});

/** As the file of its authors is made: a setting first, then one long union, which names their roles and schemas. */
const standIn = `set local search_path = '';
(select 'rls_disabled' as name, 'ERROR' as level, format('Table \`%s.%s\` is public, but RLS has not been enabled', n.nspname, c.relname) as detail
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and not c.relrowsecurity and (pg_catalog.has_table_privilege('anon', c.oid, 'SELECT') or pg_catalog.has_table_privilege('authenticated', c.oid, 'SELECT'))
    and n.nspname = any (array(select trim(unnest(string_to_array(current_setting('pgrst.db_schemas', 't'), ','))))))
union all
(select 'auth_users_exposed', 'ERROR', format('View \`%s\`', c.relname) from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid where d.refobjid = 'auth.users'::regclass and c.relkind = 'v')
union all
(select 'elsewhere', 'WARN', 'Table \`pg_catalog.pg_class\` is none of ours')`;

test('splinter\'s queries run as they are written, find what is there, and leave nothing behind', async () => {
  const client = new pg.Client({ connectionString: clusterUrl(testCluster(), 'postgres', open.db.name) });
  await client.connect();
  try {
    expect(await splinterFindings(client, standIn)).toEqual([]);
    await client.query('create table app_public.strays (id uuid); grant select on app_public.strays to agentflow_user');
    expect(await splinterFindings(client, standIn)).toMatchObject([{ name: 'rls_disabled', level: 'ERROR', detail: expect.stringContaining('app_public.strays') }]);
    expect((await client.query(`select from pg_roles where rolname in ('anon', 'authenticated')`)).rowCount).toBe(0);
  } finally {
    await client.end();
  }
});
