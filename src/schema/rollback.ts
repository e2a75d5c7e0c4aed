/**
 * Takes the last migration back with its hand-written inverse, `migrations/rollback/NNNNNN.sql`. First the shadow proves that
 * it is the exact inverse; then the database itself must look, before it is committed, as it did before the migration.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { actingAs, withClient, withSchemaLock } from './connection.ts';
import { compareCatalogs, describeDifference, readCatalog, readCatalogHere, summarise, type Catalog, type Difference } from './fingerprint.ts';
import { committedMigrations, demandNotAhead, demandUnedited, migrationHistory, newestMigration } from './history.ts';
import { migrateDatabase, migrationsFolder as projectMigrations, runCurrent, type DatabaseUrls } from './migrate.ts';
import { countRows, foreseenLosses, lossesIn, rowLosses } from './losses.ts';
import { locateFailure } from './place.ts';
import { partOfHistory, withShadow, type Shadow } from './shadow.ts';
import { rowStatements, transactionStatements } from './statements.ts';

export interface Rollback {
  /** `000002.sql` */
  filename: string;
  /** What the database loses, and what comes back without its data: a sentence each. */
  losses: string[];
  /** Columns that come back at another place of their table: nothing that names its columns notices. */
  reordered: string[];
}

/** The proof alone, of the last committed migration or of `current.sql`, whichever comes last. Throws NOT_FOUND, ROLLBACK_REFUSED. */
export async function proveRollback(urls: DatabaseUrls): Promise<Rollback> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  const last = newestMigration(folder);
  const number = last === null ? 1 : Number.parseInt(last, 10) + 1;
  const next = `${String(number).padStart(6, '0')}.sql`;
  const isCurrent = existsSync(path.join(folder, 'rollback', next));
  const filename = isCurrent ? next : last;
  if (filename === null) throw noMigration();
  return (await prove(urls, filename, isCurrent)).rollback;
}

/** Throws NOT_FOUND, MIGRATION_EDITED, ROLLBACK_REFUSED, DATA_LOSS (unless accepted); the database is changed as a whole or not at all. */
export async function rollbackLast(urls: DatabaseUrls, options: { acceptLoss: boolean }): Promise<Rollback> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  return withClient(actingAs(urls.databaseUrl, 'agentflow_owner'), (client) => withSchemaLock(client, async () => {
    const history = await migrationHistory(client, folder);
    demandNotAhead(history);
    demandUnedited(history);
    const filename = history.findLast(({ appliedAt }) => appliedAt !== null)?.filename;
    if (filename === undefined) throw noMigration();
    await demandNoCurrent(client);
    const proof = await prove(urls, filename, false);
    const losses = await lossesIn(client, proof.before, proof.after, proof.rewritten);
    const ofRows = await runRollback(client, urls, filename, proof, options.acceptLoss, losses);
    return { ...proof.rollback, losses: [...losses, ...ofRows] };
  }));
}

interface Proof {
  before: Catalog;
  after: Catalog;
  /** Columns whose values the migration changed, as its header says. */
  rewritten: string[];
  rollback: Rollback;
}

async function prove(urls: DatabaseUrls, filename: string, isCurrent: boolean): Promise<Proof> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  const sql = rollbackText(folder, filename);
  demandOneTransaction(filename, sql);
  const rewritten = rewrittenBy(folder, filename, isCurrent);
  const previous = committedMigrations(folder).findLast((migration) => migration.filename < filename)?.filename ?? null;
  return withShadow(urls, { upTo: previous, current: false }, async (shadow) => {
    const before = await readCatalog(shadow.client);
    await runForward(shadow, folder, filename, isCurrent);
    const after = await readCatalog(shadow.client);
    await shadow.client.query(sql).catch(async (error: unknown) => {
      throw await located(error, sql, folder, filename, shadow.url);
    });
    const { differences, reordered } = compare(before, await readCatalog(shadow.client));
    if (differences.length > 0) throw refusal(filename, differences);
    return { before, after, rewritten, rollback: { filename, losses: foreseenLosses(before, after, sql, rewritten), reordered } };
  });
}

async function runForward(shadow: Shadow, folder: string, filename: string, isCurrent: boolean): Promise<void> {
  const part = partOfHistory(folder, filename);
  try {
    if (isCurrent) await runCurrent({ databaseUrl: shadow.url, migrationsFolder: part.folder });
    else await migrateDatabase(shadow.url, { migrationsFolder: part.folder });
  } finally {
    part.remove();
  }
}

/** Otherwise it could not be taken back when the last look finds something. */
function demandOneTransaction(filename: string, sql: string): void {
  const [first] = transactionStatements(sql);
  if (first === undefined) return;
  throw new AgentFlowError('ROLLBACK_REFUSED', `migrations/rollback/${filename}:${sql.slice(0, first.start).split('\n').length}: ${first.text} ends or divides the transaction that the rollback runs in.`, {
    remedy: 'Remove it: the statements run as a whole or not at all.',
  });
}

