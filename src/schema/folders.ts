/** Where the project's own files are. */
import path from 'node:path';

export const projectFolder = path.resolve(import.meta.dirname, '../..');
export const migrationsFolder = path.join(projectFolder, 'migrations');
