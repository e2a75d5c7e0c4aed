import { clusterVariable, startTestCluster, testPostgresVariable } from './cluster.ts';
import { keepCluster } from './global-teardown.ts';

export default async function setup(): Promise<void> {
  const cluster = await startTestCluster(process.env[testPostgresVariable]);
  keepCluster(cluster);
  process.env[clusterVariable] = JSON.stringify(cluster.info);
}
