/** `agentflow workflow run` and `agentflow execution ...` as people call them, with a worker on a database of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { runCli, type Finished } from '../support/cli.ts';
import { useTestDatabase } from '../support/database.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { startTestWorker } from '../support/worker.ts';

const db = useTestDatabase({ samples: true });
let folder: string;
let models: ModelServer;
let worker: RunningWorker;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-executions-'));
  models = await startModelServer(({ prompt }) => (prompt.includes('fail') ? { status: 400, text: 'no' } : `You said: ${prompt}`));
  worker = await startTestWorker(db, { llmGateway: { url: models.url, key: null } });
});
afterAll(async () => {
  await worker.close(5_000);
  await models.close();
  rmSync(folder, { recursive: true });
});

const agentflow = (...words: string[]): Promise<Finished> => runCli(words, { DATABASE_URL: db.url('agentflow_owner'), LOG_LEVEL: 'warn' });
const inJson = async (...words: string[]): Promise<any> => {
  const { code, stdout, stderr } = await agentflow(...words, '--json');
  return { code, answer: JSON.parse(stdout || stderr) as unknown };
};
const ask = { id: 'ask', type: 'llm', metadata: { provider: 'openai', model: 'gpt-4', prompt: '{user_input} {nothing}' } };
const write = (name: string, spec: object): string => {
  const file = path.join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify({ name, ...spec }));
  return file;
};
const asking = (name: string): string => write(name, { start_node: 'in', nodes: [{ id: 'in', type: 'input', metadata: { validation: { required: true } } }, ask], edges: [{ from: 'in', to: 'ask' }] });

describe('workflow run', () => {
  test('saves a file as a draft, runs it, shows its nodes with their logs, and ends with the final state', async () => {
    const { code, stdout, stderr } = await agentflow('workflow', 'run', asking('Asking'), '--input', 'hello', '--follow');
    expect({ code, state: JSON.parse(stdout) as unknown }).toMatchObject({ code: 0, state: { user_input: 'hello', text_result: 'You said: hello {nothing}', execution_path: ['in', 'ask'] } });
    expect(stderr).toMatch(/completed +in \(input\)/);
    expect(stderr).toMatch(/completed +ask \(llm\) .*\d+ tokens/);
    expect(stderr).toContain('ask: warn: {nothing} is not in the state');
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^completed \([\d.]+ s, \d+ tokens, \$[\d.]+\)$/);
  });

  test('runs what is there by its name, once a key', async () => {
    const first = await inJson('workflow', 'run', 'Asking', '--input', '{"user_input": "again"}', '--key', 'one');
    expect(first).toMatchObject({ code: 0, answer: { workflow: 'Asking', isTest: true } });
    expect(await inJson('workflow', 'run', 'Asking', '--input', '{"user_input": "again"}', '--key', 'one')).toMatchObject({ answer: { id: first.answer.id } });
    expect(await inJson('workflow', 'run', 'Asking', '--input', 'other', '--key', 'one')).toMatchObject({ code: 1, answer: { error: { code: 'IDEMPOTENCY_CONFLICT' } } });
    expect(await inJson('execution', 'follow', first.answer.id)).toMatchObject({ code: 0, answer: { status: 'completed' } });
  });

  test('tests one node alone on a given state', async () => {
    expect(await inJson('workflow', 'test', 'Asking', 'ask', '--input', '{"user_input": "only this"}')).toMatchObject({
      code: 0, answer: { isTest: true, finalState: { text_result: 'You said: only this {nothing}' }, nodes: [{ nodeId: 'ask', status: 'completed' }] },
    });
    expect(await inJson('workflow', 'test', 'Asking', 'nobody')).toMatchObject({ code: 1, answer: { error: { code: 'NOT_FOUND' } } });
  });

  test('does not change what is published', async () => {
    const file = write('Customer Support Bot', { start_node: 'in', nodes: [{ id: 'in', type: 'input' }] });
    expect(await inJson('workflow', 'run', file)).toMatchObject({ code: 2, answer: { error: { code: 'USAGE', remedy: expect.stringContaining('workflow apply') } } });
  });

  test('exits with 1, and says which node failed, when it did not complete', async () => {
    const { code, stderr } = await agentflow('workflow', 'run', asking('Failing'), '--input', 'fail', '--follow');
    expect(code).toBe(1);
    expect(stderr).toMatch(/failed +ask \(llm\)/);
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^failed .*ask/);
  });
});

describe('execution', () => {
  test('list filters, show tells all, diagram colours', async () => {
    const { answer: [failed] } = await inJson('execution', 'list', '--status', 'failed', '--workflow', 'Failing');
    expect(failed).toMatchObject({ workflow: 'Failing', status: 'failed', errorNodeId: 'ask' });
    const { answer: shown } = await inJson('execution', 'show', failed.id);
    expect(shown).toMatchObject({ nodes: [{ nodeId: 'in', status: 'completed' }, { nodeId: 'ask', status: 'failed', errorCode: expect.any(String) }] });
    const { stdout } = await agentflow('execution', 'diagram', failed.id);
    expect(stdout).toContain('class n1 failed');
    const svg = path.join(folder, 'failed.svg');
    expect(await agentflow('execution', 'diagram', failed.id, '--svg', '--output', svg)).toMatchObject({ code: 0 });
    expect(readFileSync(svg, 'utf8')).toContain('fill="#ffcdd2"');
  });

  test('retry makes a new execution that takes over what was finished', async () => {
    const { answer: [failed] } = await inJson('execution', 'list', '--status', 'failed', '--workflow', 'Failing');
    expect(await inJson('execution', 'retry', failed.id, '--follow')).toMatchObject({ code: 1, answer: { retryOf: failed.id, status: 'failed', nodes: [{ nodeId: 'in', status: 'completed' }, { nodeId: 'ask', status: 'failed' }] } });
  });

  test('decide ends the wait of an approval', async () => {
    const file = write('Deciding', { start_node: 'person', nodes: [{ id: 'person', type: 'approval', metadata: { message: 'Go on?' } }] });
    const { answer: { id } } = await inJson('workflow', 'run', file);
    await untilWaiting(id);
    expect(await agentflow('execution', 'decide', id, 'person', 'maybe')).toMatchObject({ code: 2 });
    expect(await agentflow('execution', 'decide', id, 'person', 'approved', '--comment', 'fine')).toMatchObject({ code: 0, stdout: `person of execution ${id} is approved.\n` });
    expect(await inJson('execution', 'follow', id)).toMatchObject({ code: 0, answer: { finalState: { approval: { decision: 'approved', comment: 'fine' } } } });
  });

  test('cancel is final at once', async () => {
    const file = write('Waiting', { start_node: 'wait', nodes: [{ id: 'wait', type: 'delay', metadata: { seconds: 600 } }] });
    const { answer: { id } } = await inJson('workflow', 'run', file);
    expect(await inJson('execution', 'cancel', id)).toMatchObject({ code: 0, answer: { status: 'cancelled' } });
    expect(await inJson('execution', 'cancel', id)).toMatchObject({ code: 1, answer: { error: { code: 'ILLEGAL_TRANSITION' } } });
    expect(await agentflow('execution', 'follow', id)).toMatchObject({ code: 1, stderr: expect.stringContaining('cancelled') });
  });

  test('is not there for whom it is not', async () => {
    const { answer: [first] } = await inJson('execution', 'list', '--limit', '1');
    expect(await inJson('execution', 'show', first.id, '--user', 'admin@globex.example')).toMatchObject({ code: 1, answer: { error: { code: 'NOT_FOUND' } } });
    expect(await agentflow('execution', 'show', 'not-an-id')).toMatchObject({ code: 2, stderr: expect.stringContaining('an id such as') });
  });
});

async function untilWaiting(id: string): Promise<void> {
  for (;;) {
    const { rows } = await db.owner.query('select from app_public.node_executions where execution_id = $1 and status = $2', [id, 'waiting']);
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
