/**
 * Everything that comes in wrong, against a real start: each answer has a code and a remedy, and afterwards the database holds
 * exactly what it held before. What the environment can get wrong is in test/cli.
 */
import { readFileSync, writeFileSync, chmodSync } from 'node:fs';
import path from 'node:path';
import { SignJWT } from 'jose';
import { errorRegistry } from '../../src/errors.ts';
import { withClient } from '../../src/schema/connection.ts';
import { runCli, startService, temporaryDataDir, type Service } from '../support/cli.ts';
import { clientOf, post, sampleWorkflow, signIn, until, type Answer, type ApiClient } from './support/client.ts';
import { preparedDataDir } from './support/data-folder.ts';

const slow = 180_000;
const unknownId = '00000000-0000-4000-8000-000000000000';
const foreignWorkflow = '660e8400-e29b-41d4-a716-446655440010';
let place: Awaited<ReturnType<typeof preparedDataDir>>;
let service: Service;
let john: ApiClient;

beforeAll(async () => {
  place = await preparedDataDir();
  service = await startService(['start'], place.dataDir);
  john = await signIn(service.info, 'john@');
  // A start leaves jobs of its own.
  await until(jobs, (count) => count === 0);
}, slow);
afterAll(async () => {
  service.launcher.kill('SIGTERM');
  await service.finished;
  place.remove();
}, slow);

/** Rows of every table of the tenants; reading and signing in are let to leave their traces. */
async function rowCounts(): Promise<Record<string, number>> {
  return withClient(service.info.databaseUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(`
      select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname in ('app_public', 'graphile_worker') and tablename not in ('audit_logs', '_private_known_crontabs')`);
    const counts = await client.query<{ name: string; count: number }>(rows.map(({ name }) => `select '${name}' as name, count(*)::int as count from ${name}`).join(' union all '));
    return Object.fromEntries(counts.rows.map(({ name, count }) => [name, count]));
  });
}

const jobs = (): Promise<number> => withClient(service.info.databaseUrl, async (client) =>
  (await client.query<{ count: number }>('select count(*)::int as count from graphile_worker._private_jobs')).rows[0]!.count);

function expectRefusal({ data, errors }: Answer, code: keyof typeof errorRegistry): void {
  expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(/\w/), extensions: expect.objectContaining({ code, remedy: expect.stringMatching(/\w/) }) })]);
  for (const value of Object.values(data ?? {})) expect(value).toBeNull();
}

/** Runs the tries, and holds the database against what it was before. */
async function leavingNothing(tries: () => Promise<void>): Promise<void> {
  const before = await rowCounts();
  await tries();
  expect(await rowCounts()).toEqual(before);
}

const execute = 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: { workflowId: $id, initialState: $state }) { execution { id } } }';

