/** A gate looks at the project's files and says what may not stay. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export interface Problem {
  /** Relative to the project. */
  file: string;
  /** From 1; null for the whole file. */
  line: number | null;
  message: string;
}

export type Gate = (projectFolder: string) => Problem[];

/** Files under the folders, relative to the project, sorted; what is not there is no file. */
export function filesIn(projectFolder: string, folders: readonly string[], endings: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    const full = path.join(projectFolder, folder);
    if (!statSync(full, { throwIfNoEntry: false })?.isDirectory()) return [];
    return readdirSync(full, { recursive: true, encoding: 'utf8' })
      .filter((name) => endings.some((ending) => name.endsWith(ending)) && statSync(path.join(full, name)).isFile())
      .map((name) => path.join(folder, name).split(path.sep).join('/'));
  }).sort();
}

export function readLines(projectFolder: string, file: string): string[] {
  return readFileSync(path.join(projectFolder, file), 'utf8').split('\n');
}
