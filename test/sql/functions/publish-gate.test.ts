/** What is published is valid, whoever writes it; versions count the changes of a spec. */
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, type RoleOfUser, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;

beforeAll(async () => {
  ours = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
});

const otherSpec = { ...smallestSpec, name: 'another' };
const brokenSpec = { nodes: [{ id: 'a b', type: 'warp' }], start_node: 'nowhere' };
const usingRow = (name: string): unknown => ({
  nodes: [{ id: 'ask', type: 'llm', metadata: { source: name } }], start_node: 'ask',
});

const insert = (status: string, spec: unknown): Promise<string> => db.asRole('agentflow_owner', {}, (client) => one<string>(client,
  'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
  [ours.id, ours.users.architect, 'w', spec, status]), { commit: true });

const edit = (id: string, spec: unknown, role: RoleOfUser = 'architect'): Promise<{ version: number }[]> =>
  as(db, claimsOf(ours, role))('update app_public.workflows set spec = $2 where id = $1 returning version', [id, JSON.stringify(spec)]);

describe('the gate', () => {
  test('lists every problem of a workflow that is to be published, and leaves it as it was', async () => {
    const id = await insert('draft', brokenSpec);
    const refused = await refusal(as(db, claimsOf(ours, 'architect'))('select app_public.publish_workflow($1)', [id]));
    expect(refused).toMatchObject({ code: sqlstates.INVALID_WORKFLOW, column: 'spec' });
    const codes = (JSON.parse(refused.detail!) as { code: string; field: string; node_id: string | null; message: string }[]);
    expect(codes.map(({ code, field, node_id }) => [code, field, node_id]).toSorted()).toEqual([
      ['E003', 'nodes.0.id', 'a b'], ['E004', 'nodes.0.type', 'a b'], ['E005', 'start_node', null],
    ]);
    expect(refused.message).toContain(codes[0]!.message);
    expect((await db.owner.query('select status from app_public.workflows where id = $1', [id])).rows).toEqual([{ status: 'draft' }]);
  });

  test('holds for a DBA who writes the row himself, inserting or updating', async () => {
    expect((await refusal(insert('published', brokenSpec))).code).toBe(sqlstates.INVALID_WORKFLOW);
    const draft = await insert('draft', brokenSpec);
    expect((await refusal(db.owner.query(`update app_public.workflows set status = 'published' where id = $1`, [draft]))).code).toBe(sqlstates.INVALID_WORKFLOW);
    const published = await insert('published', smallestSpec);
    expect((await refusal(db.owner.query('update app_public.workflows set spec = $2 where id = $1', [published, brokenSpec]))).code)
      .toBe(sqlstates.INVALID_WORKFLOW);
    await db.owner.query('update app_public.workflows set spec = $2 where id = $1', [published, otherSpec]);
  });

  test('lets a draft hold anything', async () => {
    const id = await insert('draft', smallestSpec);
    expect(await edit(id, brokenSpec, 'developer')).toEqual([{ version: 2 }]);
  });

  test('asks for the right to publish when what is published is edited, and for validity', async () => {
    const id = await insert('published', smallestSpec);
    expect(await refusal(edit(id, otherSpec, 'developer'))).toMatchObject({
      code: sqlstates.PERMISSION_DENIED, message: expect.stringContaining('workflows:publish'),
    });
    expect((await refusal(edit(id, brokenSpec, 'architect'))).code).toBe(sqlstates.INVALID_WORKFLOW);
    expect(await edit(id, otherSpec, 'architect')).toEqual([{ version: 2 }]);
  });

  test('does not look at a change of name', async () => {
    const id = await insert('published', smallestSpec);
    const renamed = await as(db, claimsOf(ours, 'developer'))('update app_public.workflows set name = $2 where id = $1 returning name, version', [id, 'new']);
    expect(renamed).toEqual([{ name: 'new', version: 1 }]);
  });

  test("knows the tenant's own active sources, and no others", async () => {
    const { rows: [source] } = await db.owner.query<{ name: string }>('select name from app_public.sources where id = $1', [ours.sourceId]);
    const theirs = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
    const { rows: [foreign] } = await db.owner.query<{ name: string }>('select name from app_public.sources where id = $1', [theirs.sourceId]);
    expect(await insert('published', usingRow(source!.name))).toEqual(expect.any(String));
    expect(await refusal(insert('published', usingRow(foreign!.name)))).toMatchObject({
      code: sqlstates.INVALID_WORKFLOW, detail: expect.stringContaining('E008'),
    });
  });
});

