/** Nothing here knows on whose machine it was written. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readLines, type Gate } from './gate.ts';

const folders = ['home', 'root', 'Users', 'work', 'workspace', 'mnt', 'media'];
const machinePath = new RegExp(String.raw`(?<![\w.$}>/:-])/(?:${folders.join('|')})/[\w.-]+`);

/** The lock file is npm's; committed migrations are frozen. */
const notOurs = /^package-lock\.json$|^migrations\/committed\//;

export const machinePathsGate: Gate = (projectFolder) =>
  trackedTextFiles(projectFolder).flatMap((file) => readLines(projectFolder, file).flatMap((line, index) => {
    const found = machinePath.exec(line);
    return found ? [{ file, line: index + 1, message: `${found[0]} is a path of some machine` }] : [];
  }));

function trackedTextFiles(projectFolder: string): string[] {
  // `git grep -I` with an empty pattern lists the text files that git knows and that are there.
  const output = execFileSync('git', ['grep', '-I', '--name-only', '--cached', '-e', ''], { cwd: projectFolder, encoding: 'utf8' });
  return output.split('\n').filter((file) => file !== '' && !notOurs.test(file) && isThere(projectFolder, file));
}

function isThere(projectFolder: string, file: string): boolean {
  return existsSync(path.join(projectFolder, file));
}
