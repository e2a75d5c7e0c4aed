/** What an admin finds in the audit log through the API: who, from where, by which key; sign-ins and refusals too. */
import { randomUUID } from 'node:crypto';
import { createApiKey, hashApiKey } from '../../src/keys.ts';
import { codesOf, useApi, type Data } from '../support/api.ts';

const api = useApi();
const ask = `query ($filter: AuditLogFilter) { auditLogs(filter: $filter, first: 100) { nodes { action entityType entityId user { email } apiKeyId ipAddress userAgent requestId newValue } } }`;
const found = async (filter: object): Promise<Data[]> => (await api.data('john', ask, { filter })).auditLogs.nodes as Data[];

/** What the server notes behind the answer comes a moment later. */
async function until(filter: object): Promise<Data[]> {
  for (;;) {
    const rows = await found(filter);
    if (rows.length > 0) return rows;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const refused = 'mutation { createSource(input: { source: { name: "x", kind: LLM, config: {} } }) { source { id } } }';

test('who is refused an operation is noted once, with the operation', async () => {
  for (let turn = 0; turn < 3; turn += 1) expect(codesOf(await api.query('jane', refused))).toEqual(['PERMISSION_DENIED']);
  // Under however many names of one's own.
  for (let turn = 0; turn < 3; turn += 1) expect(codesOf(await api.query('jane', refused.replace('createSource', `mine${turn}: createSource`)))).toEqual(['PERMISSION_DENIED']);
  expect(codesOf(await api.query('jane', 'mutation { createFlow(input: { flow: { id: "f", name: "f", startTask: "a", definition: {} } }) { flow { id } } }'))).toEqual(['PERMISSION_DENIED']);
  await until({ action: { equalTo: 'refuse' }, entityKey: { equalTo: 'createFlow' } });
  expect(await found({ action: { equalTo: 'refuse' }, entityKey: { equalTo: 'createSource' } })).toEqual([expect.objectContaining({
    entityType: 'operation', user: { email: 'jane@example.com' }, ipAddress: '127.0.0.1', newValue: { code: 'PERMISSION_DENIED', operation: 'createSource' },
  })]);
  expect((await found({ action: { equalTo: 'refuse' } })).map(({ newValue }) => newValue.operation).toSorted()).toEqual(['createFlow', 'createSource']);
});

test('a wrong password and a sign-in are there', async () => {
  const { email, password } = api.db.samples.users[0]!;
  const signIn = (given: string) => api.query('visitor', 'mutation ($email: String!, $password: String!) { authenticate(input: {email: $email, password: $password}) { jwt } }', { email, password: given });
  await signIn('wrong');
  await signIn(password);
  expect((await found({ action: { in: ['sign_in', 'sign_in_refused'] }, ipAddress: { equalTo: '127.0.0.1' } })).map(({ action, user }) => [action, user.email]))
    .toEqual(expect.arrayContaining([['sign_in', email], ['sign_in_refused', email]]));
});

test('what is done by a key names the key, and a revoked key that is used is noted once', async () => {
  const { key, prefix } = createApiKey('live');
  const { rows: [made] } = await api.db.owner.query<{ id: string }>(
    `insert into api_keys (user_id, tenant_id, name, key_hash, key_prefix, permissions) select id, tenant_id, 'robot', $1, $2, '{"workflows": ["read", "write"]}' from users where email = 'developer@example.com' returning id`,
    [hashApiKey(key, api.db.secretKey), prefix]);
  const create = JSON.stringify({ query: 'mutation { createWorkflow(input: { workflow: { name: "by key", spec: { nodes: [{ id: "i", type: "input" }], start_node: "i" } } }) { workflow { id } } }' });
  expect(codesOf(await api.post(create, { 'x-api-key': key, 'x-request-id': 'by-key-1', 'user-agent': 'robot/1' }))).toEqual([]);
  expect(await found({ apiKeyId: { equalTo: made!.id } })).toEqual([expect.objectContaining({
    action: 'create', entityType: 'workflow', user: { email: 'developer@example.com' }, userAgent: 'robot/1', requestId: 'by-key-1',
  })]);
  expect(await found({ requestId: { equalTo: 'by-key-1' } })).toHaveLength(1);
  expect(await found({ userAgent: { startsWith: 'robot/' } })).toHaveLength(1);
  await api.db.owner.query(`update api_keys set status = 'revoked' where id = $1`, [made!.id]);
  for (let turn = 0; turn < 3; turn += 1) expect((await api.post(create, { 'x-api-key': key })).status).toBe(401);
  expect(await found({ entityType: { equalTo: 'api_key' }, entityId: { equalTo: made!.id }, action: { equalTo: 'sign_in_refused' } })).toEqual([expect.objectContaining({ newValue: { status: 'revoked' } })]);
});

test('only admins read it, and no key', async () => {
  for (const caller of ['jane', 'architect', 'key', 'visitor']) {
    const { data, errors } = await api.query(caller, '{ auditLogs { totalCount } }');
    expect([caller, data?.auditLogs?.totalCount ?? errors?.[0]?.extensions.code]).toEqual([caller, caller === 'visitor' ? 'UNAUTHENTICATED' : 0]);
  }
});

test('nothing is written for somebody who has been erased since the request began', async () => {
  const { tenantId } = api.db.samples.users[0]!;
  const write = api.db.asRole('agentflow_user', { tenant_id: tenantId, user_id: randomUUID(), role: 'admin' }, (client) => client.query(`update sources set name = name || '!'`));
  await expect(write).rejects.toMatchObject({ constraint: 'fk_audit_logs_user_id' });
});
