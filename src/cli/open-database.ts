/** The database that a command works on: the one that DATABASE_URL names, or the embedded one: of a running AgentFlow, else started for the while. */
import type { Config } from '../config.ts';
import { attachEmbedded, shadowDatabaseName, startEmbedded, type EmbeddedPostgres } from '../embedded/index.ts';
import { AgentFlowError } from '../errors.ts';
import type { DatabaseUrls } from '../schema/migrate.ts';
import type { Passwords } from '../schema/roles.ts';

export interface OpenDatabase extends DatabaseUrls {
  /** What it is, for people. */
  description: string;
  authenticatorUrl: string | null;
  workerUrl: string | null;
  /** For roles that preparing creates. */
  passwords: Passwords;
  /** Null with DATABASE_URL. */
  embedded: EmbeddedPostgres | null;
  close(graceMs?: number): Promise<void>;
}

export async function openDatabase(config: Config, say?: (line: string) => void): Promise<OpenDatabase> {
  if (config.databaseUrl !== null) return givenDatabase(config, config.databaseUrl);
  const running = attachEmbedded(config.dataDir);
  if (running) return embeddedDatabase(running, 'the embedded PostgreSQL of the running AgentFlow');
  return openOwnDatabase(config, say);
}

/** Throws DATA_DIR_IN_USE when another process has the embedded one. */
export async function openOwnDatabase(config: Config, say?: (line: string) => void): Promise<OpenDatabase> {
  return embeddedDatabase(await startEmbedded({ dataDir: config.dataDir, ...(say ? { say } : {}) }), 'an embedded PostgreSQL');
}

export function embeddedDatabase(embedded: EmbeddedPostgres, description: string): OpenDatabase {
  return {
    description: `${description} (version ${embedded.version}, on ${embedded.url('agentflow_owner').replace(/:[^:@]*@/, '@')})`,
    databaseUrl: embedded.url('agentflow_owner'),
    shadowUrl: embedded.url('agentflow_owner', shadowDatabaseName),
    rootUrl: embedded.url('postgres', 'postgres'),
    authenticatorUrl: embedded.url('agentflow_authenticator'),
    workerUrl: embedded.url('agentflow_worker'),
    passwords: embedded.secrets.passwords,
    embedded,
    close: (graceMs) => embedded.close(graceMs),
  };
}

function givenDatabase(config: Config, databaseUrl: string): OpenDatabase {
  const passwordIn = (url: string | null): string | undefined => (url === null ? undefined : decodeURIComponent(new URL(url).password) || undefined);
  return {
    description: 'the PostgreSQL of DATABASE_URL',
    databaseUrl,
    ...(config.shadowDatabaseUrl === null ? {} : { shadowUrl: config.shadowDatabaseUrl }),
    ...(config.rootDatabaseUrl === null ? {} : { rootUrl: config.rootDatabaseUrl }),
    authenticatorUrl: config.authenticatorUrl,
    workerUrl: config.workerUrl,
    passwords: { agentflow_authenticator: passwordIn(config.authenticatorUrl), agentflow_worker: passwordIn(config.workerUrl) },
    embedded: null,
    close: () => Promise.resolve(),
  };
}

/** What drops and makes databases needs a place to stand, and a shadow to try things on. Throws CONFIG_INVALID. */
export function demandShadow(database: OpenDatabase): void {
  const missing = [...(database.rootUrl ? [] : ['ROOT_DATABASE_URL']), ...(database.shadowUrl ? [] : ['SHADOW_DATABASE_URL'])];
  if (missing.length === 0) return;
  throw new AgentFlowError('CONFIG_INVALID', `This command makes databases anew and needs ${missing.join(' and ')} beside DATABASE_URL.`, {
    remedy: 'ROOT_DATABASE_URL: any other database of the server, by a login that may create databases. SHADOW_DATABASE_URL: a database that may be dropped.',
    details: { problems: missing.map((variable) => ({ variable, message: 'is needed by this command and not set' })) },
  });
}
