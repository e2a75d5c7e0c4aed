/** Small histories to try the DBA's tools on: a migrations folder of its own, and databases of their own in the test cluster. */
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { committedMigrations } from '../../src/schema/history.ts';
import type { DatabaseUrls } from '../../src/schema/migrate.ts';
import { clusterUrl, testCluster } from './database.ts';

export interface History {
  /** Bodies of committed migrations, in order. `headers`: further header lines. */
  committed?: (string | { body: string; headers: string[] })[];
  current?: string;
  /** By path below `fixtures/`. */
  fixtures?: Record<string, string>;
  /** By number, from 1. */
  rollback?: Record<number, string>;
}

export type ScratchUrls = Required<Omit<DatabaseUrls, 'passwords'>>;

export function writeHistory(folder: string, { committed = [], current = '', fixtures = {}, rollback = {} }: History): void {
  const write = (name: string, text: string): void => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  };
  let previous: string | null = null;
  committed.forEach((migration, index) => {
    const { body, headers } = typeof migration === 'string' ? { body: migration, headers: [] } : migration;
    const hash: string = `sha1:${createHash('sha1').update(`${`${previous ?? ''}\n${body.trim()}`.trim()}\n`).digest('hex')}`;
    write(`committed/${numbered(index + 1)}`, [`--! Previous: ${previous ?? '-'}`, `--! Hash: ${hash}`, ...headers, '', `${body.trim()}\n`].join('\n'));
    previous = hash;
  });
  mkdirSync(path.join(folder, 'committed'), { recursive: true });
  write('current.sql', current);
  for (const [name, text] of Object.entries({ 'all.sql': '', ...fixtures })) write(`fixtures/${name}`, text);
  for (const [number, text] of Object.entries(rollback)) write(`rollback/${numbered(Number(number))}`, text);
}

export function numbered(number: number): string {
  return `${String(number).padStart(6, '0')}.sql`;
}

/** Folders and databases for the tests of one file, and their end. `main` is made empty and owned by agentflow_owner. */
export function useScratch(): { make(history?: History): Promise<ScratchUrls> } {
  const folders: string[] = [];
  const databases: string[] = [];
  const url = (role: 'agentflow_owner' | 'postgres', database: string): string => clusterUrl(testCluster(), role, database);
  const root = (statement: string) => withClient(url('postgres', 'postgres'), (client) => client.query(statement));
  afterAll(async () => {
    for (const name of databases) await root(`drop database if exists ${name} with (force)`);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  return {
    async make(history = {}) {
      const name = `scratch_${randomUUID().replaceAll('-', '')}`;
      const migrationsFolder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-migrations-'));
      folders.push(migrationsFolder);
      databases.push(name, `${name}_shadow`);
      writeHistory(migrationsFolder, history);
      await root(`create database ${name} owner agentflow_owner`);
      return { databaseUrl: url('agentflow_owner', name), shadowUrl: url('agentflow_owner', `${name}_shadow`), rootUrl: url('postgres', 'postgres'), migrationsFolder };
    },
  };
}

/** A copy of a migrations folder with one committed migration more. */
export function appendMigration(migrationsFolder: string, body: string): { folder: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-history-'));
  cpSync(path.join(migrationsFolder, 'committed'), path.join(folder, 'committed'), { recursive: true });
  const committed = committedMigrations(folder);
  const previous = committed.at(-1)?.hash ?? null;
  const hash = `sha1:${createHash('sha1').update(`${`${previous ?? ''}\n${body.trim()}`.trim()}\n`).digest('hex')}`;
  writeFileSync(path.join(folder, 'committed', numbered(committed.length + 1)), `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n\n${body.trim()}\n`);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
