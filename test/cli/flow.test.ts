/** `agentflow flow ...` as people call it, on a database of its own that a worker serves. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { runCli, type Finished } from '../support/cli.ts';
import { useTestDatabase } from '../support/database.ts';
import { startTestWorker } from '../support/worker.ts';

const db = useTestDatabase({ samples: true });
let folder: string;
let worker: RunningWorker;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-flows-'));
  worker = await startTestWorker(db, {});
});
afterAll(async () => {
  await worker.close(5_000);
  rmSync(folder, { recursive: true });
});

const flow = (...words: string[]): Promise<Finished> => runCli(['flow', ...words], { DATABASE_URL: db.url('agentflow_owner'), LOG_LEVEL: 'warn' });
const write = (name: string, content: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
};
const doubling = (id: string, expression = 'number * 2'): string => JSON.stringify({ id, name: `Flow ${id}`, start_task: 'transform', tasks: [{ name: 'transform', config: { expression } }], conditions: [] }, null, 2);

test('validate tells every problem with file, line and column, and exits with 1', async () => {
  const file = write('broken.json', '{\n  "id": "b",\n  "name": "B",\n  "start_task": "x",\n  "tasks": [\n    { "name": "transform", "confg": {} },\n    { "name": "end" }\n  ]\n}\n');
  const { code, stdout } = await flow('validate', file);
  expect({ code, lines: stdout.trim().split('\n').map((line) => line.replace(`${file}:`, '').replace(/^(\S+ \S+).*$/, '$1')).sort() }).toEqual({
    code: 1, lines: [' not valid, 3 errors, 1 warning', '4:17: E005', '6:37: E017', '7:15: E003', '7:15: W015'],
  });
  expect(await flow('validate', write('half.json', '{\n'))).toMatchObject({ code: 1, stdout: expect.stringContaining('half.json:2:1: E001 No JSON') });
  expect(JSON.parse((await flow('validate', '--json', file)).stdout)).toMatchObject([{ valid: false, errors: expect.arrayContaining([expect.objectContaining({ code: 'E017', line: 6, column: 37 })]) }]);
});

test('apply creates, changes and leaves alone, all or nothing; a rehearsal changes nothing', async () => {
  const [one, two] = [write('one.json', doubling('one')), write('two.json', doubling('two'))];
  const kinds = ({ stdout }: Finished): string[] => (JSON.parse(stdout) as { changes: { kind: string }[] }).changes.map(({ kind }) => kind);
  const stored = async (): Promise<object[]> => (await db.owner.query<{ id: string; version: number }>(`select id, version from flows where id in ('one', 'two') order by id`)).rows;
  expect(kinds(await flow('apply', one, two, '--dry-run', '--json'))).toEqual(['create', 'create']);
  expect(await stored()).toEqual([]);
  expect(kinds(await flow('apply', one, two, '--json'))).toEqual(['create', 'create']);
  write('two.json', doubling('two', 'number * 3'));
  expect(kinds(await flow('apply', one, two, '--activate', '--json'))).toEqual(['same', 'update']);
  expect(await stored()).toEqual([{ id: 'one', version: 1 }, { id: 'two', version: 2 }]);
  write('two.json', doubling('two', 'number * 4').replace('"tasks"', '"task"'));
  write('one.json', doubling('one', 'number * 9'));
  expect(await flow('apply', one, two)).toMatchObject({ code: 1, stdout: expect.stringContaining('Nothing was changed.') });
  expect(await stored()).toEqual([{ id: 'one', version: 1 }, { id: 'two', version: 2 }]);
});

test('run follows a flow by id, by name or from a file, and its exit code says how it ended', async () => {
  const file = write('run.json', doubling('run'));
  const { code, stdout, stderr } = await flow('run', file, '--input', '{"number": 21}', '--follow');
  expect({ code, output: JSON.parse(stdout) as unknown }).toEqual({ code: 0, output: { number: 21, transform: { status: 'SUCCESS', data: 42 } } });
  expect(stderr).toMatch(/SUCCESS +transform [\d.]+ s\nCOMPLETED \([\d.]+ s, 1 task\)/);
  const failed = await flow('run', 'Flow run', '--input', '{"number": []}', '--follow', '--json');
  expect(failed.code).toBe(1);
  expect(JSON.parse(failed.stdout)).toMatchObject({ status: 'FAILURE', errorTask: 'transform', tasks: [{ task: 'transform', status: 'failed' }] });
  const accepted = await flow('run', 'run', '--input', '{"number": 1}', '--key', 'once', '--json');
  const { id } = JSON.parse(accepted.stdout) as { id: string };
  expect(JSON.parse((await flow('follow', id, '--json')).stdout)).toMatchObject({ id, status: 'COMPLETED' });
  expect(JSON.parse((await flow('run', 'run', '--input', '{"number": 1}', '--key', 'once', '--json')).stdout)).toMatchObject({ id });
  write('run.json', doubling('run', 'number'));
  expect(await flow('run', file)).toMatchObject({ code: 2, stderr: expect.stringContaining('The flow run differs from') });
  expect(await flow('run', 'nowhere')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND: There is no flow nowhere.') });
  expect(await flow('follow', 'x')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
});

test('list, show, diagram, tasks and schema', async () => {
  expect((await flow('list')).stdout).toMatch(/^id +name +active +version +tasks +changed\n[^]*data_pipeline +Data pipeline +yes +1 +3 /);
  expect((await flow('show', 'data_pipeline')).stdout).toMatch(/^Data pipeline \(data_pipeline, active, version 1\), starts with fetch_data\n[^]*fetch_data +success +process_data +end\n/);
  expect((await flow('diagram', 'data_pipeline')).stdout).toContain('n0 -->|"success"| n1\n  n0 -->|"failure"| done');
  expect((await flow('diagram', 'data_pipeline', '--svg')).stdout).toMatch(/<svg [^]*process_data/);
  expect(JSON.parse((await flow('tasks', '--json')).stdout)).toEqual(['execute_workflow', 'fetch_data', 'http_request', 'process_data', 'run_query', 'store_data', 'transform', 'wait']);
  expect(JSON.parse((await flow('schema')).stdout)).toMatchObject({ $id: 'urn:agentflow:flow' });
});

test('acts with the rights of the user named', async () => {
  expect(await flow('apply', write('viewers.json', doubling('viewers')), '--user', 'jane@example.com')).toMatchObject({ code: 1, stderr: expect.stringContaining('PERMISSION_DENIED: This needs the right flows:write') });
  expect((await flow('list', '--tenant', 'globex', '--json')).stdout.trim()).toBe('[]');
});
