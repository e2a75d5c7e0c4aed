/** Every workflow case file, end to end: a row is inserted, a worker drives it, a model server answers, the database is read. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { useTestDatabase } from '../support/database.ts';
import { insertExecution, insertWorkflow } from '../support/executions.ts';
import { startModelServer, type ModelReply, type ModelRequest, type ModelServer } from '../support/model-server.ts';
import { startTestWorker, untilOver, type ExecutionRow } from '../support/worker.ts';

type Answer = string | { status: number; text?: string };

interface Case {
  about: string;
  spec: { nodes: { id: string; metadata?: { prompt?: string } | null }[] };
  initial_state: object;
  answers: Record<string, Answer | Answer[]>;
  expect: {
    status: string;
    path?: string[];
    path_ends_with?: string[];
    runs?: Record<string, number>;
    node_status?: Record<string, string>;
    attempts?: Record<string, number>;
    state?: Record<string, unknown>;
    prompts?: Record<string, string>;
    error_node?: string;
    error_contains?: string;
  };
}

const folder = path.resolve('test/cases');
const files = readdirSync(folder).filter((name) => name.startsWith('workflow-') && name.endsWith('.json'));

const database = useTestDatabase({ samples: true });
let server: ModelServer;
let worker: RunningWorker;
/** Node that asks, by its prompt; the present case's answers, one a try. */
let asks: (request: ModelRequest) => string;
let answers: Map<string, Answer[]>;
const asked = new Map<string, string[]>();

beforeAll(async () => {
  server = await startModelServer((request): ModelReply => {
    const node = asks(request);
    asked.set(node, [...(asked.get(node) ?? []), request.prompt]);
    const left = answers.get(node);
    const answer = left !== undefined && left.length > 1 ? left.shift() : left?.[0];
    return answer ?? { status: 400, text: `the case has no answer for '${node}'` };
  });
  worker = await startTestWorker(database, { llmGateway: { url: server.url, key: null } });
});
afterAll(async () => {
  await worker.close(5_000);
  await server.close();
});

test('there are case files', () => {
  expect(files.length).toBeGreaterThanOrEqual(14);
});

test.each(files)('%s', async (file) => {
  const it = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Case;
  const modelNodes = it.spec.nodes.filter(({ metadata }) => metadata?.prompt !== undefined);
  asks = ({ prompt }) => modelNodes.find(({ metadata }) => metadata?.prompt === prompt)?.id ?? modelNodes[0]!.id;
  answers = new Map(Object.entries(it.answers).map(([node, given]) => [node, Array.isArray(given) ? [...given] : [given]]));
  asked.clear();

  const row = await untilOver(database, await insertExecution(database.owner, await insertWorkflow(database.owner, it.spec), it.initial_state));
  expectOutcome(row, it.expect);
});

function expectOutcome(row: ExecutionRow, expected: Case['expect']): void {
  expect({ status: row.status, error: expected.status === 'failed' ? null : row.error_message }).toEqual({ status: expected.status, error: null });
  const nodePath = row.final_state!['execution_path'] as string[];
  if (expected.path !== undefined) expect(nodePath).toEqual(expected.path);
  if (expected.path_ends_with !== undefined) expect(nodePath.slice(-expected.path_ends_with.length)).toEqual(expected.path_ends_with);
  for (const [node, count] of Object.entries(expected.runs ?? {})) expect(nodePath.filter((id) => id === node)).toHaveLength(count);
  const nodes = Object.fromEntries(row.nodes.map((node) => [node.node_id, node]));
  for (const [id, status] of Object.entries(expected.node_status ?? {})) expect(nodes[id]).toMatchObject({ status });
  for (const [id, attempts] of Object.entries(expected.attempts ?? {})) expect(nodes[id]).toMatchObject({ attempts });
  for (const [key, value] of Object.entries(expected.state ?? {})) expect(row.final_state).toHaveProperty([key], value);
  for (const [id, prompt] of Object.entries(expected.prompts ?? {})) expect(asked.get(id)?.at(-1)).toBe(prompt);
  if (expected.error_node !== undefined) {
    expect(row.error_node_id).toBe(expected.error_node);
    expect(row.error_message).toContain(expected.error_node);
  }
  if (expected.error_contains !== undefined) expect(row.error_message).toContain(expected.error_contains);
}
