/** Taking a tenant out and erasing it, with another tenant beside it that stays as it was; and the grants of the platform's people. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { exportTenant } from '../../src/cli/tenant-export.ts';
import { auditChain } from '../../src/schema/audit-chain.ts';
import { withClient } from '../../src/schema/connection.ts';
import { endOperatorGrant, openOperatorGrant } from '../../src/store/operators.ts';
import { createTenant, eraseTenant, quotaNames, setQuotas, setTenantStatus } from '../../src/store/tenants.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../support/database.ts';
import { inRuleWords } from '../../src/store/refusals.ts';
import { plantTenant, type PlantedTenant } from '../sql/support/plant.ts';

const db = useTestDatabase();
const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-tenants-'));
let ours: PlantedTenant;
let theirs: PlantedTenant;

const asOwner = <T>(use: (client: pg.Client) => Promise<T>): Promise<T> => withClient(db.url('agentflow_owner'), use);

beforeAll(async () => {
  await asOwner(async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
    for (const { id, executionId } of [ours, theirs]) {
      await client.query(`insert into app_private.artifacts (tenant_id, execution_id, node_id, media_type, bytes) values ($1, $2, 'n', 'image/png', '\\x00ff')`, [id, executionId]);
      await client.query(`insert into app_private.secrets (tenant_id, name, sealed) values ($1, 'KEY', 'v1.00000000.sealed-value')`, [id]);
    }
    await auditChain(client, 1);
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every row of the tenant in every table, as text. */
async function everythingOf(tenant: PlantedTenant): Promise<Record<string, string[]>> {
  const tables = (await db.owner.query<{ name: string }>('select name from app_private.tenant_tables()')).rows.map(({ name }) => name);
  const rows: Record<string, string[]> = {};
  for (const name of tables) rows[name] = (await db.owner.query<{ line: string }>(`select to_jsonb(t)::text as line from ${name} t where tenant_id = $1 order by 1`, [tenant.id])).rows.map(({ line }) => line);
  return rows;
}

interface Manifest {
  tenant: { slug: string };
  tables: { name: string; types: Record<string, string>; leftOut: string[]; files: { name: string; rows: number; sha256: string }[] }[];
}

test.each([
  ['a slug that is none', { slug: 'Bad Slug', adminEmail: 'ada@example.com' }, 'CHECK_VIOLATION', 'A slug consists of small letters, digits and single hyphens inside.'],
  ['an address that is none', { slug: 'fine', adminEmail: 'no address' }, 'INVALID_VALUE', 'This is no e-mail address.'],
])('%s is refused in the words of the rule', async (_what, { slug, adminEmail }, code, message) => {
  const told = await asOwner((client) => createTenant(client, { slug, name: null, adminEmail }, 'f'.repeat(64)).catch((error: unknown) => inRuleWords(client, error)));
  expect(told).toMatchObject({ code, message });
});

test('the first admin of a tenant has no account in another one, and an address with a host', async () => {
  const { rows: [taken] } = await db.owner.query<{ email: string }>('select email from users where tenant_id = $1', [theirs.id]);
  for (const adminEmail of [taken!.email.toUpperCase(), 'boss@acme', 'boss@acme.example, other@acme.example']) {
    await expect(asOwner((client) => createTenant(client, { slug: 'another', name: null, adminEmail }, 'f'.repeat(64)))).rejects.toMatchObject({ code: 'AF400', column: 'admin_email' });
  }
});

test('an export holds every row of the tenant, no secret, and nothing of the other', async () => {
  const before = await everythingOf(ours);
  const file = path.join(folder, 'ours.tar.gz');
  const summary = await asOwner((client) => exportTenant(client, ours.slug, file));
  execFileSync('tar', ['xzf', file, '-C', folder]);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as Manifest;
  expect(manifest.tenant.slug).toBe(ours.slug);
  expect(manifest.tables.map(({ name }) => name).toSorted()).toEqual(['app_public.tenants', ...Object.keys(before)].toSorted());
  let text = '';
  for (const { name, files } of manifest.tables) {
    const contents = files.map((part) => {
      const content = readFileSync(path.join(folder, part.name), 'utf8');
      expect(createHash('sha256').update(content).digest('hex')).toBe(part.sha256);
      return content;
    });
    const lines = contents.join('').split('\n').filter((line) => line !== '');
    expect([name, lines.length]).toEqual([name, before[name]?.length ?? 1]);
    expect(summary.tables[name]).toBe(lines.length);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject(name === 'app_public.tenants' ? { id: ours.id } : { tenant_id: ours.id });
    text += contents.join('');
  }
  for (const secret of ['$2b$12$', 'sealed-value', `token of ${ours.slug}`, theirs.id, theirs.slug]) expect(text).not.toContain(secret);
  expect(manifest.tables.find(({ name }) => name === 'app_public.users')!.leftOut).toEqual(['password_hash']);
  const { rows } = await db.owner.query(`select new_value from app_public.audit_logs where tenant_id = $1 and action = 'export'`, [ours.id]);
  expect(rows).toEqual([{ new_value: { rows: summary.rows } }]);
});

