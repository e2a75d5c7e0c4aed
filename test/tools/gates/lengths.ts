/** Files of one idea are short. */
import { filesIn, readLines, type Gate } from './gate.ts';

export const maxLines = 320;

/** Longer ones, each with its reason. */
export const exceptions: Readonly<Record<string, string>> = {
  'src/engine/types.ts': 'the words of the engine, in one place; it does nothing',
  'migrations/fixtures/after.sql': 'a list: one fixture a line',
};

export const lengthsGate: Gate = (projectFolder) =>
  filesIn(projectFolder, ['src', 'tasks', 'test', 'bin', 'migrations/fixtures'], ['.ts', '.mjs', '.sql']).flatMap((file) => {
    const count = readLines(projectFolder, file).length - 1;
    if (count <= maxLines || file in exceptions) return [];
    return [{ file, line: null, message: `${count} lines: more than ${maxLines}. Split it, or name it as an exception with the reason` }];
  });
