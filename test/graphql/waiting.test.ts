/** What waits, and what wakes it: approvals, children, delays, through the API, with a worker that runs. */
import type { Data } from '../support/api.ts';
import { codesOf } from '../support/api.ts';
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';

const platform = usePlatform();
const { anything } = expect;

const isWaiting = (nodeId: string) => (execution: Data): boolean => nodeOf(execution, nodeId)?.status === 'WAITING';

const decide = `mutation ($id: UUID!, $node: String!, $decision: String!, $comment: String) {
  decideApproval(input: {executionId: $id, nodeId: $node, decision: $decision, comment: $comment}) { execution { id status } } }`;

function approval(metadata: object = {}): object {
  return {
    nodes: [
      { id: 'input', type: 'input' },
      { id: 'ok', type: 'approval', metadata: { message: 'Send {user_input}?', ...metadata } },
      { id: 'sent', type: 'transform', metadata: { expression: "'sent'", output_key: 'outcome' } },
      { id: 'dropped', type: 'transform', metadata: { expression: "'dropped'", output_key: 'outcome' } },
    ],
    edges: [
      { from: 'input', to: 'ok' },
      { from: 'ok', to: 'sent', condition: "approval.decision == 'approved'" },
      { from: 'ok', to: 'dropped', default: true },
    ],
    start_node: 'input',
  };
}

