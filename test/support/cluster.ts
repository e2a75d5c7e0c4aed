/**
 * The one PostgreSQL of a test run: started before the first test file, with template databases that each file copies.
 * It may lose everything at any moment, so it does not wait for the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { databaseName, startEmbedded, type EmbeddedPostgres, type LoginRole } from '../../src/embedded/index.ts';
import { hashApiKey } from '../../src/keys.ts';
import { withClient } from '../../src/schema/connection.ts';
import { runCurrent } from '../../src/schema/migrate.ts';
import { ensureDatabaseSettings } from '../../src/schema/prepare.ts';
import { loadSamples, makeSampleCredentials, type Samples } from '../../src/schema/samples.ts';

/** What the test processes learn about the cluster, as JSON in this variable. */
export const clusterVariable = 'AGENTFLOW_TEST_CLUSTER';

/** The folder of another PostgreSQL package to run the tests on; see test/tools/matrix.ts. */
export const testPostgresVariable = 'AGENTFLOW_TEST_POSTGRES';

/** Not empty: the owner has no BYPASSRLS, as on managed servers, so that its policies must do. */
export const plainOwnerVariable = 'AGENTFLOW_TEST_PLAIN_OWNER';

export interface ClusterInfo {
  port: number;
  passwords: Record<LoginRole, string>;
  secretKey: string;
  jwtSecret: string;
  /** Why there are no templates: the migrations, or the samples, failed. Tests that need them fail with this. */
  schemaProblem: string | null;
  samplesProblem: string | null;
  samples: Samples | null;
}

export const templates = { schema: databaseName, samples: 'agentflow_samples' } as const;

const lossySettings = {
  fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200', max_wal_size: '4GB', checkpoint_timeout: '1h',
};

export interface TestCluster {
  info: ClusterInfo;
  embedded: EmbeddedPostgres;
  stop(): Promise<void>;
}

export async function startTestCluster(packageFolder?: string): Promise<TestCluster> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'agentflow-test-'));
  const embedded = await startEmbedded({ dataDir, durable: false, settings: lossySettings, ...(packageFolder ? { packageFolder } : {}) });
  const stop = async (): Promise<void> => {
    await embedded.close(2_000);
    rmSync(dataDir, { recursive: true, force: true });
  };
  const { passwords, secretKey, jwtSecret } = embedded.secrets;
  const info: ClusterInfo = { port: embedded.port, passwords, secretKey, jwtSecret, schemaProblem: null, samplesProblem: null, samples: null };
  try {
    if (process.env[plainOwnerVariable]) {
      await withClient(embedded.url('postgres', 'postgres'), (client) => client.query('alter role agentflow_owner nobypassrls'));
    }
    await makeSchemaTemplate(embedded, info);
    if (info.schemaProblem === null) await makeSamplesTemplate(embedded, info);
    return { info, embedded, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeSchemaTemplate(embedded: EmbeddedPostgres, info: ClusterInfo): Promise<void> {
  const said: string[] = [];
  try {
    const urls = { databaseUrl: embedded.url('agentflow_owner'), rootUrl: embedded.url('postgres', 'postgres'), passwords: info.passwords };
    await runCurrent(urls, { say: (line) => said.push(line) });
  } catch (error) {
    info.schemaProblem = `The migrations do not run: ${String(error)}\n${said.join('\n')}`;
    return;
  }
  await asTemplate(embedded, templates.schema);
}

async function makeSamplesTemplate(embedded: EmbeddedPostgres, info: ClusterInfo): Promise<void> {
  await withClient(embedded.url('postgres', 'postgres'), (client) =>
    client.query(`create database ${templates.samples} template ${templates.schema} owner agentflow_owner`));
  try {
    const ownerUrl = embedded.url('agentflow_owner', templates.samples);
    await withClient(ownerUrl, ensureDatabaseSettings);
    info.samples = await loadSamples(ownerUrl, await makeSampleCredentials(), (key) => hashApiKey(key, info.secretKey));
  } catch (error) {
    info.samplesProblem = `The samples do not load: ${String(error)}`;
    return;
  }
  await asTemplate(embedded, templates.samples);
}

/** Nobody may connect to a template: it could not be copied meanwhile. */
async function asTemplate(embedded: EmbeddedPostgres, name: string): Promise<void> {
  await withClient(embedded.url('postgres', 'postgres'), (client) => client.query(`alter database ${name} with is_template true allow_connections false`));
}
