import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, type EmbeddedPostgres } from '../../src/embedded/index.ts';
import type { AgentFlowError } from '../../src/errors.ts';
import { actingAs, withClient } from '../../src/schema/connection.ts';
import { migrateDatabase } from '../../src/schema/migrate.ts';
import { checkServerVersion, prepareDatabase } from '../../src/schema/prepare.ts';
import { missingRoleStatements } from '../../src/schema/roles.ts';

describe('server versions', () => {
  test.each([[130_020], [140_013], [150_008], [160_004], [170_000]])('%i is refused: plans made for one role were used for another', (version) => {
    expect(() => checkServerVersion(version)).toThrow(expect.objectContaining({ code: 'POSTGRES_UNSUPPORTED' }));
  });
  test.each([[140_014], [150_009], [160_005], [170_001], [180_000]])('%i is fine', (version) => {
    expect(() => checkServerVersion(version)).not.toThrow();
  });
});

/** Roles belong to a whole server, so these tests have one of their own. */
describe('preparing a server', () => {
  let dataDir: string;
  let embedded: EmbeddedPostgres;
  beforeAll(async () => {
    dataDir = mkdtempSync(path.join(os.tmpdir(), 'agentflow-prepare-'));
    const packageFolder = process.env['AGENTFLOW_TEST_POSTGRES'];
    embedded = await startEmbedded({ dataDir, durable: false, ...(packageFolder ? { packageFolder } : {}) });
  });
  afterAll(async () => {
    await embedded.close();
    rmSync(dataDir, { recursive: true });
  });
  const superuser = (database: string): string => embedded.url('postgres', database);
  const rowsOf = async (url: string, sql: string): Promise<unknown[]> => withClient(url, async (client) => (await client.query(sql)).rows);

  test('by an owner who may not create roles: says what a superuser has to run, and that is enough', async () => {
    const url = embedded.url('agentflow_owner');
    await rowsOf(superuser('postgres'), 'alter role agentflow_owner nocreaterole');
    const refusal = await prepareDatabase(url).then(() => null, (error: AgentFlowError) => error);
    expect(refusal).toMatchObject({ code: 'ROLE_MISSING', message: expect.stringContaining('agentflow_owner') });
    const sql = refusal!.details['sql'] as string;
    expect(refusal!.remedy).toContain(sql);
    expect(sql).toContain('create role agentflow_authenticator login noinherit');
    await rowsOf(superuser('postgres'), sql);
    await prepareDatabase(url);
    expect(await withClient(url, (client) => missingRoleStatements(client))).toEqual([]);
  });

  test('twice changes nothing, and everybody can be who they must be and nobody else', async () => {
    await prepareDatabase(embedded.url('agentflow_owner'), embedded.secrets.passwords);
    await rowsOf(superuser('postgres'), `alter role agentflow_authenticator password '${embedded.secrets.passwords.agentflow_authenticator}'`);
    await rowsOf(superuser('postgres'), `alter role agentflow_worker password '${embedded.secrets.passwords.agentflow_worker}'`);
    const mayBecome = async (login: 'agentflow_owner' | 'agentflow_authenticator' | 'agentflow_worker'): Promise<string[]> => {
      const wanted = ['postgres', 'agentflow_owner', 'agentflow_authenticator', 'agentflow_worker', 'agentflow_visitor', 'agentflow_user', 'agentflow_operator'].filter((role) => role !== login);
      return withClient(embedded.url(login), async (client) => {
        const became: string[] = [];
        for (const role of wanted) await client.query(`set role ${role}; reset role`).then(() => became.push(role), () => undefined);
        return became;
      });
    };
    expect(await mayBecome('agentflow_authenticator')).toEqual(['agentflow_visitor', 'agentflow_user', 'agentflow_operator']);
    expect(await mayBecome('agentflow_owner')).toEqual(['agentflow_worker', 'agentflow_visitor', 'agentflow_user', 'agentflow_operator']);
    expect(await mayBecome('agentflow_worker')).toEqual([]);
  });

  test('makes the worker\'s schema the worker\'s, and leaves it no right to make others', async () => {
    const url = embedded.url('agentflow_owner');
    expect(await rowsOf(url, `
      select nspowner::regrole::text as owner, has_database_privilege('agentflow_worker', current_database(), 'create') as may_create,
             has_database_privilege('agentflow_worker', current_database(), 'connect') as may_connect
      from pg_namespace where nspname = 'graphile_worker'`)).toEqual([{ owner: 'agentflow_worker', may_create: false, may_connect: true }]);
    // A member of the worker's role sees the jobs, whose tables show themselves to their owner only.
    await rowsOf(superuser('postgres'), 'alter role agentflow_owner nobypassrls');
    await rowsOf(url, `select graphile_worker.add_job('nothing')`);
    expect(await rowsOf(url, 'select payload from graphile_worker._private_jobs')).toEqual([{ payload: {} }]);
  });

  test('by a superuser on a database of its own leaves everything to the owner all the same', async () => {
    await rowsOf(superuser('postgres'), 'create database elsewhere');
    await migrateDatabase(superuser('elsewhere'));
    expect(await rowsOf(superuser('elsewhere'), `
      select distinct n.nspname::text as schema, c.relowner::regrole::text as owner
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('app_public', 'app_private', 'graphile_migrate', 'graphile_worker') order by 1`)).toEqual([
      { schema: 'app_private', owner: 'agentflow_owner' }, { schema: 'app_public', owner: 'agentflow_owner' },
      { schema: 'graphile_migrate', owner: 'agentflow_owner' }, { schema: 'graphile_worker', owner: 'agentflow_worker' },
    ]);
    expect(await rowsOf(superuser('elsewhere'), 'select email from users')).toEqual([]);
  });

  test('by eight at once on a new database: one migrates, the others wait and find it done', async () => {
    await rowsOf(superuser('postgres'), 'create database crowded owner agentflow_owner');
    const ran = await Promise.all(Array.from({ length: 8 }, () => migrateDatabase(embedded.url('agentflow_owner', 'crowded'))));
    expect(ran.filter((migrations) => migrations.length > 0)).toHaveLength(1);
    expect(await rowsOf(embedded.url('agentflow_owner', 'crowded'), 'select email from users')).toEqual([]);
  });
});

test('acting as another role keeps what the connection string already says', () => {
  const url = new URL(actingAs('postgres://me:p%40ss@host:5/db?sslmode=require&options=-c%20statement_timeout%3D5s', 'agentflow_owner'));
  expect([url.password, url.searchParams.get('sslmode'), url.searchParams.get('options')]).toEqual(['p%40ss', 'require', '-c statement_timeout=5s -c role=agentflow_owner']);
});