describe('a client that sends', () => {
  test('wrong JSON', () => leavingNothing(async () => {
    for (const body of ['', '{', '[]', 'null', '"{ __typename }"', '{"query": 1}', '{"query": "{ __typename }", "variables": []}', '\u0000']) {
      const answer = await post(service.info.graphqlUrl, body, john.headers);
      expect(answer.status).toBe(400);
      expectRefusal(answer, 'BAD_REQUEST');
    }
  }));

  test('unknown ids, and another tenant\'s: the same answer, and nothing of that tenant in it', () => leavingNothing(async () => {
    const mutations = [
      execute.replace(', $state: JSON!', '').replace('$state', '{}'),
      'mutation ($id: UUID!) { publishWorkflow(input: { id: $id }) { workflow { id } } }',
      'mutation ($id: UUID!) { archiveWorkflow(input: { id: $id }) { workflow { id } } }',
      'mutation ($id: UUID!) { deleteWorkflow(input: { id: $id }) { workflow { id } } }',
      'mutation ($id: UUID!) { restoreWorkflow(input: { id: $id }) { workflow { id } } }',
      'mutation ($id: UUID!) { updateWorkflow(input: { id: $id, patch: { name: "Mine" } }) { workflow { id } } }',
      'mutation ($id: UUID!) { deleteSource(input: { id: $id }) { source { id } } }',
      'mutation ($id: UUID!) { cancelExecution(input: { id: $id }) { execution { id } } }',
    ];
    for (const mutation of mutations) {
      const [unknown, foreign] = [await john.ask(mutation, { id: unknownId }), await john.ask(mutation, { id: foreignWorkflow })];
      expectRefusal(unknown, 'NOT_FOUND');
      expect(JSON.stringify(foreign).replaceAll(foreignWorkflow, unknownId)).toBe(JSON.stringify(unknown));
    }
    const reading = 'query ($id: UUID!) { workflow(id: $id) { id } source(id: $id) { id } execution(id: $id) { id } }';
    for (const id of [unknownId, foreignWorkflow]) expect(await john.data(reading, { id })).toEqual({ workflow: null, source: null, execution: null });
  }));

  test('a spec with ten different faults: each is told, and it cannot be published', async () => {
    const { spec, errors } = tenFaults();
    const { validateWorkflow } = await john.data('query ($spec: JSON!) { validateWorkflow(spec: $spec) { valid errors { code field nodeId } } }', { spec });
    expect(validateWorkflow).toEqual({ valid: false, errors: expect.arrayContaining(errors) });
    expect(validateWorkflow.errors).toHaveLength(errors.length);
    expect(new Set(errors.map(({ field }) => field)).size).toBeGreaterThanOrEqual(10);

    const { createWorkflow } = await john.data('mutation ($spec: JSON!) { createWorkflow(input: { workflow: { name: "Ten faults", spec: $spec } }) { workflow { id status } } }', { spec });
    expect(createWorkflow.workflow.status).toBe('DRAFT');
    await leavingNothing(async () => {
      const refused = await john.ask('mutation ($id: UUID!) { publishWorkflow(input: { id: $id }) { workflow { id } } }', { id: createWorkflow.workflow.id });
      expectRefusal(refused, 'INVALID_WORKFLOW');
    });

    // A test run of a draft is let in, and ends at once.
    const { executeWorkflow } = await john.data(execute, { id: createWorkflow.workflow.id, state: {} });
    const read = async (): Promise<any> => (await john.data('query ($id: UUID!) { execution(id: $id) { status errorCode nodeExecutions { totalCount } } }', { id: executeWorkflow.execution.id })).execution;
    expect(await until(read, ({ status }) => status !== 'PENDING' && status !== 'RUNNING')).toEqual({ status: 'FAILED', errorCode: 'INVALID_WORKFLOW', nodeExecutions: { totalCount: 0 } });
    await until(jobs, (count) => count === 0);
  });

  test('a state that is too large, or none', () => leavingNothing(async () => {
    expectRefusal(await john.ask(execute, { id: sampleWorkflow, state: { user_input: 'x'.repeat(1_100_000) } }), 'TOO_LARGE');
    expectRefusal(await john.ask(execute, { id: sampleWorkflow, state: 'hello' }), 'INVALID_VALUE');
  }));

  test('an expired token, or a forged one', () => leavingNothing(async () => {
    const { jwtSecret } = JSON.parse(readFileSync(path.join(place.dataDir, 'secrets.json'), 'utf8')) as { jwtSecret: string };
    const [, payload] = john.headers['authorization']!.split('.');
    const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as { exp: number };
    const token = (exp: number, secret: string): Promise<string> =>
      new SignJWT({ ...claims, exp }).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(new TextEncoder().encode(secret));
    const askWith = async (exp: number, secret: string): Promise<Answer> =>
      clientOf(service.info.graphqlUrl, { authorization: `Bearer ${await token(exp, secret)}` }).ask('{ currentUser { id } }');

    expect((await askWith(claims.exp, jwtSecret)).data.currentUser).not.toBeNull();
    const [expired, forged] = [await askWith(Math.floor(Date.now() / 1000) - 60, jwtSecret), await askWith(claims.exp, 'x'.repeat(43))];
    expect([expired.status, forged.status]).toEqual([401, 401]);
    expectRefusal(expired, 'TOKEN_EXPIRED');
    expectRefusal(forged, 'TOKEN_INVALID');
  }));
});

test('a data folder of another PostgreSQL version is refused with what to do, and stays as it is', async () => {
  const other = temporaryDataDir();
  const made = await startService(['start'], other.dataDir);
  made.launcher.kill('SIGTERM');
  await made.finished;
  const versionFile = path.join(other.dataDir, 'postgres', 'PG_VERSION');
  chmodSync(versionFile, 0o600);
  writeFileSync(versionFile, '12\n');
  const { code, stdout, stderr } = await runCli(['start'], { AGENTFLOW_DATA_DIR: other.dataDir, PORT: '0' });
  expect([code, stdout, readFileSync(versionFile, 'utf8')]).toEqual([3, '', '12\n']);
  expect(stderr).toMatch(/^DATA_DIR_VERSION: .*12/m);
  expect(stderr).toContain('AGENTFLOW_DATA_DIR');
  other.remove();
}, slow);

/** The case that both checkers are held against. */
function tenFaults(): { spec: unknown; errors: { code: string; field: string; nodeId: string | null }[] } {
  const file = path.join(import.meta.dirname, '../cases/validation/ten-faults-at-once.json');
  const { spec, errors } = JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof tenFaults>;
  return { spec, errors: errors.map(({ code, field, nodeId }) => ({ code, field, nodeId })) };
}
