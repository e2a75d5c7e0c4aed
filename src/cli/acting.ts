/**
 * How commands act as a user of a tenant: on the database of DATABASE_URL, else of the instance that `server.json` names, else on the
 * embedded one, started for the while (with its sample data). The same functions as the API's, under the same rights.
 */
import pg from 'pg';
import type { Command } from 'commander';
import { AgentFlowError } from '../errors.ts';
import { attachEmbedded } from '../embedded/index.ts';
import { identifyProcess } from '../embedded/processes.ts';
import { migrateDatabase } from '../schema/migrate-database.ts';
import { withClient } from '../schema/connection.ts';
import { inRuleWords } from '../store/refusals.ts';
import { findActors, inTransactionAs, tenantSlugs, type Actor } from '../store/acting.ts';
import type { Context } from './context.ts';
import { openDatabase, openOwnDatabase, type OpenDatabase } from './open-database.ts';
import { completeConfig, demandMigrated, registerTypes } from './processes.ts';
import { readServerFile, type ServerFile } from './server-file.ts';
import { samplesFor } from './start.ts';

export interface ActingOptions {
  tenant?: string;
  user?: string;
}

export interface Acting {
  actor: Actor;
  /** One transaction as that user, taken back at its end when it is a rehearsal. Throws AgentFlowError for what the database refuses. */
  transaction<T>(use: (client: pg.ClientBase) => Promise<T>, end?: 'commit' | 'rollback'): Promise<T>;
  /** A further connection, by the owner's login, that the end of the command closes: for listening. */
  connect(): Promise<pg.Client>;
  database: OpenDatabase;
  /** The database was started for this command: nobody else works on it. */
  isAlone: boolean;
}

export function actingOptions(command: Command): Command {
  return command
    .option('--tenant <slug>', 'act in this tenant (default: the oldest)')
    .option('--user <email>', 'act as this user, with the rights of that user (default: an admin)');
}

/** Throws NOT_FOUND when there is no such tenant or user. */
export async function actAs<T>(context: Context, options: ActingOptions, use: (acting: Acting) => Promise<T>): Promise<T> {
  const { database, isAlone } = await openToAct(context);
  const clients: pg.Client[] = [];
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: database.databaseUrl, application_name: 'agentflow cli' });
    await client.connect();
    clients.push(client);
    return client;
  };
  try {
    const client = await connect();
    const actor = await findActor(client, options);
    return await use({ actor, connect, database, isAlone, transaction: (work, end) => inTransactionAs(client, actor, work, end) });
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await database.close();
  }
}

async function findActor(client: pg.Client, { tenant = null, user = null }: { tenant?: string | null; user?: string | null }): Promise<Actor> {
  const [actor] = await findActors(client, { tenant, user });
  if (actor) return actor;
  const slugs = await tenantSlugs(client);
  if (tenant !== null && !slugs.includes(tenant)) {
    throw new AgentFlowError('NOT_FOUND', `There is no active tenant ${tenant}. Active are: ${slugs.join(', ') || 'none'}.`, { remedy: 'Choose by --tenant. One that is suspended is let in again by: agentflow tenant resume <slug>' });
  }
  const wanted = [...(user === null ? ['active user'] : [`active user ${user}`]), ...(tenant === null ? [] : [`in the tenant ${tenant}`])].join(' ');
  throw new AgentFlowError('NOT_FOUND', `There is no ${wanted}. Tenants: ${slugs.join(', ') || 'none'}.`, { remedy: 'Choose by --tenant and --user.' });
}

async function openToAct(context: Context): Promise<{ database: OpenDatabase; isAlone: boolean }> {
  const { config } = context;
  const running = config.databaseUrl === null ? readServerFile(config.dataDir) : null;
  if (running !== null && identifyProcess(running.pid) !== null) return announced(running);
  const isAlone = config.databaseUrl === null && attachEmbedded(config.dataDir) === null;
  const database = isAlone ? await openOwnDatabase(config) : await openDatabase(config);
  try {
    if (isAlone) await makeReady(context, database);
    else await demandMigrated(database);
    return { database, isAlone };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Work of the owner's login, over all tenants. Errors of the database come in registered words. */
export async function asOwner<T>(context: Context, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const { database } = await openToAct(context);
  try {
    return await withClient(database.databaseUrl, (client) => use(client).catch(async (error: unknown) => {
      throw await inRuleWords(client, error);
    }));
  } finally {
    await database.close();
  }
}

/** As `agentflow start` would: an embedded database that nobody serves is brought up to date. */
async function makeReady(context: Context, database: OpenDatabase): Promise<void> {
  await migrateDatabase(database.databaseUrl, { passwords: database.passwords, trustsBodies: database.embedded !== null });
  await registerTypes(database);
  await samplesFor(completeConfig(context.config, database, false), database, null);
}

function announced({ databaseUrl, authenticatorUrl }: ServerFile): { database: OpenDatabase; isAlone: boolean } {
  const database: OpenDatabase = {
    description: 'the database of the running AgentFlow', databaseUrl, authenticatorUrl, workerUrl: null, passwords: {}, embedded: null, close: () => Promise.resolve(),
  };
  return { database, isAlone: false };
}