describe('versions', () => {
  test('count the changes of a spec, and every one is kept', async () => {
    const id = await insert('draft', smallestSpec);
    expect(await edit(id, otherSpec)).toEqual([{ version: 2 }]);
    expect(await edit(id, otherSpec)).toEqual([{ version: 2 }]);
    expect(await edit(id, brokenSpec)).toEqual([{ version: 3 }]);
    const { rows } = await db.owner.query(
      'select version, spec, created_by from app_public.workflow_versions where workflow_id = $1 order by version', [id]);
    expect(rows).toEqual([
      { version: 1, spec: smallestSpec, created_by: null },
      { version: 2, spec: otherSpec, created_by: ours.users.architect },
      { version: 3, spec: brokenSpec, created_by: ours.users.architect },
    ]);
  });

  test('are what a client states that has read an older workflow', async () => {
    const id = await insert('draft', smallestSpec);
    const update = (version: number): Promise<unknown[]> => as(db, claimsOf(ours, 'developer'))(
      'update app_public.workflows set spec = $2, version = $3 where id = $1 returning version', [id, JSON.stringify({ ...smallestSpec, name: `from ${version}` }), version]);
    expect(await update(1)).toEqual([{ version: 2 }]);
    expect(await refusal(update(1))).toMatchObject({ code: sqlstates.VERSION_CONFLICT, column: 'expected_version', message: expect.stringContaining('2') });
    expect((await refusal(update(7))).code).toBe(sqlstates.VERSION_CONFLICT);
    expect(await update(2)).toEqual([{ version: 3 }]);
  });

  test('can be brought back, as a new one', async () => {
    const id = await insert('draft', smallestSpec);
    await edit(id, otherSpec);
    const restore = (workflow: string, version: number, role: RoleOfUser = 'developer'): Promise<unknown[]> =>
      as(db, claimsOf(ours, role))('select version, spec from app_public.restore_workflow_version($1, $2)', [workflow, version]);
    expect(await restore(id, 1)).toEqual([{ version: 3, spec: smallestSpec }]);
    expect(await refusal(restore(id, 9))).toMatchObject({ code: sqlstates.NOT_FOUND, column: 'version' });
    expect(await refusal(restore(unknownId, 1))).toMatchObject({ code: sqlstates.NOT_FOUND, column: 'id' });
    expect((await refusal(restore(id, 1, 'operator'))).code).toBe(sqlstates.PERMISSION_DENIED);
  });

  test('of a published workflow are brought back by those who may publish, if they are valid', async () => {
    const id = await insert('draft', brokenSpec);
    await edit(id, smallestSpec);
    await edit(id, otherSpec);
    await as(db, claimsOf(ours, 'architect'))('select app_public.publish_workflow($1)', [id]);
    const restore = (version: number, role: RoleOfUser): Promise<unknown[]> =>
      as(db, claimsOf(ours, role))('select version from app_public.restore_workflow_version($1, $2)', [id, version]);
    expect((await refusal(restore(2, 'developer'))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect((await refusal(restore(1, 'architect'))).code).toBe(sqlstates.INVALID_WORKFLOW);
    expect(await restore(2, 'architect')).toEqual([{ version: 4 }]);
  });

  test('are what an execution is pinned to', async () => {
    const id = await insert('published', smallestSpec);
    const run = (): Promise<string> => db.asRole('agentflow_owner', {}, (client) => one<string>(client, `
      insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state) values ($1, $2, $3, '{}') returning workflow_version_id`,
    [ours.id, ours.users.operator, id]), { commit: true });
    const first = await run();
    await edit(id, otherSpec);
    const second = await run();
    const { rows } = await db.owner.query('select version from app_public.workflow_versions where id = any ($1) order by version', [[first, second]]);
    expect(rows).toEqual([{ version: 1 }, { version: 2 }]);
  });

  test('cannot be pinned for a workflow of another tenant', async () => {
    const theirs = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
    const run = (workflow: string): Promise<unknown> => db.owner.query(
      `insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state) values ($1, $2, $3, '{}')`, [ours.id, ours.users.operator, workflow]);
    expect((await refusal(run(theirs.workflowId))).code).toBe(sqlstates.NOT_FOUND);
    expect((await refusal(run(unknownId))).code).toBe(sqlstates.NOT_FOUND);
  });
});

describe('copy_workflow', () => {
  const copy = (id: string, name: string | null = null, role: RoleOfUser = 'developer', permissions?: Record<string, string[]>): Promise<unknown[]> =>
    as(db, claimsOf(ours, role, permissions))('select name, description, spec, status, version, user_id from app_public.copy_workflow($1, $2)', [id, name]);

  test("makes a draft of one's own", async () => {
    const id = await insert('published', smallestSpec);
    expect(await copy(id)).toEqual([
      { name: 'w (copy)', description: null, spec: smallestSpec, status: 'draft', version: 1, user_id: ours.users.developer },
    ]);
    expect(await copy(id, 'mine')).toMatchObject([{ name: 'mine' }]);
  });

  test('is refused with the place and the reason', async () => {
    const theirs = await db.asRole('agentflow_owner', {}, plantTenant, { commit: true });
    const id = await insert('draft', smallestSpec);
    expect(await refusal(copy(id, ' '))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'name' });
    expect(await refusal(copy(id, 'x'.repeat(256)))).toMatchObject({ code: sqlstates.INVALID_VALUE, column: 'name' });
    expect(await refusal(copy(theirs.workflowId))).toEqual(await refusal(copy(unknownId)));
    expect((await refusal(copy(theirs.workflowId))).code).toBe(sqlstates.NOT_FOUND);
    expect((await refusal(copy(await insert('deleted', smallestSpec)))).code).toBe(sqlstates.NOT_FOUND);
    expect((await refusal(copy(id, null, 'operator'))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect((await refusal(copy(id, null, 'admin', { workflows: ['read'] }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect(await copy(id, null, 'admin', { workflows: ['write'] })).toHaveLength(1);
  });
});