test('an export goes into a new file only, and of a tenant that there is', async () => {
  const file = path.join(folder, 'there');
  writeFileSync(file, 'mine');
  await expect(asOwner((client) => exportTenant(client, ours.slug, file))).rejects.toMatchObject({ code: 'USAGE' });
  await expect(asOwner((client) => exportTenant(client, ours.slug, path.join(folder, 'nowhere', 'x')))).rejects.toMatchObject({ code: 'USAGE' });
  await expect(asOwner((client) => exportTenant(client, 'nobody', path.join(folder, 'y')))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(readFileSync(file, 'utf8')).toBe('mine');
});

test('quotas are set one by one and taken out again', async () => {
  expect(await asOwner((client) => setQuotas(client, ours.slug, { executions_per_day: 5, max_nodes: 9 }))).toEqual({ executions_per_day: 5, max_nodes: 9 });
  expect(await asOwner((client) => setQuotas(client, ours.slug, { max_nodes: null }))).toEqual({ executions_per_day: 5 });
  expect(await asOwner((client) => setQuotas(client, 'nobody', {}))).toBeNull();
  expect(await asOwner((client) => setQuotas(client, theirs.slug, Object.fromEntries(quotaNames.map((name) => [name, 1_000_000_000]))))).toMatchObject({ max_nodes: 1_000_000_000 });
});

describe('operators of the platform', () => {
  const login = `operator_${process.pid}_${Date.now()}`;
  const asSuperuser = (sql: string): Promise<unknown> => withClient(clusterUrl(testCluster(), 'postgres', db.name), (client) => client.query(sql));
  const asOperator = async <T = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> => {
    const url = new URL(clusterUrl(testCluster(), 'postgres', db.name));
    [url.username, url.password] = [login, 'operators-password'];
    return withClient(url.toString(), async (client) => (await client.query(sql, values)).rows as T[]);
  };
  beforeAll(() => asSuperuser(`create role ${login} login password 'operators-password' in role agentflow_operator; grant connect on database ${db.name} to ${login}`));
  afterAll(() => asSuperuser(`revoke connect on database ${db.name} from ${login}; drop role ${login}`));
  const open = (more: object = {}) => asOwner((client) => openOperatorGrant(client, { slug: ours.slug, operator: login, reason: 'ticket 7', lasts: '1 hour', mayAct: false, ...more }));

  test('see nothing without a grant, one tenant with it, and nothing after it', async () => {
    expect(await asOperator('select id from app_public.workflows')).toEqual([]);
    const { id } = await open();
    expect(await asOperator('select id from app_public.workflows')).toEqual([{ id: ours.workflowId }]);
    expect(await asOperator('select id from app_public.tenants')).toEqual([{ id: ours.id }]);
    await expect(asOperator('select password_hash from app_public.users')).rejects.toMatchObject({ code: '42501' });
    await expect(asOperator('select from app_private.secrets')).rejects.toMatchObject({ code: '42501' });
    await expect(asOperator(`update app_public.workflows set name = 'x'`)).rejects.toMatchObject({ code: '42501' });
    await asOwner((client) => endOperatorGrant(client, id));
    expect(await asOperator('select id from app_public.workflows')).toEqual([]);
    await expect(asOwner((client) => endOperatorGrant(client, id))).rejects.toMatchObject({ code: 'AF404' });
    const { rows } = await db.owner.query(`select action, new_value from app_public.audit_logs where entity_type = 'operator_grant' and entity_id = $1 order by created_at`, [id]);
    expect(rows).toEqual([
      { action: 'create', new_value: expect.objectContaining({ operator: login, reason: 'ticket 7', may_act: false, granted_by: 'agentflow_owner' }) },
      { action: 'revoke', new_value: { ended_at: expect.any(String) } },
    ]);
  });

  test('act where the grant says so, and the log names the login, the grant and the reason', async () => {
    const looking = await open();
    await expect(asOperator(`select app_public.operator_set_tenant_status($1, 'suspended')`, [ours.id])).rejects.toMatchObject({ code: 'AF404' });
    const { id } = await open({ mayAct: true });
    await expect(asOperator(`select app_public.operator_set_tenant_status($1, 'suspended')`, [theirs.id])).rejects.toMatchObject({ code: 'AF404' });
    await expect(asOperator(`select app_public.operator_set_tenant_status($1, 'deleted')`, [ours.id])).rejects.toMatchObject({ code: 'AF400' });
    await expect(asOperator('select app_public.operator_cancel_execution($1)', [theirs.executionId])).rejects.toMatchObject({ code: 'AF404' });
    await asOperator(`select app_public.operator_set_tenant_status($1, 'suspended')`, [ours.id]);
    await asOperator(`select app_public.operator_set_tenant_status($1, 'active')`, [ours.id]);
    const { rows } = await db.owner.query(`select action, user_id, user_agent from app_public.audit_logs where tenant_id = $1 and entity_type = 'tenant' and action in ('suspend', 'activate') order by created_at`, [ours.id]);
    expect(rows).toEqual(['suspend', 'activate'].map((action) => ({ action, user_id: null, user_agent: `operator ${login}, grant ${id}: ticket 7` })));
    for (const grant of [id, looking.id]) await asOwner((client) => endOperatorGrant(client, grant));
  });

  test.each([
    ['a reason', { reason: '  ' }], ['an end', { lasts: '0 minutes' }], ['an end within 30 days', { lasts: '31 days' }], ['a login that is one of the platform', { operator: 'agentflow_authenticator' }],
  ])('need %s', async (_what, more) => {
    await expect(open(more)).rejects.toMatchObject({ code: 'AF400' });
  });
});

/** Tables of the whole database, but for the certificates, with a row that says one of these words anywhere. */
async function tablesThatSay(words: readonly string[]): Promise<string[]> {
  const { rows } = await db.owner.query<{ name: string }>(`select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('app_public', 'app_private', 'graphile_worker') and c.relname <> 'tenant_erasures'`);
  const patterns = words.map((word) => `%${word}%`);
  const found = await Promise.all(rows.map(async ({ name }) => ((await db.owner.query(`select from ${name} as it where it::text like any ($1)`, [patterns])).rowCount === 0 ? [] : [name])));
  return found.flat();
}

test('a tenant is erased as a whole, with a certificate, and the other stays as it was', async () => {
  await expect(asOwner((client) => eraseTenant(client, ours.slug, 'asked'))).rejects.toMatchObject({ code: 'AF411' });
  await asOwner((client) => setTenantStatus(client, ours.slug, 'suspended'));
  await expect(asOwner((client) => eraseTenant(client, ours.slug, ' '))).rejects.toMatchObject({ code: 'AF400' });
  await asOwner((client) => auditChain(client, 1));
  await db.owner.query(`insert into access_links (tenant_id, kind, email, role, token_hash, expires_at) values ($1, 'invitation', 'invited@ours.example', 'viewer', 'x', now())`, [ours.id]);
  const { rows: people } = await db.owner.query<{ email: string }>('select email from users where tenant_id = $1', [ours.id]);
  const traces = [ours.id, 'invited@ours.example', ...people.map(({ email }) => email)];
  for (const name of traces.slice(1)) await db.owner.query(`insert into app_private.sign_in_tries (kind, name) values ('account', $1)`, [name]);
  await db.owner.query(`insert into app_private.request_buckets (kind, name, level) values ('tenant', $1, 1)`, [ours.id]);
  expect(await tablesThatSay(traces)).toEqual(expect.arrayContaining(['users', 'app_private.sign_in_tries', 'app_private.request_buckets']));
  const [before, others] = [await everythingOf(ours), await everythingOf(theirs)];

  const certificate = await asOwner((client) => eraseTenant(client, ours.slug, 'asked by the customer'));
  expect(certificate).toMatchObject({ slug: ours.slug, erased_tenant_id: ours.id, reason: 'asked by the customer', erased_by: 'agentflow_owner', last_audit_hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(certificate.row_counts).toEqual(Object.fromEntries(Object.entries(before).map(([name, rows]) => [name, rows.length])));
  expect(Object.values(await everythingOf(ours)).flat()).toEqual([]);
  expect(await tablesThatSay(traces)).toEqual([]);
  expect(await everythingOf(theirs)).toEqual(others);
  expect((await db.owner.query('select from app_public.tenants where id = $1', [ours.id])).rowCount).toBe(0);
  expect(await asOwner((client) => auditChain(client, 5))).toMatchObject({ problems: [], unsealed: 0 });
  await expect(asOwner((client) => eraseTenant(client, ours.slug, 'again'))).rejects.toMatchObject({ code: 'AF404' });
});
