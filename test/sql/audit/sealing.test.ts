/** The chain over the audit log: rows are sealed once their transactions are over, and whatever is touched afterwards is named. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { auditChain } from '../../../src/schema/audit-chain.ts';
import { withClient } from '../../../src/schema/connection.ts';
import { clusterUrl, testCluster, useTestDatabase } from '../../support/database.ts';
import { one, plantTenant, plantUser, type PlantedTenant } from '../support/plant.ts';

const db = useTestDatabase();
let tenant: PlantedTenant;
let other: PlantedTenant;

const chain = () => withClient(db.url('agentflow_owner'), (client) => auditChain(client, 20));
const seal = async (): Promise<number> => (await db.owner.query<{ sealed: number }>('select app_private.seal_audit() as sealed')).rows[0]!.sealed;
/** Past all triggers, as somebody with the superuser's password could. */
const tamper = (sql: string, values: unknown[] = []) => withClient(clusterUrl(testCluster(), 'postgres', db.name), async (client) => {
  await client.query('set session_replication_role = replica');
  return (await client.query<Record<string, unknown>>(sql, values)).rows;
});
const rename = (client: pg.ClientBase | pg.Pool, source: string): Promise<unknown> => client.query('update app_public.sources set name = $2 where id = $1', [source, randomUUID()]);

beforeAll(async () => {
  const client = await db.owner.connect();
  tenant = await plantTenant(client);
  other = await plantTenant(client);
  client.release();
  await chain();
});

