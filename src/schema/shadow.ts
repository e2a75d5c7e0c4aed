/** The shadow: a database that is made anew for every question, to try on it what nobody would try on a real one. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { actingAs, withClient } from './connection.ts';
import { databaseName, demandSeparateShadow, demandUnused } from './databases.ts';
import { committedMigrations } from './history.ts';
import { migrateDatabase, migrationsFolder as projectMigrations, runCurrent, type DatabaseUrls } from './migrate.ts';

export interface ShadowState {
  /** The last committed migration to run; null for none at all. Default: the last there is. */
  upTo?: string | null;
  /** Run `current.sql` after it? */
  current: boolean;
}

export interface Shadow {
  client: pg.Client;
  /** Its owner's connection string. */
  url: string;
}

/** Throws CONFIG_INVALID (none given, or it is the main database), DATABASE_IN_USE. */
export async function withShadow<T>(urls: DatabaseUrls, state: ShadowState, use: (shadow: Shadow) => Promise<T>): Promise<T> {
  const { shadowUrl, folder } = await makeShadow(urls);
  const part = partOfHistory(folder, state.upTo);
  try {
    if (state.current) await runCurrent({ databaseUrl: shadowUrl, migrationsFolder: part.folder });
    else await migrateDatabase(shadowUrl, { migrationsFolder: part.folder });
    const url = actingAs(shadowUrl, 'agentflow_owner');
    return await withClient(url, (client) => use({ client, url }));
  } finally {
    part.remove();
  }
}

async function makeShadow(urls: DatabaseUrls): Promise<{ shadowUrl: string; folder: string }> {
  const { databaseUrl, shadowUrl, rootUrl, migrationsFolder: folder = projectMigrations } = urls;
  if (shadowUrl === undefined || rootUrl === undefined) {
    throw new AgentFlowError('CONFIG_INVALID', 'This needs a shadow database: SHADOW_DATABASE_URL, and ROOT_DATABASE_URL to make it by.', {
      remedy: 'SHADOW_DATABASE_URL names a database that may be dropped at any time; ROOT_DATABASE_URL any other database of its server.',
    });
  }
  await demandSeparateShadow(databaseUrl, shadowUrl, rootUrl);
  await withClient(rootUrl, async (root) => {
    const name = databaseName(shadowUrl);
    await demandUnused(root, name);
    await root.query(`drop database if exists ${root.escapeIdentifier(name)}`);
    await root.query(`create database ${root.escapeIdentifier(name)} owner agentflow_owner`);
    await root.query(`revoke all on database ${root.escapeIdentifier(name)} from public`);
  });
  return { shadowUrl, folder };
}

/** A copy of the migrations folder that ends with the migration `upTo`. */
export function partOfHistory(folder: string, upTo?: string | null): { folder: string; remove: () => void } {
  if (upTo === undefined) return { folder, remove: () => undefined };
  const part = mkdtempSync(path.join(os.tmpdir(), 'agentflow-history-'));
  mkdirSync(path.join(part, 'committed'));
  for (const { file, filename } of committedMigrations(folder)) {
    if (upTo !== null && filename <= upTo) cpSync(path.join(folder, 'committed', file), path.join(part, 'committed', file));
  }
  for (const name of ['fixtures', 'current.sql', 'rollback']) {
    if (existsSync(path.join(folder, name))) symlinkSync(path.join(folder, name), path.join(part, name));
  }
  return { folder: part, remove: () => rmSync(part, { recursive: true, force: true }) };
}
