/** Secrets and artifacts over the API, and a whole run that uses both. */
import pino from 'pino';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { SecretBox } from '../../src/secrets.ts';
import { startServer } from '../../src/server/index.ts';
import { createSources, trySource } from '../../src/sources/index.ts';
import { resealSecrets, type Resealed } from '../../src/store/sealed-secrets.ts';
import { useApi } from '../support/api.ts';
import { useLocalServer } from '../support/sources.ts';
import { plainSettings, startTestWorker, untilOver } from '../support/worker.ts';

const service = useLocalServer();
// The address of the local server is known when it is asked, not before.
const api = useApi({
  async test(source) {
    const sources = createSources({ ...plainSettings, allowHosts: [service.host()] });
    const trial = await trySource(sources, source);
    await sources.close();
    return trial;
  },
});
const value = 'the-secret-value-of-acme-7f3a';
const create = 'mutation ($input: CreateSecretInput!) { createSecret(input: $input) { secret { name hosts createdAt updatedAt } } }';

async function planted(): Promise<string> {
  const { rows } = await api.db.owner.query<{ all: string }>(`
    select concat((select string_agg(to_jsonb(s)::text, '') from app_private.secrets s), (select string_agg(to_jsonb(a)::text, '') from audit_logs a),
      (select string_agg(to_jsonb(n)::text, '') from node_executions n), (select string_agg(to_jsonb(e)::text, '') from executions e)) as all`);
  return `${rows[0]!.all}${JSON.stringify(api.logged())}`;
}

test('a secret is stored, listed without its value, replaced and deleted', async () => {
  const first = await api.data('john', create, { input: { name: 'crm', value, hosts: ['127.0.0.1'] } });
  expect(first.createSecret.secret).toMatchObject({ name: 'crm', hosts: ['127.0.0.1'], createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string });
  await api.data('john', create, { input: { name: 'crm', value: `${value}-2` } });
  expect((await api.data('john', '{ secrets { nodes { name hosts } } }')).secrets.nodes).toEqual([{ name: 'crm', hosts: null }]);
  const { rows } = await api.db.owner.query<{ sealed: string; tenant_id: string }>('select sealed, tenant_id from app_private.secrets');
  const owner = { tenantId: rows[0]!.tenant_id, name: 'crm' };
  expect(new SecretBox([api.db.secretKey]).open(rows[0]!.sealed, owner)).toBe(`${value}-2`);
  expect(new SecretBox([api.db.secretKey]).open(rows[0]!.sealed, { ...owner, name: 'other' })).toBeNull();
  expect(await planted()).not.toContain(value);
  expect((await api.data('john', 'mutation { deleteSecret(input: {name: "crm"}) { secret { name } } }')).deleteSecret.secret).toEqual({ name: 'crm' });
  expect((await api.data('john', '{ secrets { nodes { name } } }')).secrets.nodes).toEqual([]);
  const { rows: audit } = await api.db.owner.query<{ action: string }>("select action from audit_logs where entity_type = 'secret' order by created_at, id");
  expect(audit.map(({ action }) => action)).toEqual(['create', 'update', 'delete']);
});

test.each([['viewer', 'PERMISSION_DENIED'], ['developer', 'PERMISSION_DENIED'], ['visitor', 'UNAUTHENTICATED']])('%s may not store one', async (caller, code) => {
  const { errors } = await api.query(caller, create, { input: { name: 'mine', value } });
  expect(errors?.[0]?.extensions['code']).toBe(code);
});

test.each([[{ name: 'no spaces', value: 'x' }, 'name'], [{ name: 'ok', value: '' }, 'value'], [{ name: 'ok', value: 'x', hosts: ['https://x'] }, 'hosts']])('%j is refused with its place', async (input, field) => {
  const { errors } = await api.query('john', create, { input });
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'INVALID_VALUE', field });
});

test('read_only: false is for admins to say', async () => {
  const text = 'mutation ($name: String!) { createSource(input: {source: {name: $name, kind: DB, config: {connection_string_env: "SHOP", read_only: false}}}) { source { id } } }';
  const { errors } = await api.query('architect', text, { name: 'by-architect' });
  expect(errors?.[0]?.extensions['code']).toBe('PERMISSION_DENIED');
  expect((await api.data('john', text, { name: 'by-admin' })).createSource.source.id).toEqual(expect.any(String));
});

