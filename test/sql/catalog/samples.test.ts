/** The sample rows: the schema document's own statements stand as written, and load as often as one likes. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { migrationsFolder } from '../../../src/schema/migrate.ts';
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase({ samples: true });
const seedTenant = '123e4567-e89b-12d3-a456-426614174000';
const otherTenant = '223e4567-e89b-12d3-a456-426614174000';

async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
  return (await db.owner.query<Record<string, unknown>>(sql)).rows;
}

test('the rows of the document are there with its values', async () => {
  expect(await rowsOf(`select id, email, name, status from app_public.users where email like 'j%' order by email desc`)).toEqual([
    { id: '550e8400-e29b-41d4-a716-446655440000', email: 'john@example.com', name: 'John Doe', status: 'active' },
    { id: '550e8400-e29b-41d4-a716-446655440001', email: 'jane@example.com', name: 'Jane Smith', status: 'active' },
  ]);
  expect(await rowsOf(`select name, status, version, jsonb_array_length(spec -> 'nodes') as nodes from app_public.workflows where id = '660e8400-e29b-41d4-a716-446655440000'`))
    .toEqual([{ name: 'Customer Support Bot', status: 'published', version: 1, nodes: 3 }]);
  expect(await rowsOf(`select name, kind from app_public.sources where tenant_id = '${seedTenant}' order by name`)).toEqual([{ name: 'DALL-E 3', kind: 'image' }, { name: 'OpenAI GPT-4', kind: 'llm' }]);
  expect(await rowsOf(`select status, tokens_used, cost, execution_time, completed_at - started_at = '2.5 seconds' as took, final_state ->> 'text_result' as answer
    from app_public.executions where id = '880e8400-e29b-41d4-a716-446655440000'`))
    .toEqual([{ status: 'completed', tokens_used: 150, cost: '0.0075', execution_time: '2.500', took: true, answer: 'Our return policy allows...' }]);
  expect(await rowsOf(`select name, permissions, status, expires_at > now() + interval '364 days' as lasts from app_public.api_keys where id = '990e8400-e29b-41d4-a716-446655440000'`))
    .toEqual([{ name: 'Production API Key', permissions: { workflows: ['read', 'write', 'execute'], sources: ['read', 'write'] }, status: 'active', lasts: true }]);
});

test('hashes are real ones', async () => {
  const [hashes] = await rowsOf(`select bool_and(password_hash ~ '^\\$2[aby]\\$12\\$[./A-Za-z0-9]{53}$') as passwords, (select bool_and(key_hash ~ '^[0-9a-f]{64}$') from app_public.api_keys) as keys from app_public.users`);
  expect(hashes).toEqual({ passwords: true, keys: true });
});

test('the first tenant has a user of every role', async () => {
  const roles = await rowsOf(`select array_agg(role::text order by role) as roles from app_public.users where tenant_id = '${seedTenant}'`);
  expect(roles).toEqual([{ roles: ['admin', 'architect', 'developer', 'operator', 'viewer'] }]);
});

test.each(['users', 'workflows', 'sources', 'executions'])('the second tenant has %s of its own', async (table) => {
  const [counts] = await rowsOf(`select count(*) filter (where tenant_id = '${otherTenant}')::int as theirs from app_public.${table}`);
  expect(counts!.theirs).toBeGreaterThan(0);
});

test('executions are pinned to the version that ran', async () => {
  const rows = await rowsOf(`select v.version, v.spec = w.spec as is_same from app_public.executions e
    join app_public.workflow_versions v on v.id = e.workflow_version_id join app_public.workflows w on w.id = e.workflow_id`);
  expect(rows).toEqual([{ version: 1, is_same: true }, { version: 1, is_same: true }]);
});

test('the flow starts with a task that it has', async () => {
  const [flow] = await rowsOf(`select start_task, definition ->> 'start_task' as in_document, jsonb_path_query_array(definition, '$.tasks[*].name') as tasks from app_public.flows`);
  expect(flow).toEqual({ start_task: 'fetch_data', in_document: 'fetch_data', tasks: ['fetch_data', 'process_data', 'store_data'] });
});

test('loading them again changes nothing', async () => {
  const tables = ['tenants', 'users', 'workflows', 'workflow_versions', 'executions', 'sources', 'api_keys', 'flows', 'audit_logs'];
  const everything = async (): Promise<unknown> => Promise.all(tables.map((table) => rowsOf(`select * from app_public.${table} order by id`)));
  const before = await everything();
  const folder = path.join(migrationsFolder, 'seeds');
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.sql')).sort()) await db.owner.query(readFileSync(path.join(folder, name), 'utf8'));
  expect(await everything()).toEqual(before);
});
