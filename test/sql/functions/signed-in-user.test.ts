/** signed_in_user and check_workflow: small questions of whoever is signed in. */
import { useTestDatabase } from '../../support/database.ts';
import { type PlantedTenant, plantTenant, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
  }, { commit: true });
});

describe('signed_in_user', () => {
  const sql = 'select id, role, tenant_id, password_hash from app_public.signed_in_user()';

  test('is the user, without the hash', async () => {
    expect(await as(db, claimsOf(ours, 'viewer'))(sql)).toEqual([{ id: ours.users.viewer, role: 'viewer', tenant_id: ours.id, password_hash: null }]);
  });

  test('is nobody for a visitor, for a user of another tenant, and for one who was disabled', async () => {
    const nobody = [{ id: null, role: null, tenant_id: null, password_hash: null }];
    expect(await as(db, {}, 'agentflow_visitor')(sql)).toEqual(nobody);
    expect(await as(db, { ...claimsOf(ours, 'viewer'), tenant_id: theirs.id })(sql)).toEqual(nobody);
    await db.owner.query(`update app_public.users set status = 'inactive' where id = $1`, [ours.users.operator]);
    expect(await as(db, claimsOf(ours, 'operator'))(sql)).toEqual(nobody);
  });
});

describe('check_workflow', () => {
  const check = async (spec: unknown, tenant = ours, permissions?: Record<string, string[]>): Promise<unknown> =>
    (await as(db, claimsOf(tenant, 'viewer', permissions))<{ answer: unknown }>('select app_public.check_workflow($1) as answer', [JSON.stringify(spec)]))[0]!.answer;

  test('answers errors and warnings', async () => {
    expect(await check(smallestSpec)).toEqual({ errors: [], warnings: [] });
    expect(await check({ ...smallestSpec, start_node: 'x', colour: 'red' })).toEqual({
      errors: [{ code: 'E005', field: 'start_node', node_id: null, message: expect.stringContaining('does not exist') }],
      warnings: [{ code: 'W002', field: 'colour', node_id: null, message: expect.stringContaining('colour') }],
    });
    expect(await check(null)).toMatchObject({ errors: [{ code: 'E001' }] });
  });

  test("knows the tenant's own sources, and not another's", async () => {
    const { rows: [source] } = await db.owner.query<{ name: string }>('select name from app_public.sources where id = $1', [ours.sourceId]);
    const spec = { nodes: [{ id: 'ask', type: 'llm', metadata: { source: source!.name } }], start_node: 'ask' };
    expect(await check(spec)).toEqual({ errors: [], warnings: [] });
    expect(await check(spec, theirs)).toMatchObject({ errors: [{ code: 'E008', node_id: 'ask' }] });
    await db.owner.query(`update app_public.sources set status = 'inactive' where id = $1`, [ours.sourceId]);
    expect(await check(spec)).toMatchObject({ errors: [{ code: 'E008' }] });
  });

  test('asks for the right to read workflows', async () => {
    expect((await refusal(check(smallestSpec, ours, { sources: ['read'] }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect((await refusal(as(db, {})(`select app_public.check_workflow('{}')`))).code).toBe(sqlstates.UNAUTHENTICATED);
  });
});
