/** publish, archive, delete, restore: who may, from where to where, and what a foreign id answers. */
import { useTestDatabase } from '../../support/database.ts';
import { type PlantedTenant, plantTenant, rolesOfUsers, type RoleOfUser, one, smallestSpec } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates, unknownId } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;

beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    ours = await plantTenant(client);
    theirs = await plantTenant(client);
  }, { commit: true });
});

type Status = 'draft' | 'published' | 'archived' | 'deleted';
interface Row { id: string; status: Status; deleted_at: Date | null; deleted_by: string | null; version: number }

/** A workflow of ours in that status, made by the owner. */
async function workflowIn(status: Status): Promise<string> {
  return db.asRole('agentflow_owner', {}, (client) => one<string>(client,
    'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
    [ours.id, ours.users.architect, 'w', smallestSpec, status]), { commit: true });
}

const call = (name: string, id: string, role: RoleOfUser = 'architect', permissions?: Record<string, string[]> | null): Promise<Row[]> =>
  as(db, claimsOf(ours, role, permissions))<Row>(`select * from app_public.${name}($1)`, [id]);

interface Operation {
  name: string;
  from: Status[];
  to: Status;
  least: RoleOfUser;
}

const operations: Operation[] = [
  { name: 'publish_workflow', from: ['draft', 'archived'], to: 'published', least: 'architect' },
  { name: 'archive_workflow', from: ['draft', 'published'], to: 'archived', least: 'architect' },
  { name: 'delete_workflow', from: ['draft', 'published', 'archived'], to: 'deleted', least: 'developer' },
  { name: 'restore_workflow', from: ['deleted', 'archived'], to: 'draft', least: 'architect' },
];
const statuses: Status[] = ['draft', 'published', 'archived', 'deleted'];

describe.each(operations)('$name', ({ name, from, to, least }) => {
  test.each(statuses.filter((status) => from.includes(status)))('takes a %s workflow there', async (status) => {
    const [row] = await call(name, await workflowIn(status));
    expect(row).toMatchObject({ status: to, version: 1 });
    expect(row!.deleted_at !== null).toBe(to === 'deleted');
    expect(row!.deleted_by).toBe(to === 'deleted' ? ours.users.architect : null);
  });

  test.each(statuses.filter((status) => !from.includes(status)))('refuses a %s workflow', async (status) => {
    const id = await workflowIn(status);
    expect(await refusal(call(name, id))).toMatchObject({ code: sqlstates.ILLEGAL_TRANSITION, message: expect.stringContaining(status) });
    expect((await db.owner.query('select status from app_public.workflows where id = $1', [id])).rows).toEqual([{ status }]);
  });

  test('answers the same for a foreign id as for an unknown one', async () => {
    const foreign = await refusal(call(name, theirs.workflowId));
    expect(foreign.code).toBe(sqlstates.NOT_FOUND);
    expect(foreign).toEqual(await refusal(call(name, unknownId)));
  });

  test.each(rolesOfUsers)('asks for the right: %s', async (role) => {
    const id = await workflowIn(from[0]!);
    if (rolesOfUsers.indexOf(role) >= rolesOfUsers.indexOf(least)) {
      expect(await call(name, id, role)).toMatchObject([{ status: to }]);
    } else {
      expect(await refusal(call(name, id, role))).toMatchObject({ code: sqlstates.PERMISSION_DENIED, message: expect.stringContaining(least) });
    }
  });

  test('asks an API key for workflows: write', async () => {
    const narrow: (Record<string, string[]> | null)[] = [null, {}, { workflows: ['read', 'execute'] }, { sources: ['write'] }];
    for (const permissions of narrow) {
      expect((await refusal(call(name, await workflowIn(from[0]!), 'admin', permissions))).code).toBe(sqlstates.PERMISSION_DENIED);
    }
    expect(await call(name, await workflowIn(from[0]!), 'admin', { workflows: ['write'] })).toMatchObject([{ status: to }]);
  });

  test('is not for those who are not signed in', async () => {
    const id = await workflowIn(from[0]!);
    expect((await refusal(as(db, {})(`select * from app_public.${name}($1)`, [id]))).code).toBe(sqlstates.UNAUTHENTICATED);
    expect((await refusal(as(db, {}, 'agentflow_visitor')(`select * from app_public.${name}($1)`, [id]))).code).toBe(sqlstates.NO_GRANT);
  });
});

test('who cannot restore a deleted workflow is not told that it is there', async () => {
  const id = await workflowIn('deleted');
  expect((await refusal(call('delete_workflow', id, 'developer'))).code).toBe(sqlstates.NOT_FOUND);
});
