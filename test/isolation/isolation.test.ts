/**
 * The isolation proof, generated from the catalog. What it records of each table stands in the snapshot beside it: a change
 * there is a change of who may do what, and is looked at before it is accepted (npm test -- test/isolation -u).
 */
import pg from 'pg';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';
import { runMutations } from './mutation-run.ts';
import { prove, type Proof } from './proof.ts';

let client: pg.Client;

afterAll(() => client.end()); // before the hook that drops the database: hooks run in the order of their making
const db = useTestDatabase();
beforeAll(async () => {
  client = new pg.Client({ connectionString: clusterUrl(testCluster(), 'postgres', db.name) });
  await client.connect();
});

describe('of the schema as it stands', () => {
  let proof: Proof;
  beforeAll(async () => {
    proof = await prove(client);
  }, 400_000);

  test('every table, function and private table x role x tenant: no rule is broken', () => {
    expect(proof.problems).toEqual([]);
    expect(proof.cases).toBeGreaterThan(8_000);
  });

  test('who may do what, and what every write is answered with, is as written down', () => {
    const sorted = Object.entries(proof.record).map(([name, lines]): [string, object] => [name, Object.fromEntries(Object.entries(lines).sort())]);
    expect(Object.fromEntries(sorted)).toMatchSnapshot();
  });
});

test('mutations: every one of a sample is noticed (all of them: npm run test:mutations)', async () => {
  const { tried, noticed, unnoticed } = await runMutations(client, { every: 67 });
  expect(unnoticed).toEqual([]);
  expect(noticed).toBe(tried);
  expect(tried).toBeGreaterThanOrEqual(12);
}, 400_000);

const notes = `create table app_public.notes (id uuid primary key default gen_random_uuid(), tenant_id uuid not null references app_public.tenants (id), body text);
  grant select, insert (body), update (body) on app_public.notes to agentflow_user;`;
const secured = `${notes}
  alter table app_public.notes enable row level security;
  alter table app_public.notes force row level security;
  create policy owner_all on app_public.notes to agentflow_owner using (true) with check (true);
  create policy select_tenant on app_public.notes for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()));
  create policy update_tenant on app_public.notes for update to agentflow_user using (tenant_id = (select app_public.current_tenant_id())) with check (tenant_id = (select app_public.current_tenant_id()));
  grant select on app_public.notes to agentflow_operator;
  create policy select_granted on app_public.notes for select to agentflow_operator using (tenant_id = any ((select app_private.operator_tenants())::uuid[]));`;

describe('a table that nobody wrote a test for', () => {
  test('fails while it shows its rows to everybody', async () => {
    const { problems } = await prove(client, { only: 'app_public.notes' }, notes);
    expect(problems).toContainEqual(expect.stringMatching(/^app_public\.notes, rights as they are, agentflow_user, own tenant: select of another tenant's rows met \d+ rows$/));
    expect(problems).toContainEqual(expect.stringMatching(/^app_public\.notes, policies alone, agentflow_user, no tenant: insert for another tenant met 1 rows$/));
  }, 120_000);

  test('fails while one command is open', async () => {
    const open = secured.replace(/for update to agentflow_user using \(.*\) with check/, 'for update to agentflow_user using (true) with check');
    const { problems } = await prove(client, { only: 'app_public.notes' }, open);
    expect(problems).toContainEqual(expect.stringMatching(/policies alone, agentflow_user, own tenant: a blind update met 42501 of \d+ rows$/));
  }, 120_000);

  test('fails while the platform\'s people see nothing of it, or all of it', async () => {
    const [blind, open] = [secured.replace(/\n.*select_granted.*;/, ';'), secured.replace('tenant_id = any ((select app_private.operator_tenants())::uuid[])', 'true')];
    expect((await prove(client, { only: 'app_public.notes' }, blind)).problems).toContainEqual(expect.stringMatching(/an operator with a grant does not meet all rows$/));
    expect((await prove(client, { only: 'app_public.notes' }, open)).problems).toContainEqual(expect.stringMatching(/an operator meets rows of a tenant that no grant names$/));
  }, 120_000);

  test('passes when it is right', async () => {
    const { problems, record } = await prove(client, { only: 'app_public.notes' }, secured);
    expect(problems).toEqual([]);
    expect(record['app_public.notes']).toMatchObject({ 'viewer sees': '1', 'viewer updates': '1', 'viewer inserts': '42501' });
  }, 120_000);

  test('a function that tells about other tenants fails', async () => {
    const leak = `create function app_public.peek(id uuid) returns text language sql stable security definer set search_path = pg_catalog, pg_temp
      as 'select name from app_public.workflows where workflows.id = peek.id'; grant execute on function app_public.peek(uuid) to agentflow_user`;
    const { problems } = await prove(client, { named: 'peek' }, leak);
    expect(problems).toContainEqual(expect.stringMatching(/^peek, agentflow_user, own tenant: told about the other tenant/));
    expect(problems).toContainEqual(expect.stringMatching(/^peek, .*: a foreign id is answered otherwise than an unknown one/));
  }, 120_000);

  test.each([
    ['size_of_all', 'a function that counts over all tenants', `create function app_public.size_of_all() returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp
      as 'select count(*) from app_public.workflows'; grant execute on function app_public.size_of_all() to agentflow_user`, /^size_of_all, agentflow_user, own tenant, asked for : the answer depends on another tenant/],
    ['names', 'a view with its owner\'s rights', `create view app_public.names as select name from app_public.workflows; grant select on app_public.names to agentflow_user`,
      /^app_public\.names, agentflow_user, own tenant: the answer depends on another tenant/],
    ['sizes', 'a materialized view', `create materialized view app_public.sizes as select count(*) from app_public.workflows; grant select on app_public.sizes to agentflow_user`,
      /^app_public\.sizes, agentflow_user, own tenant: the answer depends on another tenant/],
  ])('%s: %s fails, though it names nobody', async (named, _what, leak, problem) => {
    const { problems } = await prove(client, { named }, leak);
    expect(problems).toContainEqual(expect.stringMatching(problem));
  }, 120_000);
});
