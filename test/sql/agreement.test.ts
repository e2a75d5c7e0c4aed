/** Both checkers of workflow documents, the database's and the engine's, say the same about every rule that both have. */
import fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { validateSpec, type NodeType } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { registerNodeTypes } from '../../src/store/node-types.ts';
import { useTestDatabase } from '../support/database.ts';
import { breakages, broken, documents, sourceRows, type Json } from './support/documents.ts';

interface Found { code: string; field: string | null; node_id: string | null; message: string }

/** One seed, so that a run repeats; a failure names the smallest document that shows it. */
const settings = { seed: 20251207, numRuns: 400 } as const;

const db = useTestDatabase();

/** What every node may say; the rest of `metadata` belongs to one node type, and the database does not look at it. */
const commonParameters = new Set(['source', 'source_id', 'temperature', 'top_p', 'max_tokens', 'timeout', 'retry', 'on_error', 'output_key']);

function onlyTypeScriptSays({ code, field, message }: Found): boolean {
  if (code === 'W005' || code === 'W012' || /^edges\.\d+\.condition is no expression/.test(message)) return true;
  const [, parameter] = /^nodes\.\d+\.metadata\.([^.]*)/.exec(field ?? '') ?? [];
  if (parameter === undefined || message.includes('secret') || !['E002', 'E003', 'W002'].includes(code)) return false;
  return code === 'W002' || !(commonParameters.has(parameter) || (code === 'E002' && parameter === 'query'));
}

const places = (found: Found[]): string[] => [...new Set(found.map(({ code, field, node_id: nodeId }) => `${code} ${field} ${nodeId}`))].toSorted();

/** One that an installation brings, known to both. */
const probe: NodeType = {
  type: 'probe', summary: 'Asks a model.', parameters: { type: 'object' }, sourceKind: 'llm', sourceRequired: true, example: {},
  hasEffect: () => true, defaultOutputKey: () => 'probed', run: () => ({ kind: 'done', output: null }),
};

async function bySql(spec: unknown, rows: { name: string; kind: string }[]): Promise<string[]> {
  const kinds: Record<string, string[]> = {};
  for (const { name, kind } of rows) (kinds[name] ??= []).push(kind);
  const found = await db.owner.query<Found>('select * from app_private.spec_problems($1::jsonb, $2::jsonb, $3::jsonb)', [
    JSON.stringify(spec), JSON.stringify(kinds), JSON.stringify({ probe: { source_kind: 'llm', source_required: true } }),
  ]);
  return places(found.rows);
}

function byTypeScript(spec: unknown, sources: { name: string; kind: string }[]): string[] {
  const { errors, warnings } = validateSpec(spec, { nodeTypes: [...nodeTypes, probe], sources });
  return places([...errors, ...warnings].map((problem) => ({ ...problem, node_id: problem.nodeId })).filter((found) => !onlyTypeScriptSays(found)));
}

test('about generated documents', async () => {
  await fc.assert(fc.asyncProperty(documents, sourceRows, async (spec, rows) => {
    expect(await bySql(spec, rows)).toEqual(byTypeScript(spec, rows));
  }), settings);
});

test('about case files that were broken at some places', async () => {
  const folder = path.join(import.meta.dirname, '../cases/validation');
  const specs = readdirSync(folder).filter((file) => !file.includes('too-many'))
    .map((file) => (JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as { spec: Json }).spec);
  await fc.assert(fc.asyncProperty(fc.constantFrom(...specs), breakages, sourceRows, async (original, breaks, rows) => {
    const spec = JSON.parse(JSON.stringify(breaks.reduce(broken, original))) as Json;
    expect(await bySql(spec, rows)).toEqual(byTypeScript(spec, rows));
  }), settings);
});

test('about the node types and source kinds of every installation', async () => {
  const { rows } = await db.owner.query<{ types: string[]; kinds: string[] }>('select app_private.node_types() as types, app_private.source_kinds() as kinds');
  expect(nodeTypes.map(({ type }) => type)).toEqual(expect.arrayContaining(rows[0]!.types));
  expect(rows[0]!.types).toHaveLength(11);
  expect(rows[0]!.kinds.toSorted()).toEqual([...new Set(nodeTypes.map(({ sourceKind }) => sourceKind).filter((kind) => kind !== null))].toSorted());
});

test('about node types that were registered', async () => {
  const spec = { nodes: [{ id: 'one', type: 'probe', metadata: { source: 'm' } }], start_node: 'one' };
  const problems = async (): Promise<string[]> => {
    const { rows } = await db.owner.query<{ found: { errors: { code: string }[] } }>('select app_private.workflow_problems($1, $2) as found', [JSON.stringify(spec), '123e4567-e89b-12d3-a456-426614174000']);
    return rows[0]!.found.errors.map(({ code }) => code).toSorted();
  };
  expect(await problems()).toEqual(['E004', 'E008']);
  await registerNodeTypes(db.owner, [...nodeTypes, probe]);
  expect(await problems()).toEqual(['E008']);
});
