/** `db new`: an empty migration with its message, and the file that will take it back. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { newestMigration } from './history.ts';

export interface NewMigration {
  /** The number it will be committed under: `000002.sql`. */
  filename: string;
  current: string;
  rollback: string;
}

/** Throws MIGRATION_INVALID when `current.sql` holds statements, INVALID_VALUE for a message that cannot be one. */
export function newMigration(migrationsFolder: string, message: string): NewMigration {
  const text = message.trim();
  if (text === '' || text.length > 512 || /[\u0000-\u001f]/.test(text)) {
    throw new AgentFlowError('INVALID_VALUE', 'The message must be one line of 1 to 512 characters.', { remedy: 'agentflow db new "add colours to workflows"' });
  }
  const current = demandEmptyCurrent(migrationsFolder);
  const filename = nextNumber(migrationsFolder);
  const rollback = path.join(migrationsFolder, 'rollback', filename);
  writeFileSync(current, currentTemplate(text, filename));
  mkdirSync(path.dirname(rollback), { recursive: true });
  if (!existsSync(rollback)) writeFileSync(rollback, rollbackTemplate(text, filename));
  return { filename, current, rollback };
}

/** Returns its path. Throws MIGRATION_INVALID when it holds statements, which would be lost. */
export function demandEmptyCurrent(migrationsFolder: string): string {
  const current = path.join(migrationsFolder, 'current.sql');
  if (existsSync(current) && hasStatements(readFileSync(current, 'utf8'))) {
    throw new AgentFlowError('MIGRATION_INVALID', 'current.sql holds statements of a migration that is not committed.', { remedy: 'Commit them (agentflow db commit) or empty the file; nothing was changed.' });
  }
  return current;
}

function nextNumber(migrationsFolder: string): string {
  const last = newestMigration(migrationsFolder);
  return `${String(last === null ? 1 : Number.parseInt(last, 10) + 1).padStart(6, '0')}.sql`;
}

/** Anything but white space, comments and headers; an include counts. */
export function hasStatements(sql: string): boolean {
  return sql.replace(/^--!([ \t]*)include\b/gm, 'include').replace(/\/\*[\s\S]*?\*\//g, '').replace(/--.*$/gm, '').trim() !== '';
}

function currentTemplate(message: string, filename: string): string {
  return `--! Message: ${message}

-- Statements here run again on every save (agentflow db watch): write them so that they may
-- (create table if not exists, drop ... if exists before create).
-- A changed or new fixture takes part when it is included, from the first column on:
--   --!include app_public/functions/name.sql
-- What takes this back goes into rollback/${filename}; agentflow db rollback --prove tries it.
`;
}

function rollbackTemplate(message: string, filename: string): string {
  return `-- Takes back ${filename}: ${message}
-- The exact inverse, statement by statement, the last one first. Data that it drops does not come back.
`;
}
