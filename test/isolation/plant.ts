/** Two tenants with rows in every state in every table. A table that nobody planted gets a row made of what its catalog entry says. */
import type pg from 'pg';
import { plantExecution, plantTenant, plantUser, smallestFlow, smallestSpec, type PlantedTenant } from '../sql/support/plant.ts';
import type { Column, Subject } from './subjects.ts';

export interface Garden {
  own: PlantedTenant;
  other: PlantedTenant;
  /** Tables in which no row could be planted, with the reason. */
  barren: string[];
}

/** `client` acts as agentflow_owner in a transaction. */
export async function plantGarden(client: pg.ClientBase, subjects: Subject[]): Promise<Garden> {
  const [own, other] = [await plantTenant(client), await plantTenant(client)];
  for (const tenant of [own, other]) await plantStates(client, tenant);
  const barren: string[] = [];
  for (const subject of subjects) {
    for (const tenant of [own, other]) {
      const { rowCount } = await client.query(`select from ${subject.name} where ${subject.tenantColumn} = $1 limit 1`, [tenant.id]);
      if (rowCount === 0) barren.push(...await plantRow(client, subject, tenant.id));
    }
  }
  return { own, other, barren: [...new Set(barren)] };
}

async function plantStates(client: pg.ClientBase, tenant: PlantedTenant): Promise<void> {
  const owner = tenant.users.architect;
  const insert = (sql: string, values: unknown[] = []) => client.query(sql, values);
  await insert(`insert into app_public.tenants (slug, name, status) values ($1 || '-suspended', 's', 'suspended'), ($1 || '-deleted', 'd', 'deleted')`, [tenant.slug]);
  for (const status of ['published', 'archived', 'deleted']) {
    await insert(`insert into app_public.workflows (name, spec, user_id, tenant_id, status) values ($1, $2, $3, $4, $1)`, [status, smallestSpec, owner, tenant.id]);
  }
  const usingSource = { ...smallestSpec, nodes: [{ id: 'input', type: 'llm', metadata: { source: `source of ${tenant.slug}` } }] };
  await insert(`insert into app_public.workflows (name, spec, user_id, tenant_id, status) values ('uses a source', $1, $2, $3, 'published')`, [usingSource, owner, tenant.id]);
  for (const status of ['pending', 'running', 'failed', 'cancelled'] as const) await plantExecution(client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: owner, status });
  const deleted = await plantExecution(client, { tenantId: tenant.id, workflowId: tenant.workflowId, userId: owner });
  await insert('update app_public.executions set deleted_at = now() where id = $1', [deleted]);
  await insert(`update app_public.users set status = 'deleted' where id = $1`, [await plantUser(client, tenant.id, 'viewer')]);
  await insert(`insert into app_public.sources (name, kind, config, user_id, tenant_id, status) values ('idle', 'api', '{}', $1, $2, 'inactive'), ('gone', 'api', '{}', $1, $2, 'deleted')`, [owner, tenant.id]);
  await insert(`insert into app_public.api_keys (name, key_hash, user_id, tenant_id, status) values ('revoked', $1 || 'r', $2, $3, 'revoked'), ('expired', $1 || 'e', $2, $3, 'expired')`,
    [`hash of ${tenant.slug}`, owner, tenant.id]);
  await insert(`insert into app_public.flows (tenant_id, id, name, start_task, definition, is_active) values ($1, 'idle', 'idle', 'first', $2, 0)`, [tenant.id, smallestFlow('idle')]);
  await insert(`update app_public.flows set deleted_at = now() where tenant_id = $1 and id = 'idle'`, [tenant.id]);
  await insert(`insert into app_public.flow_executions (tenant_id, flow_id, user_id, definition, status, completed_at) values ($1, $2, $3, '{}', 'RUNNING', null), ($1, $2, $3, '{}', 'COMPLETED', now())`,
    [tenant.id, tenant.flowId, owner]);
  await insert(`insert into app_public.task_executions (tenant_id, flow_execution_id, task_name, sequence_number, status, completed_at) values ($1, $2, 'second', 2, 'SUCCESS', now())`,
    [tenant.id, tenant.flowExecutionId]);
  await insert(`insert into app_public.access_links (tenant_id, kind, email, role, token_hash, status, expires_at) values ($1, 'invitation', $2 || '@example.com', 'viewer', md5($2), 'withdrawn', now() + interval '1 day')`, [tenant.id, tenant.slug]);
  await insert(`insert into app_private.execution_leases (execution_id, tenant_id) select id, tenant_id from app_public.executions where tenant_id = $1 and status in ('pending', 'running')`, [tenant.id]);
  await insert(`insert into app_private.execution_leases (execution_id, tenant_id) select app_private.flow_run_id(id), tenant_id from app_public.flow_executions where tenant_id = $1 and status in ('PENDING', 'RUNNING')`, [tenant.id]);
  await insert(`insert into app_private.sessions (user_id, tenant_id, expires_at) values ($1, $2, now() + interval '1 hour')`, [tenant.users.viewer, tenant.id]);
}

/** Problems, if there is no way. Parents are planted first because their names are asked for in the order of references. */
async function plantRow(client: pg.ClientBase, subject: Subject, tenantId: string): Promise<string[]> {
  const columns = subject.columns.filter(({ name, required, filled }) => name === subject.tenantColumn || (required && !filled));
  await client.query('savepoint planting');
  try {
    const values = [];
    for (const column of columns) values.push(column.name === subject.tenantColumn ? tenantId : await valueFor(client, subject, column, tenantId));
    await client.query(`insert into ${subject.name} (${columns.map(({ name }) => name).join(', ')}) values (${values.map((_, index) => `$${index + 1}`).join(', ')})`, values);
    return [];
  } catch (error) {
    await client.query('rollback to savepoint planting');
    return [`${subject.name}: no row could be made up (${(error as Error).message}): plant one in plantStates`];
  }
}

async function valueFor(client: pg.ClientBase, { name: table }: Subject, column: Column, tenantId: string): Promise<unknown> {
  if (column.reference !== null) {
    const { table: parent, column: key } = column.reference;
    const { rows: [row] } = await client.query<{ value: unknown }>(`select ${key} as value from ${parent} where ${parent.endsWith('.tenants') || parent === 'tenants' ? 'id' : 'tenant_id'} = $1 limit 1`, [tenantId]);
    if (row === undefined) throw new Error(`${parent} has no row for ${table}.${column.name}`);
    return row.value;
  }
  return column.values?.[0] ?? madeUp(column.type);
}

/** A value of a type; each call another one, where the type has many. */
export function madeUp(type: string): unknown {
  made += 1;
  if (type === 'uuid') return `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`;
  if (type === 'jsonb' || type === 'json') return JSON.stringify({ made });
  if (type === 'boolean') return made % 2 === 0;
  if (/^(smallint|integer|bigint|numeric|real|double)/.test(type)) return made;
  if (/^(timestamp|date)/.test(type)) return new Date(Date.UTC(2040, 0, 1 + made)).toISOString();
  if (type === 'inet') return '192.0.2.1';
  if (type === 'interval') return `${made} seconds`;
  return type.endsWith('[]') ? '{}' : `made-${made}`;
}

/** Another value that keeps the rules which the given one keeps: of form, if not of length. */
export function freshLike(value: unknown, type: string): unknown {
  if (typeof value !== 'string' || !/^(text|character)/.test(type)) return madeUp(type);
  made += 1;
  return `m${made}-${value}`.slice(0, 60);
}

let made = 0;
