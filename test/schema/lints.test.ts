/** The schema keeps every lint, and every lint notices a change that breaks it: one that could not notice is none. */
import { writeFileSync } from 'node:fs';
import { withClient } from '../../src/schema/connection.ts';
import { applyBaseline, describeFinding, lintNames, readBaseline, runLints, runLintsHere, type Finding } from '../../src/schema/lint.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { runSquawk } from '../../src/schema/squawk.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';
import { useScratch } from '../support/migrations.ts';

const db = useTestDatabase();
const scratch = useScratch();
const stray = 'create table app_public.strays (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, owner_id uuid)';

/** Lint -> statements that break it -> the object that must be named. */
const breaches: Record<string, [sql: string, object: string][]> = {
  row_security_off: [
    ['alter table app_public.workflows no force row level security', 'app_public.workflows'],
    ['alter table app_private.sessions disable row level security', 'app_private.sessions'],
    ['create table app_private.audit_logs_old partition of app_public.audit_logs for values from (\'2001-01-01\') to (\'2001-02-01\')', 'app_private.audit_logs_old'],
  ],
  policy_for_owner_missing: [['drop policy owner_all on app_public.flows', 'app_public.flows']],
  policy_too_wide: [
    ['create policy everybody on app_public.workflows for select using (true)', 'everybody on app_public.workflows'],
    ['create policy everything on app_public.workflows to agentflow_user using (tenant_id = (select app_public.current_tenant_id()))', 'everything on app_public.workflows'],
    ['create policy reads on app_private.sessions for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()))', 'reads on app_private.sessions'],
    ['alter policy select_tenant on app_public.flows using (true)', 'select_tenant on app_public.flows'],
  ],
  policy_without_check: [['create policy writes on app_public.flows for update to agentflow_user using (tenant_id = (select app_public.current_tenant_id()))', 'writes on app_public.flows']],
  policy_without_tenant: [
    ['create policy own on app_public.flows for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()) or is_active = 2)', 'own on app_public.flows'],
    ['create policy own on app_public.flows for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()) and is_active = 1 or is_active = 2)', 'own on app_public.flows'],
    [`create policy own on app_public.flows for select to agentflow_user using (tenant_id = (select app_private.tenant_if_may('flows:read')) or is_active = 2)`, 'own on app_public.flows'],
    ['create policy own on app_public.flows for select to agentflow_user using (created_by = (select app_public.current_user_id()))', 'own on app_public.flows'],
  ],
  policy_calls_per_row: [
    ['create policy slow on app_public.flows for select to agentflow_user using (tenant_id = app_public.current_tenant_id())', 'slow on app_public.flows'],
    [`create policy slow on app_public.flows for select to agentflow_user using (tenant_id = app_private.tenant_if_may('flows:read'))`, 'slow on app_public.flows'],
    ['create policy slow on app_public.flows for select to agentflow_user using (tenant_id = current_setting(\'jwt.claims.tenant_id\')::uuid)', 'slow on app_public.flows'],
  ],
  policy_calls_volatile: [[
    'create function app_private.dice() returns boolean language sql volatile return random() > 0.5; create policy dice on app_public.flows for select to agentflow_user using (app_private.dice())', 'dice on app_public.flows']],
  tenant_column_missing: [['create table app_public.strays (id uuid primary key)', 'app_public.strays']],
  reference_without_tenant: [['alter table app_public.sources add constraint fk_sources_other foreign key (id) references app_public.workflows (id)', 'fk_sources_other on app_public.sources']],
  unique_without_tenant: [
    ['alter table app_public.workflows add constraint idx_workflows_alone exclude using hash (name with =)', 'app_public.idx_workflows_alone'],
    ['create unique index idx_workflows_name on app_public.workflows (name)', 'app_public.idx_workflows_name'],
  ],
  index_led_by_tenant_missing: [[stray, 'app_public.strays']],
  reference_without_index: [['drop index app_public.idx_executions_workflow_version_id', 'fk_executions_workflow_version_id on app_public.executions']],
  reference_blocks_erasure: [['alter table app_public.sources add constraint fk_sources_other foreign key (tenant_id, id) references app_public.sources (tenant_id, id)', 'fk_sources_other on app_public.sources']],
  index_twice: [['create index idx_users_status_again on app_public.users (status)', 'app_public.idx_users_status_again']],
  index_not_valid: [],
  constraint_not_validated: [['alter table app_public.users add constraint chk_users_more check (name <> \'\') not valid', 'chk_users_more on app_public.users']],
  trigger_disabled: [
    ['alter table app_public.workflows disable trigger user', '_200_keep_identity on app_public.workflows'],
    ['alter table app_public.workflows enable replica trigger _200_keep_identity', '_200_keep_identity on app_public.workflows'],
  ],
  primary_key_missing: [['create table app_private.strays (id uuid)', 'app_private.strays']],
  definer_without_search_path: [
    ['create function app_private.power() returns void language sql security definer as \'\'', 'app_private.power()'],
    ['create function app_private.power() returns void language sql security definer set search_path = pg_temp, pg_catalog as \'\'', 'app_private.power()'],
  ],
  function_without_search_path: [['create function app_private.open() returns void language sql as \'\'; grant execute on function app_private.open() to agentflow_user', 'app_private.open()']],
  function_for_everybody: [['grant execute on function app_private.may(text) to public', 'app_private.may(text)']],
  defaults_for_everybody: [
    ['alter default privileges grant execute on functions to public', 'default privileges of agentflow_owner'],
    ['alter default privileges in schema app_public grant select on tables to agentflow_user', 'default privileges of agentflow_owner'],
  ],
  check_function_unfit: [
    ['revoke execute on function app_private.is_metrics(jsonb) from agentflow_user', 'app_private.is_metrics(jsonb)'],
    ['alter function app_private.is_metrics(jsonb) stable', 'app_private.is_metrics(jsonb)'],
  ],
  view_with_owners_rights: [
    ['create view app_public.all_users as select id from app_public.users', 'app_public.all_users'],
    ['create materialized view app_public.counts as select count(*) from app_public.users', 'app_public.counts'],
  ],
  partition_reachable: [
    ['create table app_public.audit_logs_old partition of app_public.audit_logs for values from (\'2001-01-01\') to (\'2001-02-01\')', 'app_public.audit_logs_old'],
    ['create table app_private.audit_logs_old partition of app_public.audit_logs for values from (\'2001-01-01\') to (\'2001-02-01\'); grant select on app_private.audit_logs_old to agentflow_user', 'app_private.audit_logs_old'],
  ],
  private_table_reachable: [['grant select on app_private.sessions to agentflow_user', 'app_private.sessions']],
  right_too_wide: [
    ['grant delete on app_public.workflows to agentflow_user', 'app_public.workflows'],
    ['grant select on app_public.workflows to agentflow_visitor', 'app_public.workflows'],
    ['grant select on app_public.workflows to public', 'app_public.workflows'],
    ['grant select (name) on app_public.workflows to agentflow_visitor', 'app_public.workflows.name'],
    ['grant select on app_public.workflows to agentflow_user with grant option', 'app_public.workflows'],
    ['grant select on sequence app_public.flow_executions_id_seq to agentflow_user', 'app_public.flow_executions_id_seq'],
  ],
  identity_writable: [['grant update (tenant_id) on app_public.workflows to agentflow_user', 'app_public.workflows.tenant_id']],
  secret_selectable: [
    ['grant select (password_hash) on app_public.users to agentflow_user', 'app_public.users.password_hash'],
    ['alter table app_public.flows add column api_token text', 'app_public.flows.api_token'],
  ],
  comment_missing: [
    ['comment on column app_public.workflows.spec is null', 'app_public.workflows.spec'],
    ['comment on table app_private.sessions is null', 'app_private.sessions'],
    ['comment on function app_private.may(text) is null', 'app_private.may(text)'],
    ['comment on type app_public.flow_execution_status is null', 'app_public.flow_execution_status'],
  ],
  name_outside_conventions: [
    ['create table app_private."Stray" (id uuid primary key)', 'app_private."Stray"'],
    ['alter table app_public.flows add column "camelCase" text', 'app_public.flows.camelCase'],
    ['alter table app_public.flows add constraint flows_check check (name <> \'\')', 'flows_check on app_public.flows'],
    ['create index by_name on app_public.users (name)', 'app_public.by_name'],
  ],
  owner_other: [['grant create on schema app_private to agentflow_user; alter function app_private.touch() owner to agentflow_user', 'app_private.touch()']],
  schema_open: [['grant create on schema app_public to agentflow_user', 'schema app_public']],
  type_discouraged: [
    ['alter table app_public.flows add column at timestamp', 'app_public.flows.at'],
    ['create table app_public.strays (id serial primary key)', 'app_public.strays.id'],
    ['alter table app_public.flows add column made_by regproc', 'app_public.flows.made_by'],
  ],
  policies_side_by_side: [[
    'create policy more on app_public.flows for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()))', 'app_public.flows for select']],
  policy_passes_without_tenant: [
    ['create policy open on app_public.flows for select to agentflow_user using ((select app_public.current_tenant_id()) is null or tenant_id = (select app_public.current_tenant_id()))', 'open on app_public.flows'],
    ['create policy open on app_public.flows for select to agentflow_user using (tenant_id = (select app_public.current_tenant_id()) or true)', 'open on app_public.flows'],
    [`create policy open on app_public.flows for select to agentflow_user using ((select app_private.tenant_if_may('flows:read')) is null)`, 'open on app_public.flows'],
    ['create policy open on app_public.flows for select to agentflow_user using (tenant_id is not distinct from (select app_public.current_tenant_id()))', 'open on app_public.flows'],
  ],
  right_without_policy: [
    ['grant delete on app_public.flows to agentflow_user', 'app_public.flows for delete'],
    ['drop policy update_tenant on app_public.sources', 'app_public.sources for update'],
  ],
  object_elsewhere: [
    ['create schema reports', 'schema reports'],
    ['create schema reports; create table reports.users as select * from app_public.users', 'reports.users'],
    ['create schema reports; create function reports.peek() returns void language sql as \'\'', 'reports.peek()'],
  ],
  jobs_reachable: [['grant usage on schema graphile_migrate to agentflow_user', 'schema graphile_migrate']],
  foreign_table_there: [],
  role_too_strong: [],
  rule_there: [['create rule silent as on delete to app_public.flows do instead nothing', 'silent on app_public.flows']],
  definer_for_visitors: [['grant execute on function app_private.may(text) to agentflow_visitor; alter function app_private.may(text) security definer', 'app_private.may(text)']],
  extension_in_reach: [
    ['create extension citext schema app_public', 'extension citext'],
    ['create schema extensions; create extension citext schema extensions version "1.4"', 'extension citext'],
  ],
  reference_types_differ: [[
    'create table app_private.strays (id bigint primary key); alter table app_private.strays add column other_id integer constraint fk_strays_other_id references app_private.strays (id)', 'fk_strays_other_id on app_private.strays']],
  storage_unsafe: [
    ['create unlogged table app_public.strays (id uuid primary key)', 'app_public.strays'],
    ['alter table app_public.flows set (autovacuum_enabled = off)', 'app_public.flows'],
  ],
};

