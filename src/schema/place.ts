/** Where in which file a migration failed: PostgreSQL tells a position in one long text, people need file, line and caret. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { compileIncludes, parseMigrationText } from 'graphile-migrate/dist/migration.js';
import { parse } from 'libpg-query';
import pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { withClient } from './connection.ts';

/** One migration as it goes to PostgreSQL, and how to find its lines again on disk. */
export interface MigrationText {
  /** Relative to the migrations folder: `current.sql`, `committed/000002-more.sql`. */
  file: string;
  sql: string;
  /** Line of `file` on which `sql` begins, from 1. */
  firstLine: number;
  migrationsFolder: string;
}

export interface Place {
  file: string;
  /** Both from 1. */
  line: number;
  column: number;
}

/** `current.sql` with its includes in; its headers too, as when it is watched, or without, as when it is committed. Throws when an include cannot be followed. */
export async function currentText(migrationsFolder: string, withHeaders: boolean): Promise<MigrationText> {
  const file = path.join(migrationsFolder, 'current.sql');
  const settings = { migrationsFolder } as Parameters<typeof compileIncludes>[0];
  const source = readFileSync(file, 'utf8');
  const whole = await compileIncludes(settings, source, new Set([file]));
  return withHeaders ? { file: 'current.sql', sql: whole, firstLine: 1, migrationsFolder } : textOf('current.sql', whole, migrationsFolder);
}

export function committedText(file: string, migrationsFolder: string): MigrationText {
  return textOf(path.join('committed', file), readFileSync(path.join(migrationsFolder, 'committed', file), 'utf8'), migrationsFolder);
}

function textOf(file: string, whole: string, migrationsFolder: string): MigrationText {
  const sql = parseMigrationText(file, whole, false).body;
  return { file, sql, firstLine: lineCount(whole.slice(0, whole.indexOf(sql.trim()))), migrationsFolder };
}

/** Passes on what is no failure of a statement; otherwise MIGRATION_FAILED with the place. `url` must lead to the database that refused. */
export async function locateFailure(error: unknown, text: MigrationText, url: string): Promise<unknown> {
  if (!(error instanceof Error) || typeof (error as { code?: unknown }).code !== 'string' || !('severity' in error)) return error;
  const failure = error as pg.DatabaseError;
  const offset = failure.position === undefined ? await failingStatement(text.sql, url) : codeUnits(text.sql, Number(failure.position) - 1);
  if (offset === null) return new AgentFlowError('MIGRATION_FAILED', `${text.file}: ${failure.message}`, { cause: error, ...remedyOf(failure) });
  const place = placeAt(text, offset);
  return new AgentFlowError('MIGRATION_FAILED', `${place.file}:${place.line}:${place.column}: ${failure.message}\n${excerpt(text.sql, offset, place)}`, {
    cause: error, ...remedyOf(failure), details: { ...place, sqlstate: failure.code },
  });
}

function remedyOf(failure: pg.DatabaseError): { remedy?: string } {
  const said = [failure.detail, failure.hint].filter((text) => text !== undefined && text !== '');
  return said.length === 0 ? {} : { remedy: `${said.join(' ')} The database is as it was before.` };
}

/** Runs one statement after the other, in a transaction that is taken back, until one fails. Null when none does. */
async function failingStatement(sql: string, url: string): Promise<number | null> {
  const statements = await splitStatements(sql);
  return withClient(url, async (client) => {
    await client.query('begin');
    for (const { start, text } of statements) {
      try {
        await client.query(text);
      } catch {
        return start; // the same failure as the one that is being located; leaving ends the session and takes all back
      }
    }
    await client.query('rollback');
    return null;
  });
}

/** By PostgreSQL's own parser. `start`: where the statement begins, in code units. */
export async function splitStatements(sql: string): Promise<{ start: number; text: string }[]> {
  const bytes = Buffer.from(sql, 'utf8');
  const { stmts } = await parse(sql) as { stmts?: { stmt_location?: number; stmt_len?: number }[] };
  return (stmts ?? []).map(({ stmt_location: location = 0, stmt_len: length }) => {
    const raw = bytes.subarray(location, length === undefined ? undefined : location + length).toString('utf8');
    const lead = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(raw)![0].length;
    return { start: bytes.subarray(0, location).toString('utf8').length + lead, text: raw.slice(lead) };
  });
}

/** Follows the marks that graphile-migrate leaves around what it included. In a committed file the included lines are its own. */
export function placeAt(text: MigrationText, offset: number): Place {
  const before = text.sql.slice(0, offset).split('\n');
  const column = before.at(-1)!.length + 1;
  const isCommitted = text.file.startsWith('committed');
  const frames: { file: string; line: number }[] = [{ file: text.file, line: text.firstLine - 1 }];
  for (const line of before) {
    const mark = isCommitted ? null : /^--! (Included|EndIncluded) (\S+)$/.exec(line);
    if (mark?.[1] === 'Included') {
      frames.at(-1)!.line += 1;
      frames.push({ file: path.join('fixtures', mark[2]!), line: leadingLines(path.join(text.migrationsFolder, 'fixtures', mark[2]!)) });
    } else if (mark) frames.pop();
    else frames.at(-1)!.line += 1;
  }
  return { ...frames.at(-1)!, column };
}

function excerpt(sql: string, offset: number, { line, column }: Place): string {
  const start = sql.lastIndexOf('\n', offset - 1) + 1;
  const end = sql.indexOf('\n', offset);
  const source = sql.slice(start, end === -1 ? undefined : end);
  const margin = `${line} | `;
  return `  ${margin}${source}\n  ${' '.repeat(margin.length)}${source.slice(0, column - 1).replace(/[^\t]/g, ' ')}^`;
}

/** Included files go in without the blank lines around them. */
function leadingLines(file: string): number {
  const source = readFileSync(file, 'utf8');
  return lineCount(source.slice(0, source.length - source.trimStart().length)) - 1;
}

function lineCount(text: string): number {
  return text.split('\n').length;
}

/** PostgreSQL counts characters, JavaScript counts UTF-16 code units. */
function codeUnits(text: string, characters: number): number {
  return [...text].slice(0, characters).join('').length;
}
