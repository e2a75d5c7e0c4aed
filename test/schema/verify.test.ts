import { auditChain } from '../../src/schema/audit-chain.ts';
import { withClient } from '../../src/schema/connection.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { verifyDatabase } from '../../src/schema/verify.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';

const db = useTestDatabase({ samples: true });
const problems = async () => (await withClient(db.url('agentflow_owner'), (client) => verifyDatabase(client, migrationsFolder))).filter((check) => check.problems.length > 0);
const sampleWorkflow = '660e8400-e29b-41d4-a716-446655440000';

beforeAll(async () => {
  await withClient(db.url('agentflow_owner'), (client) => auditChain(client, 1));
});

test('the sample rows hold together', async () => {
  expect(await problems()).toEqual([]);
});

/** Breaks something past all triggers and constraints, as a careless restore could, and mends it afterwards. */
async function broken(breach: string, mend: string): Promise<unknown> {
  const run = (sql: string) => withClient(clusterUrl(testCluster(), 'postgres', db.name), (client) => client.query(`set session_replication_role = replica; ${sql}`));
  await run(breach);
  try {
    return await problems();
  } finally {
    await run(mend);
  }
}

test.each([
  ['references', `update app_public.workflow_versions set workflow_id = gen_random_uuid() where workflow_id = '${sampleWorkflow}'`,
    `update app_public.workflow_versions v set workflow_id = '${sampleWorkflow}' where not exists (select from app_public.workflows w where w.id = v.workflow_id)`,
    expect.stringMatching(/^1 rows of app_public.workflow_versions refer to a row of app_public.workflows that is not there \(fk_workflow_versions_workflow_id\)$/)],
  ['workflow without its version', `update app_public.workflows set version = 7 where id = '${sampleWorkflow}'`, `update app_public.workflows set version = 1 where id = '${sampleWorkflow}'`,
    `workflow ${sampleWorkflow}: version 7 is missing, or says something else`],
  ['published and invalid', `update app_public.workflows set spec = '{}' where id = '${sampleWorkflow}'`,
    `update app_public.workflows w set spec = v.spec from app_public.workflow_versions v where v.workflow_id = w.id and w.id = '${sampleWorkflow}'`, expect.stringMatching(/^workflow .*: it is published, and /)],
  ['key of inactive user', `update app_public.users set status = 'inactive' where email = 'john@example.com'`, `update app_public.users set status = 'active' where email = 'john@example.com'`,
    expect.stringMatching(/^API key .*: it is active, and its user is inactive$/)],
  ['checks', `alter table app_public.users drop constraint chk_users_role; update app_public.users set role = 'root' where email = 'jane@example.com'; alter table app_public.users add constraint chk_users_role check (role in ('admin', 'architect', 'developer', 'operator', 'viewer')) not valid`,
    `update app_public.users set role = 'viewer' where email = 'jane@example.com'; alter table app_public.users validate constraint chk_users_role`, '1 rows of app_public.users break chk_users_role'],
  ['ended execution with lease', `insert into app_private.execution_leases (execution_id, tenant_id) select id, tenant_id from app_public.executions where status = 'completed' limit 1`, 'delete from app_private.execution_leases',
    expect.stringMatching(/^execution .*: it is completed, and a lease says that it is driven$/)],
  ['execution without job or wait', `update app_public.executions set status = 'running', completed_at = null, initial_state = initial_state || '{"lost": 1}' where id = (select min(id::text)::uuid from app_public.executions where status = 'completed')`,
    `update app_public.executions set status = 'completed', completed_at = now(), initial_state = initial_state - 'lost' where initial_state ? 'lost'`, expect.stringMatching(/^execution .*: it is not over, and nobody drives it, waits for it or will wake it$/)],
  ['node after the end', `insert into app_public.node_executions (execution_id, tenant_id, execution_created_at, node_id, node_type, status) select id, tenant_id, created_at, 'stray', 'input', 'running' from app_public.executions where status = 'completed' order by id limit 1`,
    `delete from app_public.node_executions where node_id = 'stray'`, expect.stringMatching(/^execution .*: it is completed, and its node stray is running$/)],
  ['wait for ended child', `update app_public.executions set parent_execution_id = id, parent_node_id = 'stray' where id = (select min(id::text)::uuid from app_public.executions where status = 'completed');
    insert into app_public.node_executions (execution_id, tenant_id, execution_created_at, node_id, node_type, status) select id, tenant_id, created_at, 'stray', 'workflow', 'waiting' from app_public.executions where parent_node_id = 'stray'`,
    `delete from app_public.node_executions where node_id = 'stray'; update app_public.executions set parent_execution_id = null, parent_node_id = null where parent_node_id = 'stray'`,
    expect.stringMatching(/^execution .*: its node stray waits for execution .*, which is completed$/)],
  ['job without execution', `select graphile_worker.add_job('run_execution', '{}', run_at => now() - interval '1 hour', job_key => 'nobody')`, `select graphile_worker.remove_job('nobody')`,
    'job nobody: it has waited for a minute, and there is no execution for it to run'],
  ['settings of the database', 'alter database :db reset search_path', 'alter database :db set search_path = app_public, public', 'search_path is not app_public, public: run agentflow db prepare'],
  ['audit chain', `update app_public.audit_logs set user_agent = user_agent || '!' where action = 'create' and entity_type = 'tenant'`,
    `update app_public.audit_logs set user_agent = left(user_agent, -1) where action = 'create' and entity_type = 'tenant'`, expect.stringMatching(/^audit row .* of tenant .*: the row was changed \(seal 1\)$/)],
  ['lints', 'alter table app_public.users no force row level security', 'alter table app_public.users force row level security', 'app_public.users: row-level security is not forced'],
])('%s: what is broken is named', async (name, breach, mend, problem) => {
  const [sql, back] = [breach, mend].map((text) => text.replace(':db', db.name)) as [string, string];
  expect(await broken(sql, back)).toContainEqual(expect.objectContaining({ name, problems: expect.arrayContaining([problem]) as unknown }));
  expect(await problems()).toEqual([]);
});
