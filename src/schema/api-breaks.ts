/** What a change of schema.graphql does to clients that were written for the schema before it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, findBreakingChanges, findDangerousChanges } from 'graphql';
import { parseMigrationText } from 'graphile-migrate/dist/migration.js';
import { AgentFlowError } from '../errors.ts';
import { committedMigrations } from './history.ts';

export interface ApiChange {
  level: 'breaking' | 'dangerous';
  /** As graphql-js names it: FIELD_REMOVED, ENUM_VALUE_ADDED ... */
  kind: string;
  /** What it is about: `Workflow.name`, `WorkflowStatus.DRAFT`. */
  subject: string;
  message: string;
  /** A migration's header says that it is meant. Dangerous changes need no such line. */
  declared: boolean;
}

/** `declarations`: the texts of `--! Breaking:` headers of the migrations that are new; each must name the subjects it breaks. */
export function apiChanges(oldSdl: string, newSdl: string, declarations: string[]): ApiChange[] {
  const [before, after] = [buildSchema(oldSdl), buildSchema(newSdl)];
  const names = (subject: string): boolean => declarations.some((text) => text.split(/[\s,;:()]+/).some((word) => word.replace(/\.$/, '') === subject));
  const changes = [
    ...findBreakingChanges(before, after).map(({ type, description }) => ({ level: 'breaking' as const, kind: type as string, message: description })),
    ...findDangerousChanges(before, after).map(({ type, description }) => ({ level: 'dangerous' as const, kind: type as string, message: description })),
  ];
  return changes.map((change) => {
    const subject = subjectOf(change.message);
    return { ...change, subject, declared: change.level === 'dangerous' || names(subject) };
  });
}

/** graphql-js says it in a sentence: of a member and its type, of `Type.field`, or of a type alone. */
function subjectOf(message: string): string {
  const member = /^(\w+) was (?:removed from|added to) \w+(?: object)? type (\w+)/.exec(message)
    ?? /^(\w+) (?:added to interfaces implemented by|was (?:added to|removed from) interfaces implemented by) (\w+)/.exec(message)
    ?? /field (\w+) on input type (\w+)/.exec(message);
  if (member) return `${member[2]}.${member[1]}`;
  return /\b[A-Z_]\w*\.\w+\b/.exec(message)?.[0] ?? /^\w+/.exec(message)?.[0] ?? message;
}

/** The `Breaking` headers of `current.sql` and of the committed migrations that are not among `known` file names. */
export function breakingDeclarations(migrationsFolder: string, known: readonly string[]): string[] {
  const files = committedMigrations(migrationsFolder).filter(({ file }) => !known.includes(file)).map(({ file }) => path.join(migrationsFolder, 'committed', file));
  return [...files, path.join(migrationsFolder, 'current.sql')].flatMap((file) => {
    const text = parseMigrationText(file, readFileSync(file, 'utf8'), false).headers['Breaking'];
    return typeof text === 'string' ? [text] : [];
  });
}

export interface GitState {
  sdl: string;
  /** Names of the committed migrations that are the same here: one that was written anew (a first one, before anybody has it) counts as new. */
  migrations: string[];
}

/**
 * Whose clients must go on working when nobody says: `main`, here or at the origin; on main itself, with nothing changed since its last
 * commit, the commit before it. Null outside of a git repository and for a first commit. Throws NOT_FOUND where there is no main to be found.
 */
export function mainBefore(projectFolder: string): string | null {
  const commit = (ref: string): string | null => {
    const { status, stdout } = spawnSync('git', ['-C', projectFolder, 'rev-parse', '--verify', '--quiet', `${ref}^{commit}`], { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : null;
  };
  if (commit('HEAD') === null) return null;
  const main = ['main', 'origin/main'].find((ref) => commit(ref) !== null);
  if (main === undefined) throw new AgentFlowError('NOT_FOUND', 'There is no main to compare the API with.', { remedy: 'git fetch origin main:refs/remotes/origin/main; or name a commit: --against <ref>' });
  const isChanged = spawnSync('git', ['-C', projectFolder, 'diff', '--quiet', 'HEAD', '--', 'migrations']).status !== 0;
  if (commit(main) !== commit('HEAD') || isChanged) return main;
  return commit('HEAD^') === null ? null : 'HEAD^';
}

/** schema.graphql and the migrations as they are at `ref`. Null when the ref has no schema.graphql yet. Throws NOT_FOUND for an unknown ref. */
export function stateAt(ref: string, projectFolder: string): GitState | null {
  const git = (...parts: string[]): string => execFileSync('git', ['-C', projectFolder, ...parts], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`);
  } catch (error) {
    throw new AgentFlowError('NOT_FOUND', `git knows no ${ref}.`, { remedy: 'Fetch it, or name another commit: --against <ref>', cause: error });
  }
  const files = new Map(git('ls-tree', '-r', ref, 'migrations').split('\n').map((line) => [line.split('\t')[1], line.split(/\s/)[2]]));
  if (!files.has('migrations/snapshot/schema.graphql')) return null;
  const isAsItWas = ([file, id]: [string | undefined, string | undefined]): boolean =>
    file?.startsWith('migrations/committed/') === true && existsSync(path.join(projectFolder, file)) && git('hash-object', file).trim() === id;
  return {
    sdl: git('show', `${ref}:migrations/snapshot/schema.graphql`),
    migrations: [...files].filter(isAsItWas).map(([file]) => path.basename(file!)),
  };
}
