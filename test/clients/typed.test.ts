/**
 * A typed client (gql.tada): types come from the schema's introspection, a program that uses the API rightly compiles, wrong ones do not, and the
 * right one runs against the server.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { initGraphQLTada } from 'gql.tada';
import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal';
import { buildSchema, introspectionFromSchema, print } from 'graphql';
import { useApi } from '../support/api.ts';

const project = path.resolve(import.meta.dirname, '../..');
const cache = path.join(project, 'node_modules', '.cache');
mkdirSync(cache, { recursive: true });
// Inside of the project, so that the compiler finds the packages.
const folder = mkdtempSync(path.join(cache, 'typed-client-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const scalars = '{ UUID: string; Datetime: string; JSON: unknown; BigInt: string; BigFloat: string; Cursor: string }';
const head = `import { initGraphQLTada, type ResultOf, type VariablesOf } from 'gql.tada';
import type { introspection } from './schema.d.ts';
const graphql = initGraphQLTada<{ introspection: introspection; scalars: ${scalars} }>();
`;
const query = 'query List($first: Int) { workflows(first: $first) { nodes { id name status createdAt } } }';
const programs: Record<string, string> = {
  'right.ts': `const list = graphql(\`${query}\`);
type Row = ResultOf<typeof list>['workflows'] extends infer C ? NonNullable<NonNullable<C> extends { nodes: readonly (infer R)[] } ? R : never> : never;
export const variables: VariablesOf<typeof list> = { first: 5 };
export function shown(row: Row): string { const status: 'DRAFT' | 'PUBLISHED' | 'ARCHIVED' | 'DELETED' = row.status; return row.id + row.name + status; }
`,
  'wrong-field.ts': `const list = graphql(\`{ workflows { nodes { id colour } } }\`);
export const colour = (result: ResultOf<typeof list>) => result.workflows!.nodes[0]!.colour.length;
`,
  'wrong-variable.ts': `const list = graphql(\`${query}\`);
export const variables: VariablesOf<typeof list> = { first: 'five' };
`,
};

const api = useApi();

test('right programs compile, wrong ones do not', () => {
  const schema = buildSchema(readFileSync(path.join(project, 'migrations', 'snapshot', 'schema.graphql'), 'utf8'));
  const introspection = minifyIntrospection(introspectionFromSchema(schema));
  writeFileSync(path.join(folder, 'schema.d.ts'), outputIntrospectionFile(introspection, { fileType: '.d.ts', shouldPreprocess: true }));
  for (const [name, text] of Object.entries(programs)) writeFileSync(path.join(folder, name), head + text);
  const compilerOptions = { strict: true, noEmit: true, module: 'nodenext', target: 'es2023', allowImportingTsExtensions: true, types: [], skipLibCheck: true };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { stdout } = spawnSync(process.execPath, [path.join(project, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder, '--pretty', 'false'], { encoding: 'utf8', cwd: folder });
  const wrong = new Set(stdout.split('\n').flatMap((line) => /([\w-]+\.ts)\(/.exec(line)?.[1] ?? []));
  expect({ wrong: [...wrong].toSorted(), stdout }).toEqual({ wrong: ['wrong-field.ts', 'wrong-variable.ts'], stdout });
}, 120_000);

test('what it makes of a document is what the API answers', async () => {
  const graphql = initGraphQLTada<{ introspection: never }>() as unknown as (text: string) => never;
  const { workflows } = await api.data('john', print(graphql(query)), { first: 1 });
  expect(workflows.nodes).toEqual([{ id: expect.any(String), name: expect.any(String), status: expect.any(String), createdAt: expect.any(String) }]);
});
