/** However much one tenant asks for, others find a connection. */
import pg from 'pg';
import { makeWithCallerClient, type CallerClient } from '../../src/store/caller-transactions.ts';
import { inTurns } from '../../src/server/tenant-turns.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase();
const [busy, other] = [{ role: 'agentflow_user', 'jwt.claims.tenant_id': '11111111-1111-4111-8111-111111111111' }, { role: 'agentflow_user', 'jwt.claims.tenant_id': '22222222-2222-4222-8222-222222222222' }];
const tenantOf = async (client: CallerClient): Promise<string> => (await client.query<{ tenant: string }>({ text: `select current_setting('jwt.claims.tenant_id') as tenant` })).rows[0]!.tenant;

test('of four connections one tenant holds three: the other is answered meanwhile, and then everybody is', async () => {
  const pool = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 4, pipeline: true });
  const withClient = inTurns(makeWithCallerClient(pool), { most: 3, patienceMs: 60_000 });
  const held = Promise.withResolvers<void>();
  let at = 0;
  const many = Array.from({ length: 10 }, () => withClient(busy, async (client) => {
    at += 1;
    const tenant = await tenantOf(client);
    await held.promise;
    return tenant;
  }));
  expect(await withClient(other, tenantOf)).toBe(other['jwt.claims.tenant_id']);
  expect(at).toBeLessThanOrEqual(3);
  held.resolve();
  expect(new Set(await Promise.all(many))).toEqual(new Set([busy['jwt.claims.tenant_id']]));
  expect(at).toBe(10);
  await pool.end();
});

test('who waits for too long is told to come more slowly, and a failure gives the turn on', async () => {
  const pool = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 4, pipeline: true });
  const withClient = inTurns(makeWithCallerClient(pool), { most: 1, patienceMs: 10 });
  const held = Promise.withResolvers<void>();
  const first = withClient(busy, () => held.promise);
  await expect(withClient(busy, tenantOf)).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: 2 } });
  held.reject(new Error('it failed'));
  await expect(first).rejects.toThrow('it failed');
  expect(await withClient(busy, tenantOf)).toBe(busy['jwt.claims.tenant_id']);
  await pool.end();
});
