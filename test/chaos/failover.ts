/** PostgreSQL is lost for good, and its streaming replica takes over. Commits wait for the replica, so that nothing that was acknowledged is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OwnCluster, withOwnCluster } from '../../bench/support/own-cluster.ts';
import type { EmbeddedPostgres } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { loadSamples, makeSampleCredentials } from '../../src/schema/samples.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { replicaName, startReplica } from '../support/replica.ts';
import type { Fault } from './faults.ts';
import { accept, type Scene } from './scene.ts';

const says = 'PostgreSQL is lost, and its streaming replica, for which commits wait, is promoted in its place';
const betweenMs = 4_000;
const longTimes = 3;
const lastMoment = 100;

/** The one that serves, with its folder, and what leads to it. */
interface Standing {
  live: EmbeddedPostgres;
  folder: string;
  front: Proxy;
  /** Where the next replica is made. */
  root: string;
}

/** No acknowledged commit is only here from now on. */
async function waitForReplica(primary: EmbeddedPostgres): Promise<void> {
  await withClient(primary.url('postgres', 'postgres'), async (client) => {
    await client.query(`alter system set synchronous_standby_names = '${replicaName}'`);
    await client.query('select pg_reload_conf()');
    for (;;) {
      const { rowCount } = await client.query(`select from pg_stat_replication where application_name = '${replicaName}' and sync_state = 'sync'`);
      if (rowCount! > 0) return;
      await sleep(50);
    }
  });
}

async function failOver(standing: Standing, { owner, workflowId, options }: Scene, count: number): Promise<void> {
  const folder = path.join(standing.root, `replica-${count}`);
  const replica = await startReplica(standing.live, standing.folder, folder);
  await waitForReplica(standing.live);
  await sleep(betweenMs);
  // Accepted at the last moment: what was acknowledged must be there.
  await accept(owner, workflowId, lastMoment, options.executions + count * lastMoment);
  await sleep(300);
  // At once, and not started again.
  await Promise.all([standing.front.shut(), standing.live.close(1)]);
  await replica.promote();
  standing.front.lead(replica.url('agentflow_owner'));
  await standing.front.open();
  Object.assign(standing, { live: replica, folder });
}

function makeFault(standing: Standing): Fault {
  return {
    name: 'failover', says,
    short: { workers: 2, executions: 200 }, long: { workers: 4, executions: 5_000 },
    async strike(scene, _over, isLong) {
      const times = isLong ? longTimes : 1;
      for (let count = 1; count <= times; count += 1) await failOver(standing, scene, count);
      return times;
    },
  };
}

export const failover = {
  name: 'failover',
  says,
  /** Gives a sentence when it cannot be done here. */
  async run<R>(_isLong: boolean, suffer: (cluster: OwnCluster, fault: Fault) => Promise<R>): Promise<R | string> {
    const root = mkdtempSync(path.join(os.tmpdir(), 'agentflow-chaos-failover-'));
    try {
      return await withOwnCluster({ folder: path.join(root, 'primary') }, async (cluster) => {
        await loadSamples(cluster.url('agentflow_owner'), await makeSampleCredentials(), () => 'none');
        const front = await startProxy(cluster.url('agentflow_owner'));
        const standing: Standing = { live: cluster, folder: cluster.folder, front, root };
        const fronted = Object.create(cluster, { url: { value: (...wanted: Parameters<OwnCluster['url']>) => front.through(standing.live.url(...wanted)) } }) as OwnCluster;
        try {
          return await suffer(fronted, makeFault(standing));
        } finally {
          await front.shut();
          if (standing.live !== cluster) await standing.live.close(10_000);
        }
      });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};