test('a source is tried out, and what is wrong is told', async () => {
  await api.data('john', create, { input: { name: 'tried', value } });
  const add = 'mutation ($name: String!, $kind: SourceKind!, $config: JSON!) { createSource(input: {source: {name: $name, kind: $kind, config: $config}}) { source { id } } }';
  const attempt = async (name: string, kind: string, config: object, caller = 'john'): Promise<{ ok: boolean; latencyMs: number; error: string | null; code: string | null; remedy: string | null }> => {
    const { createSource: { source } } = await api.data('john', add, { name, kind, config });
    const { data, errors } = await api.query(caller, 'mutation ($id: UUID!) { testSource(input: {id: $id}) { ok latencyMs error code remedy } }', { id: source.id });
    return errors ? { ok: false, latencyMs: 0, error: null, code: errors[0]!.extensions['code'] as string, remedy: null } : data.testSource;
  };
  service.answer((request, response) => response.writeHead(request.headers['authorization'] === `Bearer ${value}` ? 200 : 401).end());
  expect(await attempt('t1', 'API', { base_url: service.url(), token: { secret: 'tried' } })).toMatchObject({ ok: true, error: null, latencyMs: expect.any(Number) });
  expect(await attempt('t2', 'API', { base_url: service.url() })).toMatchObject({ ok: false, code: 'SOURCE_UNAUTHORIZED' });
  expect(await attempt('t3', 'API', { base_url: service.url(), token: { secret: 'nowhere' } })).toMatchObject({ ok: false, code: 'SOURCE_KEY_MISSING', error: expect.stringContaining("Source 't3' names the secret 'nowhere'") as string, remedy: expect.stringContaining('createSecret') as string });
  expect(await attempt('t4', 'LLM', { model: 'm' })).toMatchObject({ ok: false, code: 'SOURCE_KEY_MISSING', error: expect.stringContaining('OPENAI_API_KEY') as string });
  expect(await attempt('t5', 'DB', { connection_string_env: 'PATH' })).toMatchObject({ ok: false, code: 'SOURCE_NOT_ALLOWED' });
  expect(await attempt('t6', 'API', { base_url: 'http://169.254.169.254/' })).toMatchObject({ ok: false, code: 'SOURCE_NOT_ALLOWED' });
  expect(await attempt('t7', 'API', { base_url: service.url() }, 'developer')).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await attempt('t8', 'API', { base_url: service.url() }, 'admin@globex.example')).toMatchObject({ code: 'NOT_FOUND' });
});

test('a run uses a saved source with a stored secret, and keeps a picture that its tenant alone can fetch', async () => {
  await api.data('john', create, { input: { name: 'service', value } });
  service.answer((request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ got: request.headers['authorization'] })));
  await api.data('john', 'mutation ($config: JSON!) { createSource(input: {source: {name: "echo", kind: API, config: $config}}) { source { id } } }',
    { config: { base_url: service.url(), token: { secret: 'service' } } });
  const spec = {
    nodes: [{ id: 'call', type: 'api', metadata: { source: 'echo', path: '/x' } }, { id: 'paint', type: 'image', metadata: { model: 'dall-e-3', prompt: 'a cat' } }],
    edges: [{ from: 'call', to: 'paint' }], start_node: 'call',
  };
  const { createWorkflow: { workflow } } = await api.data('john', 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "both", spec: $spec}}) { workflow { id } } }', { spec });
  const worker = await startTestWorker(api.db, { mockLlm: true, allowHosts: [service.host()], secretKey: api.db.secretKey });
  try {
    const { executeWorkflow: { execution } } = await api.data('john', 'mutation ($id: UUID!) { executeWorkflow(input: {workflowId: $id, initialState: {}}) { execution { id } } }', { id: workflow.id });
    const row = await untilOver(api.db, execution.id);
    expect(row).toMatchObject({ status: 'completed', final_state: { api_result: { body: { got: 'Bearer [redacted]' } }, image_result: { type: 'image', mock: true } } });
    expect(service.requests.at(-1)!.headers['authorization']).toBe(`Bearer ${value}`);
    expect(await planted()).not.toContain(value);
    const { artifact_id: id } = row.final_state!['image_result'] as { artifact_id: string };
    const get = async (caller: string): Promise<Response> => fetch(`${api.url}/artifacts/${id}`, { headers: await api.headersOf(caller) });
    const picture = await get('john');
    expect({ status: picture.status, type: picture.headers.get('content-type'), sniff: picture.headers.get('x-content-type-options') }).toEqual({ status: 200, type: 'image/png', sniff: 'nosniff' });
    expect(Buffer.from(await picture.arrayBuffer()).subarray(1, 4).toString()).toBe('PNG');
    expect((await get('visitor')).status).toBe(401);
    const { rows: [other] } = await api.db.owner.query<{ email: string }>('select email from users where tenant_id <> (select tenant_id from executions where id = $1) limit 1', [execution.id]);
    expect((await get(other!.email)).status).toBe(404);
    expect((await fetch(`${api.url}/artifacts/not-an-id`, { headers: await api.headersOf('john') })).status).toBe(404);
  } finally {
    await worker.close(2_000);
  }
});

