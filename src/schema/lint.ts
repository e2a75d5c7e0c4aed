/** Runs the lints of the folder beside it: each a query that names what breaks one rule, whom it hurts, and the remedy. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { inReadOnly } from './fingerprint.ts';

export interface Finding {
  /** The lint's file name. */
  lint: string;
  level: 'error' | 'warning';
  object: string;
  message: string;
  remedy: string;
}

/** A finding that was looked at and stays. An entry that accepts nothing is a finding itself. */
export interface Accepted {
  lint: string;
  object: string;
  reason: string;
}

export interface LintReport {
  findings: Finding[];
  accepted: (Finding & { reason: string })[];
  /** Entries of the baseline that accept nothing any more. */
  stale: Accepted[];
  lints: number;
}

const folder = path.join(import.meta.dirname, 'lints');

export const lintNames: readonly string[] = readdirSync(folder).filter((name) => name.endsWith('.sql')).map((name) => path.basename(name, '.sql')).sort();

function lintText(name: string): string {
  return readFileSync(path.join(folder, `${name}.sql`), 'utf8');
}

/** Names are printed with their schema. Writes nothing. */
export async function runLints(client: pg.ClientBase): Promise<Finding[]> {
  return inReadOnly(client, () => runLintsHere(client, lintNames));
}

/** Within an open transaction. */
export async function runLintsHere(client: pg.ClientBase, names: readonly string[]): Promise<Finding[]> {
  await client.query(`set local search_path = ''`);
  const findings: Finding[] = [];
  for (const lint of names) {
    const { rows } = await client.query<Omit<Finding, 'lint'>>(lintText(lint));
    findings.push(...rows.map((row) => ({ lint, ...row })).sort((a, b) => (a.object < b.object ? -1 : 1)));
  }
  return findings;
}

export function applyBaseline(findings: Finding[], baseline: readonly Accepted[]): LintReport {
  const entryOf = (finding: Finding): Accepted | undefined => baseline.find(({ lint, object }) => lint === finding.lint && object === finding.object);
  return {
    findings: findings.filter((finding) => entryOf(finding) === undefined),
    accepted: findings.flatMap((finding) => {
      const entry = entryOf(finding);
      return entry === undefined ? [] : [{ ...finding, reason: entry.reason }];
    }),
    stale: baseline.filter(({ lint, object }) => !findings.some((finding) => finding.lint === lint && finding.object === object)),
    lints: lintNames.length,
  };
}

/** Throws INVALID_VALUE when an entry is not whole: a finding is only accepted for a reason. */
export function readBaseline(migrationsFolder: string): Accepted[] {
  const file = path.join(migrationsFolder, 'lint-baseline.json');
  if (!existsSync(file)) return [];
  const entries = JSON.parse(readFileSync(file, 'utf8')) as Accepted[];
  const faulty = entries.findIndex((entry) => [entry.lint, entry.object, entry.reason].some((text) => typeof text !== 'string' || text.trim() === ''));
  if (faulty !== -1) throw new AgentFlowError('INVALID_VALUE', `Entry ${faulty + 1} of lint-baseline.json lacks lint, object or reason.`, { remedy: 'Give all three; the reason says why the finding may stay.' });
  return entries;
}

export function describeFinding({ lint, level, object, message, remedy }: Finding): string {
  return `${level.padEnd(7)} ${object}: ${message} (${lint})\n        ${remedy}`;
}
