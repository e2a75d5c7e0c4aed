import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { committedMigrations, demandCurrentSchema, migrationHistory, type MigrationState, newestMigration } from '../../src/schema/history.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { useTestDatabase } from '../support/database.ts';

describe('the history of a database', () => {
  const db = useTestDatabase();
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-history-'));
    cpSync(path.join(migrationsFolder, 'committed'), path.join(folder, 'committed'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const last = (): string => path.join(folder, 'committed', committedMigrations(folder).at(-1)!.file);
  const stateOfLast = async (): Promise<MigrationState> =>
    withClient(db.url('agentflow_owner'), async (client) => (await migrationHistory(client, folder)).at(-1)!.state);
  const demand = (): Promise<void> => withClient(db.url('agentflow_owner'), (client) => demandCurrentSchema(client, folder));

  test('is as committed: every hash agrees with its file', async () => {
    expect(await stateOfLast()).toBe('APPLIED');
    expect(committedMigrations(folder).filter(({ hash, contentHash }) => hash !== contentHash)).toEqual([]);
    await expect(demand()).resolves.toBeUndefined();
  });

  test('notices a byte changed in a migration that was applied', async () => {
    chmodSync(last(), 0o600);
    writeFileSync(last(), `${readFileSync(last(), 'utf8')}-- one more line\n`);
    expect(await stateOfLast()).toBe('EDITED');
  });

  test('notices a migration on disk that the database lacks', async () => {
    const { hash } = committedMigrations(folder).at(-1)!;
    writeFileSync(path.join(folder, 'committed', '900000-later.sql'), `--! Previous: ${hash}\n--! Hash: sha1:0\n--! Message: later\n\nselect 1;\n`);
    expect(await stateOfLast()).toBe('EDITED'); // its hash is not its content's
    const { contentHash } = committedMigrations(folder).at(-1)!;
    writeFileSync(path.join(folder, 'committed', '900000-later.sql'), `--! Previous: ${hash}\n--! Hash: ${contentHash}\n--! Message: later\n\nselect 1;\n`);
    expect(await stateOfLast()).toBe('PENDING');
    await expect(demand()).rejects.toMatchObject({ code: 'DATABASE_BEHIND', details: { migrations: ['900000.sql'] } });
  });

  test('notices a migration in the database that is not on disk', async () => {
    const { filename } = committedMigrations(folder).at(-1)!;
    unlinkSync(last());
    expect(await stateOfLast()).toBe('MISSING');
    await expect(demand()).rejects.toMatchObject({ code: 'DATABASE_AHEAD', details: { migrations: [filename] } });
  });

  test('is told the newest by its name alone', () => {
    writeFileSync(path.join(folder, 'committed', '900000-later.sql'), 'select 1;\n');
    expect(newestMigration(folder)).toBe('900000.sql');
    expect(newestMigration(path.join(folder, 'nothing'))).toBeNull();
  });

  test('takes a file without its headers for none', () => {
    writeFileSync(path.join(folder, 'committed', '900000.sql'), 'select 1;\n');
    expect(() => committedMigrations(folder)).toThrow(expect.objectContaining({ code: 'INVALID_VALUE', message: expect.stringContaining('900000.sql') }));
  });
});
