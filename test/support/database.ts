/** A database of its own for each test file, with the schema (and the sample data, where asked for) already in it. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { LoginRole } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { ensureDatabaseSettings } from '../../src/schema/prepare.ts';
import type { Samples } from '../../src/schema/samples.ts';
import { clusterVariable, templates, type ClusterInfo } from './cluster.ts';

/** Values of `jwt.claims.*`, by the part after it. `permissions` as the JSON that the key's row holds. */
export type Claims = Partial<Record<'tenant_id' | 'user_id' | 'role' | 'permissions' | 'api_key_id', string>>;
export type SqlRole = 'agentflow_visitor' | 'agentflow_user' | 'agentflow_operator' | 'agentflow_owner' | 'agentflow_worker' | 'agentflow_authenticator';

export interface TestDatabase {
  name: string;
  url(role: LoginRole): string;
  /** Sees and may do everything (BYPASSRLS), outside any transaction. */
  owner: pg.Pool;
  /** Only in databases made with samples. */
  samples: Samples;
  jwtSecret: string;
  secretKey: string;
  /**
   * Runs `use` in a transaction in which the session is that role with these claims, as the server and the worker do it.
   * Rolled back at the end, unless `commit` is asked for; an error is thrown on after the rollback.
   */
  asRole<T>(role: SqlRole, claims: Claims, use: (client: pg.PoolClient) => Promise<T>, options?: { commit?: boolean }): Promise<T>;
  drop(): Promise<void>;
}

/** Call at the top of a test file (or a describe): the database is there in tests and hooks, and gone afterwards. */
export function useTestDatabase(options: { samples?: boolean } = {}): TestDatabase {
  const handle = {} as TestDatabase;
  beforeAll(async () => {
    Object.defineProperties(handle, Object.getOwnPropertyDescriptors(await createTestDatabase(options)));
  });
  afterAll(async () => {
    await handle.drop();
  });
  return handle;
}

export async function createTestDatabase(options: { samples?: boolean } = {}): Promise<TestDatabase> {
  const info = testCluster();
  const problem = info.schemaProblem ?? (options.samples ? info.samplesProblem : null);
  if (problem !== null) throw new Error(problem);
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const url = (role: LoginRole, database = name): string => clusterUrl(info, role, database);
  await withClient(url('postgres', 'postgres'), (client) =>
    client.query(`create database ${name} template ${options.samples ? templates.samples : templates.schema} owner agentflow_owner`));
  await withClient(url('agentflow_owner'), ensureDatabaseSettings);
  const pools: Pools = {
    owner: new pg.Pool({ connectionString: url('agentflow_owner') }),
    authenticator: new pg.Pool({ connectionString: url('agentflow_authenticator') }),
    worker: new pg.Pool({ connectionString: url('agentflow_worker') }),
  };
  return {
    name,
    url: (role) => url(role),
    owner: pools.owner,
    get samples(): Samples {
      if (!options.samples || !info.samples) throw new Error('Ask for samples: useTestDatabase({ samples: true })');
      return info.samples;
    },
    jwtSecret: info.jwtSecret,
    secretKey: info.secretKey,
    asRole: (role, claims, use, { commit = false } = {}) => inTransaction(poolFor(pools, role), role, claims, use, commit),
    async drop() {
      await Promise.all(Object.values(pools).map((pool) => pool.end()));
      await withClient(url('postgres', 'postgres'), (client) => dropDatabase(client, name));
    },
  };
}

/** Lets sessions that are just ending go by themselves (PostgreSQL waits 5 s): one that is cut off ends its process with an error. */
async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  try {
    await client.query(`drop database ${name}`);
  } catch (error) {
    if ((error as { code?: string }).code !== '55006') throw error;
    await client.query(`drop database ${name} with (force)`);
  }
}

/** For tests that need more than a database: a connection string into the cluster of this run. */
export function clusterUrl(info: ClusterInfo, role: LoginRole, database: string): string {
  return `postgres://${role}:${info.passwords[role]}@127.0.0.1:${info.port}/${database}`;
}

export function testCluster(): ClusterInfo {
  const json = process.env[clusterVariable];
  if (json === undefined) throw new Error('There is no test cluster: run the tests with npm test.');
  return JSON.parse(json) as ClusterInfo;
}

interface Pools { owner: pg.Pool; authenticator: pg.Pool; worker: pg.Pool }

function poolFor(pools: Pools, role: SqlRole): pg.Pool {
  if (role === 'agentflow_owner') return pools.owner;
  return role === 'agentflow_worker' ? pools.worker : pools.authenticator;
}

async function inTransaction<T>(pool: pg.Pool, role: SqlRole, claims: Claims, use: (client: pg.PoolClient) => Promise<T>, commit: boolean): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    for (const [name, value] of Object.entries(claims)) await client.query('select set_config($1, $2, true)', [`jwt.claims.${name}`, value]);
    await client.query(`set local role ${role}`);
    const result = await use(client);
    await client.query(commit ? 'commit' : 'rollback');
    client.release();
    return result;
  } catch (error) {
    client.release(true); // a fresh session for the next: this one may be in any state
    throw error;
  }
}
