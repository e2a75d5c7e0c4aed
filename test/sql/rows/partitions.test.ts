/** Monthly partitions of audit_logs and node_executions: made ahead, protected, dropped by retention. */
import { one, plantTenant, type PlantedTenant } from '../support/plant.ts';
import { become, probe } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();
let tenant: PlantedTenant;
beforeAll(async () => {
  tenant = await plantTenant(context.client);
});

const partitionsOf = async (parent: string): Promise<string[]> => {
  const { rows } = await context.client.query<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = ('app_public.' || $1)::regclass order by 1`, [parent]);
  return rows.map(({ name }) => name);
};
const monthFromNow = async (parent: string, months: number): Promise<string> =>
  one(context.client, `select $1 || to_char((now() at time zone 'UTC') + make_interval(months => $2), '_YYYY_MM')`, [parent, months]);

const auditRowOf = (month: string): Promise<string> => one(context.client,
  `insert into app_public.audit_logs (tenant_id, action, entity_type, created_at) values ($1, 'create', 'old', $2::timestamptz + interval '10 days') returning id`, [tenant.id, `${month} 00:00:00+00`]);

test.each(['audit_logs', 'node_executions'])('%s: a year ahead is there from the first migration, and nothing more is made', async (parent) => {
  const partitions = await partitionsOf(parent);
  expect(partitions).toEqual(expect.arrayContaining([`${parent}_default`, await monthFromNow(parent, -1), await monthFromNow(parent, 0), await monthFromNow(parent, 12)]));
  expect(await one(context.client, 'select app_private.ensure_partitions()')).toBe(0);
  expect(await partitionsOf(parent)).toEqual(partitions);
});

test('more months ahead are made when asked for, once', async () => {
  expect(await one(context.client, 'select app_private.ensure_partitions(14)')).toBe(4);
  expect(await one(context.client, 'select app_private.ensure_partitions(14)')).toBe(0);
  expect(await partitionsOf('audit_logs')).toContain(await monthFromNow('audit_logs', 14));
});

test('rows go to the partition of their month', async () => {
  expect(await one(context.client, 'select distinct tableoid::regclass::text from app_public.audit_logs where tenant_id = $1', [tenant.id]))
    .toBe(`app_private.${await monthFromNow('audit_logs', 0)}`);
});

test('a row whose month has no partition waits in the default one, and moves when the month is made', async () => {
  const id = await auditRowOf('2020-01-01');
  const where = (): Promise<string> => one(context.client, 'select tableoid::regclass::text from app_public.audit_logs where id = $1', [id]);
  expect(await where()).toBe('app_private.audit_logs_default');
  expect(await one(context.client, `select app_private.ensure_partition('audit_logs', '2020-01-01')`)).toBe(true);
  expect(await where()).toBe('app_private.audit_logs_2020_01');
  expect(await partitionsOf('audit_logs')).toContain('audit_logs_default');
});

test('a new partition is protected like its table', async () => {
  await context.client.query(`select app_private.ensure_partition('audit_logs', '2020-01-01')`);
  const { rows } = await context.client.query(`
    select relrowsecurity, relforcerowsecurity, relacl, (select count(*)::int from pg_policies where tablename = relname) as policies
    from pg_class where relname = 'audit_logs_2020_01'`);
  expect(rows).toEqual([{ relrowsecurity: true, relforcerowsecurity: true, relacl: null, policies: 1 }]);
  await auditRowOf('2020-01-01');
  expect((await probe(context.client, 'delete from app_private.audit_logs_2020_01')).refused).toBe('AF411');
  expect((await probe(context.client, 'truncate app_private.audit_logs_2020_01')).refused).toBe('AF411');
});

test('retention drops whole months that are older than allowed, and nothing else', async () => {
  for (const month of ['2020-01-01', '2020-02-01']) await context.client.query(`select app_private.ensure_partition('audit_logs', $1)`, [month]);
  const kept = (await partitionsOf('audit_logs')).filter((name) => !name.includes('_2020_'));
  expect(await one(context.client, `select app_private.drop_partitions('audit_logs', 13)`)).toEqual(['audit_logs_2020_01', 'audit_logs_2020_02']);
  expect(await partitionsOf('audit_logs')).toEqual(kept);
});

test.each([['users', 12], ['audit_logs', 0], ['audit_logs', -1]])('retention refuses %s with %d months', async (parent, months) => {
  await expect(context.client.query('select app_private.drop_partitions($1, $2)', [parent, months])).rejects.toMatchObject({ code: 'AF400' });
});

test('the worker may make and drop partitions, clients may not', async () => {
  await become(context.client, 'agentflow_worker', {});
  expect((await probe(context.client, 'select app_private.ensure_partitions(13)')).refused).toBeNull();
  expect((await probe(context.client, `select app_private.drop_partitions('audit_logs', 24)`)).refused).toBeNull();
  await context.client.query('reset role');
  for (const role of ['agentflow_user', 'agentflow_visitor', 'agentflow_operator']) {
    await become(context.client, role, {});
    for (const call of ['ensure_partitions()', `ensure_partition('audit_logs', '2020-01-01')`, `drop_partitions('audit_logs', 24)`]) {
      expect([role, call, (await probe(context.client, `select app_private.${call}`)).refused]).toEqual([role, call, '42501']);
    }
    await context.client.query('reset role');
  }
});
