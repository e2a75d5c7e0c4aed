/** What an operation may cost is counted before it is planned, and how long a request takes has an end. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema } from 'postgraphile/graphql';
import { Documents } from '../../src/server/documents.ts';
import { graphiqlOptions, savedOperations } from '../../src/server/graphiql.ts';
import { maxCost } from '../../src/server/limits.ts';
import { codesOf, startApi, type TestApi } from '../support/api.ts';

const documents = new Documents(buildSchema(readFileSync(path.resolve(import.meta.dirname, '../../migrations/snapshot/schema.graphql'), 'utf8')));
const costOf = (query: string, variables: object = {}, operationName?: string): number => documents.costOf({ query, variables: variables as Record<string, unknown>, operationName });

describe('the cost of an operation', () => {
  test.each([
    ['{ __typename }', 0],
    ['{ workflows { totalCount } }', 11],
    ['{ workflows { nodes { id } } }', 1 + 20],
    ['{ workflows(first: 5) { nodes { id executions(last: 3) { nodes { id } } } } }', 1 + 5 * (1 + 1 + 3)],
    ['{ workflows(first: 5) { edges { node { id } } } }', 1 + 5 * 2],
    ['{ workflows(first: 0) { nodes { id } } }', 1],
    ['{ a: workflows(first: 5) { nodes { ...F } } b: workflows(first: 1) { ...G } } fragment F on Workflow { id executions(first: 2) { nodes { id } } } fragment G on WorkflowConnection { nodes { ...F } }', 1 + 5 * (1 + 1 + 2) + 1 + 1 * 4],
  ])('%s is %p', (query, cost) => {
    expect(costOf(query)).toBe(cost);
  });

  test('depends on page sizes in variables, and their defaults', () => {
    const query = 'query ($n: Int = 7) { workflows(first: $n) { nodes { id } } }';
    expect([costOf(query), costOf(query, { n: 3 }), costOf(query, { n: 2_147_483_647 }), costOf(query, { n: -1 }), costOf(query, { n: 'x' })]).toEqual([8, 4, 101, 1, 21]);
  });

  test('is that of the operation named', () => {
    const query = 'query A { workflows(first: 1) { nodes { id } } } query B { workflows(first: 9) { nodes { id } } }';
    expect([costOf(query, {}, 'A'), costOf(query, {}, 'B'), costOf(query, {}, 'C')]).toEqual([2, 10, 0]);
  });

  test('beyond the limit is refused, with the numbers', () => {
    expect(() => costOf('{ workflows(first: 100) { nodes { executions(first: 100) { nodes { id } } } } }')).toThrow(expect.objectContaining({
      code: 'LIMIT_EXCEEDED', details: { limit: 'cost', allowed: maxCost, found: 1 + 100 * (1 + 1 + 100) },
    }));
  });

  test('of what GraphiQL comes with is far below it', () => {
    const texts = [String(graphiqlOptions.clientConfig!.defaultQuery), ...savedOperations.map(({ query }) => query)];
    for (const text of texts) {
      expect([text, documents.prepare(text).errors]).toEqual([text, undefined]);
      expect(costOf(text)).toBeLessThan(maxCost / 10);
    }
  });
});

describe('the API', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ face: { requestSeconds: 10 } });
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('refuses what costs too much, with page sizes in variables as well', async () => {
    const query = 'query ($n: Int!) { workflows(first: $n) { nodes { executions(first: $n) { nodes { nodeExecutions(first: $n) { nodes { nodeId } } } } } } }';
    const refused = await api.query('john', query, { n: 100 });
    expect([refused.status, ...codesOf(refused)]).toEqual([400, 'LIMIT_EXCEEDED']);
    expect(refused.errors![0]!.extensions).toMatchObject({ limit: 'cost', allowed: maxCost, remedy: expect.stringMatching(/first/) });
    expect((await api.query('john', query, { n: 10 })).errors).toBeUndefined();
  });

  test('says which limit was exceeded, where and by how much', async () => {
    const answer = await api.query('john', `{ ${Array.from({ length: 1_000 }, (_, index) => `a${index}: currentUser { id }`).join(' ')} }`);
    expect(codesOf(answer)).toEqual(['LIMIT_EXCEEDED', 'LIMIT_EXCEEDED', 'LIMIT_EXCEEDED']);
    expect(answer.errors!.map(({ extensions: { limit, allowed, found } }) => [limit, allowed, found])).toEqual([['fields', 500, 2_000], ['rootFields', 30, 1_000], ['aliases', 50, 1_000]]);
    expect(answer.text).toContain('"locations":[{"line":1,"column":1}]');
  });

  test('answers in time also while the database does not, and begins nothing afterwards', async () => {
    const client = await api.db.owner.connect();
    await client.query('begin; lock table app_public.workflows in access exclusive mode');
    const late = await api.query('john', '{ workflows { totalCount } }');
    await client.query('commit');
    client.release();
    expect(codesOf(late)).toEqual(['TIMEOUT']);
    expect((await api.query('john', '{ workflows { totalCount } }')).errors).toBeUndefined();
  });
});