function rewrittenBy(folder: string, filename: string, isCurrent: boolean): string[] {
  const file = isCurrent ? 'current.sql' : path.join('committed', committedMigrations(folder).find((migration) => migration.filename === filename)!.file);
  const text = /^--! Rewrites:(.*)$/m.exec(readFileSync(path.join(folder, file), 'utf8'))?.[1] ?? '';
  return text.split(/[\s,]+/).filter((name) => name !== '');
}

/**
 * In one transaction: the statements, the migration's row, a last look at what has come of it, and at the rows of every table. Returns
 * what it did to rows. Throws DATA_LOSS, with nothing done, unless losses are accepted.
 */
async function runRollback(client: pg.Client, urls: DatabaseUrls, filename: string, proof: Proof, acceptLoss: boolean, losses: string[]): Promise<string[]> {
  const folder = urls.migrationsFolder ?? projectMigrations;
  const sql = rollbackText(folder, filename);
  const drift = compare(proof.after, await readCatalog(client)).differences.map(({ object }) => object);
  if (losses.length > 0 && !acceptLoss) throw lossOf(filename, [...losses, ...rowStatements(sql)]);
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = '5s'`); // as migrations do
    const rows = await countRows(client);
    await client.query(sql);
    const ofRows = rowLosses(rows, await countRows(client));
    if (ofRows.length > 0 && !acceptLoss) throw lossOf(filename, ofRows);
    await client.query('delete from graphile_migrate.migrations where filename = $1', [filename]);
    const { differences } = compare(proof.before, await readCatalogHere(client));
    const ofTheRollback = differences.filter(({ object }) => !drift.includes(object));
    if (ofTheRollback.length > 0) throw refusal(filename, ofTheRollback);
    await client.query('commit');
    return ofRows;
  } catch (error) {
    await client.query('rollback');
    throw await located(error, sql, folder, filename, actingAs(urls.databaseUrl, 'agentflow_owner'));
  }
}

function located(error: unknown, sql: string, folder: string, filename: string, url: string): Promise<unknown> {
  return locateFailure(error, { file: path.join('rollback', filename), sql, firstLine: 1, migrationsFolder: folder }, url);
}

function rollbackText(folder: string, filename: string): string {
  const file = path.join(folder, 'rollback', filename);
  if (existsSync(file)) return readFileSync(file, 'utf8');
  throw new AgentFlowError('NOT_FOUND', `There is no migrations/rollback/${filename}.`, {
    remedy: `Write the statements that take ${filename} back into it; agentflow db rollback --prove says whether they do.`,
  });
}

/** Dropping and adding a column again puts it last: that is told, and no reason to refuse. */
function compare(expected: Catalog, found: Catalog): { differences: Difference[]; reordered: string[] } {
  const all = summarise(compareCatalogs(expected, found));
  const isOrder = ({ object, change, expected: [one], found: [other] }: Difference): boolean =>
    object.startsWith('column order of ') && change === 'different' && sorted(one) === sorted(other);
  return { differences: all.filter((one) => !isOrder(one)), reordered: all.filter(isOrder).map(({ object }) => object.replace('column order of ', '')) };
}

function sorted(columns: string | undefined): string {
  return (columns ?? '').split(', ').sort().join(', ');
}

function refusal(filename: string, differences: Difference[]): AgentFlowError {
  const lines = differences.map(describeDifference).join('\n');
  return new AgentFlowError('ROLLBACK_REFUSED', `migrations/rollback/${filename} is not the exact inverse of ${filename}. After it, compared with before the migration:\n${lines}`, { details: { differences } });
}

function lossOf(filename: string, losses: string[]): AgentFlowError {
  return new AgentFlowError('DATA_LOSS', `Taking ${filename} back loses data that no migration brings back:\n${losses.join('\n')}`, { details: { losses } });
}

function noMigration(): AgentFlowError {
  return new AgentFlowError('NOT_FOUND', 'There is no migration to take back.', { remedy: 'agentflow db history lists what the database has.' });
}

/** What `current.sql` has done is not recorded statement by statement, so it cannot be told from what the migration did. */
async function demandNoCurrent(client: pg.Client): Promise<void> {
  const { rows: [row] } = await client.query<{ content: string }>(`select content from graphile_migrate.current where content !~ '^(\\s|--[^\\n]*(\\n|$))*$'`);
  if (row === undefined) return;
  throw new AgentFlowError('ROLLBACK_REFUSED', 'current.sql was run on this database, and what it did would be mixed up with the migration.', {
    remedy: 'Empty current.sql and make the database anew (agentflow db reset --erase), or commit it first.',
  });
}
