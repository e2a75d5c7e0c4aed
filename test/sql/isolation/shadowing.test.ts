/** Temporary objects under the names of ours change nothing: functions with power name what they mean. */
import { plantTenant, type PlantedTenant } from '../support/plant.ts';
import { become, leave } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
beforeAll(async () => {
  const { client } = context;
  tenant = await plantTenant(client);
  await client.query(`update app_public.workflows set status = 'published' where id = $1`, [tenant.workflowId]);
  // Whoever can make temporary tables makes one for each name, empty and open; and types that would give other values.
  await client.query(`grant temporary on database ${context.db.name} to agentflow_user`);
  const { rows } = await client.query<{ name: string }>(`
    select distinct relname as name from pg_class where relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and relkind in ('r', 'p') and not relispartition
    union select unnest(array['pg_class', 'pg_proc', 'pg_type', 'pg_trigger', 'pg_inherits'])`);
  await client.query('set local role agentflow_user');
  for (const { name } of rows) await client.query(`create temp table ${name} (id int)`);
  for (const type of ['uuid', 'jsonb', 'inet']) await client.query(`create domain pg_temp.${type} as pg_catalog.text check (value = 'hijacked')`);
  await client.query('reset role');
});

test('a change through the API writes the true tables and the true log', async () => {
  const { client } = context;
  await become(client, 'agentflow_user', { tenant_id: tenant.id, user_id: tenant.users.architect, role: 'architect' });
  await client.query(`update app_public.sources set name = 'shadowed'`);
  const { rows: [execution] } = await client.query<{ status: string }>(`select status from app_public.execute_workflow($1, '{}')`, [tenant.workflowId]);
  expect(execution).toEqual({ status: 'pending' });
  await client.query('select app_public.archive_workflow($1)', [tenant.workflowId]);
  await leave(client);
  const { rows } = await client.query(`
    select action, entity_type from app_public.audit_logs where tenant_id = $1 and user_id = $2 order by action, entity_type`, [tenant.id, tenant.users.architect]);
  expect(rows).toEqual([{ action: 'archive', entity_type: 'workflow' }, { action: 'execute', entity_type: 'execution' }, { action: 'update', entity_type: 'source' }]);
});

test('policies see the true settings', async () => {
  await become(context.client, 'agentflow_user', { tenant_id: tenant.id, user_id: tenant.users.viewer, role: 'viewer' });
  const { rows } = await context.client.query<{ own: boolean }>('select tenant_id = $1::pg_catalog.uuid as own from app_public.workflows', [tenant.id]);
  expect(rows).toEqual([{ own: true }]);
});
