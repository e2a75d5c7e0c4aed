/** Both checkers of workflow documents, the database's and the engine's, asked about the same document. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type pg from 'pg';
import { validateSpec, type NodeType } from '../../../src/engine/index.ts';
import { nodeTypes } from '../../../src/nodes/index.ts';
import { breakages, broken, documents, sourceRows, type Json } from './documents.ts';

interface Found { code: string; field: string | null; node_id: string | null; message: string }

type SourceRows = { name: string; kind: string }[];

/** One that an installation brings, known to both. */
export const probe: NodeType = {
  type: 'probe', summary: 'Asks a model.', parameters: { type: 'object' }, sourceKind: 'llm', sourceRequired: true, example: {},
  hasEffect: () => true, defaultOutputKey: () => 'probed', run: () => ({ kind: 'done', output: null }),
};

/** What every node may say; the rest of `metadata` belongs to one node type, and the database does not look at it. */
const commonParameters = new Set(['source', 'source_id', 'temperature', 'top_p', 'max_tokens', 'timeout', 'retry', 'on_error', 'output_key']);

function onlyTypeScriptSays({ code, field, message }: Found): boolean {
  if (code === 'W005' || code === 'W012' || /^edges\.\d+\.condition is no expression/.test(message)) return true;
  const [, parameter] = /^nodes\.\d+\.metadata\.([^.]*)/.exec(field ?? '') ?? [];
  if (parameter === undefined || message.includes('secret') || !['E002', 'E003', 'W002'].includes(code)) return false;
  return code === 'W002' || !(commonParameters.has(parameter) || (code === 'E002' && parameter === 'query'));
}

const places = (found: Found[]): string[] => [...new Set(found.map(({ code, field, node_id: nodeId }) => `${code} ${field} ${nodeId}`))].toSorted();

async function bySql(client: pg.ClientBase | pg.Pool, spec: unknown, rows: SourceRows): Promise<string[]> {
  const kinds: Record<string, string[]> = {};
  for (const { name, kind } of rows) (kinds[name] ??= []).push(kind);
  const found = await client.query<Found>('select * from app_private.spec_problems($1::jsonb, $2::jsonb, $3::jsonb)', [
    JSON.stringify(spec), JSON.stringify(kinds), JSON.stringify({ probe: { source_kind: 'llm', source_required: true } }),
  ]);
  return places(found.rows);
}

function byTypeScript(spec: unknown, sources: SourceRows): string[] {
  const { errors, warnings } = validateSpec(spec, { nodeTypes: [...nodeTypes, probe], sources });
  return places([...errors, ...warnings].map((problem) => ({ ...problem, node_id: problem.nodeId })).filter((found) => !onlyTypeScriptSays(found)));
}

export interface Verdicts {
  sql: string[];
  typescript: string[];
}

export type Compare = (verdicts: Verdicts) => void;

async function verdicts(client: pg.ClientBase | pg.Pool, spec: unknown, rows: SourceRows): Promise<Verdicts> {
  return { sql: await bySql(client, spec, rows), typescript: byTypeScript(spec, rows) };
}

/** One seed, so that a run repeats; a failure names the smallest document that shows it. */
const seed = 20251207;

export async function overGeneratedDocuments(client: pg.ClientBase | pg.Pool, count: number, compare: Compare): Promise<void> {
  await fc.assert(fc.asyncProperty(documents, sourceRows, async (spec, rows) => compare(await verdicts(client, spec, rows))), { seed, numRuns: count });
}

/** The case files, each broken at one to three places. */
export async function overBrokenCases(client: pg.ClientBase | pg.Pool, count: number, compare: Compare): Promise<void> {
  const folder = path.join(import.meta.dirname, '../../cases/validation');
  const specs = readdirSync(folder).filter((file) => !file.includes('too-many'))
    .map((file) => (JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as { spec: Json }).spec);
  await fc.assert(fc.asyncProperty(fc.constantFrom(...specs), breakages, sourceRows, async (original, breaks, rows) => {
    const spec = JSON.parse(JSON.stringify(breaks.reduce(broken, original))) as Json;
    compare(await verdicts(client, spec, rows));
  }), { seed, numRuns: count });
}
