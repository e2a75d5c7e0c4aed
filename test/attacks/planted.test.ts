/** Fifty secrets in all the places where AgentFlow takes secrets, and services that repeat them: none is found afterwards in the database, the logs, the API, the metrics or the doctor's words. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { createSources, trySource } from '../../src/sources/index.ts';
import { TenantSecrets } from '../../src/runtime/tenant-secrets.ts';
import { withClient } from '../../src/schema/connection.ts';
import { SecretBox } from '../../src/secrets.ts';
import { report } from '../support/attacks.ts';
import { useApi, type Answer } from '../support/api.ts';
import { useLocalServer } from '../support/sources.ts';
import { keepingLog, plainSettings, startTestWorker, untilOver } from '../support/worker.ts';

const service = useLocalServer();
const workerLog = keepingLog();
const secrets = new Map<string, string>();
/** With characters that others write in another form. */
const plant = (where: string): string => {
  const value = `pl&nt+"${randomBytes(12).toString('base64')}/${secrets.size}`;
  secrets.set(where, value);
  return value;
};
const variables = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`PLANTED_${index}`, plant(`variable ${index}`)]));
const api = useApi({
  async test(source) {
    const sources = createSources({ ...plainSettings, allowHosts: [service.host()], sourceVariables: rules(), sourceValues: variables });
    const trial = await trySource(sources, source);
    await sources.close();
    return trial;
  },
});
const rules = (): { name: string; tenant: null; hosts: string[] }[] => Object.keys(variables).map((name) => ({ name, tenant: null, hosts: ['127.0.0.1'] }));
const answers: string[] = [];

async function ask(caller: string, query: string, variablesOf: object = {}, mayShow = false): Promise<Answer> {
  const answer = await api.query(caller, query, variablesOf);
  if (!mayShow) answers.push(answer.text);
  return answer;
}

const shapes = (value: string): string[] => [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), Buffer.from(value).toString('base64'), Buffer.from(`u:${value}`).toString('base64')];

/** Repeats whatever came in, as services like to: in a body, in headers, in an error, in another form. */
function echo(request: { url: string; headers: object; body: string }, response: import('node:http').ServerResponse): void {
  const said = JSON.stringify(request.headers);
  if (request.url.includes('/fails')) return void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message: `no such key: ${said}` } }));
  if (request.url.includes('/broken')) return void response.writeHead(503, 'busy', { 'x-seen': encodeURIComponent(said) }).end(`<html>${said}</html>`);
  if (request.url.includes('/chat/')) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'x', object: 'chat.completion', created: 0, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: `You sent ${said}` }, finish_reason: 'stop' }] }));
  response.writeHead(200, { 'content-type': 'application/json', 'x-echo': encodeURIComponent(said), 'set-cookie': 's=1' }).end(JSON.stringify({ headers: request.headers, quoted: said }));
}

