/** The shapes of JSON columns, as the functions of the CHECKs judge them. */
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase();

async function judge(call: string, value: unknown): Promise<boolean> {
  const { rows: [row] } = await db.owner.query<{ verdict: boolean }>(`select ${call} as verdict`, [JSON.stringify(value)]);
  return row!.verdict;
}

test.each<[unknown, boolean]>([
  [{ workflows: ['read', 'write', 'execute'], sources: ['read', 'write'], executions: ['read'], flows: [] }, true], [{}, true],
  [{ workflows: ['reed'] }, false], [{ workflows: 'read' }, false], [{ workflows: [['read']] }, false], [{ workflows: [1] }, false], [{ workflows: [null] }, false],
  [{ workflows: { read: true } }, false], [{ users: ['read'] }, false], [[], false], ['read', false], [null, false],
])('permissions %j: %p', async (value, expected) => {
  expect(await judge('app_private.is_permissions($1)', value)).toBe(expected);
});

test.each<[unknown, boolean]>([
  [{ execution_time: 2.5, tokens_used: 150, cost: 0.0075, node_execution_times: { input: 0.001, llm: 2.498 } }, true], [{}, true], [{ more: 'things' }, true], [{ cost: null }, true],
  [{ execution_time: '2.5' }, false], [{ tokens_used: [1] }, false], [{ cost: 'free' }, false], [{ node_execution_times: [1] }, false], [{ node_execution_times: { input: 'fast' } }, false], [[], false],
])('metrics %j: %p', async (value, expected) => {
  expect(await judge('app_private.is_metrics($1)', value)).toBe(expected);
});

test.each<[unknown, boolean]>([
  [{ api_key: 'sk-1' }, true], [{ 'Api-Key': 'sk-1' }, true], [{ a: [{ b: { PASSWORD: 'x' } }] }, true], [{ connection_string: 'postgres://' }, true], [{ headers: { Authorization: 'Bearer x' } }, true],
  [{ 'x-api-key': 'x' }, true], [{ x_api_key: 'x' }, true], [{ bearer_token: 'x' }, true], [{ dsn: 'x' }, true], [[{ cookie: 'x' }], true],
  [{ api_key_env: 'OPENAI_API_KEY' }, false], [{ connection_string_env: 'DB' }, false], [{ max_tokens: 2000 }, false], [{ token: 5 }, false], [{ token: '' }, false], [{ tokens: 'x' }, false], [{ value: 'password' }, false], ['password', false],
])('inline secret in %j: %p', async (value, expected) => {
  expect(await judge('app_private.has_inline_secret($1)', value)).toBe(expected);
});

test.each<[unknown, number, boolean]>([[{}, 2, true], [{ a: 'é' }, 11, true], [{ a: 'é' }, 10, false], [[], 100, false], ['{}', 100, false]])('object %j within %d bytes: %p', async (value, bytes, expected) => {
  expect(await judge(`app_private.is_json_object($1, ${bytes})`, value)).toBe(expected);
});

test.each([
  ['sources', 'chk_sources_config_secrets', `insert into app_public.sources (name, kind, config, user_id, tenant_id) values ('s', 'llm', '{"api_key": "sk-1"}', gen_random_uuid(), gen_random_uuid())`],
  ['sources', 'chk_sources_config', `insert into app_public.sources (name, kind, config, user_id, tenant_id) values ('s', 'llm', '[]', gen_random_uuid(), gen_random_uuid())`],
  ['workflows', 'chk_workflows_spec', `insert into app_public.workflows (name, spec, user_id, tenant_id) values ('w', '"x"', gen_random_uuid(), gen_random_uuid())`],
  ['api_keys', 'chk_api_keys_permissions', `insert into app_public.api_keys (name, key_hash, permissions, user_id, tenant_id) values ('k', 'x', '{"everything": ["read"]}', gen_random_uuid(), gen_random_uuid())`],
])('%s refuses the wrong shape by %s', async (table, constraint, sql) => {
  await expect(db.owner.query(sql)).rejects.toMatchObject({ code: '23514', table, constraint });
});
