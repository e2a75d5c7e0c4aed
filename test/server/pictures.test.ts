/** What people see of a run through the API: its picture and the logs of its nodes. */
import { sampleWorkflow, useApi } from '../support/api.ts';

const api = useApi();
const execution = '880e8400-e29b-41d4-a716-446655440000';

beforeAll(async () => {
  await api.db.owner.query(`
    insert into app_public.node_executions (execution_id, execution_created_at, tenant_id, node_id, node_type, sequence_number, finish_order, attempts, status, tokens_used, started_at, completed_at, logs)
    select execution.id, execution.created_at, execution.tenant_id, node.id, node.type, node.place, node.place, 1, node.status, node.tokens, now() - interval '2.5 s', now(), node.logs::jsonb
      from app_public.executions as execution,
           (values ('input', 'input', 1, 'completed', 0, null), ('router', 'router', 2, 'completed', 0, null),
                   ('llm', 'llm', 3, 'failed', 150, '[{"at": "2026-01-01T00:00:00.000Z", "level": "warn", "message": "try 1 failed"}]')) as node (id, type, place, status, tokens, logs)
     where execution.id = $1`, [execution]);
});

test('the picture of an execution is coloured, with time and tokens on its nodes', async () => {
  const { execution: { diagram } } = await api.data('john', `{ execution(id: "${execution}") { diagram } }`);
  expect(diagram).toMatch(/^flowchart TD\n/);
  expect(diagram).toContain('n2("llm<br/><small>llm</small><br/><small>2.5 s, 150 tokens</small>")');
  expect(diagram).toContain('class n0 completed\n');
  expect(diagram).toContain('class n2 failed');
});

test('the picture of a workflow is plain, and that of a version is its own', async () => {
  const { workflow } = await api.data('jane', `{ workflow(id: "${sampleWorkflow}") { diagram versions { nodes { diagram } } } }`);
  expect(workflow.diagram).toContain('n2("llm<br/><small>llm</small>")');
  expect(workflow.diagram).not.toContain('class ');
  expect(workflow.versions.nodes).toEqual([{ diagram: workflow.diagram }]);
});

test('the logs of a node are shown to those who may read its execution', async () => {
  const query = `{ execution(id: "${execution}") { nodeExecutions { nodes { nodeId logs } } } }`;
  const { execution: seen } = await api.data('jane', query);
  expect(seen.nodeExecutions.nodes).toContainEqual({ nodeId: 'llm', logs: [{ at: '2026-01-01T00:00:00.000Z', level: 'warn', message: 'try 1 failed' }] });
  expect((await api.data('admin@globex.example', query)).execution).toBeNull();
});
