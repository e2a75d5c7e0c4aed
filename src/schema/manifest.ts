/** graphile-migrate skips an include line that it does not understand, and runs no fixture that nothing includes: both are found here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { committedMigrations } from './history.ts';
import { transactionStatements } from './statements.ts';

export interface ManifestProblem {
  /** Relative to the migrations folder. */
  file: string;
  /** Null when it is about the whole file. */
  line: number | null;
  message: string;
  remedy: string;
}

interface Include { target: string; line: number }

const wellFormed = /^--![ \t]*include[ \t]+(\S+\.sql)[ \t]*$/;
/** What somebody meant as an include. */
const attempted = /^\s*--\s*!?\s*include\b/i;

/** All problems of `current.sql` and the fixtures at once. */
export function manifestProblems(migrationsFolder: string): ManifestProblem[] {
  const fixtures = readdirSync(path.join(migrationsFolder, 'fixtures'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sql')).map((name) => name.split(path.sep).join('/')).sort();
  const files = ['current.sql', ...fixtures.map((name) => `fixtures/${name}`)].filter((file) => existsSync(path.join(migrationsFolder, file)));
  return [
    ...files.flatMap((file) => [...includeProblems(migrationsFolder, file), ...transactionProblems(migrationsFolder, file)]),
    ...listingProblems(migrationsFolder, fixtures),
    ...rollbackProblems(migrationsFolder),
  ];
}

/** Throws MIGRATION_INVALID with everything that is wrong. */
export function demandManifest(migrationsFolder: string): void {
  const problems = manifestProblems(migrationsFolder);
  if (problems.length === 0) return;
  throw new AgentFlowError('MIGRATION_INVALID', problems.map(describeProblem).join('\n'), { details: { problems } });
}

export function describeProblem({ file, line, message, remedy }: ManifestProblem): string {
  return `${file}${line === null ? '' : `:${line}`}: ${message}. ${remedy}`;
}

function includeProblems(folder: string, file: string): ManifestProblem[] {
  return readFileSync(path.join(folder, file), 'utf8').split('\n').flatMap((text, index) => {
    if (!attempted.test(text)) return [];
    const at = { file, line: index + 1 };
    const target = wellFormed.exec(text)?.[1];
    if (target === undefined) {
      const remedy = 'Write --!include path/below/fixtures.sql, from the first column on, and nothing else on the line.';
      return [{ ...at, message: /^\s/.test(text) ? 'an indented include is ignored' : 'this include is ignored', remedy }];
    }
    if (!existsSync(path.join(folder, 'fixtures', target))) {
      return [{ ...at, message: `fixtures/${target} does not exist`, remedy: 'Correct the path (it begins below migrations/fixtures), or remove the line.' }];
    }
    return [];
  });
}

/** A migration is one transaction: what ends it would leave a half-done one behind when a later statement fails. */
function transactionProblems(folder: string, file: string): ManifestProblem[] {
  const sql = readFileSync(path.join(folder, file), 'utf8');
  return transactionStatements(sql).map(({ start, text }) => ({
    file, line: sql.slice(0, start).split('\n').length, message: `"${text}" ends or divides the transaction of the migration`, remedy: 'Remove it: a migration runs as a whole or not at all.',
  }));
}

function listingProblems(folder: string, fixtures: string[]): ManifestProblem[] {
  const problems: ManifestProblem[] = [];
  const seen = new Map<string, string>();
  const follow = (name: string, trail: string[]): void => {
    for (const { target, line } of includesOf(folder, name)) {
      const file = `fixtures/${name}`;
      if (trail.includes(target)) {
        problems.push({ file, line, message: `fixtures/${target} includes itself`, remedy: 'Break the circle.' });
      } else if (seen.has(target)) {
        problems.push({ file, line, message: `fixtures/${target} is listed a second time (first in ${seen.get(target)})`, remedy: 'Remove one of the two lines.' });
      } else {
        seen.set(target, file);
        follow(target, [...trail, target]);
      }
    }
  };
  follow('all.sql', ['all.sql']);
  const unlisted = fixtures.filter((name) => name !== 'all.sql' && !seen.has(name));
  return [...problems, ...unlisted.map((name) => ({
    file: `fixtures/${name}`, line: null, message: 'no manifest lists this fixture, so it never runs', remedy: 'Add it to fixtures/after.sql (or before.sql, when tables need it).',
  }))];
}

/** Every migration can be taken back: its rollback is written with it. */
function rollbackProblems(folder: string): ManifestProblem[] {
  const names = committedMigrations(folder).map(({ filename }) => filename);
  return names.filter((name) => !existsSync(path.join(folder, 'rollback', name))).map((name) => ({
    file: `rollback/${name}`, line: null, message: 'this migration has no rollback', remedy: 'Write the statements that take it back; agentflow db rollback --prove says whether they do.',
  }));
}

function includesOf(folder: string, name: string): Include[] {
  const file = path.join(folder, 'fixtures', name);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').flatMap((text, index) => {
    const target = wellFormed.exec(text)?.[1];
    return target === undefined ? [] : [{ target, line: index + 1 }];
  });
}
