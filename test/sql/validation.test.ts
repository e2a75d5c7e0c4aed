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
  const found = await db.owner.query<SqlProblem>('select * from app_private.spec_problems($1::jsonb, $2::jsonb, $3::jsonb)', [
    JSON.stringify(spec), JSON.stringify(rows), '{}',
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

describe('hostile documents are answered, not followed', () => {
  const list = (length: number, entry: (i: number) => unknown): unknown[] => Array.from({ length }, (_, i) => entry(i));
  const nested = (depth: number): unknown => JSON.parse('{"a":'.repeat(depth) + '1' + '}'.repeat(depth));

  test('100,000 nodes', async () => {
    const found = await problemsOf({ nodes: list(100_000, (i) => ({ id: `n${i}`, type: 'input' })), start_node: 'n0' });
    expect(found.map((problem) => placeOf(problem, problem.node_id))).toEqual(['E001 - -', 'E001 nodes -']);
  });

  test('1,000 levels, in an object and in a list', async () => {
    for (const spec of [nested(1_000), { nodes: JSON.parse('['.repeat(1_000) + ']'.repeat(1_000)) as unknown }]) {
      expect((await problemsOf(spec)).map((problem) => placeOf(problem, problem.node_id))).toEqual(['E001 - -']);
    }
  });

  test('as many faults as fit into a document: of each rule the first 1,000 are told', async () => {
    const targets = await problemsOf({ nodes: [{ id: 'a', type: 'input' }], edges: [{ from: 'a', to: list(150_000, () => 'z') }], start_node: 'a' });
    expect(targets).toHaveLength(1_000);
    expect(new Set(targets.map(({ code }) => code))).toEqual(new Set(['E006']));
    const sources = await problemsOf({ nodes: [{ id: 'a', type: 'input' }], sources: list(200_000, () => ({})), start_node: 'a' });
    expect(sources).toHaveLength(1_000);
  });

  test('values of every type in every place', async () => {
    const values = [null, true, 0, -1.5, 1e300, '', 'x', [], [[]], [null], {}, { a: {} }];
    const places = ['nodes', 'edges', 'queues', 'sources', 'start_node', 'limits', 'metadata', 'initial_state', 'name'];
    for (const value of values) {
      const found = await problemsOf(Object.fromEntries(places.map((place) => [place, value])));
      expect(found.every(({ code, message }) => /^[EW]\d{3}$/.test(code) && message.length > 0)).toBe(true);
      expect(found.filter(({ code }) => code.startsWith('E'))).not.toEqual([]);
      const inside = await problemsOf(Object.fromEntries(places.slice(0, 4).map((place) => [place, [{ id: value, type: value, from: value, to: value, kind: value, config: value, metadata: value }]])));
      expect(inside.filter(({ code }) => code.startsWith('E'))).not.toEqual([]);
    }
  });
});

test('the keys taken for secrets are those that rows of sources refuse', async () => {
  const keys = ['api_key', 'Api-Key', 'X-API-KEY', 'apikey', 'secret', 'secret-key', 'client_secret', 'PASSWORD', 'passwd', 'token', 'access-token', 'auth_token',
    'bearer_token', 'refresh_token', 'Authorization', 'proxy-authorization', 'private_key', 'credentials', 'connection_string', 'dsn', 'cookie',
    'api_key_env', 'tokens', 'max_tokens', 'model', 'authorization_url', 'my_password', ''];
  const { rows } = await db.owner.query<{ key: string; here: boolean; there: boolean }>(`
    select key, app_private.is_secret_key(key) as here, app_private.has_inline_secret(jsonb_build_object(key, 'x')) as there from unnest($1::text[]) as key`, [keys]);
  for (const { key, here, there } of rows) expect({ key, is: here }).toEqual({ key, is: there });
  expect(rows.filter(({ here }) => here)).toHaveLength(21);
});