test('each tenant has a chain of its own, and a quiet log is sealed at once', async () => {
  await rename(db.owner, tenant.sourceId);
  expect(await seal()).toBe(1);
  const { heads, problems, unsealed } = await chain();
  expect({ problems, unsealed }).toEqual({ problems: [], unsealed: 0 });
  const counted = (await db.owner.query<{ tenant: string; rows: number }>('select tenant_id as tenant, count(*)::int as rows from app_public.audit_logs group by 1')).rows;
  expect(heads.map(({ tenantId, sealedRows }) => ({ tenant: tenantId, rows: sealedRows }))).toEqual(expect.arrayContaining(counted));
  expect(heads).toContainEqual({ tenantId: tenant.id, seals: 2, sealedRows: expect.any(Number) as number, hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
});

test('a row is sealed after its transaction is over, whatever number it has', async () => {
  const slow = await db.owner.connect();
  await slow.query('begin');
  await rename(slow, tenant.sourceId);
  await rename(db.owner, other.sourceId);
  expect([await seal(), await seal()]).toEqual([0, 0]);
  expect((await chain()).unsealed).toBe(1);
  await slow.query('commit');
  slow.release();
  expect(await seal()).toBe(2);
  expect(await chain()).toMatchObject({ problems: [], unsealed: 0 });
});

test('who seals second does nothing', async () => {
  await rename(db.owner, tenant.sourceId);
  const first = await db.owner.connect();
  await first.query('begin');
  expect(await one(first, 'select app_private.seal_audit()')).toBe(1);
  expect(await seal()).toBe(0);
  await first.query('commit');
  first.release();
  expect((await chain()).problems).toEqual([]);
});

const anyRow = `(select id from app_public.audit_logs where tenant_id = $1 order by log_number limit 1)`;

test.each([
  ['one byte', `update app_public.audit_logs set new_value = jsonb_set(new_value, '{name}', to_jsonb(overlay(new_value ->> 'name' placing '_' from 1))) where id = ${anyRow}`, /^audit row .*: the row was changed \(seal 1\)$/],
  ['the time', `update app_public.audit_logs set created_at = created_at + interval '1 microsecond' where id = ${anyRow}`, /: the row was changed \(seal 1\)$/],
  ['another tenant', `update app_public.audit_logs set tenant_id = '${randomUUID()}' where id = ${anyRow}`, /: the row was changed \(seal 1\)$/],
  ['who did it, of a user who is there', `update app_public.audit_logs set user_id = null where tenant_id = $1 and user_id is not null`, /: the row was changed/],
  ['a missing row', `delete from app_public.audit_logs where id = ${anyRow}`, /: the row is missing \(seal 1\)$/],
  ['a row put in', `insert into app_public.audit_logs (tenant_id, action, entity_type, log_number) select $1, 'create', 'late', 1`, /: the row was added after its place was sealed$/],
  ['a hash of a row', `update app_private.audit_seals set row_hashes[1] = sha256('forged') where tenant_id = $1 and number = 1`, /^chain .*: seal 1 does not hold what its digest says$/],
  ['a seal', `update app_private.audit_seals set hash = sha256('forged') where tenant_id = $1 and number = 1`, /^chain .*: seal [12] does not follow from the one before it$/],
  ['a missing seal', `delete from app_private.audit_seals where tenant_id = $1 and number = 1`, /^chain .*: seal 2 does not follow from the one before it$/],
  ['a seal without its rows', `update app_private.audit_seals set row_ids = null, row_hashes = null where tenant_id = $1 and number = 1`, /^chain .*: seal 1 has lost its rows/],
])('%s is named', async (_what, breach, problem) => {
  await db.asRole('agentflow_user', { tenant_id: tenant.id, user_id: tenant.users.admin, role: 'admin' }, (client) => rename(client, tenant.sourceId), { commit: true });
  expect((await chain()).problems).toEqual([]);
  await tamper('create table public.kept_logs as select * from app_public.audit_logs');
  await tamper('create table public.kept_seals as select * from app_private.audit_seals');
  try {
    await tamper(breach, breach.includes('$1') ? [tenant.id] : []);
    expect((await chain()).problems).toContainEqual(expect.stringMatching(problem));
  } finally {
    for (const [table, kept] of [['app_public.audit_logs', 'kept_logs'], ['app_private.audit_seals', 'kept_seals']]) {
      await tamper(`truncate ${table}`);
      await tamper(`insert into ${table} select * from public.${kept}`);
      await tamper(`drop table public.${kept}`);
    }
  }
  expect((await chain()).problems).toEqual([]);
});

test('erasing a user empties the column, which is no fault: the log says who was erased', async () => {
  const person = await plantUser(await firstClient(), tenant.id, 'architect');
  await db.asRole('agentflow_user', { tenant_id: tenant.id, user_id: person, role: 'architect' }, (client) => rename(client, tenant.sourceId), { commit: true });
  await chain();
  await db.owner.query('delete from app_public.users where id = $1', [person]);
  expect(await one(await firstClient(), `select count(*)::int from app_public.audit_logs where tenant_id = $1 and user_id = $2`, [tenant.id, person])).toBe(0);
  expect((await chain()).problems).toEqual([]);
});

test('retention drops rows and keeps the chain, and the log says so', async () => {
  await db.owner.query(`select app_private.ensure_partition('audit_logs', '2020-01-01')`);
  await db.owner.query(`insert into app_public.audit_logs (tenant_id, action, entity_type, created_at) values ($1, 'create', 'old', '2020-01-10T00:00:00Z')`, [tenant.id]);
  await chain();
  await db.owner.query(`select app_private.drop_partitions('audit_logs', 13)`);
  expect(await chain()).toMatchObject({ problems: [], unsealed: 0 });
  const { rows } = await db.owner.query(`select old_value from app_public.audit_logs where tenant_id = $1 and action = 'erase' and entity_type = 'audit_log'`, [tenant.id]);
  expect(rows).toEqual([{ old_value: { rows: 1 } }]);
});

test('of changes that are committed, taken back and cut off, the log holds exactly those that are there', async () => {
  const before = await countAudited();
  const committed = (await Promise.all(Array.from({ length: 6 }, (_, writer) => changeBadly(writer, 30)))).flat();
  const { rows } = await db.owner.query<{ name: string }>(`select new_value ->> 'name' as name from app_public.audit_logs where tenant_id = $1 and entity_type = 'source' and action = 'create' order by log_number`, [other.id]);
  const there = (await db.owner.query<{ name: string }>(`select name from app_public.sources where tenant_id = $1 and name like 'w%'`, [other.id])).rows.map(({ name }) => name);
  expect(rows.map(({ name }) => name).filter((name) => name.startsWith('w')).toSorted()).toEqual(there.toSorted());
  expect(committed.filter((name) => !there.includes(name))).toEqual([]);
  expect(await countAudited() - before).toBe(there.length);
  expect(await chain()).toMatchObject({ problems: [], unsealed: 0 });
});

const countAudited = async (): Promise<number> => (await db.owner.query<{ count: number }>('select count(*)::int as count from app_public.audit_logs where tenant_id = $1', [other.id])).rows[0]!.count;

/** Inserts sources one by one; every third is taken back, and now and then the session is cut off. Returns the names whose commit was confirmed. */
async function changeBadly(writer: number, count: number): Promise<string[]> {
  const confirmed: string[] = [];
  for (let turn = 0; turn < count; turn += 1) {
    const name = `w${writer}-${turn}`;
    const client = new pg.Client({ connectionString: db.url('agentflow_owner') });
    client.on('error', () => undefined); // the cut off ones
    await client.connect();
    const backend = await one<number>(client, 'select pg_backend_pid()');
    await client.query('begin');
    await client.query(`insert into app_public.sources (name, kind, config, user_id, tenant_id) values ($1, 'llm', '{"model_name": "m"}', $2, $3)`, [name, other.users.architect, other.id]);
    if (turn % 7 === writer) {
      await Promise.allSettled([client.query('commit').then(() => confirmed.push(name)), db.owner.query('select pg_terminate_backend($1)', [backend])]);
    } else {
      await client.query(turn % 3 === 0 ? 'rollback' : 'commit');
      if (turn % 3 !== 0) confirmed.push(name);
    }
    await Promise.allSettled([client.end()]);
  }
  return confirmed;
}

async function firstClient(): Promise<pg.ClientBase> {
  const client = await db.owner.connect();
  client.release();
  return client;
}
