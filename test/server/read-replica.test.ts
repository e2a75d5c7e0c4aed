/** READ_REPLICA_URL: queries read from a streaming replica, everything else from the primary. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { openFace } from '../../src/config.ts';
import { type EmbeddedPostgres, startEmbedded } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { runCurrent } from '../../src/schema/migrate.ts';
import { loadSamples, makeSampleCredentials, type Samples } from '../../src/schema/samples.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import type { Data } from '../support/api.ts';
import { type Replica, startReplica } from '../support/replica.ts';

const root = mkdtempSync(path.join(os.tmpdir(), 'agentflow-replica-'));
let primary: EmbeddedPostgres;
let replica: Replica;
let server: RunningServer;
let samples: Samples;
let jwt: string;

beforeAll(async () => {
  const folder = path.join(root, 'primary');
  primary = await startEmbedded({ dataDir: folder, durable: false });
  const urls = { databaseUrl: primary.url('agentflow_owner'), shadowUrl: primary.url('agentflow_owner', 'none'), rootUrl: primary.url('postgres', 'postgres'), passwords: primary.secrets.passwords };
  await runCurrent(urls, { say: () => undefined });
  const credentials = await makeSampleCredentials();
  samples = (await loadSamples(primary.url('agentflow_owner'), credentials, () => 'none'))!;
  replica = await startReplica(primary, folder, path.join(root, 'replica'));
  await replica.caughtUp();
  server = await startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: primary.secrets.jwtSecret, secretKey: primary.secrets.secretKey, environment: 'test', face: openFace, readReplicaUrl: replica.url('agentflow_authenticator') },
    authenticatorUrl: primary.url('agentflow_authenticator'), workflowTools: loadWorkflowTools, log: pino({ level: 'silent' }),
  });
  jwt = await signIn();
}, 120_000);

afterAll(async () => {
  await server.close(1_000);
  await replica.close(2_000);
  await primary.close(2_000);
  rmSync(root, { recursive: true, force: true });
}, 60_000);

async function ask(query: string, token: string | null = jwt): Promise<{ status: number; data: Data; errors: Data }> {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST', headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) }, body: JSON.stringify({ query }),
  });
  return { status: response.status, ...await response.json() as { data: Data; errors: Data } };
}

async function signIn(): Promise<string> {
  const { email, password } = samples.users.find(({ role }) => role === 'admin')!;
  return (await ask(`mutation { authenticate(input: {email: "${email}", password: "${password}"}) { jwt } }`, null)).data.authenticate.jwt;
}

const replay = (state: 'pause' | 'resume'): Promise<unknown> => withClient(replica.url('postgres', 'postgres'), (client) => client.query(`select pg_wal_replay_${state}()`));
const names = async (): Promise<string[]> => (await ask('{ workflows(first: 100) { nodes { name } } }')).data.workflows.nodes.map(({ name }: { name: string }) => name);

test('queries read what the replica has; a mutation answers with what it has written, at once', async () => {
  await replay('pause');
  const { data, errors } = await ask('mutation { createWorkflow(input: {workflow: {name: "just now", spec: {}}}) { workflow { id name versions { nodes { version } } } } }');
  expect(errors).toBeUndefined();
  expect(data.createWorkflow.workflow).toMatchObject({ name: 'just now', versions: { nodes: [{ version: 1 }] } });
  expect(await names()).not.toContain('just now');
  await replay('resume');
  await replica.caughtUp();
  expect(await names()).toContain('just now');
});

test('an ended session is refused on the next request, though the replica does not know yet', async () => {
  const other = await signIn();
  await replica.caughtUp();
  expect((await ask('{ currentUser { email } }', other)).data.currentUser.email).toContain('@');
  await replay('pause');
  expect((await ask('mutation { logout(input: {}) { clientMutationId } }', other)).errors).toBeUndefined();
  expect(await ask('{ currentUser { email } }', other)).toMatchObject({ status: 401, errors: [{ extensions: { code: 'TOKEN_INVALID' } }] });
  await replay('resume');
});

test('rights and tenants hold on the replica as on the primary', async () => {
  const { data: own } = await ask('{ users { totalCount } executions(first: 1) { totalCount } }');
  await withClient(primary.url('agentflow_owner'), async (client) => {
    const { rows } = await client.query<{ count: number }>(`select count(*)::int as count from users where tenant_id = $1`, [samples.users[0]!.tenantId]);
    expect(own.users.totalCount).toBe(rows[0]!.count);
  });
  expect((await ask('{ workflows { nodes { name } } }', null)).errors).toBeDefined();
});

test('while the replica is away the primary answers, and its metrics tell both pools', async () => {
  const before = await names();
  await replica.close(2_000);
  expect(await names()).toEqual(before);
  const { data } = await ask('mutation { createWorkflow(input: {workflow: {name: "alone", spec: {}}}) { workflow { name } } }');
  expect(data.createWorkflow.workflow.name).toBe('alone');
  expect(await names()).toContain('alone');
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('agentflow_database_waiting_requests{pool="replica"}');
});
