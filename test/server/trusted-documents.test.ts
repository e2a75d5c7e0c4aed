/** With trusted documents, only what is registered is served, but to admins. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ownOperations } from '../../src/server/pages.ts';
import { hashOf, readTrustedDocuments, type TrustedDocument } from '../../src/server/trusted-documents.ts';
import { codesOf, startApi, type TestApi } from '../support/api.ts';
import { runCli } from '../support/cli.ts';
import { openClient, watch } from '../support/subscriptions.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-documents-'));
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), text);
};

const list = 'query List { workflows { nodes { ...Row } } }';
const watching = 'subscription Watch($id: UUID!) { executionUpdated(id: $id) { execution { status } } }';
const me = '{ currentUser { email } }';
write('good/list.graphql', `${list}\n`);
write('good/deep/row.gql', 'fragment Row on Workflow { id name }');
write('good/watch.graphql', `${watching}\n\nquery Count { workflows { totalCount } }\n`);
write('good/relay.json', JSON.stringify({ 'my-own-id': me }));
write('good/apollo.json', JSON.stringify({ format: 'apollo-persisted-query-manifest', version: 1, operations: [{ id: 'apollo-id', name: 'Types', type: 'query', body: 'query Types { __typename }' }] }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('files', () => {
  test('of every form are read, with the fragments that operations spread', () => {
    const documents = readTrustedDocuments(path.join(folder, 'good'));
    expect(documents.map(({ id }) => id)).toEqual(expect.arrayContaining(['my-own-id', 'apollo-id', hashOf(me)].slice(0, 2)));
    const written = documents.find(({ query }) => query.startsWith('query List') && query.includes('fragment Row'));
    expect(written).toMatchObject({ id: hashOf(written!.query), file: path.join(folder, 'good', 'list.graphql') });
  });

  test('tell all that is wrong with them at once', () => {
    write('bad/cut.graphql', '{ workflows {');
    write('bad/lonely.graphql', '{ ...Nowhere }');
    write('bad/list.json', '[1]');
    write('bad/broken.json', '{"a": "{ oops"}');
    expect(() => readTrustedDocuments(path.join(folder, 'bad'))).toThrow(expect.objectContaining({
      code: 'CONFIG_INVALID', details: { problems: expect.arrayContaining([/cut\.graphql/, /lonely\.graphql: the fragment Nowhere/, /list\.json/, /broken\.json/].map((words) => expect.stringMatching(words))) },
    }));
    expect(() => readTrustedDocuments(path.join(folder, 'nowhere'))).toThrow(/does not exist/);
  });

  test('are checked and put into one manifest by the command line', async () => {
    write('mixed/good.graphql', me);
    write('mixed/wrong.graphql', '{ workflows { colour } }');
    const checked = await runCli(['documents', 'check', path.join(folder, 'mixed')]);
    expect(checked.code).toBe(1);
    expect(checked.stdout).toMatch(/^ok .*good\.graphql$/m);
    expect(checked.stdout).toMatch(/^REFUSED .*wrong\.graphql .*Cannot query field "colour"/m);
    const manifest = await runCli(['documents', 'manifest', path.join(folder, 'good')]);
    expect(JSON.parse(manifest.stdout)).toMatchObject({ 'my-own-id': me });
  });
});

describe('the API', () => {
  let api: TestApi;
  let documents: TrustedDocument[];
  beforeAll(async () => {
    documents = readTrustedDocuments(path.join(folder, 'good'));
    api = await startApi({ face: { trustedDocuments: path.join(folder, 'good') } });
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  const post = async (caller: string, body: object) => api.post(JSON.stringify(body), await api.headersOf(caller));

  test.each(['visitor', 'jane', 'architect'])('refuses %s what is not registered', async (caller) => {
    const answer = await post(caller, { query: '{ workflows { nodes { spec } } }' });
    expect([answer.status, ...codesOf(answer)]).toEqual([403, 'DOCUMENT_NOT_TRUSTED']);
    expect(answer.errors![0]!.extensions.remedy).toMatch(/registered/);
  });

  test('serves what is registered, by text, by hash, by id, and as Apollo asks for it', async () => {
    const hash = hashOf(me);
    const bodies = [{ query: me }, { documentId: hash }, { documentId: `sha256:${hash}` }, { documentId: 'my-own-id' }, { extensions: { persistedQuery: { version: 1, sha256Hash: hash } } }];
    for (const body of bodies) expect((await post('jane', body)).data).toEqual({ currentUser: { email: 'jane@example.com' } });
    const listed = documents.find(({ query }) => query.includes('fragment Row'))!;
    expect((await post('jane', { documentId: listed.id })).data.workflows.nodes.length).toBeGreaterThan(0);
    expect(codesOf(await post('jane', { documentId: 'unknown' }))).toEqual(['DOCUMENT_NOT_TRUSTED']);
    expect(codesOf(await post('jane', { documentId: 7 }))).toEqual(['BAD_REQUEST']);
  });

  test('is free for admins in person, and not for their keys', async () => {
    const body = { query: '{ workflows { totalCount } sources { totalCount } }' };
    expect((await post('john', body)).errors).toBeUndefined();
    expect(codesOf(await post('key', body))).toEqual(['DOCUMENT_NOT_TRUSTED']);
    expect((await post('key', { query: me })).data).toEqual({ currentUser: { email: 'john@example.com' } });
  });

  test('asks for the role that the caller has now', async () => {
    const body = { query: '{ sources { totalCount } workflows { totalCount } }' };
    const become = (role: string): Promise<unknown> => api.db.owner.query(`update users set role = $1 where email like 'john@%'`, [role]);
    await api.db.owner.query(`insert into users (email, name, password_hash, tenant_id, role) select 'other@example.com', 'Other', 'none', tenant_id, 'admin' from users where email like 'john@%'`);
    expect((await post('john', body)).errors).toBeUndefined();
    await become('operator');
    expect((await post('john', body)).status).toBe(403);
    await become('admin');
    expect((await post('john', body)).errors).toBeUndefined();
  });

  test('lets people in by the pages of this server', async () => {
    for (const query of ownOperations) {
      expect(codesOf(await post('visitor', { query, variables: { input: { email: 'john@example.com', password: 'wrong', token: 'x' } } }))).not.toContain('DOCUMENT_NOT_TRUSTED');
    }
  });

  test('holds over WebSocket, too', async () => {
    const connection = openClient(api.url, await api.headersOf('jane'));
    await expect(watch(connection, '{ workflows { totalCount } }').next()).rejects.toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code: 'DOCUMENT_NOT_TRUSTED' }) })]);
    const trusted = documents.find(({ query }) => query.includes('executionUpdated') && !query.includes('Count'))!.query;
    const seen = await watch(connection, trusted, { id: '880e8400-e29b-41d4-a716-446655440000' }).next();
    expect(seen.data.executionUpdated.execution).toEqual({ status: expect.any(String) });
    await connection.client.dispose();
  });
});
