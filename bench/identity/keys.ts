/** How long it takes to find out whose API key a request carries, with many keys in the table. */
import { createHash, randomInt } from 'node:crypto';
import pg from 'pg';
import { identifyApiKey } from '../../src/store/identity.ts';
import type { OwnCluster } from '../support/own-cluster.ts';
import type { TableRow } from '../support/table.ts';
import { makeTenant } from './tenant.ts';

const lookups = 20_000;
const hashOf = (number: number): string => createHash('sha256').update(`key ${number}`).digest('hex');

export async function keyLookups(cluster: OwnCluster, keys: number): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const { id, userId } = await makeTenant(owner, 1);
  await owner.query(`alter table app_public.api_keys disable trigger user`);
  for (let from = 0; from < keys; from += 50_000) {
    await owner.query(`
      insert into app_public.api_keys (user_id, tenant_id, name, key_hash, permissions, last_used_at)
      select $1, $2, 'key ' || n, encode(sha256(convert_to('key ' || n, 'UTF8')), 'hex'), '{"workflows": ["read"]}', now() + interval '1 hour' from generate_series($3::int, $4::int) as n`,
    [userId, id, from, Math.min(from + 50_000, keys) - 1]);
  }
  await owner.query('alter table app_public.api_keys enable trigger user');
  await owner.query('vacuum analyze app_public.api_keys');
  await owner.end();
  const pool = new pg.Pool({ connectionString: cluster.url('agentflow_authenticator'), max: 1 });
  const times: number[] = [];
  for (let turn = 0; turn < lookups + 500; turn += 1) {
    const hash = hashOf(randomInt(keys));
    const begun = performance.now();
    if (await identifyApiKey(pool, hash, []) === null) throw new Error('A key that is there was not found.');
    if (turn >= 500) times.push(performance.now() - begun);
  }
  await pool.end();
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(share * times.length)]!.toFixed(2);
  return [{ keys, lookups, 'p50 ms': at(0.5), 'p99 ms': at(0.99), bar: '2.00' }];
}
