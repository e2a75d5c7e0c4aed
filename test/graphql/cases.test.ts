import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startApi, type TestApi } from '../support/api.ts';
import { type CaseStep, filled, parseCase, steadied, valueAt } from '../support/graphql-case.ts';

const folder = import.meta.dirname;
const suffix = '.test.graphql';
const names = readdirSync(folder).filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));

async function run(api: TestApi, steps: CaseStep[]): Promise<object[]> {
  const kept = new Map<string, string>();
  const answers: object[] = [];
  for (const { step, as, variables, keep, query } of steps) {
    const { data, errors } = await api.query(as, query, JSON.parse(filled(variables, kept)) as object);
    answers.push({ step, ...(errors ? { errors: errors.map(({ message, path: at, extensions }) => ({ message, path: at, extensions })) } : null), data });
    for (const { name, path: at } of keep) kept.set(name, valueAt(data, at));
  }
  return answers;
}

// Each case file has a database of its own: what one does, no other sees.
describe.each(names)('%s', (name) => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('answers as written down', async () => {
    const answers = steadied(await run(api, parseCase(readFileSync(path.join(folder, `${name}${suffix}`), 'utf8'))));
    const expectedFile = path.join(folder, `${name}.json`);
    if (process.env.UPDATE_ANSWERS) writeFileSync(expectedFile, `${JSON.stringify(answers, null, 2)}\n`);
    expect(existsSync(expectedFile)).toBe(true);
    expect(answers).toEqual(JSON.parse(readFileSync(expectedFile, 'utf8')));
  });
});

test('there are cases', () => {
  expect(names.length).toBeGreaterThan(5);
});
