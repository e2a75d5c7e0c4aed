/** squawk looks at the text of new migrations for what locks a busy table or breaks old clients. It is a program of its own, not there on every platform. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { committedMigrations } from './history.ts';
import type { Finding } from './lint.ts';
import { committedText, currentText, placeAt, type MigrationText } from './place.ts';
import { hasStatements } from './scaffold.ts';

/** Settled otherwise: the runner sets lock_timeout; the founding documents ask for varchar(n) and integer. */
const excluded = ['require-lock-timeout', 'require-statement-timeout', 'prefer-text-field', 'prefer-bigint-over-int', 'prefer-bigint-over-smallint'];

interface SquawkLine {
  line: number;
  column: number;
  level: 'Error' | 'Warning';
  message: string;
  help: string | null;
  rule_name: string;
}

/** Null where there is no squawk. The first migration is spared: it meets an empty database. */
export async function runSquawk(migrationsFolder: string): Promise<Finding[] | null> {
  const program = findSquawk();
  if (program === null) return null;
  const committed = committedMigrations(migrationsFolder);
  const current = await currentText(migrationsFolder, false);
  const texts = [...committed.slice(1).map(({ file }) => committedText(file, migrationsFolder)), ...(committed.length > 0 && hasStatements(current.sql) ? [current] : [])];
  return texts.flatMap((text) => squawkText(program, text));
}

function squawkText(program: string, text: MigrationText): Finding[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-squawk-'));
  try {
    const file = path.join(folder, 'migration.sql');
    writeFileSync(file, text.sql);
    const transaction = /^--!\s*no-transaction\b/.test(text.sql) ? [] : ['--assume-in-transaction'];
    const result = spawnSync(program, [...transaction, '--reporter', 'json', '--exclude', excluded.join(','), file], { encoding: 'utf8', cwd: folder });
    if (result.error || !result.stdout.trim().startsWith('[')) {
      throw new AgentFlowError('INTERNAL', `squawk did not answer: ${result.error?.message ?? result.stderr}`, { remedy: `Run it by hand: ${program} ${text.file}` });
    }
    return (JSON.parse(result.stdout) as SquawkLine[]).map((line) => findingOf(text, line));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findingOf(text: MigrationText, { line, column, level, message, help, rule_name: rule }: SquawkLine): Finding {
  const lineStart = text.sql.split('\n').slice(0, line).join('\n').length + (line === 0 ? 0 : 1);
  const place = placeAt(text, lineStart + column);
  return {
    lint: `squawk/${rule}`, level: level === 'Error' ? 'error' : 'warning', object: `${place.file}:${place.line}`, message,
    remedy: `${help ?? 'See squawk\'s documentation of this rule.'} To accept it, write above it: -- squawk-ignore ${rule}`,
  };
}

function findSquawk(): string | null {
  try {
    const manifest = createRequire(import.meta.url).resolve(`@squawk-cli/${process.platform}-${process.arch}/package.json`);
    return path.join(path.dirname(manifest), 'bin', 'squawk');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}
