/** A rolling deploy: processes of the code before the last migration work beside those of today, on today's schema. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type OwnCluster, withOwnCluster } from '../../bench/support/own-cluster.ts';
import { loadSamples, makeSampleCredentials } from '../../src/schema/samples.ts';
import { again, type Fault, killAny } from './faults.ts';
import { accept } from './scene.ts';

const says = 'workers of the code before the last migration are replaced one by one by those of today, and these by those again, while more executions come';
const project = path.resolve(import.meta.dirname, '../..');

const git = (...words: string[]): string => execFileSync('git', ['-C', project, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

/** The commit before the one that brought the last migration; a sentence when there is none to be had. */
function commitBefore(): { commit: string } | string {
  const last = readdirSync(path.join(project, 'migrations/committed')).filter((name) => name.endsWith('.sql')).sort().at(-1)!;
  try {
    const [brought] = git('log', '--diff-filter=A', '--format=%H', '--', `migrations/committed/${last}`).split('\n');
    return brought ? { commit: git('rev-parse', '--verify', `${brought}^`) } : `git does not know ${last}`;
  } catch {
    return 'there is no history of git to take the older code from';
  }
}

function makeFault(older: string): Fault {
  /** All are of the older code at first; then each that is replaced is of the other one. */
  const script = (index: number): string => (index < 2 || index % 3 === 2 ? path.join(older, 'test/support/worker-process.ts') : path.join(project, 'test/support/worker-process.ts'));
  return {
    name: 'rolling', says,
    short: { workers: 2, executions: 200, script }, long: { workers: 4, executions: 5_000, script },
    async strike(scene, over, isLong) {
      let coming = isLong ? 10 : 3;
      return await again(over, isLong, () => 1_500, async () => {
        killAny(scene, 'SIGTERM');
        if ((coming -= 1) >= 0) await accept(scene.owner, scene.workflowId, 50, scene.options.executions + coming * 50);
      });
    },
  };
}

/** `old`: another commit whose code is the older one. */
export const rolling = (old: string | undefined) => ({
  name: 'rolling',
  says,
  /** Gives a sentence when it cannot be done here. */
  async run<R>(_isLong: boolean, suffer: (cluster: OwnCluster, fault: Fault) => Promise<R>): Promise<R | string> {
    const found = old === undefined ? commitBefore() : { commit: old };
    if (typeof found === 'string') return found;
    const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-chaos-rolling-'));
    const older = path.join(folder, 'code');
    try {
      git('worktree', 'add', '--detach', older, found.commit);
      symlinkSync(path.join(project, 'node_modules'), path.join(older, 'node_modules'));
      return await withOwnCluster({}, async (cluster) => {
        await loadSamples(cluster.url('agentflow_owner'), await makeSampleCredentials(), () => 'none');
        return await suffer(cluster, makeFault(older));
      });
    } finally {
      git('worktree', 'remove', '--force', older);
      rmSync(folder, { recursive: true, force: true });
    }
  },
});