async function findingsAfter(sql: string, names: readonly string[]): Promise<Finding[]> {
  const client = await db.owner.connect();
  try {
    await client.query('begin');
    await client.query(sql);
    return await runLintsHere(client, names);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('the schema keeps all of them, but for what the baseline accepts with a reason', async () => {
  const client = await db.owner.connect();
  const report = applyBaseline(await runLints(client), readBaseline(migrationsFolder));
  client.release();
  expect(report.findings.map(describeFinding)).toEqual([]);
  expect(report.stale).toEqual([]);
  expect(report.accepted.every(({ reason }) => reason.length > 20)).toBe(true);
});

test('every lint has a change that breaks it', () => {
  expect(Object.keys(breaches).sort()).toEqual(lintNames);
});

test.each(Object.entries(breaches).flatMap(([lint, list]) => list.map(([sql, object]) => [lint, sql, object] as const)))('%s notices: %s', async (lint, sql, object) => {
  const findings = (await findingsAfter(sql, [lint])).filter((finding) => finding.object === object);
  expect(findings.length).toBeGreaterThan(0);
  for (const { level, message, remedy } of findings) {
    expect(['error', 'warning']).toContain(level);
    expect([message, remedy].every((text) => text.length > 5)).toBe(true);
  }
});

test.each([
  ['foreign_table_there', 'create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere; create foreign table app_public.strays (id uuid) server nowhere', 'app_public.strays'],
  ['role_too_strong', 'alter role agentflow_user bypassrls', 'role agentflow_user'],
  ['role_too_strong', 'grant pg_read_all_data to agentflow_visitor', 'role agentflow_visitor'],
])('%s notices what only a superuser can do: %s', async (lint, sql, object) => {
  await withClient(clusterUrl(testCluster(), 'postgres', db.name), async (client) => {
    await client.query('begin');
    await client.query(sql);
    expect(await runLintsHere(client, [lint])).toMatchObject([{ level: 'error', object }]);
    await client.query('rollback');
  });
});

test('index_not_valid notices what a broken CREATE INDEX CONCURRENTLY leaves', async () => {
  const client = await db.owner.connect();
  try {
    await client.query('insert into app_public.tenants (slug, name) values (\'one\', \'same\'), (\'two\', \'same\')');
    await expect(client.query('create unique index concurrently idx_tenants_broken on app_public.tenants (name)')).rejects.toMatchObject({ code: '23505' });
    const findings = (await runLints(client)).filter(({ lint }) => lint === 'index_not_valid');
    expect(findings.map(({ object }) => object)).toEqual(['app_public.idx_tenants_broken']);
  } finally {
    await client.query(`drop index if exists app_public.idx_tenants_broken; delete from app_public.tenants where name = 'same'`);
    client.release();
  }
});

test('an entry of the baseline that accepts nothing is told, and one without a reason is refused', async () => {
  const finding = { lint: 'a', level: 'error', object: 'x', message: 'm', remedy: 'r' } as const;
  expect(applyBaseline([finding], [{ lint: 'a', object: 'x', reason: 'so' }, { lint: 'a', object: 'gone', reason: 'so' }])).toMatchObject({
    findings: [], accepted: [{ object: 'x', reason: 'so' }], stale: [{ object: 'gone' }],
  });
  const { migrationsFolder: folder } = await scratch.make();
  writeFileSync(`${folder}/lint-baseline.json`, '[{"lint": "a", "object": "x"}]');
  expect(() => readBaseline(folder)).toThrow(expect.objectContaining({ code: 'INVALID_VALUE', message: expect.stringContaining('Entry 1') }));
});

test('squawk finds a dangerous statement of a new migration at its place, and spares the first one', async () => {
  const dangerous = 'alter table app_public.things alter column name type text;\n';
  const { migrationsFolder: folder } = await scratch.make({ committed: [dangerous, 'select 1;'], current: '--! Message: m\n\n-- a line\n--!include a.sql\n', fixtures: { 'a.sql': `select 1;\n${dangerous}` } });
  const expected = { lint: 'squawk/changing-column-type', object: 'fixtures/a.sql:2', remedy: expect.stringContaining('squawk-ignore') };
  expect([null, [expect.objectContaining(expected)]]).toContainEqual(await runSquawk(folder)); // null: not to be had on this platform
});
