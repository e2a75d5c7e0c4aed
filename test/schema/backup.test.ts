/**
 * Does what docs/how-to/backup.md says, command by command, from one server to another. It needs a server and a pg_dump of one
 * version: where there are none (Debian has them in the package postgresql), only what the page says is looked at.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, type EmbeddedPostgres } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { compareCatalogs, describeDifference, readCatalog } from '../../src/schema/fingerprint.ts';
import { runCurrent, projectFolder } from '../../src/schema/migrate.ts';
import { printSdl } from '../../src/server/sdl.ts';
import { findFullPostgres, type FullPostgres } from '../support/debian-postgres.ts';
import { sampleStatements } from '../support/samples.ts';
import { finish, type Finished } from '../support/cli.ts';

const page = readFileSync(path.join(projectFolder, 'docs', 'how-to', 'backup.md'), 'utf8');
const [dump, roles, restore] = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text]) => text!.trim().split('\n'));
const full = findFullPostgres();
const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-backup-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  if (full) rmSync(full.packageFolder, { recursive: true, force: true });
});

test('the page has its three parts, and says what a dump lacks', () => {
  expect([dump, roles, restore].map((lines) => lines?.length)).toEqual([1, 1, 6]);
  for (const missing of ['roles', 'search_path', 'AGENTFLOW_SECRET_KEY', 'JWT_SECRET']) expect(page).toContain(missing);
});

/** One line of the page, as a shell runs it in an empty folder. */
function shell(line: string, bin: string, env: Record<string, string>): Promise<Finished> {
  const launcher = path.join(projectFolder, 'bin', 'agentflow.mjs');
  const command = line.replace(/^npx agentflow /, `"${process.execPath}" "${launcher}" `);
  return finish(spawn('sh', ['-c', command], { cwd: folder, env: { PATH: `${bin}:${process.env['PATH']}`, HOME: folder, AGENTFLOW_DATA_DIR: path.join(folder, 'data'), ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** An execution that was begun and given back: it has a job and a lease. */
const oneUnderWay = `
  with started as (
    insert into app_public.executions (tenant_id, user_id, workflow_id, initial_state)
    select tenant_id, user_id, id, '{"user_input": "?"}' from app_public.workflows where status = 'published' order by id limit 1 returning id, tenant_id)
  insert into app_private.execution_leases (execution_id, tenant_id) select id, tenant_id from started`;

/** Of every table, those of jobs and of migrations too: how many rows, and a hash of all. */
function rowsOf(url: string): Promise<Record<string, string>> {
  return withClient(url, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(`
      select format('%I.%I', nspname, relname) as name from pg_class join pg_namespace as schema on schema.oid = relnamespace
       where relkind = 'r' and nspname in ('app_public', 'app_private', 'graphile_worker', 'graphile_migrate') order by 1`);
    const contents: Record<string, string> = {};
    for (const { name } of tables) {
      const { rows: [content] } = await client.query<{ content: string }>(`select concat(count(*), ' ', md5(string_agg(one::text, '' order by one::text))) as content from ${name} as one`);
      contents[name] = content!.content;
    }
    return contents;
  });
}

(full ? describe : describe.skip)(`from one server to another (${full ? `PostgreSQL ${full.major}` : 'there is no PostgreSQL with its programs here'})`, () => {
  const { bin, packageFolder } = full ?? ({} as FullPostgres);
  let [old, fresh] = [null, null] as [EmbeddedPostgres | null, EmbeddedPostgres | null];
  beforeAll(async () => {
    [old, fresh] = [await startEmbedded({ dataDir: path.join(folder, 'old'), packageFolder, durable: false }), await startEmbedded({ dataDir: path.join(folder, 'fresh'), packageFolder, durable: false })];
    await runCurrent({ databaseUrl: old.url('agentflow_owner'), rootUrl: old.url('postgres', 'postgres'), passwords: old.secrets.passwords });
    await withClient(old.url('agentflow_owner'), (client) => client.query(`begin; ${sampleStatements()}; ${oneUnderWay}; commit`));
    await withClient(fresh.url('postgres', 'postgres'), async (client) => {
      for (const sql of ['drop database agentflow', 'drop owned by agentflow_owner', 'drop role agentflow_owner']) await client.query(sql);
    });
  }, 180_000);
  afterAll(async () => {
    await old?.close();
    await fresh?.close();
  });

  test('every row and every object is back, and verify says so', async () => {
    const source = { DATABASE_URL: old!.url('agentflow_owner'), ROOT_DATABASE_URL: old!.url('postgres', 'postgres') };
    const headsOf = (url: string) => withClient(url, async (client) => (await client.query('select tenant_id, seals, sealed_rows, hash from app_private.audit_heads() order by 1')).rows);
    expect(await shell('npx agentflow verify', bin, source)).toEqual(expect.objectContaining({ code: 0 })); // seals what there is
    const heads = await headsOf(source.DATABASE_URL);
    expect(heads.length).toBeGreaterThan(0);
    expect(await rowsOf(source.DATABASE_URL)).toMatchObject({ 'graphile_worker._private_jobs': expect.stringMatching(/^[1-9]/), 'app_private.execution_leases': expect.stringMatching(/^[1-9]/) });
    for (const line of [...dump!, ...roles!]) expect([line, await shell(line, bin, source)]).toEqual([line, expect.objectContaining({ code: 0 })]);
    expect(readFileSync(path.join(folder, 'roles.sql'), 'utf8')).toContain('agentflow_authenticator');
    const target = { DATABASE_URL: fresh!.url('postgres', 'agentflow_restored'), ROOT_DATABASE_URL: fresh!.url('postgres', 'postgres') };
    for (const line of restore!) expect([line, await shell(line, bin, target)]).toEqual([line, expect.objectContaining({ code: 0 })]);
    expect(await rowsOf(target.DATABASE_URL)).toEqual(await rowsOf(source.DATABASE_URL));
    const [before, after] = [await withClient(source.DATABASE_URL, readCatalog), await withClient(target.DATABASE_URL, readCatalog)];
    expect(compareCatalogs(before, after).map(describeDifference)).toEqual([]);
    expect(await printSdl(target.DATABASE_URL)).toBe(await printSdl(source.DATABASE_URL));
    expect(await headsOf(target.DATABASE_URL)).toEqual(heads);

    // A row of the log that is another one than was sealed, as an exchanged dump would hold it.
    const id = await withClient(target.DATABASE_URL, async (client) => (await client.query<{ id: string }>(`
      set session_replication_role = replica;
      update app_public.audit_logs set entity_type = 'nothing' where id = (select id from app_public.audit_logs order by id limit 1) returning id`) as unknown as { rows: { id: string }[] }[])[1]!.rows[0]!.id);
    expect(await shell('npx agentflow verify', bin, target)).toMatchObject({ code: 1, stdout: expect.stringContaining(`audit row ${id}`) });
  }, 120_000);

  test('a role that sees no rows gets an error and no empty dump', async () => {
    const url = old!.url('agentflow_worker');
    const { code, stderr } = await shell('pg_dump --file=empty.sql --table=app_public.users "$DATABASE_URL"', bin, { DATABASE_URL: url });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/permission denied|row-level security/)]);
  });
});
