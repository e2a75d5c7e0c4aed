/**
 * Every table, read from the catalog, times every operation, times who asks: each probe says what it met, and a rule says
 * what it should have met. Two walls are tried one by one: the grants as they are, and the policies alone (everything granted).
 */
import type pg from 'pg';
import { smallestFlow, type PlantedTenant } from '../support/plant.ts';
import { become, leave, probe, type Outcome } from '../support/probe.ts';

/** What an admin of a tenant may do to rows of his own when grants are out of the way. Everybody else, and every other row: nothing. */
const writableByPolicy: Record<string, { insert: boolean; update: boolean }> = {
  tenants: { insert: false, update: true },
  users: { insert: false, update: true },
  workflows: { insert: true, update: true },
  workflow_versions: { insert: false, update: false },
  executions: { insert: false, update: false },
  node_executions: { insert: false, update: false },
  sources: { insert: true, update: true },
  access_links: { insert: false, update: false },
  api_keys: { insert: false, update: false },
  audit_logs: { insert: false, update: false },
  flows: { insert: false, update: false },
  flow_versions: { insert: false, update: false },
  flow_executions: { insert: false, update: false },
  task_executions: { insert: false, update: false },
};

export interface Table {
  name: string;
  /** `tenants` is its own tenant. */
  tenantColumn: 'id' | 'tenant_id';
}

export async function publicTables(client: pg.ClientBase): Promise<Table[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'app_public'::regnamespace and relkind in ('r', 'p', 'v', 'm') order by 1`);
  return rows.map(({ name }) => ({ name, tenantColumn: name === 'tenants' ? 'id' : 'tenant_id' }));
}

interface Asker {
  who: string;
  role: 'agentflow_user' | 'agentflow_visitor';
  claims: Record<string, string>;
  ownTenant: boolean;
}

function askers(own: PlantedTenant): Asker[] {
  const admin = { tenant_id: own.id, user_id: own.users.admin, role: 'admin' };
  return [
    { who: 'own', role: 'agentflow_user', claims: admin, ownTenant: true },
    { who: 'none', role: 'agentflow_user', claims: { role: 'admin', user_id: own.users.admin }, ownTenant: false },
    { who: 'malformed', role: 'agentflow_user', claims: { ...admin, tenant_id: `${own.id}' or true --` }, ownTenant: false },
    { who: 'visitor', role: 'agentflow_visitor', claims: admin, ownTenant: false },
  ];
}

/** Problems of one table, in words; none when nobody meets another tenant's rows and an admin meets his own. `client` is the owner in a transaction. */
export async function policyProblems(client: pg.ClientBase, table: Table, own: PlantedTenant, other: PlantedTenant): Promise<string[]> {
  const problems: string[] = [];
  await client.query('savepoint everything_granted');
  await client.query(`grant all on app_public.${table.name} to agentflow_user, agentflow_visitor`);
  for (const asker of askers(own)) {
    await become(client, asker.role, asker.claims);
    problems.push(...await probeTable(client, table, asker, own, other));
    await leave(client);
  }
  await client.query('rollback to savepoint everything_granted');
  return problems;
}

async function probeTable(client: pg.ClientBase, table: Table, asker: Asker, own: PlantedTenant, other: PlantedTenant): Promise<string[]> {
  const { name, tenantColumn } = table;
  const may = writableByPolicy[name] ?? { insert: false, update: false };
  const problems: string[] = [];
  const expectRows = async (what: string, sql: string, values: unknown[], wanted: 'some' | 'none'): Promise<void> => {
    const outcome = await probe(client, sql, values);
    if (isAs(outcome, wanted)) return;
    problems.push(`${name}, ${asker.who}: ${what} met ${outcome.refused ?? `${outcome.rows} rows`}, wanted ${wanted}`);
  };
  const target = `app_public.${name}`;
  const isOwn = asker.ownTenant;
  await expectRows('select of own rows', `select * from ${target} where ${tenantColumn} = $1`, [own.id], isOwn ? 'some' : 'none');
  await expectRows("select of another's rows", `select * from ${target} where ${tenantColumn} = $1`, [other.id], 'none');
  await expectRows('select of everything not own', `select * from ${target} where ${tenantColumn} <> $1`, [own.id], 'none');
  const touch = `update ${target} set ${tenantColumn} = ${tenantColumn} where ${tenantColumn} = $1`;
  await expectRows('update of own rows', touch, [own.id], isOwn && may.update ? 'some' : 'none');
  await expectRows("update of another's rows", touch, [other.id], 'none');
  if (may.update) {
    // Reads no column, so that no policy for SELECT stands in the way.
    const [touched, visible] = [await probe(client, `update ${target} set name = 'blind'`), await probe(client, `select from ${target}`)];
    if (touched.rows !== visible.rows || (isOwn && touched.rows === 0)) problems.push(`${name}, ${asker.who}: a blind update met ${touched.rows} rows of ${visible.rows}`);
  }
  await expectRows('moving rows away', `update ${target} set ${tenantColumn} = $2 where ${tenantColumn} = $1`, [own.id, other.id], 'none');
  await expectRows('delete of own rows', `delete from ${target} where ${tenantColumn} = $1`, [own.id], 'none');
  await expectRows("delete of another's rows", `delete from ${target} where ${tenantColumn} = $1`, [other.id], 'none');
  for (const [what, tenant, wanted] of [['own', own, isOwn && may.insert], ["another's", other, false]] as const) {
    const insert = insertFor(name, tenant, own);
    await expectRows(`insert of ${what} row`, insert.sql, insert.values, wanted ? 'some' : 'none');
  }
  return problems;
}

