/** delete_source, restore_source, and the guard of sources that published workflows use. */
import { randomUUID } from 'node:crypto';
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, type RoleOfUser, rolesOfUsers } from '../support/plant.ts';
import { as, claimsOf, type Refusal, refusal, someoneWaits, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
  }, { commit: true });
});

interface Source { id: string; name: string }

async function newSource(name = `source ${randomUUID()}`): Promise<Source> {
  const id = await db.asRole('agentflow_owner', {}, (client) => one<string>(client,
    `insert into app_public.sources (tenant_id, user_id, name, kind, config) values ($1, $2, $3, 'llm', '{"model": "m"}') returning id`,
    [ours.id, ours.users.architect, name]), { commit: true });
  return { id, name };
}

async function newWorkflow(name: string, spec: unknown, status = 'published'): Promise<void> {
  await db.owner.query('insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5)',
    [ours.id, ours.users.architect, name, spec, status]);
}

const asking = (metadata: object, sources: object[] = []): unknown => ({ nodes: [{ id: 'ask', type: 'llm', metadata }], sources, start_node: 'ask' });

const remove = (id: string, force = false, role: RoleOfUser = 'architect', permissions?: Record<string, string[]>): Promise<unknown[]> =>
  as(db, claimsOf(ours, role, permissions))('select status, deleted_by from app_public.delete_source($1, $2)', [id, force]);
const restore = (id: string, role: RoleOfUser = 'architect'): Promise<unknown[]> =>
  as(db, claimsOf(ours, role))('select status, deleted_at from app_public.restore_source($1)', [id]);

describe('delete_source and restore_source', () => {
  test('hide a source softly and bring it back inactive', async () => {
    const { id } = await newSource();
    expect(await remove(id)).toEqual([{ status: 'deleted', deleted_by: ours.users.architect }]);
    expect(await refusal(remove(id))).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION });
    expect(await restore(id)).toEqual([{ status: 'inactive', deleted_at: null }]);
    expect(await refusal(restore(id))).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION, message: expect.stringContaining('inactive') });
  });

  test('answer the same for a foreign id as for an unknown one', async () => {
    for (const call of [remove, restore]) {
      const foreign = await refusal(call(theirs.sourceId));
      expect(foreign.code).toBe(sqlstates.NOT_FOUND);
      expect(foreign).toEqual(await refusal(call(unknownId)));
    }
  });

  test.each(rolesOfUsers)('ask for the right: %s', async (role) => {
    const { id } = await newSource();
    if (role === 'architect' || role === 'admin') {
      expect(await remove(id, false, role)).toHaveLength(1);
      expect(await restore(id, role)).toHaveLength(1);
    } else {
      expect(await refusal(remove(id, false, role))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, message: expect.stringContaining('architect') });
      expect((await refusal(restore(id, role))).code).toBe(sqlstates.PERMISSION_DENIED);
    }
  });

  test('ask an API key for sources: write', async () => {
    const { id } = await newSource();
    expect((await refusal(remove(id, false, 'admin', { workflows: ['write'], sources: ['read'] }))).code).toBe(sqlstates.PERMISSION_DENIED);
    expect(await remove(id, false, 'admin', { sources: ['write'] })).toHaveLength(1);
  });

  test('do not bring back a name that is taken', async () => {
    const first = await newSource();
    await remove(first.id);
    await newSource(first.name);
    expect(await refusal(restore(first.id))).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION, column: 'name' });
  });
});

describe('a source that a published workflow uses', () => {
  test.each([
    ['by name', (name: string) => asking({ source: name })],
    ['by name in the other dialect', (name: string) => asking({ source_id: name })],
    ['by reference', (name: string) => asking({ source: 's' }, [{ id: 's', kind: 'llm', ref: name }])],
  ])('%s is not deleted, disabled or renamed; the workflows are named', async (_, spec) => {
    const { id, name } = await newSource();
    const workflow = `uses ${id}`;
    await newWorkflow(workflow, spec(name));
    const change = (what: string): Promise<unknown> => as(db, claimsOf(ours, 'architect'))(`update app_public.sources set ${what} where id = $1`, [id]);
    for (const work of [() => remove(id), () => change(`status = 'inactive'`), () => change(`name = 'renamed ${id}'`)]) {
      const refused = await refusal(work());
      expect(refused).toMatchObject({ code: sqlstates.SOURCE_IN_USE, message: expect.stringContaining(workflow) });
      expect(JSON.parse(refused.detail!)).toEqual([{ id: expect.any(String), name: workflow }]);
    }
    await change(`config = '{"model": "another"}'`);
    expect(await remove(id, true)).toMatchObject([{ status: 'deleted' }]);
  });

  test('is deleted by force alone, and only itself', async () => {
    const [first, second] = [await newSource(), await newSource()];
    await newWorkflow('uses both', { nodes: [
      { id: 'a', type: 'llm', metadata: { source: first.name } }, { id: 'b', type: 'llm', metadata: { source: second.name } },
    ], edges: [{ from: 'a', to: 'b' }], start_node: 'a' });
    const both = db.asRole('agentflow_user', claimsOf(ours, 'architect'), async (client) => {
      await client.query('select app_public.delete_source($1, true)', [first.id]);
      await client.query(`update app_public.sources set status = 'inactive' where id = $1`, [second.id]);
    });
    expect(await refusal(both)).toMatchObject({ code: sqlstates.SOURCE_IN_USE, message: expect.stringContaining(second.name) });
  });

  test('is free again when no published workflow looks for it', async () => {
    const [draft, shadowed] = [await newSource(), await newSource()];
    await newWorkflow('a draft', asking({ source: draft.name }), 'draft');
    await newWorkflow('has its own', asking({ source: shadowed.name }, [{ id: shadowed.name, kind: 'llm', config: { model: 'm' } }]));
    expect(await remove(draft.id)).toHaveLength(1);
    expect(await remove(shadowed.id)).toHaveLength(1);
  });

  test('is not deleted while a workflow that uses it is just being published', async () => {
    const { id, name } = await newSource();
    let refused: Promise<Refusal> | undefined;
    await db.asRole('agentflow_owner', {}, async (client) => {
      await client.query(`insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, 'at once', $3, 'published')`,
        [ours.id, ours.users.architect, asking({ source: name })]);
      refused = refusal(remove(id));
      await someoneWaits(db);
    }, { commit: true });
    expect(await refused).toMatchObject({ code: sqlstates.SOURCE_IN_USE, message: expect.stringContaining('at once') });
  });

  test("of another tenant does not hold one's own of the same name", async () => {
    const { id, name } = await newSource();
    await db.owner.query(`insert into app_public.sources (tenant_id, user_id, name, kind, config) values ($1, $2, $3, 'llm', '{"model": "m"}')`,
      [theirs.id, theirs.users.architect, name]);
    await db.owner.query(`insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, 'theirs', $3, 'published')`,
      [theirs.id, theirs.users.architect, asking({ source: name })]);
    expect(await remove(id)).toHaveLength(1);
  });
});
