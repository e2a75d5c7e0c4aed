/** The database's checker of workflow documents, over the case files that both checkers share. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { useTestDatabase } from '../support/database.ts';

interface ExpectedProblem {
  code: string;
  field: string | null;
  nodeId: string | null;
  contains: string[];
}

interface ValidationCase {
  about: string;
  spec: unknown;
  /** Rows of `sources` that the tenant has. */
  sources?: { name: string; kind: string }[];
  errors: ExpectedProblem[];
  warnings: ExpectedProblem[];
  /** False: only TypeScript can check it. */
  sql?: false;
  /** False: the database knows only some of the warnings. */
  sqlWarnings?: false;
}

interface SqlProblem {
  code: string;
  message: string;
  field: string | null;
  node_id: string | null;
}

const folder = path.join(import.meta.dirname, '../cases/validation');
const cases = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ file, content: JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as ValidationCase }))
  .filter(({ content }) => content.sql !== false);

const db = useTestDatabase();

async function problemsOf(spec: unknown, sources: { name: string; kind: string }[] = []): Promise<SqlProblem[]> {
  const rows: Record<string, string[]> = {};
  for (const { name, kind } of sources) (rows[name] ??= []).push(kind);
  const found = await db.owner.query<SqlProblem>('select * from app_private.spec_problems($1::jsonb, $2::jsonb)', [
    JSON.stringify(spec), JSON.stringify(rows),
  ]);
  return found.rows;
}

const placeOf = (problem: { code: string; field: string | null }, nodeId: string | null): string =>
  `${problem.code} ${problem.field ?? '-'} ${nodeId ?? '-'}`;

describe('case files', () => {
  test('there are some for every code that the database knows', () => {
    const codes = new Set(cases.flatMap(({ content }) => [...content.errors, ...content.warnings]).map(({ code }) => code));
    for (let number = 1; number <= 14; number += 1) expect(codes).toContain(`E${String(number).padStart(3, '0')}`);
    for (let number = 1; number <= 4; number += 1) expect(codes).toContain(`W00${number}`);
  });

  test.each(cases)('$file: $content.about', async ({ content }) => {
    const expected = [...content.errors, ...(content.sqlWarnings === false ? [] : content.warnings)];
    const found = (await problemsOf(content.spec, content.sources))
      .filter(({ code }) => code.startsWith('E') || content.sqlWarnings !== false);
    expect(found.map((problem) => placeOf(problem, problem.node_id)).toSorted())
      .toEqual(expected.map((problem) => placeOf(problem, problem.nodeId)).toSorted());
    for (const problem of expected) {
      const message = found.find((other) => placeOf(other, other.node_id) === placeOf(problem, problem.nodeId))?.message;
      for (const text of problem.contains) expect(message).toContain(text);
    }
  });
});
