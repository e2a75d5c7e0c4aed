/** What the API's statements read when tenants have little, and when they have much. */
import { setTimeout as sleep } from 'node:timers/promises';
import { apiQueries } from '../../bench/support/api-queries.ts';
import { loadBigData } from '../../bench/support/big-data.ts';
import { startApi, type TestApi } from '../support/api.ts';

const tenants = 40;
const workflows = 20;
const requests = 3;
const nested = apiQueries.find(({ name }) => name.includes('last 5 executions'))!;

/** Entries of indexes and rows of executions that have been read. Sessions tell what they read when they end: those of `login` must be about to. */
async function readOfExecutions({ db }: TestApi, login: string): Promise<number> {
  while ((await db.owner.query('select from pg_stat_activity where datname = current_database() and usename = $1', [login])).rowCount !== 0) await sleep(20);
  const { rows } = await db.owner.query<{ count: number }>(`
    select (select sum(idx_tup_read) from pg_stat_user_indexes where relid = 'app_public.executions'::regclass)::int
      + (select seq_tup_read from pg_stat_user_tables where relid = 'app_public.executions'::regclass)::int as count`);
  return rows[0]!.count;
}

test.each([500, 1_500])('the last five executions of each workflow are read, and no others, where a tenant has %d', async (ofEach) => {
  const api = await startApi();
  try {
    await loadBigData(api.db, { tenants, users: 5, workflows, executions: tenants * ofEach }, () => undefined);
    const before = await readOfExecutions(api, 'postgres');
    for (let tenant = 0; tenant < requests; tenant += 1) {
      const { workflows: { nodes } } = await api.data(`user0@tenant${tenant}.example`, nested.graphql);
      expect(nodes).toHaveLength(workflows);
    }
    await api.server.close(1_000);
    // Whoever looked through a workflow, or a tenant, would read five times as many, or a hundred times.
    expect(await readOfExecutions(api, 'agentflow_authenticator') - before).toBeLessThanOrEqual(requests * workflows * 5 * 2);
  } finally {
    await api.server.close(1_000);
    await api.db.drop();
  }
});