describe('approvals', () => {
  test('wait without a job and a lease, and go on when they are decided', async () => {
    const id = await platform.execute(await platform.publish(approval()), { user_input: 'the letter' });
    const waiting = await platform.until(id, isWaiting('ok'));
    expect(waiting).toMatchObject({ status: 'RUNNING' });
    expect(nodeOf(waiting, 'ok')).toMatchObject({ waitReason: 'approval', waitUntil: null, waitDetails: { message: 'Send the letter?', roles: [], on_timeout: 'reject' } });
    await expectNoJob(id);

    await platform.data('john', decide, { id, node: 'ok', decision: 'approved', comment: 'fine' });
    const over = await platform.until(id, isOver);
    expect(over).toMatchObject({ status: 'COMPLETED', finalState: { outcome: 'sent', approval: { decision: 'approved', comment: 'fine', decided_by: anything(), decided_at: anything() } } });
    expect(nodeOf(over, 'dropped')).toMatchObject({ status: 'SKIPPED' });
    expect(codesOf(await platform.query('john', decide, { id, node: 'ok', decision: 'rejected' }))).toEqual(['ILLEGAL_TRANSITION']);
    const { rows } = await platform.db.owner.query(`select user_id, new_value from audit_logs where action = 'decide' and entity_id = $1`, [id]);
    expect(rows).toEqual([{ user_id: anything(), new_value: { node_id: 'ok', decision: 'approved', comment: 'fine' } }]);
  });

  test('can be refused', async () => {
    const id = await platform.execute(await platform.publish(approval()), { user_input: 'x' });
    await platform.until(id, isWaiting('ok'));
    await platform.data('john', decide, { id, node: 'ok', decision: 'REJECT' });
    expect(await platform.until(id, isOver)).toMatchObject({ status: 'COMPLETED', finalState: { outcome: 'dropped', approval: { decision: 'rejected', comment: null } } });
  });

  test('are up to the roles that the node names, and to an admin', async () => {
    const id = await platform.execute(await platform.publish(approval({ roles: ['architect'] })), { user_input: 'x' });
    await platform.until(id, isWaiting('ok'));
    expect(codesOf(await platform.query('operator', decide, { id, node: 'ok', decision: 'approved' }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await platform.query('viewer', decide, { id, node: 'ok', decision: 'approved' }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await platform.query('john', decide, { id, node: 'ok', decision: 'perhaps' }))).toEqual(['INVALID_VALUE']);
    expect(codesOf(await platform.query('john', decide, { id, node: 'input', decision: 'approved' }))).toEqual(['ILLEGAL_TRANSITION']);
    expect(codesOf(await platform.query('john', decide, { id, node: 'nowhere', decision: 'approved' }))).toEqual(['NOT_FOUND']);
    await platform.data('architect', decide, { id, node: 'ok', decision: 'approved' });
    expect(await platform.until(id, isOver)).toMatchObject({ status: 'COMPLETED', finalState: { outcome: 'sent' } });
  });

  test.each([
    ['reject', { status: 'COMPLETED', finalState: { outcome: 'dropped', approval: { decision: 'rejected' } } }],
    ['approve', { status: 'COMPLETED', finalState: { outcome: 'sent', approval: { decision: 'approved' } } }],
    ['fail', { status: 'FAILED', errorCode: 'NODE_TIMEOUT', errorNodeId: 'ok' }],
  ])('silence until the deadline means: %s', async (rule, expected) => {
    const over = await platform.run(approval({ timeout_seconds: 1.2, on_timeout: rule }), { user_input: 'x' });
    expect(over).toMatchObject(expected);
  });

  test('a decision reaches an execution that is busy with another branch', async () => {
    const answer = Promise.withResolvers<string>();
    platform.reply = () => answer.promise;
    const spec = {
      nodes: [
        { id: 'input', type: 'input' }, { id: 'ok', type: 'approval' },
        { id: 'slow', type: 'llm', metadata: { source: 'm', prompt: 'slow' } },
        { id: 'after', type: 'transform', metadata: { expression: 'approval.decision', output_key: 'seen' } },
      ],
      edges: [{ from: 'input', to: ['ok', 'slow'] }, { from: 'ok', to: 'after' }],
      sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'input',
    };
    const id = await platform.execute(await platform.publish(spec), { user_input: 'x' });
    await platform.until(id, isWaiting('ok'));
    await platform.data('john', decide, { id, node: 'ok', decision: 'approved' });
    const seen = await platform.until(id, (execution) => nodeOf(execution, 'ok')?.status === 'COMPLETED' || execution.status !== 'RUNNING');
    expect(seen).toMatchObject({ status: 'RUNNING' });
    answer.resolve('done');
    expect(await platform.until(id, isOver)).toMatchObject({ status: 'COMPLETED', finalState: { seen: 'approved', text_result: 'done' } });
  });

  test('cancelling ends the wait', async () => {
    const id = await platform.execute(await platform.publish(approval()), { user_input: 'x' });
    await platform.until(id, isWaiting('ok'));
    await platform.data('john', 'mutation ($id: UUID!) { cancelExecution(input: {id: $id}) { execution { status } } }', { id });
    expect(nodeOf(await platform.until(id, isOver), 'ok')).toMatchObject({ status: 'CANCELLED' });
    expect(codesOf(await platform.query('john', decide, { id, node: 'ok', decision: 'approved' }))).toEqual(['ILLEGAL_TRANSITION']);
  });
});

async function expectNoJob(id: string): Promise<void> {
  const jobs = await platform.db.owner.query('select from graphile_worker.jobs where key = $1', [id]);
  const { rows } = await platform.db.owner.query('select worker_id, waits from app_private.execution_leases where execution_id = $1', [id]);
  expect({ jobs: jobs.rowCount, leases: rows }).toEqual({ jobs: 0, leases: [{ worker_id: null, waits: true }] });
}

describe('children', () => {
  const greeting = {
    nodes: [{ id: 'greet', type: 'llm', metadata: { source: 'm', prompt: 'greet {name}', output_key: 'greeting' } }],
    edges: [], sources: [{ id: 'm', kind: 'llm', config: { model: 'gpt-4' } }], start_node: 'greet',
  };
  const calling = (metadata: object): object => ({
    nodes: [{ id: 'input', type: 'input' }, { id: 'child', type: 'workflow', metadata }, { id: 'last', type: 'transform', metadata: { expression: 'workflow_result.greeting', output_key: 'said' } }],
    edges: [{ from: 'input', to: 'child' }, { from: 'child', to: 'last' }], start_node: 'input',
  });

  beforeEach(() => {
    platform.reply = ({ prompt }) => `answer to ${prompt}`;
  });

  test('run by name or id with the input of their node, and give their state to it', async () => {
    const child = await platform.publish(greeting, 'Greeting');
    for (const named of [{ workflow: 'Greeting' }, { workflow_id: child }]) {
      const over = await platform.run(calling({ ...named, input: { name: '{user_input}' } }), { user_input: 'Ann' });
      expect(over).toMatchObject({ status: 'COMPLETED', depth: 0, finalState: { said: 'answer to greet Ann' }, childExecutions: { nodes: [{ status: 'COMPLETED' }] } });
      const [started] = over.childExecutions.nodes;
      expect(await platform.until(started.id, isOver)).toMatchObject({ depth: 1, parentExecution: { id: over.id }, initialState: { name: 'Ann' } });
    }
  });

  test('that fail make their node fail, and it may be allowed to', async () => {
    platform.reply = () => ({ status: 400, text: 'no' });
    await platform.publish(greeting, 'Rude');
    const failed = await platform.run(calling({ workflow: 'Rude', input: { name: 'x' } }), { user_input: 'x' });
    expect(failed).toMatchObject({ status: 'FAILED', errorNodeId: 'child', errorCode: 'NODE_FAILED' });
    expect(failed.errorMessage).toMatch(/Node 'child' failed: the child execution ended as failed: Node 'greet' failed/);
    const spec = calling({ workflow: 'Rude', input: { name: 'x' }, on_error: 'continue' }) as { nodes: Data[] };
    spec.nodes[2].metadata.expression = 'workflow_result == null';
    expect(await platform.run(spec, { user_input: 'x' })).toMatchObject({ status: 'COMPLETED', finalState: { said: true } });
  });

  test('that are nowhere, or a draft, are refused with the reason', async () => {
    const over = await platform.run(calling({ workflow: 'Nobody knows' }), { user_input: 'x' });
    expect(over).toMatchObject({ status: 'FAILED', errorCode: 'NOT_FOUND', errorNodeId: 'child' });
    expect(over.errorMessage).toContain("'Nobody knows'");
  });

  test('a workflow that calls itself ends at the fifth level, and every parent hears of it', async () => {
    const over = await platform.run(calling({ workflow: 'Ouroboros' }), { user_input: 'x' });
    expect(over).toMatchObject({ status: 'FAILED', errorCode: 'NOT_FOUND' });
    const id = await platform.publish(calling({ workflow: 'Ouroboros' }), 'Ouroboros');
    const deep = await platform.until(await platform.execute(id, { user_input: 'x' }), isOver);
    expect(deep).toMatchObject({ status: 'FAILED', errorNodeId: 'child' });
    expect(deep.errorMessage).toContain('5 levels');
    const { rows } = await platform.db.owner.query('select max(depth) as deepest, count(*)::integer as count from executions where workflow_id = $1', [id]);
    expect(rows).toEqual([{ deepest: 5, count: 6 }]);
  });

  test('are cancelled with their parent', async () => {
    platform.reply = () => new Promise<string>(() => undefined);
    await platform.publish(greeting, 'Endless');
    const id = await platform.execute(await platform.publish(calling({ workflow: 'Endless', input: { name: 'x' } })), { user_input: 'x' });
    const parent = await platform.until(id, (execution) => execution.childExecutions.nodes[0]?.status === 'RUNNING');
    const before = platform.models.aborted();
    await platform.data('john', 'mutation ($id: UUID!) { cancelExecution(input: {id: $id}) { execution { status } } }', { id });
    expect(await platform.until(parent.childExecutions.nodes[0].id, isOver)).toMatchObject({ status: 'CANCELLED', errorMessage: 'cancelled with the execution that started it' });
    while (platform.models.aborted() === before) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(nodeOf(await platform.until(id, isOver), 'child')).toMatchObject({ status: 'CANCELLED' });
  });

  test('that take longer than the timeout of their node are cancelled, and the node is timed out', async () => {
    platform.reply = () => new Promise<string>(() => undefined);
    await platform.publish(greeting, 'Slow');
    const over = await platform.run(calling({ workflow: 'Slow', input: { name: 'x' }, timeout: 1.2 }), { user_input: 'x' });
    expect(over).toMatchObject({ status: 'FAILED', errorCode: 'NODE_TIMEOUT' });
    expect(nodeOf(over, 'child')).toMatchObject({ status: 'TIMED_OUT' });
    expect(await platform.until(over.childExecutions.nodes[0].id, isOver)).toMatchObject({ status: 'CANCELLED' });
  });

  test('cancelled by themselves, they make their node fail', async () => {
    platform.reply = () => new Promise<string>(() => undefined);
    await platform.publish(greeting, 'Stopped');
    const id = await platform.execute(await platform.publish(calling({ workflow: 'Stopped', input: { name: 'x' } })), { user_input: 'x' });
    const parent = await platform.until(id, (execution) => execution.childExecutions.nodes[0]?.status === 'RUNNING');
    await platform.data('john', 'mutation ($id: UUID!) { cancelExecution(input: {id: $id}) { execution { status } } }', { id: parent.childExecutions.nodes[0].id });
    expect(await platform.until(id, isOver)).toMatchObject({ status: 'FAILED', errorNodeId: 'child' });
  });
});
