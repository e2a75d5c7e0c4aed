/** The disk of PostgreSQL fills up, and has room again. It needs a small disk, which only root can make (tmpfs). */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OwnCluster, withOwnCluster } from '../../bench/support/own-cluster.ts';
import { loadSamples, makeSampleCredentials } from '../../src/schema/samples.ts';
import type { Fault } from './faults.ts';

const says = 'the disk of PostgreSQL is full for some seconds, again and again';
const settings = { max_wal_size: '64MB', min_wal_size: '32MB' };

function makeFault(ballast: string): Fault {
  return {
    name: 'disk', says,
    short: { workers: 2, executions: 300 }, long: { workers: 4, executions: 3_000 },
    async strike({ cluster }, over) {
      let count = 0;
      do {
        await sleep(1_500);
        const { bavail, bsize } = statfsSync(cluster.folder);
        const free = bavail * bsize;
        // Until nothing is left: the last bytes are taken by PostgreSQL itself.
        try {
          writeFileSync(ballast, Buffer.alloc(free - 64 * 1024));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
        await sleep(4_000);
        rmSync(ballast, { force: true });
        count += 1;
        await sleep(5_000);
      } while (!over.aborted);
      return count;
    },
  };
}

export const diskFull = {
  name: 'disk',
  says,
  /** Gives a sentence when it cannot be done here. */
  async run<R>(_isLong: boolean, suffer: (cluster: OwnCluster, fault: Fault) => Promise<R>): Promise<R | string> {
    if (process.getuid?.() !== 0) return 'only root can mount a small disk';
    const disk = mkdtempSync(path.join(os.tmpdir(), 'agentflow-chaos-disk-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=320m,mode=755', 'tmpfs', disk], { encoding: 'utf8' });
    if (mounted.status !== 0) {
      rmSync(disk, { recursive: true });
      return `no small disk can be mounted: ${mounted.stderr.trim()}`;
    }
    chmodSync(disk, 0o755);
    try {
      return await withOwnCluster({ folder: path.join(disk, 'data'), settings }, async (cluster) => {
        await loadSamples(cluster.url('agentflow_owner'), await makeSampleCredentials(), () => 'none');
        return await suffer(cluster, makeFault(path.join(disk, 'ballast')));
      });
    } finally {
      spawnSync('umount', ['-l', disk]);
      rmSync(disk, { recursive: true, force: true });
    }
  },
};
