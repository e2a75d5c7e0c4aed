/** `agentflow workflow ...` as people call it, on a database of its own. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runCli, type Finished } from '../support/cli.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase({ samples: true });
let folder: string;
beforeAll(() => { folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-workflows-')); });
afterAll(() => rmSync(folder, { recursive: true }));

const workflow = (...words: string[]): Promise<Finished> => runCli(['workflow', ...words], { DATABASE_URL: db.url('agentflow_owner'), LOG_LEVEL: 'warn' });
const write = (name: string, content: unknown): string => {
  const file = path.join(folder, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  return file;
};
const spec = (over: object = {}): object => ({ start_node: 'in', nodes: [{ id: 'in', type: 'input' }, { id: 'out', type: 'transform', metadata: { expression: 'user_input' } }], edges: [{ from: 'in', to: 'out' }], ...over });
const rows = async (): Promise<Record<string, { status: string; version: number }>> => {
  const { rows: found } = await db.owner.query<{ name: string; status: string; version: number }>(`select name, status, version from app_public.workflows where tenant_id = '123e4567-e89b-12d3-a456-426614174000'`);
  return Object.fromEntries(found.map(({ name, ...row }) => [name, row]));
};

describe('workflow validate', () => {
  test('tells every problem with file, line and column, and exits with 1', async () => {
    const file = write('broken.json', '{\n  "start_node": "in",\n  "nodes": [\n    { "id": "in", "type": "input", "metadata": { "timeout": -1, "colour": 1 } },\n    { "id": "db", "type": "db", "metadata": { "source": "shop" } }\n  ]\n}\n');
    const { code, stdout } = await workflow('validate', file);
    expect({ code, lines: stdout.trim().split('\n').map((line) => line.replace(`${file}:`, '').replace(/^(\S+ \S+).*$/, '$1')) }).toEqual({
      code: 1, lines: ['4:61: E003', '4:65: W002', '5:5: E013', '5:45: E002', ' not valid, 3 errors, 1 warning; not looked up: shop (--connected does)'],
    });
  });

  test('says where a file is no JSON', async () => {
    const file = write('half.json', '{\n  "nodes": [\n');
    expect(await workflow('validate', file)).toMatchObject({ code: 1, stdout: expect.stringContaining(`${file}:3:1: E001 No JSON: the document is not complete`) });
  });

  test('leaves sources of the tenant open, and looks them up when it is connected', async () => {
    const ask = (source: string): object => ({ start_node: 'ask', nodes: [{ id: 'ask', type: 'llm', metadata: { source } }] });
    const file = write('named.json', ask('nobody'));
    expect(await workflow('validate', file)).toMatchObject({ code: 0, stdout: expect.stringContaining('not looked up: nobody') });
    const { code, stdout } = await workflow('validate', '--connected', '--json', file);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([{ file, valid: false, errors: [{ code: 'E008', line: 8, column: 19 }] }]);
  });

  test('counts warnings with --strict', async () => {
    const file = write('warned.json', spec({ colour: 'red' }));
    expect(await workflow('validate', file)).toMatchObject({ code: 0 });
    expect(await workflow('validate', '--strict', file)).toMatchObject({ code: 1 });
  });
});

describe('a folder of workflows', () => {
  const inFolder = (name: string): string => path.join(folder, 'all', name);
  const apply = async (...words: string[]): Promise<any> => {
    const { code, stdout, stderr } = await workflow('apply', path.join(folder, 'all'), '--json', ...words);
    return { code, ...(JSON.parse(stdout || stderr) as object) };
  };

  test('that was pulled changes nothing when it is applied', async () => {
    expect(await workflow('pull', '--all', '--dir', path.join(folder, 'all'))).toMatchObject({ code: 0 });
    expect(readdirSync(path.join(folder, 'all'))).toEqual(['customer-support-bot.json']);
    expect(await apply('--prune')).toMatchObject({ code: 0, applied: true, changes: [{ kind: 'same', name: 'Customer Support Bot' }] });
    expect(await rows()).toMatchObject({ 'Customer Support Bot': { status: 'published', version: 1 } });
  });

  test('tells what it would change, and changes it then', async () => {
    writeFileSync(inFolder('new.json'), JSON.stringify(spec({ name: 'New one', description: 'Says it again' })));
    const dry = await apply('--dry-run', '--publish');
    expect(dry).toMatchObject({ code: 0, applied: false, changes: [{ kind: 'same' }, { kind: 'create', name: 'New one', publishes: true }] });
    expect(Object.keys(await rows())).not.toContain('New one');
    expect(await apply('--publish')).toMatchObject({ code: 0, applied: true });
    expect(await rows()).toMatchObject({ 'New one': { status: 'published', version: 1 } });
  });

  test('makes a version of each change', async () => {
    writeFileSync(inFolder('new.json'), JSON.stringify(spec({ name: 'New one', limits: { max_nodes: 5 } })));
    expect(await apply()).toMatchObject({ code: 0, changes: [{ kind: 'same' }, { kind: 'update', version: 1, status: 'published' }] });
    expect(await apply()).toMatchObject({ code: 0, changes: [{ kind: 'same' }, { kind: 'same' }] });
    expect(await rows()).toMatchObject({ 'New one': { status: 'published', version: 2 } });
    const { code, stdout } = await workflow('diff', 'New one');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '+ limits\n' });
  });

  test('is applied as a whole or not at all', async () => {
    writeFileSync(inFolder('another.json'), JSON.stringify(spec({ name: 'Another' })));
    writeFileSync(inFolder('new.json'), JSON.stringify(spec({ name: 'New one', start_node: 'nowhere' })));
    expect(await apply()).toMatchObject({ code: 1, applied: false, problems: [{ errors: [{ code: 'E005' }] }] });
    expect(Object.keys(await rows())).not.toContain('Another');
    expect(await apply('--allow-invalid')).toMatchObject({ code: 1, applied: false }); // it is published
    rmSync(inFolder('another.json'));
  });

  test('may hold drafts that are not valid yet', async () => {
    rmSync(inFolder('new.json'));
    writeFileSync(inFolder('draft.json'), JSON.stringify(spec({ name: 'A draft', start_node: 'nowhere' })));
    expect(await apply('--allow-invalid')).toMatchObject({ code: 0, applied: true });
    expect(await apply('--allow-invalid', '--publish')).toMatchObject({ code: 1, applied: false });
  });

  test('is all that there is with --prune', async () => {
    rmSync(inFolder('draft.json'));
    expect(await apply('--prune', '--dry-run')).toMatchObject({ changes: [{ kind: 'same' }, { kind: 'delete', name: 'A draft' }, { kind: 'delete', name: 'New one' }] });
    expect(await apply('--prune')).toMatchObject({ code: 0, applied: true });
    expect(await rows()).toMatchObject({ 'Customer Support Bot': { status: 'published' }, 'A draft': { status: 'deleted' }, 'New one': { status: 'deleted' } });
  });

  test('is refused to whom may not write, in the words of the API', async () => {
    writeFileSync(inFolder('mine.json'), JSON.stringify(spec({ name: 'Mine' })));
    const viewer = db.samples.users.find(({ role }) => role === 'viewer')!.email;
    expect(await apply('--user', viewer)).toMatchObject({ code: 1, error: { code: 'PERMISSION_DENIED' } });
    rmSync(inFolder('mine.json'));
  });
});

describe('versions', () => {
  test('come back as new ones', async () => {
    const file = write('steps.json', spec({ name: 'Steps' }));
    await workflow('apply', file);
    writeFileSync(file, JSON.stringify(spec({ name: 'Steps', initial_state: { a: 1 } })));
    await workflow('apply', file);
    expect(await workflow('restore', 'Steps', '1')).toMatchObject({ code: 0, stdout: 'Steps is at version 3 now, with the document of version 1.\n' });
    expect(await workflow('diff', 'Steps', '1', '3')).toMatchObject({ code: 0, stdout: 'No difference.\n' });
    expect(await workflow('diff', 'Steps', '3', file)).toMatchObject({ code: 1, stdout: '+ initial_state\n' });
    expect(await workflow('restore', 'Steps', '7')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
    const { stdout } = await workflow('show', 'Steps', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'Steps', status: 'draft', version: 3, versions: [{ version: 3 }, { version: 2 }, { version: 1 }], validation: { valid: true } });
  });
});

describe('pictures', () => {
  test('are mermaid, or SVG that needs nothing from elsewhere', async () => {
    const file = write('drawn.json', spec());
    expect(await workflow('diagram', file)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^flowchart TD\n {2}n0\["in/) });
    const svg = path.join(folder, 'drawn.svg');
    expect(await workflow('diagram', file, '--svg', '--output', svg)).toMatchObject({ code: 0 });
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [\s\S]*<text[^>]*>transform<\/text>[\s\S]*<\/svg>\n$/);
    expect(readFileSync(svg, 'utf8').replaceAll(/xmlns(:xlink)?="[^"]*"/g, '')).not.toMatch(/https?:/);
  });

  test('need a document that is valid', async () => {
    expect(await workflow('diagram', write('bad.json', spec({ start_node: 'x' })))).toMatchObject({ code: 1, stderr: expect.stringContaining('INVALID_WORKFLOW') });
  });
});

test('what is called wrongly exits with 2', async () => {
  expect(await workflow('pull')).toMatchObject({ code: 2 });
  expect(await workflow('run', 'Customer Support Bot', '--input', '{"a": }')).toMatchObject({ code: 2, stderr: expect.stringContaining('--input:1:7') });
  expect(await workflow('show', 'Nobody')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
  expect(await workflow('list', '--tenant', 'nobody')).toMatchObject({ code: 1, stderr: expect.stringMatching(/NOT_FOUND[\s\S]*--tenant/) });
});