function isAs(outcome: Outcome, wanted: 'some' | 'none'): boolean {
  if (wanted === 'some') return outcome.rows > 0;
  return outcome.rows === 0;
}

/** A row that nothing but a policy would refuse, where the table takes inserts at all. */
function insertFor(table: string, tenant: PlantedTenant, own: PlantedTenant): { sql: string; values: unknown[] } {
  const user = tenant === own ? own.users.admin : tenant.users.admin;
  switch (table) {
    case 'workflows':
      return { sql: `insert into app_public.workflows (name, spec, tenant_id, user_id) values ('new', '{}', $1, $2)`, values: [tenant.id, user] };
    case 'sources':
      return { sql: `insert into app_public.sources (name, kind, config, tenant_id, user_id) values ('new', 'api', '{}', $1, $2)`, values: [tenant.id, user] };
    case 'users':
      return { sql: `insert into app_public.users (email, name, password_hash, tenant_id) values ('new@example.com', 'new', 'x', $1)`, values: [tenant.id] };
    case 'tenants':
      return { sql: `insert into app_public.tenants (id, slug, name) select gen_random_uuid(), 'new', $1`, values: [tenant.slug] };
    case 'audit_logs':
      return { sql: `insert into app_public.audit_logs (tenant_id, action, entity_type) values ($1, 'create', 'workflow')`, values: [tenant.id] };
    case 'access_links':
      return { sql: `insert into app_public.access_links (tenant_id, kind, email, role, token_hash, expires_at) values ($1, 'invitation', 'new@example.com', 'viewer', 'x', now())`, values: [tenant.id] };
    case 'api_keys':
      return { sql: `insert into app_public.api_keys (name, key_hash, tenant_id, user_id) values ('new', 'x', $1, $2)`, values: [tenant.id, user] };
    case 'executions':
      return { sql: `insert into app_public.executions (workflow_id, initial_state, tenant_id, user_id, status, completed_at)
        values ($3, '{}', $1, $2, 'completed', now())`, values: [tenant.id, user, tenant.workflowId] };
    case 'workflow_versions':
      return { sql: `insert into app_public.workflow_versions (workflow_id, tenant_id, version, spec) values ($2, $1, 77, '{}')`, values: [tenant.id, tenant.workflowId] };
    case 'node_executions':
      return { sql: `insert into app_public.node_executions (execution_id, node_id, execution_created_at, tenant_id, node_type, status)
        values ($2, 'new', now(), $1, 'input', 'pending')`, values: [tenant.id, tenant.executionId] };
    case 'flows':
      return { sql: `insert into app_public.flows (tenant_id, id, name, start_task, definition) values ($1, 'new', 'new', 'first', $2)`, values: [tenant.id, smallestFlow('new')] };
    case 'flow_versions':
      return { sql: `insert into app_public.flow_versions (flow_id, tenant_id, version, definition) values ($2, $1, 77, '{}')`, values: [tenant.id, tenant.flowId] };
    case 'flow_executions':
      return { sql: `insert into app_public.flow_executions (tenant_id, flow_id, definition) values ($1, $2, '{}')`, values: [tenant.id, tenant.flowId] };
    case 'task_executions':
      return { sql: `insert into app_public.task_executions (tenant_id, flow_execution_id, task_name, sequence_number) values ($1, $2, 'b', 2)`, values: [tenant.id, tenant.flowExecutionId] };
    default:
      throw new Error(`Say in insertFor how a row of ${table} is made, and in writableByPolicy who may.`);
  }
}
