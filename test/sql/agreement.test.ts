/** Both checkers of workflow documents, the database's and the engine's, say the same about every rule that both have. `npm run test:agreement` asks about more. */
import { nodeTypes } from '../../src/nodes/index.ts';
import { registerNodeTypes } from '../../src/store/node-types.ts';
import { useTestDatabase } from '../support/database.ts';
import { overBrokenCases, overGeneratedDocuments, probe, type Verdicts } from './support/agreement.ts';

const db = useTestDatabase();
const documentsEach = 400;

function same({ sql, typescript }: Verdicts): void {
  expect(sql).toEqual(typescript);
}

test('about generated documents', async () => {
  await overGeneratedDocuments(db.owner, documentsEach, same);
});

test('about case files that were broken at some places', async () => {
  await overBrokenCases(db.owner, documentsEach, same);
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
