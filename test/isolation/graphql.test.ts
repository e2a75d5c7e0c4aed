/** Every field of the API, asked for with the ids of another tenant: nothing of that tenant comes back, nothing of it changes. */
import { buildSchema, type GraphQLSchema } from 'graphql';
import { printSdl } from '../../src/server/sdl.ts';
import { hashApiKey } from '../../src/keys.ts';
import { startApi, type Answer, type TestApi } from '../support/api.ts';
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
}, 180_000);
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

/** What the answers tell of the other tenant, beyond the id that was asked for. */
async function leaks(caller: string, operation: 'query' | 'mutation', asked = ids): Promise<Leaks> {
  return leaksTo(caller, operation, asked, (query, variables) => api.query(caller, query, variables));
}

interface Leaks { cases: number; leaks: string[]; faults: string[] }

async function leaksTo(caller: string, operation: 'query' | 'mutation', asked: string[], ask: (query: string, variables: object) => Promise<Answer>): Promise<Leaks> {
  const found: Leaks = { cases: 0, leaks: [], faults: [] };
  for (const { field, query, variables } of documentsOf(schema, operation, asked)) {
    const { status, text, errors } = await ask(query, variables);
    found.cases += 1;
    const given = JSON.stringify(variables);
    const told = marks.filter((mark) => text.includes(mark) && !given.includes(mark));
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

/** One id of each kind is enough for those who may less than those above. */
const some = (): string[] => ids.filter((_, index) => index % Math.ceil(ids.length / 4) === 0);

test.each(['architect', 'developer', 'operator', 'jane'])('every field of the API, asked by %s', async (caller) => {
  const before = await otherRows();
  for (const operation of ['query', 'mutation'] as const) expect(await leaks(`${caller}@example.com`, operation, some())).toMatchObject({ leaks: [], cases: expect.any(Number) });
  expect(await otherRows()).toBe(before);
}, 120_000);

test('every field of the API, asked with a key of each permission', async () => {
  const before = await otherRows();
  const found: Leaks = { cases: 0, leaks: [], faults: [] };
  for (const area of ['workflows', 'flows', 'executions', 'sources']) {
    for (const verb of ['read', 'write', 'execute']) {
      const key = `sk_test_${`${area}${verb}`.padEnd(43, 'x')}`;
      await api.db.owner.query(`insert into app_public.api_keys (name, key_hash, permissions, user_id, tenant_id)
        select $1, $2, $3, id, tenant_id from app_public.users where email = 'john@example.com'`, [`${area} ${verb}`, hashApiKey(key, api.db.secretKey), { [area]: [verb] }]);
      for (const operation of ['query', 'mutation'] as const) {
        const one = await leaksTo(`a key with ${area} ${verb}`, operation, some().slice(0, 1), (query, variables) => api.post(JSON.stringify({ query, variables }), { 'x-api-key': key }));
        found.cases += one.cases;
        found.leaks.push(...one.leaks);
      }
    }
  }
  expect(found.leaks).toEqual([]);
  expect(found.cases).toBeGreaterThan(500);
  expect(await otherRows()).toBe(before);
}, 240_000);

test('the probe would notice: the other tenant\'s own admin is told about all of it', async () => {
  const { leaks: told } = await leaks('admin@globex.example', 'query');
  expect(told.length).toBeGreaterThan(10);
}, 120_000);
