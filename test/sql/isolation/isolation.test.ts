/** No tenant meets another's rows: through the grants as they are, and through the policies alone. */
import { plantTenant, type PlantedTenant } from '../support/plant.ts';
import { become, leave, probe } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';
import { policyProblems, publicTables, type Table } from './isolation.ts';

const context = useOwnerTransaction();
let own: PlantedTenant;
let other: PlantedTenant;
let tables: Table[];

beforeAll(async () => {
  own = await plantTenant(context.client);
  other = await plantTenant(context.client);
  tables = await publicTables(context.client);
});

const adminOf = (tenant: PlantedTenant): Record<string, string> => ({ tenant_id: tenant.id, user_id: tenant.users.admin, role: 'admin' });

test('every table has rows of both tenants to be met', async () => {
  expect(tables.length).toBeGreaterThanOrEqual(12);
  for (const { name, tenantColumn } of tables) {
    for (const tenant of [own, other]) {
      const { rowCount } = await context.client.query(`select from app_public.${name} where ${tenantColumn} = $1`, [tenant.id]);
      expect([name, rowCount]).not.toEqual([name, 0]);
    }
  }
});

test('the policies alone keep tenants apart, and let an admin at what is his', async () => {
  const problems = [];
  for (const table of tables) problems.push(...await policyProblems(context.client, table, own, other));
  expect(problems).toEqual([]);
});

test('each policy matters: without it, or weakened, the probes above fail', async () => {
  const { rows: policies } = await context.client.query<{ table: string; policy: string; cmd: string }>(
    `select tablename as table, policyname as policy, cmd from pg_policies where schemaname = 'app_public' and roles = '{agentflow_user}' order by 1, 2`);
  expect(policies.length).toBeGreaterThanOrEqual(18);
  const unnoticed: string[] = [];
  for (const { table, policy, cmd } of policies) {
    const weaker = [
      `drop policy ${policy} on app_public.${table}`,
      ...(cmd === 'INSERT' ? [] : [`alter policy ${policy} on app_public.${table} using (true)`]),
      ...(cmd === 'SELECT' ? [] : [`alter policy ${policy} on app_public.${table} with check (true)`]),
    ];
    for (const change of weaker) {
      await context.client.query('savepoint weaker');
      await context.client.query(change);
      const problems = await policyProblems(context.client, tables.find(({ name }) => name === table)!, own, other);
      if (problems.length === 0) unnoticed.push(change);
      await context.client.query('rollback to savepoint weaker');
    }
  }
  // A row that moves is refused by a trigger before the WITH CHECK of an UPDATE is asked: there it is a second wall.
  // To an admin, update_self gives nothing: test/sql/rights/operations.test.ts tries it as the others.
  expect(unnoticed.filter((change) => !/policy update_.* with check \(true\)$|^drop policy update_self /.test(change))).toEqual([]);
}, 120_000);

test('with the grants as they are, nobody deletes or truncates anything', async () => {
  for (const role of ['agentflow_user', 'agentflow_visitor', 'agentflow_operator', 'agentflow_worker']) {
    await become(context.client, role, adminOf(own));
    for (const { name } of tables) {
      expect([name, role, (await probe(context.client, `delete from app_public.${name}`)).refused]).toEqual([name, role, '42501']);
      expect([name, role, (await probe(context.client, `truncate app_public.${name} cascade`)).refused]).toEqual([name, role, '42501']);
    }
    await leave(context.client);
  }
});

test('visitors and the worker read no table', async () => {
  for (const role of ['agentflow_visitor', 'agentflow_worker']) {
    await become(context.client, role, adminOf(own));
    for (const { name } of tables) expect([name, role, (await probe(context.client, `select from app_public.${name}`)).refused]).toEqual([name, role, '42501']);
    await leave(context.client);
  }
});

test('operators of the platform read nothing without a grant', async () => {
  await become(context.client, 'agentflow_operator', adminOf(own));
  for (const { name, tenantColumn } of tables) expect([name, await probe(context.client, `select ${tenantColumn} from app_public.${name}`)]).toMatchObject([name, { rows: 0, refused: null }]);
  await leave(context.client);
});

