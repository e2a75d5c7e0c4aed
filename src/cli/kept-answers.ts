/**
 * What a database that has just been made answers when it is asked for its schema. It follows from the migrations, from what prepares
 * a database for them and from PostgreSQL's version: it is kept beside the compiled code, and the next new database need not be waited for.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { committedMigrations } from '../schema/history.ts';
import { migrationsFolder, projectFolder } from '../schema/folders.ts';
import type { Answers, SchemaAnswers } from '../server/schema-answers.ts';

const cacheFolder = path.join(projectFolder, 'node_modules', '.cache', 'schema-answers');

/** `version`: of PostgreSQL. Answers that cannot be kept, or read, are asked for again. */
export function keptAnswers(version: string, folder = cacheFolder): { known: Answers; keep: SchemaAnswers['keep'] } {
  const file = path.join(folder, `${digest(version)}.json`);
  return { known: answersIn(readIfThere(file) ?? ''), keep: (answers) => write(file, JSON.stringify(answers)) };
}

/** Of everything that a new database is made of. */
function digest(version: string): string {
  const hash = createHash('sha256').update(version);
  for (const { contentHash } of committedMigrations(migrationsFolder)) hash.update(contentHash);
  for (const file of ['package-lock.json', '.gmrc', 'src/schema/prepare.ts', 'src/schema/roles.ts', 'src/embedded/index.ts']) hash.update(readIfThere(path.join(projectFolder, file)) ?? '');
  return hash.digest('hex');
}

/** None when it is anything but rows by question. */
function answersIn(text: string): Answers {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null && !Array.isArray(read) && Object.values(read).every(Array.isArray) ? read as Answers : {};
  } catch {
    return {};
  }
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** The only one: those of older migrations are of no use. */
function write(file: string, text: string): void {
  const folder = path.dirname(file);
  const draft = `${file}.${randomUUID()}`;
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) if (name.endsWith('.json')) rmSync(path.join(folder, name), { force: true });
    writeFileSync(draft, text);
    renameSync(draft, file);
  } catch {
    rmSync(draft, { force: true }); // a folder that cannot be written: the next start asks again
  }
}
