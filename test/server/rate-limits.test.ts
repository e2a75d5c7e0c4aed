import { addressName, RateLimits, type RateLimitOptions } from '../../src/server/rate-limits.ts';
import { codesOf, startApi, type TestApi } from '../support/api.ts';
import { openClient, watch } from '../support/subscriptions.ts';

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A bucket that holds so many and never fills again. */
function bucketOf(count: number): { left: () => number; asks: number[]; take: RateLimitOptions['take'] } {
  let left = count;
  const asks: number[] = [];
  return {
    asks,
    left: () => left,
    async take(wanted) {
      return wanted.map((ask) => {
        asks.push(ask.wanted);
        const granted = Math.min(ask.wanted, left);
        left -= granted;
        return { granted, waitMs: granted > 0 ? 0 : 5_000 };
      });
    },
  };
}

async function served(limits: RateLimits, count: number, cost = 0): Promise<number> {
  let good = 0;
  for (let index = 0; index < count; index += 1) {
    await limits.charge('tenant', 't', cost).then(() => { good += 1; }, (error: { code: string }) => expect(error.code).toBe('RATE_LIMITED'));
  }
  return good;
}

describe('leases', () => {
  const limit = { perSecond: 100, burst: 1_000 };

  test('serve what the bucket holds, within one lease, with few questions', async () => {
    const bucket = bucketOf(500);
    const count = await served(new RateLimits({ limits: { tenant: limit, address: null }, take: bucket.take, log: quiet }), 1_000);
    expect(count).toBeGreaterThanOrEqual(490);
    expect(count).toBeLessThanOrEqual(511);
    expect(bucket.asks.length).toBeLessThan(130);
  });

  test('are shared out exactly, whoever asks at the same time', async () => {
    const bucket = bucketOf(50);
    const limits = new RateLimits({ limits: { tenant: limit, address: null }, take: bucket.take, log: quiet });
    const results = await Promise.allSettled(Array.from({ length: 300 }, () => limits.charge('tenant', 't')));
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(61);
  });

  test('of one request are enough for a small limit', async () => {
    const bucket = bucketOf(3);
    expect(await served(new RateLimits({ limits: { tenant: { perSecond: 1, burst: 3 }, address: null }, take: bucket.take, log: quiet }), 20)).toBeLessThanOrEqual(4);
  });

  test('are used up sooner by what costs more', async () => {
    const bucket = bucketOf(100);
    expect(await served(new RateLimits({ limits: { tenant: limit, address: null }, take: bucket.take, log: quiet }), 100, 900)).toBeLessThanOrEqual(12);
  });

  test('say when to come again, and then serve again', async () => {
    let [clock, left] = [0, 0];
    const limits = new RateLimits({
      limits: { tenant: { perSecond: 1, burst: 1 }, address: null }, log: quiet, now: () => clock,
      take: (asks) => Promise.resolve(asks.map(() => ({ granted: left, waitMs: left > 0 ? 0 : 2_500 }))),
    });
    await limits.charge('tenant', 't');
    await expect(limits.charge('tenant', 't')).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: 3, limit: 'tenant' } });
    expect(() => limits.demand('tenant', 't')).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }));
    [clock, left] = [2_500, 10];
    limits.demand('tenant', 't');
    await limits.charge('tenant', 't');
  });

  test('are not needed while the database is away, nor without a limit', async () => {
    const limits = new RateLimits({ limits: { tenant: limit, address: null }, take: () => Promise.reject(new Error('away')), log: quiet });
    expect(await served(limits, 500)).toBe(500);
    await limits.charge('address', 'a');
  });
});

test.each([
  ['198.51.100.7', '198.51.100.7'], ['::ffff:198.51.100.7', '198.51.100.7'], ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'], ['2001:0DB8::6', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'], [null, 'unknown'],
])('the address %s counts as %s', (ip, name) => {
  expect(addressName(ip)).toBe(name);
});

describe('the API', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ face: { tenantRate: { perSecond: 1, burst: 30 }, addressRate: { perSecond: 1, burst: 10 }, trustProxy: 1 } });
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  const ask = (headers: Record<string, string>, query = '{ __typename }') => api.post(JSON.stringify({ query }), headers);

  test('answers 429 with Retry-After to an address that nobody has signed in from, and goes on serving the others', async () => {
    const from = { 'x-forwarded-for': '198.51.100.1' };
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(from)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(codesOf(refused[0]!)).toEqual(['RATE_LIMITED']);
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(refused[0]!.errors![0]!.extensions.remedy).toMatch(/Retry-After/);
    expect((await ask({ 'x-forwarded-for': '198.51.100.2' })).status).toBe(200);
    expect((await ask({ ...from, ...(await api.headersOf('admin@globex.example')) })).status).toBe(200);
  });

  test('counts credentials that are not good for the address', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask({ 'x-forwarded-for': '198.51.100.3', 'x-api-key': 'sk_live_nonsense' })));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
  });

  test('counts all people and keys of a tenant together, and no other tenant', async () => {
    const callers = ['john', 'jane', 'key'];
    const answers = await Promise.all(Array.from({ length: 60 }, async (_, index) => ask(await api.headersOf(callers[index % 3]!))));
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(1);
    expect((await ask(await api.headersOf('admin@globex.example'))).status).toBe(200);
  });

  test('refuses connections over WebSocket, too', async () => {
    const closed = await Promise.all(Array.from({ length: 25 }, () => {
      const connection = openClient(api.url, {}, { 'x-forwarded-for': '198.51.100.4' });
      const code = watch(connection, '{ __typename }').next().then(() => null, (reason: { code?: number }) => reason.code ?? null);
      return code.finally(() => void connection.client.dispose());
    }));
    expect(closed.filter((code) => code === 4429).length).toBeGreaterThanOrEqual(1);
  });
});
