/** The token buckets of queues: what is granted at once, in a moment, and not yet. */
import { useTestDatabase } from '../../support/database.ts';
import { insertWorkflow, sampleTenant } from '../../support/executions.ts';

const db = useTestDatabase({ samples: true });
let workflowId: string;

beforeAll(async () => {
  workflowId = (await insertWorkflow(db.owner, { nodes: [{ id: 'a', type: 'input' }], start_node: 'a' })).id;
});

interface Bandwidth { per_second?: number; per_minute?: number; tokens_per_minute?: number; burst?: number; lateness?: number }
interface Permit { place: number; is_granted: boolean; seconds: number }

let queues = 0;
const newQueue = (): string => `queue ${(queues += 1)}`;

async function ask(queue: string, count: number, bandwidth: Bandwidth, returns = false): Promise<Permit[]> {
  const asks = Array.from({ length: count }, (_, place) => ({ place, tenant_id: sampleTenant, workflow_id: workflowId, queue_id: queue, returns, ...bandwidth }));
  const { rows } = await db.asRole('agentflow_worker', {}, (client) => client.query<Permit>('select place, is_granted, seconds from app_private.acquire_permits($1)', [JSON.stringify(asks)]), { commit: true });
  return rows.sort((a, b) => a.place - b.place);
}

const charge = (queue: string, tokens: number, bandwidth: Bandwidth): Promise<unknown> => db.asRole('agentflow_worker', {}, (client) =>
  client.query('select app_private.charge_permits($1)', [JSON.stringify([{ tenant_id: sampleTenant, workflow_id: workflowId, queue_id: queue, tokens, ...bandwidth }])]), { commit: true });

/** As if the last use of the bucket had been so long ago. */
const passes = (queue: string, seconds: number): Promise<unknown> => db.owner.query(
  `update app_private.rate_buckets set updated_at = updated_at - make_interval(secs => $2), tokens_at = tokens_at - make_interval(secs => $2), line_until = line_until - make_interval(secs => $2)
    where queue_id = $1`, [queue, seconds]);

test('a full bucket lets its burst through at once, then one a slot for a second, and sends the rest to the line', async () => {
  const permits = await ask(newQueue(), 20, { per_second: 10, burst: 3 });
  expect(permits.slice(0, 13).every(({ is_granted }) => is_granted)).toBe(true);
  expect(permits.slice(13).some(({ is_granted }) => is_granted)).toBe(false);
  permits.slice(0, 13).forEach(({ seconds }, index) => expect(seconds).toBeCloseTo(Math.max(0, (index - 2) / 10), 5));
  // the line: moments one behind the other, each a little ahead
  permits.slice(13).forEach(({ seconds }, index) => expect(seconds).toBeCloseTo(1.1 + index / 10 - 0.8, 5));
});

test('what runs dry after a burst leaves room for those who are late, once', async () => {
  const [queue, bandwidth] = [newQueue(), { per_second: 10, burst: 3, lateness: 0.2 }];
  const seconds = async (count: number): Promise<number[]> => (await ask(queue, count, bandwidth)).map((permit) => Number(permit.seconds.toFixed(3)));
  expect(await seconds(5)).toEqual([0, 0, 0, 0.3, 0.4]);
  await passes(queue, 0.3);
  expect((await seconds(1))[0]).toBeLessThanOrEqual(0.2);
  await passes(queue, 60);
  expect(await seconds(4)).toEqual([0, 0, 0, 0.3]);
});

test('without a burst the capacity is one second\'s worth, at least one', async () => {
  expect((await ask(newQueue(), 6, { per_second: 5 })).map(({ seconds }) => seconds > 0)).toEqual([false, false, false, false, false, true]);
  const [first, second] = await ask(newQueue(), 2, { per_minute: 30 });
  expect(first).toMatchObject({ is_granted: true, seconds: 0 });
  expect(second).toMatchObject({ is_granted: false });
  expect(second!.seconds).toBeCloseTo(1.2, 5);
});

test('who comes back goes before newcomers, who join the line', async () => {
  const queue = newQueue();
  await ask(queue, 20, { per_second: 10, burst: 1 });
  await passes(queue, 1);
  const [newcomer] = await ask(queue, 1, { per_second: 10, burst: 1 });
  expect(newcomer).toMatchObject({ is_granted: false });
  const [back] = await ask(queue, 1, { per_second: 10, burst: 1 }, true);
  expect(back).toMatchObject({ is_granted: true });
});

test('a bucket fills up to its capacity and no further', async () => {
  const queue = newQueue();
  await ask(queue, 4, { per_second: 2, burst: 4 });
  await passes(queue, 3_600);
  expect((await ask(queue, 5, { per_second: 2, burst: 4 })).map(({ seconds }) => seconds === 0)).toEqual([true, true, true, true, false]);
});

test('each of several limits must allow it', async () => {
  const permits = await ask(newQueue(), 3, { per_second: 100, per_minute: 60, burst: 2 });
  expect(permits.map(({ is_granted }) => is_granted)).toEqual([true, true, true]);
  expect(permits[2]!.seconds).toBeCloseTo(1, 5);
});

test('tokens are charged afterwards, into debt, and the debt is waited for', async () => {
  const queue = newQueue();
  const bandwidth = { tokens_per_minute: 600 };
  expect(await ask(queue, 5, bandwidth)).toEqual(Array.from({ length: 5 }, (_, place) => ({ place, is_granted: true, seconds: 0 })));
  await charge(queue, 50, bandwidth);
  const [owing] = await ask(queue, 1, bandwidth);
  expect(owing).toMatchObject({ is_granted: false });
  expect(owing!.seconds).toBeGreaterThan(3);
  expect(owing!.seconds).toBeLessThanOrEqual(4);
  await passes(queue, 5);
  expect(await ask(queue, 1, bandwidth, true)).toMatchObject([{ is_granted: true, seconds: 0 }]);
});

test('queues of different workflows and names share nothing', async () => {
  const [one, other] = [newQueue(), newQueue()];
  await ask(one, 50, { per_second: 1 });
  expect(await ask(other, 1, { per_second: 1 })).toMatchObject([{ is_granted: true, seconds: 0 }]);
});
