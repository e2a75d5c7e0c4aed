/** Every fixture is included once, and every include is one that graphile-migrate understands. */
import path from 'node:path';
import { manifestProblems } from '../../../src/schema/manifest.ts';
import type { Gate } from './gate.ts';

export const manifestGate: Gate = (projectFolder) =>
  manifestProblems(path.join(projectFolder, 'migrations')).map(({ file, line, message, remedy }) => ({
    file: `migrations/${file}`, line, message: `${message} ${remedy}`,
  }));
