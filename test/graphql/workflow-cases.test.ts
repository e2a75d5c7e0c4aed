/** Every workflow case file as a client sees it: created, published and executed through GraphQL, and read back from there. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Data } from '../support/api.ts';
import type { ModelRequest } from '../support/model-server.ts';
import { nodeOf, usePlatform } from '../support/platform.ts';

type Answer = string | { status: number; text?: string };

interface Case {
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
const platform = usePlatform();

/** Answers by node, one a try, the last again and again; keeps what each node asked. */
function scripted({ spec, answers }: Case): { reply: (request: ModelRequest) => Answer; asked: Map<string, string[]> } {
  const left = new Map(Object.entries(answers).map(([node, given]) => [node, Array.isArray(given) ? [...given] : [given]]));
  const asked = new Map<string, string[]>();
  const askers = spec.nodes.filter(({ id }) => left.has(id));
  const nodeFor = (prompt: string): string | undefined => (askers.find(({ metadata }) => metadata?.prompt === prompt) ?? askers[0])?.id;
  return {
    asked,
    reply({ prompt }) {
      const node = nodeFor(prompt) ?? '';
      asked.set(node, [...(asked.get(node) ?? []), prompt]);
      const rest = left.get(node) ?? [];
      return (rest.length > 1 ? rest.shift() : rest[0]) ?? { status: 400, text: 'the case has no answer for this' };
    },
  };
}

test('there are case files', () => {
  expect(files.length).toBeGreaterThanOrEqual(14);
});

test.each(files)('%s', async (file) => {
  const it = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Case;
  const { reply, asked } = scripted(it);
  platform.reply = reply;
  const execution = await platform.run(it.spec, it.initial_state);
  expectOutcome(execution, it.expect);
  for (const [id, prompt] of Object.entries(it.expect.prompts ?? {})) expect(asked.get(id)?.at(-1)).toBe(prompt);
});

function expectOutcome(execution: Data, expected: Case['expect']): void {
  expect({ status: execution.status.toLowerCase(), error: expected.status === 'failed' ? null : execution.errorMessage }).toEqual({ status: expected.status, error: null });
  const ran: string[] = execution.finalState.execution_path;
  if (expected.path !== undefined) expect(ran).toEqual(expected.path);
  if (expected.path_ends_with !== undefined) expect(ran.slice(-expected.path_ends_with.length)).toEqual(expected.path_ends_with);
  for (const [node, count] of Object.entries(expected.runs ?? {})) expect(ran.filter((id) => id === node)).toHaveLength(count);
  for (const [id, status] of Object.entries(expected.node_status ?? {})) expect(nodeOf(execution, id)).toMatchObject({ status: status.toUpperCase() });
  for (const [id, attempts] of Object.entries(expected.attempts ?? {})) expect(nodeOf(execution, id)).toMatchObject({ attempts });
  for (const [key, value] of Object.entries(expected.state ?? {})) expect(execution.finalState).toHaveProperty([key], value);
  if (expected.error_node !== undefined) expect(execution).toMatchObject({ errorNodeId: expected.error_node, errorMessage: expect.stringContaining(expected.error_node) });
  if (expected.error_contains !== undefined) expect(execution.errorMessage).toContain(expected.error_contains);
  const tokens = execution.nodeExecutions.nodes.reduce((sum: number, node: Data) => sum + node.tokensUsed, 0);
  expect({ row: execution.tokensUsed, metrics: execution.metrics.tokens_used, state: execution.finalState.tokens_used }).toEqual({ row: tokens, metrics: tokens, state: tokens });
  expect(execution.nodeExecutions.nodes.filter((node: Data) => node.sequenceNumber !== null).map((node: Data) => node.nodeId)).toEqual(ran);
}
