/** The API that is made of kept answers, before there is a schema, is the one that the database would have been asked for. */
import pino from 'pino';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { openFace } from '../../src/config.ts';
import { openQuestion } from '../../src/server/asked-schema.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import { type Answers, knowingAnswers, schemaSettings, type SchemaAnswers } from '../../src/server/schema-answers.ts';
import type { WithCallerClient } from '../../src/store/caller-transactions.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const everything = '{ __schema { types { name kind description fields(includeDeprecated: true) { name type { name kind ofType { name kind ofType { name } } } args { name } } inputFields { name } enumValues { name } } } }';
const reading = '{ workflows(first: 1) { nodes { id status createdAt } } }';

async function serve(db: TestDatabase, schemaAnswers?: SchemaAnswers): Promise<RunningServer> {
  return startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: db.jwtSecret, secretKey: db.secretKey, environment: 'test', face: openFace },
    authenticatorUrl: db.url('agentflow_authenticator'), workflowTools: loadWorkflowTools, log: pino({ enabled: false }), ...(schemaAnswers === undefined ? {} : { schemaAnswers }),
  });
}

async function ask({ url }: RunningServer, db: TestDatabase, query: string): Promise<unknown> {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-api-key': db.samples.apiKey }, body: JSON.stringify({ query }) });
  return await response.json();
}

async function withDatabase<T>(use: (db: TestDatabase) => Promise<T>): Promise<T> {
  const db = await createTestDatabase({ samples: true });
  try {
    return await use(db);
  } finally {
    await db.drop();
  }
}

async function facesOf(server: RunningServer, db: TestDatabase): Promise<unknown[]> {
  try {
    return [await ask(server, db, everything), await ask(server, db, reading)];
  } finally {
    await server.close(1_000);
  }
}

test('an API made of what another database answered, before the schema is there, is the same', async () => {
  let kept: Answers = {};
  const plain = await withDatabase(async (db) => facesOf(await serve(db), db));
  const asked = await withDatabase(async (db) => facesOf(await serve(db, { known: {}, keep: (answers) => (kept = { ...answers }), ready: Promise.resolve() }), db));
  const known = await withDatabase(async (db) => {
    const schema = Promise.withResolvers<void>();
    await db.owner.query('alter schema app_public rename to not_yet');
    const starting = serve(db, { known: JSON.parse(JSON.stringify(kept)) as Answers, keep: () => { throw new Error('asked again'); }, ready: schema.promise });
    await db.owner.query('alter schema not_yet rename to app_public');
    schema.resolve();
    return facesOf(await starting, db);
  });
  const beforehand = await withDatabase(async (db) => {
    const ask = await openQuestion(db.url('agentflow_authenticator'));
    const answers = await ask();
    expect(Object.keys(kept)).toEqual(expect.arrayContaining(Object.keys(answers)));
    expect(Object.keys(answers)).toHaveLength(1);
    return facesOf(await serve(db, { known: Promise.resolve(answers), keep: () => undefined, ready: Promise.resolve() }), db);
  });
  expect(plain[1]).toMatchObject({ data: { workflows: { nodes: [{ status: expect.any(String) }] } } });
  expect(asked).toEqual(plain);
  expect(known).toEqual(plain);
  expect(beforehand).toEqual(plain);
});

test.each([
  ['a database that is not there', (db: TestDatabase) => db.url('agentflow_authenticator').replace(/[^/]+$/, 'nowhere')],
  ['who may not become a user of the API', (db: TestDatabase) => db.url('agentflow_worker')],
])('asked beforehand, %s knows nothing', async (_name, urlOf) => {
  await withDatabase(async (db) => {
    const ask = await openQuestion(urlOf(db));
    expect(await ask()).toEqual({});
  });
});

describe('answers', () => {
  const asked: string[] = [];
  const database = (async (_settings, use) => use({ query: async ({ text }) => (asked.push(text), { rows: [{ from: 'database' }] as never[], rowCount: 1, notices: [] }), withTransaction: () => { throw new Error('none'); } })) as WithCallerClient;
  const rowsOf = (client: WithCallerClient, settings: object, text: string): Promise<readonly unknown[]> => client(settings as never, async (one) => (await one.query({ text })).rows);
  beforeEach(() => void asked.splice(0));

  test('that are known are given without the database; others are asked for once, when the schema is there, and told with the known ones', async () => {
    const told: Answers[] = [];
    const schema = Promise.withResolvers<void>();
    const client = knowingAnswers(database, { known: { '["known",[]]': [{ from: 'kept' }] }, keep: (answers) => void told.push({ ...answers }), ready: schema.promise });
    expect(await rowsOf(client, schemaSettings, 'known')).toEqual([{ from: 'kept' }]);
    const waiting = rowsOf(client, schemaSettings, 'other');
    expect(asked).toEqual([]);
    schema.resolve();
    expect(await waiting).toEqual([{ from: 'database' }]);
    expect(await rowsOf(client, schemaSettings, 'other')).toEqual([{ from: 'database' }]);
    expect(asked).toEqual(['other']);
    expect(told).toEqual([{ '["known",[]]': [{ from: 'kept' }], '["other",[]]': [{ from: 'database' }] }]);
  });

  test('are for the schema alone: whoever asks as a caller reaches the database', async () => {
    const client = knowingAnswers(database, { known: { '["known",[]]': [{ from: 'kept' }] }, keep: () => undefined, ready: Promise.resolve() });
    expect(await rowsOf(client, { role: 'agentflow_user' }, 'known')).toEqual([{ from: 'database' }]);
  });
});
