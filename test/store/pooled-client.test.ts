/** What goes through a transaction pooler leaves nothing on the connection that the next transaction could miss. */
import pg from 'pg';
import { makeWithCallerClient } from '../../src/store/caller-transactions.ts';
import { identifySession } from '../../src/store/identity.ts';
import { leadsThroughPooler, PooledClient } from '../../src/store/pooled-client.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase({ samples: true });

test('a connection string says that it leads through a pooler', () => {
  expect(['postgres://a@h/d', 'postgres://a@h/d?pgbouncer=true', 'postgres://a@h/d?sslmode=require&pgbouncer=true', 'nonsense'].map(leadsThroughPooler)).toEqual([false, true, true, false]);
});

test('nothing is prepared, and settings hold for their transaction alone', async () => {
  const pool = new pg.Pool({ connectionString: db.url('agentflow_authenticator'), max: 1, pipeline: true, Client: PooledClient });
  try {
    const john = { role: 'agentflow_user', 'jwt.claims.tenant_id': '123e4567-e89b-12d3-a456-426614174000', 'jwt.claims.user_id': '550e8400-e29b-41d4-a716-446655440000', 'jwt.claims.role': 'admin' };
    const asJohn = makeWithCallerClient(pool);
    for (let turn = 0; turn < 2; turn += 1) {
      const read = await asJohn(john, (client) => client.query<[string]>({ name: 'read', text: 'select tenant_id from app_public.tenants join app_public.users on users.tenant_id = tenants.id where users.id = $1', values: [john['jwt.claims.user_id']], arrayMode: true }));
      expect(read.rows).toEqual([[john['jwt.claims.tenant_id']]]);
      const several = await asJohn(john, async (client) => {
        await client.query({ name: 'first', text: 'select 1' });
        return client.query<{ tenant: string }>({ name: 'second', text: 'select app_public.current_tenant_id() as tenant' });
      });
      expect(several.rows).toEqual([{ tenant: john['jwt.claims.tenant_id'] }]);
      expect(await identifySession(pool, '00000000-0000-4000-8000-000000000000')).toBeNull();
    }
    const { rows } = await pool.query(`select (select count(*)::int from pg_prepared_statements) as prepared, nullif(current_setting('jwt.claims.tenant_id', true), '') as tenant, current_user::text as role`);
    expect(rows).toEqual([{ prepared: 0, tenant: null, role: 'agentflow_authenticator' }]);
  } finally {
    await pool.end();
  }
});