test('none of them is anywhere', async () => {
  service.answer(echo);
  const dbUrl = new URL(api.db.url('postgres'));
  const target = `${api.db.name}_planted`;
  const password = plant('password of a database').replaceAll(/[^A-Za-z0-9]/g, '');
  secrets.set('password of a database', password);
  await withClient(new URL('/postgres', dbUrl).href, async (client) => {
    await client.query(`create database ${target}`);
    await client.query(`create role ${target} login password '${password}'`);
  });
  const login = new URL(dbUrl);
  Object.assign(login, { username: target, password, pathname: `/${target}` });
  const stored = new Map(Array.from({ length: 9 }, (_, index) => [`stored-${index}`, plant(`stored ${index}`)]));
  stored.set('stored-db', login.href);
  for (const [name, value] of stored) await ask('john', 'mutation ($input: CreateSecretInput!) { createSecret(input: $input) { secret { name hosts } } }', { input: { name, value, hosts: ['127.0.0.1'] } });

  // Where they do not belong they are refused, and the refusal does not repeat them.
  const create = 'mutation ($name: String!, $kind: SourceKind!, $config: JSON!) { createSource(input: {source: {name: $name, kind: $kind, config: $config}}) { source { id config } } }';
  const inline: [string, object][] = [
    ['LLM', { api_key: plant('inline api_key') }], ['API', { token: plant('inline token') }], ['API', { base_url: 'https://x.example', headers: { authorization: plant('inline header') } }], ['DB', { connection_string: `postgres://u:${encodeURIComponent(plant('inline connection'))}@h/d` }],
    ['API', { auth: { type: 'basic', username: 'u', password: plant('inline password') } }], ['LLM', { API_KEY: plant('inline capitals') }], ['API', { 'access-token': plant('inline hyphen') }], ['API', { deep: { list: [{ secret: plant('inline deep'), more: 1 }] } }], ['IMAGE', { client_secret: plant('inline client') }], ['DB', { dsn: plant('inline dsn') }],
    ['API', { base_url: `https://u:${encodeURIComponent(plant('URL with a password'))}@x.example` }], ['LLM', { api_key_env: plant('key where a name belongs') }], ['API', { headers: { 'x-mine': `ghp_${randomBytes(18).toString('hex')}` } }],
    ...['refresh_token', 'cookie', 'private_key', 'credentials', 'bearer_token'].map((key): [string, object] => ['API', { base_url: 'https://x.example', [key]: plant(`inline ${key}`) }]),
  ];
  for (const [index, [kind, config]] of inline.entries()) expect((await ask('john', create, { name: `inline-${index}`, kind, config })).errors).toHaveLength(1);
  const problems = 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "inline", spec: $spec}}) { workflow { id } } }';
  const validate = 'query ($spec: JSON!) { validateWorkflow(spec: $spec) { valid errors { code message field } } }';
  for (const key of ['api_key', 'password', 'token', 'secret_key']) {
    const spec = { nodes: [{ id: 'a', type: 'api', metadata: { source: 's', [key]: plant(`document ${key}`) } }], edges: [], sources: [{ id: 's', kind: 'api', config: { base_url: 'https://x.example' } }], start_node: 'a' };
    expect((await ask('john', validate, { spec })).data.validateWorkflow.valid).toBe(false);
  }
  for (const caller of ['john@example.com', 'jane@example.com', 'nobody@example.com']) await ask('visitor', 'mutation ($email: String!, $password: String!) { authenticate(input: {email: $email, password: $password}) { jwt } }', { email: caller, password: plant(`wrong password of ${caller}`) });
  await ask('visitor', 'mutation ($email: String!, $password: String!) { authenticate(input: {email: $email, password: $password}) { user { id } } }', { email: api.db.samples.users[0]!.email, password: api.db.samples.users[0]!.password });
  for (const { email, password: own } of api.db.samples.users.slice(0, 5)) secrets.set(`password of ${email}`, own);
  for (let each = 0; each < 3; each += 1) {
    const made = await ask('john', 'mutation ($name: String!) { createApiKey(input: {name: $name, permissions: {workflows: ["read"]}}) { key } }', { name: `planted ${each}` }, true);
    secrets.set(`API key ${each}`, made.data.createApiKey.key);
    await api.post('{"query":"{ currentUser { email } }"}', { 'x-api-key': made.data.createApiKey.key });
  }
  secrets.set('AGENTFLOW_SECRET_KEY', api.db.secretKey).set('JWT_SECRET', api.db.jwtSecret).set('sample API key', api.db.samples.apiKey);

  // Where they belong they are used, and repeated by everybody.
  const base = service.url();
  const used: [string, string, object][] = [
    ['bearer', 'API', { base_url: base, token: { secret: 'stored-0' } }], ['header', 'API', { base_url: base, auth: { type: 'header', token: { secret: 'stored-1' } } }], ['basic', 'API', { base_url: base, auth: { type: 'basic', username: 'u', password: { secret: 'stored-2' } } }],
    ['headers', 'API', { base_url: base, headers: { 'x-a': { secret: 'stored-3' }, 'x-b': { env: 'PLANTED_0' } } }], ['fails', 'API', { base_url: `${base}/fails`, token: { secret: 'stored-4' } }], ['broken', 'API', { base_url: `${base}/broken`, token_env: 'PLANTED_1' }],
    ['model', 'LLM', { provider: 'openai-compatible', base_url: base, model: 'm', api_key: { secret: 'stored-5' } }], ['model-env', 'LLM', { provider: 'openai', base_url: base, model: 'm', api_key_env: 'PLANTED_2' }], ['model-fails', 'LLM', { provider: 'anthropic', base_url: `${base}/fails`, model: 'm', api_key: { secret: 'stored-6' } }],
    ['model-broken', 'LLM', { provider: 'google', base_url: `${base}/broken`, model: 'm', api_key_env: 'PLANTED_3' }], ['picture', 'IMAGE', { provider: 'openai', base_url: `${base}/fails`, model: 'm', api_key: { secret: 'stored-7' } }], ['shop', 'DB', { connection_string: { secret: 'stored-db' } }], ['kept', 'API', { base_url: base, cache: true, token: { secret: 'stored-8' } }],
  ];
  const worker = await startTestWorker(api.db, { allowHosts: [service.host(), login.host], secretKey: api.db.secretKey, sourceVariables: rules(), sourceValues: variables }, workerLog);
  try {
    for (const [name, kind, config] of used) {
      const { data } = await ask('john', create, { name, kind, config });
      await ask('john', 'mutation ($id: UUID!) { testSource(input: {id: $id}) { ok error code remedy } }', { id: data.createSource.source.id });
      const metadata = kind === 'DB' ? { query: "select current_setting('application_name') as a, 'postgres://' || current_user as who, cast('x' as int)" } : kind === 'API' ? { path: '/x' } : { prompt: 'repeat', stream: name === 'model' };
      const spec = { nodes: [{ id: 'n', type: kind.toLowerCase(), metadata: { source: name, retry: { max_attempts: 2, initial_seconds: 0, max_seconds: 0 }, ...metadata } }], edges: [], start_node: 'n' };
      const made = await ask('john', problems, { spec });
      const started = await ask('john', 'mutation ($id: UUID!) { executeWorkflow(input: {workflowId: $id, initialState: {}}) { execution { id } } }', { id: made.data.createWorkflow.workflow.id });
      const { id } = started.data.executeWorkflow.execution;
      await untilOver(api.db, id);
      await ask('john', 'query ($id: UUID!) { execution(id: $id) { status errorMessage errorCode initialState finalState metrics nodeExecutions { nodes { input output errorMessage logs writes partialOutput } } } }', { id });
    }
  } finally {
    await worker.close(2_000);
  }
  await ask('john', '{ sources { nodes { name config } } secrets { nodes { name hosts } } workflows { nodes { spec } } executions { nodes { finalState errorMessage } } apiKeys { nodes { name keyPrefix } } }');
  const doctor = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/cli/main.ts', 'doctor', '--json'], { encoding: 'utf8', env: { PATH: process.env['PATH'], DATABASE_URL: api.db.url('agentflow_owner'), DATABASE_AUTHENTICATOR_URL: api.db.url('agentflow_authenticator'), DATABASE_WORKER_URL: api.db.url('agentflow_worker'), JWT_SECRET: api.db.jwtSecret, AGENTFLOW_SECRET_KEY: api.db.secretKey, ...variables } });

  const places: Record<string, string> = {
    'the database': await dump(), 'the log of the server': JSON.stringify(api.logged()), 'the log of the worker': JSON.stringify(workerLog.lines), 'answers of the API': answers.join('\n'), 'the doctor': `${doctor.stdout}${doctor.stderr}`,
    'the metrics': await (await fetch(`${api.url}/metrics`)).text(),
  };
  expect(places['the metrics']).toContain('agentflow_http_requests_total');
  expect(places['the doctor']).toContain('findings');
  expect(places['the database']).toContain('[redacted]');
  const hits = [...secrets].flatMap(([where, value]) => Object.entries(places).flatMap(([place, text]) => shapes(value).filter((shape) => shape.length >= 8 && text.includes(shape)).map(() => `${where} is in ${place}`)));
  report('planted secrets, searched in six places', secrets.size * Object.keys(places).length, hits);
  expect(secrets.size).toBeGreaterThanOrEqual(50);
  expect(hits).toEqual([]);
  await withClient(new URL('/postgres', dbUrl).href, async (client) => {
    await client.query(`drop database ${target} with (force)`);
    await client.query(`drop role ${target}`);
  });
}, 300_000);

/** Every row of every table, as pg_dump writes them. */
async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: api.db.url('postgres') });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>("select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')");
    const parts: string[] = [];
    for (const { name } of rows) {
      const found = await client.query<{ text: string | null }>(`select string_agg(t::text, E'\\n') as text from ${name} as t`);
      parts.push(`${name}\n${found.rows[0]!.text ?? ''}`);
    }
    // Composite texts double quotes and backslashes; both forms are looked through.
    const text = parts.join('\n');
    return `${text}\n${text.replaceAll('""', '"').replaceAll('\\\\', '\\')}`;
  } finally {
    await client.end();
  }
}

test('what a worker has opened is taken out of every text', async () => {
  const box = new SecretBox(['k'.repeat(40)]);
  const tenantId = crypto.randomUUID();
  const opened = new TenantSecrets({ findSecret: (_tenant, name) => Promise.resolve({ sealed: box.seal('a secret of some length', { tenantId, name }), hosts: null }) }, box, ['always-secret']);
  expect((await opened.open(tenantId, 'x'))?.value).toBe('a secret of some length');
  expect(opened.redact('always-secret, a secret of some length')).toBe('[redacted], [redacted]');
});