test('nobody but the owner reads app_private, partitions included', async () => {
  const { rows } = await context.client.query<{ name: string }>(`select oid::regclass::text as name from pg_class where relnamespace = 'app_private'::regnamespace and relkind in ('r', 'p', 'S')`);
  expect(rows.length).toBeGreaterThan(20);
  for (const role of ['agentflow_user', 'agentflow_visitor', 'agentflow_operator', 'agentflow_worker']) {
    await become(context.client, role, adminOf(own));
    for (const { name } of rows) expect([name, role, (await probe(context.client, `select * from ${name}`)).refused]).toEqual([name, role, '42501']);
    await leave(context.client);
  }
});

test('a row never moves to another tenant, not even by the owner', async () => {
  for (const { name, tenantColumn } of tables) {
    const outcome = await probe(context.client, `update app_public.${name} set ${tenantColumn} = $2 where ${tenantColumn} = $1`, [own.id, other.id]);
    expect([name, outcome.refused]).toEqual([name, expect.stringMatching(/^AF4(00|11)$/)]);
  }
});

test('a foreign and an unknown reference are refused alike, before any row is looked at', async () => {
  const references = [
    ['workflow_versions', `insert into app_public.workflow_versions (tenant_id, workflow_id, version, spec) values ($1, $2, 9, '{}')`, other.workflowId],
    ['sources', `insert into app_public.sources (tenant_id, user_id, name, kind, config) values ($1, $2, 'x', 'api', '{}')`, other.users.admin],
    ['api_keys', `insert into app_public.api_keys (tenant_id, user_id, name, key_hash) values ($1, $2, 'x', 'x')`, other.users.admin],
    ['node_executions', `insert into app_public.node_executions (tenant_id, execution_id, node_id, execution_created_at, node_type, status) values ($1, $2, 'n', now(), 'input', 'pending')`, other.executionId],
    ['flow_executions', `insert into app_public.flow_executions (tenant_id, flow_id, definition) values ($1, $2, '{}')`, other.flowId],
  ] as const;
  for (const [table, sql, foreign] of references) {
    const unknown = table === 'flow_executions' ? 'no-such-flow' : '00000000-0000-4000-8000-000000000000';
    const [met, missed] = [await probe(context.client, sql, [own.id, foreign]), await probe(context.client, sql, [own.id, unknown])];
    expect([table, met.refused, met.message]).toEqual([table, '23503', missed.message]);
  }
});

test('of 10,000 random pairs of tenant and workflow, a reference is accepted exactly when both are of one tenant', async () => {
  const { client } = context;
  for (let more = 0; more < 6; more += 1) await plantTenant(client);
  await client.query(`
    create function pg_temp.try_pairs(out own integer, out accepted_own integer, out accepted_foreign integer) language plpgsql as $$
    declare
      pair record;
    begin
      own := 0; accepted_own := 0; accepted_foreign := 0;
      for pair in
        select tenants.id as tenant_id, workflows.id as workflow_id, workflows.tenant_id = tenants.id as is_own, n
        from generate_series(1, 10000) as n
        cross join lateral (select id from app_public.tenants order by md5(id::text || n) limit 1) as tenants
        cross join lateral (select id, tenant_id from app_public.workflows order by md5(n || id::text) limit 1) as workflows
      loop
        own := own + pair.is_own::int;
        begin
          insert into app_public.workflow_versions (tenant_id, workflow_id, version, spec) values (pair.tenant_id, pair.workflow_id, pair.n + 1, '{}');
          if pair.is_own then accepted_own := accepted_own + 1; else accepted_foreign := accepted_foreign + 1; end if;
        exception when foreign_key_violation then null;
        end;
      end loop;
    end $$`);
  const { rows: [tried] } = await client.query<{ own: number; accepted_own: number; accepted_foreign: number }>('select * from pg_temp.try_pairs()');
  expect(tried!.own).toBeGreaterThan(500);
  expect(tried).toEqual({ own: tried!.own, accepted_own: tried!.own, accepted_foreign: 0 });
});
