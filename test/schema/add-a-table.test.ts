/** Does what docs/how-to/add-a-table.md says, word by word, in a copy of the project, and looks at what comes of it. */
import { readFileSync, appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { projectFolder } from '../../src/schema/migrate.ts';
import { prove } from '../isolation/proof.ts';
import { startApi, type TestApi } from '../support/api.ts';
import { clusterUrl, testCluster } from '../support/database.ts';
import { useProjectCopy } from '../support/project-copy.ts';

const project = useProjectCopy();
const page = readFileSync(path.join(projectFolder, 'docs', 'how-to', 'add-a-table.md'), 'utf8');

/** The code blocks of one language, in order, without the indentation of their list. */
function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\``, 'gm'))].map(([, indent, text]) => text!.replace(new RegExp(`^${indent}`, 'gm'), ''));
}

const [begin, look, commit] = blocks('sh').map((block) => block.trim().split('\n').map((line) => line.replace(/^npx agentflow /, '').match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', ''))));
const [migration, inverse] = blocks('sql');
const [write, read] = blocks('graphql');

test('the table takes less than 20 lines of SQL', () => {
  expect(migration!.trim().split('\n').length).toBeLessThan(20);
});

test('from nothing to a committed migration', async () => {
  const begun = await project.run(begin![0]!);
  expect(begun).toMatchObject({ code: 0 });
  const rollback = /migrations\/rollback\/(\d{6}\.sql)/.exec(begun.stdout)![1]!;
  appendFileSync(path.join(project.folder, 'current.sql'), migration!);
  writeFileSync(path.join(project.folder, 'migrations', 'rollback', rollback), inverse!);
  for (const words of [...look!, ...commit!]) expect([words, await project.run(words)]).toEqual([words, expect.objectContaining({ code: 0 })]);
  const history = JSON.parse((await project.run(['db', 'history', '--json'])).stdout) as { filename: string; state: string }[];
  expect(history.at(-1)).toMatchObject({ filename: rollback, state: 'APPLIED' });
  expect((await project.run(['db', 'drift'])).stdout).toContain('No drift');
  expect(readFileSync(path.join(project.folder, 'migrations', 'snapshot', 'tables.md'), 'utf8')).toContain('## app_public.notes');
}, 120_000);

describe('the table', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ before: migration! });
  }, 180_000);
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('is written and read through the API, by its own tenant only, and can be deleted and restored', async () => {
    const { createNote: { note } } = await api.data('john@example.com', write!);
    expect(note).toMatchObject({ body: 'Works well.', createdAt: expect.any(String) });
    expect((await api.data('john@example.com', read!)).notes.nodes).toEqual([{ id: note.id, body: 'Works well.', workflow: { name: 'Customer Support Bot' } }]);
    expect((await api.data('admin@globex.example', read!)).notes.nodes).toEqual([]);
    const remove = `mutation { deleteNote(input: {id: "${note.id}"}) { note { deletedAt deletedBy } } }`;
    expect((await api.query('admin@globex.example', remove)).errors?.[0]?.extensions['code']).toBe('NOT_FOUND');
    expect((await api.query('jane@example.com', remove)).errors?.[0]?.extensions['code']).toBe('PERMISSION_DENIED');
    expect((await api.data('john@example.com', remove)).deleteNote.note).toMatchObject({ deletedAt: expect.any(String) });
    expect((await api.data('jane@example.com', read!)).notes.nodes).toEqual([]);
    await api.data('john@example.com', `mutation { restoreNote(input: {id: "${note.id}"}) { note { id } } }`);
    const { rows } = await api.db.owner.query<{ action: string }>(`select action from app_public.audit_logs where entity_type = 'note' order by created_at`);
    expect(rows.map(({ action }) => action)).toEqual(['create', 'delete', 'restore']);
  });

  test('passes the isolation proof, which nobody told about it', async () => {
    const client = new pg.Client({ connectionString: clusterUrl(testCluster(), 'postgres', api.db.name) });
    await client.connect();
    const { problems, record } = await prove(client, { only: 'app_public.notes' });
    await client.end();
    expect(problems).toEqual([]);
    expect(record['app_public.notes']).toMatchObject({ 'viewer sees': '1', 'viewer updates': '0', 'developer updates': '1', 'viewer inserts': '42501', 'developer inserts': '1' });
  });
});
