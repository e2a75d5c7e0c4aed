/** Does the schema say what the repository says? Asked of the fixtures against the migrations, and of a living database. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { compileIncludes } from 'graphile-migrate/dist/migration.js';
import { AgentFlowError } from '../errors.ts';
import { withClient } from './connection.ts';
import { compareCatalogs, readCatalog, readCatalogHere, summarise, type Catalog, type Difference } from './fingerprint.ts';
import { migrationHistory, type HistoryEntry } from './history.ts';
import { migrationsFolder as projectMigrations, type DatabaseUrls } from './migrate.ts';
import { roleProblems } from './roles.ts';
import { withShadow } from './shadow.ts';

/** What running all fixtures again changes in a database that has every migration and `current.sql`: nothing, when they agree. */
export async function fixtureDrift(urls: DatabaseUrls): Promise<Difference[]> {
  const fixtures = await allFixtures(urls.migrationsFolder ?? projectMigrations);
  return withShadow(urls, { current: true }, ({ client }) => fixtureDriftIn(client, fixtures));
}

/** The same in a database that is there already; it is left as it was. `fixtures`: their text, as `allFixtures` gives it. */
export async function fixtureDriftIn(client: pg.ClientBase, fixtures: string): Promise<Difference[]> {
  const before = await readCatalog(client);
  await client.query('begin');
  try {
    await client.query(fixtures);
    return compareCatalogs(await readCatalogHere(client), before);
  } finally {
    await client.query('rollback');
  }
}

export async function allFixtures(migrationsFolder: string): Promise<string> {
  const file = path.join(migrationsFolder, 'fixtures', 'all.sql');
  return compileIncludes({ migrationsFolder } as Parameters<typeof compileIncludes>[0], readFileSync(file, 'utf8'), new Set([file]));
}

export interface LiveDrift {
  /** Objects that are not as the migrations make them that the database has. */
  differences: Difference[];
  /** Migrations that are not APPLIED. */
  history: HistoryEntry[];
  /** Roles that have, or lack, what the contract does not give, or gives, them. */
  roles: string[];
  /** True when the database is one that `current.sql` was run on, which is compared with it too. */
  withCurrent: boolean;
}

/** Writes nothing to the database at `liveUrl`; what is expected of it is built in the shadow. */
export async function liveDrift(liveUrl: string, urls: DatabaseUrls): Promise<LiveDrift> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  const live = await withClient(readOnly(liveUrl), (client) => readLive(client, folder));
  const lastApplied = live.history.findLast(({ appliedAt, state }) => appliedAt !== null && state !== 'MISSING')?.filename ?? null;
  const expected = await withShadow(urls, { upTo: lastApplied, current: live.withCurrent }, async ({ client }) => {
    demandSameMajor(live.major, await majorVersion(client));
    return readCatalog(client);
  });
  return {
    differences: summarise(compareCatalogs(expected, live.catalog)),
    history: live.history.filter(({ state }) => state !== 'APPLIED'),
    roles: live.roles,
    withCurrent: live.withCurrent,
  };
}

interface Live {
  catalog: Catalog;
  history: HistoryEntry[];
  roles: string[];
  withCurrent: boolean;
  major: number;
}

async function readLive(client: pg.Client, folder: string): Promise<Live> {
  const { rows: [there] } = await client.query<{ has_current: boolean }>(`select to_regclass('graphile_migrate.current') is not null as has_current`);
  const { rows: [current] } = there!.has_current ? await client.query<{ content: string }>('select content from graphile_migrate.current') : { rows: [] };
  return {
    catalog: await readCatalog(client),
    history: await migrationHistory(client, folder),
    roles: await roleProblems(client),
    withCurrent: current !== undefined && isStatement(current.content),
    major: await majorVersion(client),
  };
}

function isStatement(sql: string): boolean {
  return sql.replace(/\/\*[\s\S]*?\*\//g, '').replace(/--.*$/gm, '').trim() !== '';
}

async function majorVersion(client: pg.ClientBase): Promise<number> {
  const { rows: [row] } = await client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`);
  return row!.major;
}

function demandSameMajor(live: number, shadow: number): void {
  if (live === shadow) return;
  throw new AgentFlowError('CONFIG_INVALID', `The database runs PostgreSQL ${live}, the shadow ${shadow}: they print the same object differently and cannot be compared.`, {
    remedy: `Let SHADOW_DATABASE_URL and ROOT_DATABASE_URL lead to a PostgreSQL ${live}.`,
  });
}

/** The server itself refuses writes of such a session. */
function readOnly(url: string): string {
  const parsed = new URL(url);
  const options = parsed.searchParams.get('options');
  parsed.searchParams.set('options', `${options ? `${options} ` : ''}-c default_transaction_read_only=on`);
  return parsed.toString();
}
