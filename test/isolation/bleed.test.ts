/** Settings of one request never reach another one; at length: npm run bench -- identity bleed --long */
import { bleed } from '../../bench/identity/bleed.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase();

test('of many clients of many tenants over five connections nobody meets a row that is not his', async () => {
  const [found] = await bleed({ url: (role) => db.url(role) }, { clients: 24, tenants: 6, requests: 900, pgbouncer: null });
  expect(found).toMatchObject({ 'foreign rows': 0 });
  expect(found!['answered']).toBeGreaterThan(500);
  expect(found!['refused']).toBeGreaterThan(50);
}, 120_000);
