/** search_workflows and search_sources: what they find, for whom, and by which index. */
import { useTestDatabase } from '../../support/database.ts';
import { one, type PlantedTenant, plantTenant, type RoleOfUser, rolesOfUsers } from '../support/plant.ts';
import { as, claimsOf, refusal, sqlstates } from './acting.ts';

const db = useTestDatabase();
let ours: PlantedTenant;
let theirs: PlantedTenant;
const needle = { nodes: [{ metadata: { source: 'needle' } }] };
const spec = { nodes: [{ id: 'ask', type: 'llm', metadata: { source: 'needle', prompt: 'x' } }], start_node: 'ask' };
const config = { model: 'needle', base_url: 'https://needle.example/v1' };

/** One living and one deleted row that match, in each tenant, among enough others that an index is worth its while. */
beforeAll(async () => {
  await db.asRole('agentflow_owner', {}, async (client) => {
    [ours, theirs] = [await plantTenant(client), await plantTenant(client)];
    for (const tenant of [ours, theirs]) {
      for (const status of ['draft', 'deleted']) {
        await one(client, 'insert into app_public.workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, $5) returning id',
          [tenant.id, tenant.users.architect, `needle ${status}`, spec, status]);
      }
      for (const status of ['active', 'deleted']) {
        await one(client, `insert into app_public.sources (tenant_id, user_id, name, kind, config, status) values ($1, $2, $3, 'llm', $4, $5) returning id`,
          [tenant.id, tenant.users.architect, `needle ${status}`, config, status]);
      }
    }
    await client.query(`
      insert into app_public.workflows (tenant_id, user_id, name, spec)
      select $1, $2, 'hay ' || i, jsonb_build_object('nodes', jsonb_build_array(jsonb_build_object('id', 'n' || i, 'metadata',
        jsonb_build_object('source', 's' || i, 'prompt', repeat('hay ' || i, 100)))))
      from generate_series(1, 3000) as i`, [ours.id, ours.users.architect]);
    await client.query(`
      insert into app_public.sources (tenant_id, user_id, name, kind, config)
      select $1, $2, 'hay ' || i, 'llm', jsonb_build_object('model', 'm' || i, 'base_url', 'https://' || i || '.example/' || repeat('hay', 200)) from generate_series(1, 3000) as i`,
    [ours.id, ours.users.architect]);
  }, { commit: true });
  // Empties the GIN indexes' lists of pending entries too: as long as those are long, the planner avoids the index.
  await db.owner.query('vacuum analyze app_public.workflows');
  await db.owner.query('vacuum analyze app_public.sources');
});

interface Found { name: string; tenant_id: string }

const search = (name: string, contains: unknown, role: RoleOfUser = 'viewer', permissions?: Record<string, string[]>): Promise<Found[]> =>
  as(db, claimsOf(ours, role, permissions))<Found>(`select name, tenant_id from app_public.${name}($1)`, [JSON.stringify(contains)]);

describe.each([
  { name: 'search_workflows', table: 'workflows', index: 'idx_workflows_spec_gin', area: 'workflows', contains: needle as object, living: 'needle draft' },
  { name: 'search_sources', table: 'sources', index: 'idx_sources_config_gin', area: 'sources', contains: { model: 'needle' } as object, living: 'needle active' },
])('$name', ({ name, index, area, contains, living }) => {
  test("finds the tenant's own living rows, and no others", async () => {
    expect(await search(name, contains, 'admin')).toEqual([{ name: living, tenant_id: ours.id }]);
    expect(await search(name, { nodes: [{ type: 'nowhere' }], model: 'nowhere' })).toEqual([]);
  });

  test.each(rolesOfUsers)('answers everyone who may read: %s', async (role) => {
    expect(await search(name, contains, role)).toHaveLength(1);
  });

  test('finds nothing for an API key that may not read', async () => {
    expect(await search(name, contains, 'admin', { [area]: ['write'] })).toEqual([]);
    expect(await search(name, contains, 'admin', { [area]: ['read'] })).toHaveLength(1);
  });

  test('finds nothing for nobody', async () => {
    expect(await as(db, {})(`select name from app_public.${name}($1)`, ['{}'])).toEqual([]);
    expect((await refusal(as(db, {}, 'agentflow_visitor')(`select name from app_public.${name}($1)`, ['{}']))).code).toBe(sqlstates.NO_GRANT);
  });

  test('reaches the index of the JSON column', async () => {
    const { rows: [statement] } = await db.owner.query<{ body: string }>('select prosrc as body from pg_proc where oid = $1::regproc', [`app_public.${name}`]);
    const query = statement!.body.replace(`${name}.contains`, '$1');
    const plan = await db.asRole('agentflow_owner', claimsOf(ours, 'viewer'), async (client) => {
      await client.query(`prepare ${name} (jsonb) as ${query}`);
      return (await client.query<{ 'QUERY PLAN': string }>(`explain execute ${name} ('${JSON.stringify(contains)}')`)).rows;
    });
    expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain(`Bitmap Index Scan on ${index}`);
  });
});