test('usage is summed by day, workflow and node type, for the own tenant alone', async () => {
  const { rows: [run] } = await api.db.owner.query<{ execution_id: string; execution_created_at: Date; workflow_id: string }>(`
    select n.execution_id, n.execution_created_at, e.workflow_id from node_executions n join executions e on e.id = n.execution_id where n.node_type = 'image' order by n.execution_created_at desc limit 1`);
  await api.db.owner.query("update node_executions set tokens_used = 30, cost = 0.0000000025 where execution_id = $1 and node_type = 'image'", [run!.execution_id]);
  const text = 'query ($from: Datetime!, $to: Datetime!, $by: UsageBy) { usage(from: $from, to: $to, by: $by) { nodes { day workflowId nodeType executions tokens cost } } }';
  const at = (days: number): string => new Date(run!.execution_created_at.getTime() + days * 86_400_000).toISOString();
  const usage = async (by: string, caller = 'john'): Promise<object[]> => (await api.data(caller, text, { from: at(-1), to: at(1), by })).usage.nodes;
  const numbers = { tokens: '30', cost: '0.0000000025' };
  expect(await usage('DAY')).toEqual([{ day: run!.execution_created_at.toISOString().slice(0, 10), workflowId: null, nodeType: null, executions: '1', ...numbers }]);
  expect(await usage('WORKFLOW')).toEqual([{ day: null, workflowId: run!.workflow_id, nodeType: null, executions: '1', ...numbers }]);
  expect(await usage('NODE_TYPE')).toEqual([expect.objectContaining({ nodeType: 'image', ...numbers }), expect.objectContaining({ nodeType: 'api', tokens: '0' })]);
  expect(await usage('DAY', 'admin@globex.example')).toEqual([]);
  expect((await api.query('john', text, { from: at(1), to: at(-1) })).errors?.[0]?.extensions).toMatchObject({ code: 'INVALID_VALUE', field: 'to' });
});

test('all are sealed anew under another key, and those that no key opens are named', async () => {
  await api.data('john', create, { input: { name: 'turning', value } });
  const fresh = 'f'.repeat(40);
  const reseal = async (keys: string[]): Promise<Resealed> => {
    const client = await api.db.owner.connect();
    try {
      return await resealSecrets(client, new SecretBox(keys));
    } finally {
      client.release();
    }
  };
  const { rows: [count] } = await api.db.owner.query<{ count: number }>('select count(*)::int as count from app_private.secrets');
  expect(await reseal([fresh])).toMatchObject({ sealed: 0, kept: 0, lost: expect.arrayContaining([{ tenant: expect.any(String) as string, name: 'turning' }]) as [] });
  expect(await reseal([fresh, api.db.secretKey])).toEqual({ sealed: count!.count, kept: 0, lost: [] });
  expect(await reseal([fresh])).toEqual({ sealed: 0, kept: count!.count, lost: [] });
  expect(await reseal([api.db.secretKey, fresh])).toEqual({ sealed: count!.count, kept: 0, lost: [] });
});

test('a new key takes the place of the old one without a pause', () => {
  const owner = { tenantId: '123e4567-e89b-12d3-a456-426614174000', name: 'n' };
  const [old, fresh] = ['o'.repeat(40), 'f'.repeat(40)];
  const before = new SecretBox([old]).seal(value, owner);
  const both = new SecretBox([fresh, old]);
  expect(both.open(before, owner)).toBe(value);
  expect(both.seal(value, owner).startsWith(both.prefix)).toBe(true);
  expect(new SecretBox([fresh]).open(both.seal(value, owner), owner)).toBe(value);
  expect(new SecretBox([fresh]).open(before, owner)).toBeNull();
  expect(both.open(`${before.slice(0, -2)}AA`, owner)).toBeNull();
});

test('API keys outlive a new secret key, and move to it when they are used', async () => {
  const { createApiKey } = await api.data('john', 'mutation { createApiKey(input: {name: "outlives", permissions: {workflows: ["read"]}}) { key apiKey { id } } }');
  const serve = (secretKey: string, oldSecretKeys: string[]): ReturnType<typeof startServer> => startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: api.db.jwtSecret, secretKey, oldSecretKeys, environment: 'test' },
    authenticatorUrl: api.db.url('agentflow_authenticator'), log: pino({ level: 'silent' }), workflowTools: loadWorkflowTools,
  });
  const fresh = 'n'.repeat(40);
  const statusAt = async (url: string): Promise<number> => (await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-api-key': createApiKey.key }, body: '{"query":"{ currentUser { email } }"}' })).status;
  const statusWith = async (secretKey: string, oldSecretKeys: string[]): Promise<number> => {
    const server = await serve(secretKey, oldSecretKeys);
    try {
      return await statusAt(server.url);
    } finally {
      await server.close(1_000);
    }
  };
  expect(await statusWith(fresh, [])).toBe(401);
  expect(await statusWith(fresh, ['x'.repeat(40), api.db.secretKey])).toBe(200);
  expect(await statusWith(fresh, [])).toBe(200);
  expect(await statusAt(api.url)).toBe(401);
  await expect(api.db.owner.query("update api_keys set key_hash = repeat('0', 64) where id = $1", [createApiKey.apiKey.id])).rejects.toThrow('never changes');
});
