/** Every field of the API, asked for with the ids of another tenant: nothing of that tenant comes back, nothing of it changes. */
import { buildSchema, type GraphQLSchema } from 'graphql';
import { printSdl } from '../../src/server/sdl.ts';
import { startApi, type TestApi } from '../support/api.ts';
import { documentsOf } from './graphql.ts';

const otherTenant = '223e4567-e89b-12d3-a456-426614174000';
let api: TestApi;
let schema: GraphQLSchema;
let ids: string[];
let marks: string[];

beforeAll(async () => {
  api = await startApi();
  schema = buildSchema(await printSdl(api.db.url('agentflow_owner')));
  const { rows } = await api.db.owner.query<{ id: string }>(`
    select id::text from app_public.workflows where tenant_id = $1 union all select id::text from app_public.executions where tenant_id = $1
    union all select id::text from app_public.sources where tenant_id = $1 union all select id::text from app_public.users where tenant_id = $1
    union all select id::text from app_public.workflow_versions where tenant_id = $1 union all select $1::text`, [otherTenant]);
  ids = rows.map(({ id }) => id);
  const { rows: names } = await api.db.owner.query<{ name: string }>(`
    select name from app_public.workflows where tenant_id = $1 union all select name from app_public.sources where tenant_id = $1
    union all select email from app_public.users where tenant_id = $1 union all select slug from app_public.tenants where id = $1`, [otherTenant]);
  marks = [...ids, ...names.map(({ name }) => name)];
}, 60_000);
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

/** What the answers tell of the other tenant, beyond the id that was asked for. */
async function leaks(caller: string, operation: 'query' | 'mutation'): Promise<{ cases: number; leaks: string[]; faults: string[] }> {
  const found = { cases: 0, leaks: [] as string[], faults: [] as string[] };
  for (const { field, query, variables } of documentsOf(schema, operation, ids)) {
    const { status, text, errors } = await api.query(caller, query, variables);
    found.cases += 1;
    const asked = JSON.stringify(variables);
    const told = marks.filter((mark) => text.includes(mark) && !asked.includes(mark));
    if (told.length > 0) found.leaks.push(`${field} told ${caller} about ${told.join(', ')}`);
    const code = errors?.[0]?.extensions['code'] as string | undefined;
    if (status >= 500 || code === 'INTERNAL' || code === 'GRAPHQL_VALIDATION_FAILED') found.faults.push(`${field}: ${status} ${JSON.stringify(errors)?.slice(0, 300)}`);
  }
  return found;
}

const otherRows = async (): Promise<string> => {
  const { rows: tables } = await api.db.owner.query<{ name: string }>(`
    select format('app_public.%I', relname) as name from pg_class c where relnamespace = 'app_public'::regnamespace and relkind in ('r', 'p')
      and exists (select from pg_attribute where attrelid = c.oid and attname = 'tenant_id')`);
  const { rows } = await api.db.owner.query<{ content: string }>(tables.map(({ name }) => `select md5(coalesce(string_agg(t::text, '' order by t::text), '')) as content from ${name} t where tenant_id = '${otherTenant}'`).join(' union all '));
  return rows.map(({ content }) => content).join(' ');
};

test.each(['john@example.com', 'jane@example.com', 'key', 'visitor'])('queries of %s', async (caller) => {
  const { cases, leaks: told, faults } = await leaks(caller, 'query');
  expect(told).toEqual([]);
  expect(faults).toEqual([]);
  expect(cases).toBeGreaterThan(20);
}, 120_000);

test.each(['john@example.com', 'key', 'visitor'])('mutations of %s, which leave every row of the other tenant as it was', async (caller) => {
  const before = await otherRows();
  const { cases, leaks: told } = await leaks(caller, 'mutation');
  expect(told).toEqual([]);
  expect(cases).toBeGreaterThan(20);
  expect(await otherRows()).toBe(before);
}, 120_000);

test('the probe would notice: the other tenant\'s own admin is told about all of it', async () => {
  const { leaks: told } = await leaks('admin@globex.example', 'query');
  expect(told.length).toBeGreaterThan(10);
}, 120_000);
