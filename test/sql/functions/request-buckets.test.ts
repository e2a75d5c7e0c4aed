/** Buckets of requests, which servers take leases from. */
import { useTestDatabase } from '../../support/database.ts';
import { as } from './acting.ts';

const db = useTestDatabase();
const ask = as(db, {}, 'agentflow_authenticator');

interface Taken {
  granted: number;
  wait_ms: number;
}

const take = async (name: string, wanted: number, { perSecond = 1, burst = 10 } = {}): Promise<Taken> => {
  const [row] = await ask<Taken>(`select granted, wait_ms from app_private.take_requests('{tenant}', array[$1], array[$2::integer], array[$3::float8], array[$4::float8])`, [name, wanted, perSecond, burst]);
  return row!;
};

test('a new bucket is full, gives what it has, and says how long the next one takes', async () => {
  expect(await take('new', 4)).toEqual({ granted: 4, wait_ms: 0 });
  expect(await take('new', 100)).toEqual({ granted: 6, wait_ms: 0 });
  const empty = await take('new', 1);
  expect(empty.granted).toBe(0);
  expect(empty.wait_ms).toBeGreaterThan(0);
  expect(empty.wait_ms).toBeLessThanOrEqual(1_000);
});

test('a bucket fills with time, to its burst and no further', async () => {
  await take('filling', 10);
  await db.owner.query(`update app_private.request_buckets set refilled_at = now() - interval '3.5 seconds' where name = 'filling'`);
  expect((await take('filling', 10)).granted).toBe(3);
  await db.owner.query(`update app_private.request_buckets set refilled_at = now() - interval '1 hour' where name = 'filling'`);
  expect((await take('filling', 50)).granted).toBe(10);
});

test('many takers at once get what there is, and not one more', async () => {
  const slow = { perSecond: 0.001, burst: 50 };
  const granted = await Promise.all(Array.from({ length: 20 }, () => take('contested', 7, slow)));
  expect(granted.reduce((sum, one) => sum + one.granted, 0)).toBe(50);
});

test('several buckets are taken from in one statement', async () => {
  const rows = await ask(`select kind, name, granted from app_private.take_requests('{tenant,address,tenant}', '{b,a,a}', '{1,2,3}', '{1,1,1}', '{5,5,2}') order by kind, name`);
  expect(rows).toEqual([{ kind: 'address', name: 'a', granted: 2 }, { kind: 'tenant', name: 'a', granted: 2 }, { kind: 'tenant', name: 'b', granted: 1 }]);
});

test('full buckets are forgotten on the way', async () => {
  await take('old', 1);
  await db.owner.query(`update app_private.request_buckets set refilled_at = now() - interval '2 hours' where name = 'old'`);
  await take('other', 1);
  expect((await db.owner.query(`select from app_private.request_buckets where name = 'old'`)).rowCount).toBe(0);
});
