import type { TestCluster } from './cluster.ts';

// Setup and teardown may be loaded apart from each other; what they share hangs on the process.
const slot = Symbol.for('agentflow test cluster');
type Holder = { [slot]?: TestCluster };

export function keepCluster(cluster: TestCluster): void {
  (globalThis as Holder)[slot] = cluster;
}

export default async function teardown(): Promise<void> {
  await (globalThis as Holder)[slot]?.stop();
}
