/** Requests over HTTP with identity by a token, by an API key, and by none: the same trivial query, in turn. */
import pg from 'pg';
import { createApiKey, hashApiKey } from '../../src/keys.ts';
import { startCommand } from '../support/api-processes.ts';
import type { OwnCluster } from '../support/own-cluster.ts';
import { median, underLoad, type LoadFigures } from '../support/requests.ts';
import type { TableRow } from '../support/table.ts';
import { makeTenant, tokenOf } from './tenant.ts';

const connections = 16;

export async function requestsByIdentity(cluster: OwnCluster, { rounds, seconds }: { rounds: number; seconds: number }): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const tenant = await makeTenant(owner, 1);
  const { id: tenantId, userId } = tenant;
  const jwt = await tokenOf(owner, tenant, cluster);
  const { key, prefix } = createApiKey('live');
  await owner.query(`insert into app_public.api_keys (user_id, tenant_id, name, key_hash, key_prefix, permissions) values ($1, $2, 'bench', $3, $4, '{"workflows": ["read"]}')`,
    [userId, tenantId, hashApiKey(key, cluster.secrets.secretKey), prefix]);
  await owner.end();
  const server = await startCommand(cluster, 'server', { AGENTFLOW_RATE_TENANT: '0', AGENTFLOW_RATE_ADDRESS: '0' });
  const callers: Record<string, Record<string, string>> = { none: {}, token: { authorization: `Bearer ${jwt}` }, key: { 'x-api-key': key } };
  const figures: Record<string, LoadFigures[]> = { none: [], token: [], key: [] };
  const body = JSON.stringify({ query: '{ currentUser { id } }' });
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, identity] of Object.entries(callers)) {
        const one = await underLoad({
          url: server.url,
          next: () => ({ path: '/graphql', method: 'POST', headers: { 'content-type': 'application/json', ...identity }, body }),
          check: (text) => {
            const { data } = JSON.parse(text) as { data?: { currentUser: { id: string } | null } };
            if ((data?.currentUser?.id ?? null) !== (name === 'none' ? null : userId)) throw new Error(`Unexpected answer: ${text}`);
          },
        }, connections, seconds);
        if (round > 0) figures[name]!.push(one); // the first round warms up
      }
    }
  } finally {
    await server.stop();
  }
  const base = median(figures['none']!.map(({ rate }) => rate));
  return Object.entries(figures).map(([identity, ones]) => {
    const rate = median(ones.map((one) => one.rate));
    return { identity, 'requests/s': Math.round(rate), 'of none': (rate / base).toFixed(2), 'p50 ms': median(ones.map(({ p50 }) => p50)), 'p99 ms': median(ones.map(({ p99 }) => p99)) };
  });
}
