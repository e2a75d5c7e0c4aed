/** Executing many at once, again from where it failed, and one node alone. */
import { codesOf, type Data } from '../support/api.ts';
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';

const platform = usePlatform();

const source = { id: 'm', kind: 'llm', config: { model: 'gpt-4' } };
const llm = (id: string, metadata: object = {}): object => ({ id, type: 'llm', metadata: { source: 'm', prompt: `ask ${id} about {user_input}`, output_key: id, ...metadata } });
const chain = {
  nodes: [{ id: 'input', type: 'input' }, llm('a'), llm('b'), llm('c')],
  edges: [{ from: 'input', to: 'a' }, { from: 'a', to: 'b' }, { from: 'b', to: 'c' }], sources: [source], start_node: 'input',
};
const retry = 'mutation ($id: UUID!, $from: String) { retryExecution(input: {id: $id, fromNode: $from}) { execution { id status } } }';

const asked = (): string[] => platform.models.requests.map(({ prompt }) => prompt);

beforeEach(() => {
  platform.models.requests.length = 0;
  platform.reply = ({ prompt }) => `answer to ${prompt}`;
});

describe('retryExecution', () => {
  test('goes on where it failed: finished outputs are taken over, nothing is asked twice, the old one stays', async () => {
    platform.reply = ({ prompt }) => (prompt.startsWith('ask b') ? { status: 400, text: 'not today' } : `answer to ${prompt}`);
    const failed = await platform.run(chain, { user_input: 'x', more: [1] });
    expect(failed).toMatchObject({ status: 'FAILED', errorNodeId: 'b' });
    platform.reply = ({ prompt }) => `answer to ${prompt}`;
    platform.models.requests.length = 0;

    const { retryExecution } = await platform.data('operator', retry, { id: failed.id });
    const again = await platform.until(retryExecution.execution.id, isOver);
    expect(again).toMatchObject({
      status: 'COMPLETED', retryOf: { id: failed.id }, initialState: { user_input: 'x', more: [1] },
      finalState: { a: 'answer to ask a about x', c: 'answer to ask c about x', more: [1], execution_path: ['input', 'a', 'b', 'c'] },
    });
    expect(asked()).toEqual(['ask b about x', 'ask c about x']);
    expect(nodeOf(again, 'a')).toMatchObject({ status: 'COMPLETED', attempts: 0, tokensUsed: 0, output: 'answer to ask a about x', sequenceNumber: 2 });
    expect(nodeOf(again, 'a').logs[0].message).toContain(failed.id);
    expect(again.tokensUsed).toBe(nodeOf(again, 'b').tokensUsed + nodeOf(again, 'c').tokensUsed);
    expect(await platform.until(failed.id, isOver)).toEqual(failed);
  });

  test('goes on from the node named, and runs what comes after it again', async () => {
    const first = await platform.run(chain, { user_input: 'x' });
    platform.models.requests.length = 0;
    platform.reply = ({ prompt }) => `another answer to ${prompt}`;
    const { retryExecution } = await platform.data('john', retry, { id: first.id, from: 'b' });
    const again = await platform.until(retryExecution.execution.id, isOver);
    expect(asked()).toEqual(['ask b about x', 'ask c about x']);
    expect(again.finalState).toMatchObject({ a: 'answer to ask a about x', b: 'another answer to ask b about x' });
  });

  test('keeps the version that ran, whatever became of the workflow since', async () => {
    const id = await platform.publish(chain);
    platform.reply = () => ({ status: 400, text: 'no' });
    const failed = await platform.until(await platform.execute(id, { user_input: 'x' }), isOver);
    platform.reply = () => 'fine';
    await platform.data('john', 'mutation ($id: UUID!, $spec: JSON!) { updateWorkflow(input: {id: $id, patch: {spec: $spec}}) { workflow { version } } }',
      { id, spec: { nodes: [{ id: 'other', type: 'input' }], start_node: 'other' } });
    const { retryExecution } = await platform.data('john', retry, { id: failed.id });
    expect(await platform.until(retryExecution.execution.id, isOver)).toMatchObject({ status: 'COMPLETED', finalState: { c: 'fine' } });
  });

  test('is refused for what runs, what completed, unknown nodes and those who may not', async () => {
    const first = await platform.run(chain, { user_input: 'x' });
    expect(codesOf(await platform.query('john', retry, { id: first.id }))).toEqual(['ILLEGAL_TRANSITION']);
    expect(codesOf(await platform.query('john', retry, { id: first.id, from: 'nobody' }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await platform.query('viewer', retry, { id: first.id, from: 'a' }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await platform.query('john', retry, { id: '00000000-0000-4000-8000-000000000000' }))).toEqual(['NOT_FOUND']);
    platform.reply = () => new Promise<string>(() => undefined);
    const running = await platform.execute(await platform.publish(chain), { user_input: 'x' });
    expect(codesOf(await platform.query('john', retry, { id: running, from: 'a' }))).toEqual(['ILLEGAL_TRANSITION']);
    await platform.data('john', 'mutation ($id: UUID!) { cancelExecution(input: {id: $id}) { execution { status } } }', { id: running });
    platform.reply = () => 'fine';
    const { retryExecution } = await platform.data('john', retry, { id: running });
    expect(await platform.until(retryExecution.execution.id, isOver)).toMatchObject({ status: 'COMPLETED' });
  });
});

describe('testNode', () => {
  const run = 'mutation ($id: UUID!, $node: String!, $state: JSON!) { testNode(input: {workflowId: $id, nodeId: $node, state: $state}) { execution { id isTest status } } }';

  test('runs one node on the given state, of a document that is not finished', async () => {
    const draft = { ...chain, edges: [{ from: 'a', to: 'nowhere' }] };
    const { createWorkflow } = await platform.data('developer', 'mutation ($spec: JSON!) { createWorkflow(input: {workflow: {name: "draft", spec: $spec}}) { workflow { id } } }', { spec: draft });
    const { testNode } = await platform.data('developer', run, { id: createWorkflow.workflow.id, node: 'b', state: { user_input: 'tea' } });
    const over = await platform.until(testNode.execution.id, isOver);
    expect(over).toMatchObject({ status: 'COMPLETED', isTest: true, finalState: { b: 'answer to ask b about tea', execution_path: ['b'] } });
    expect(over.nodeExecutions.nodes).toMatchObject([{ nodeId: 'b', status: 'COMPLETED', input: { prompt: 'ask b about tea' }, output: 'answer to ask b about tea' }]);
    expect(asked()).toEqual(['ask b about tea']);
  });

  test('needs the right to test, a node that is there, and an object as state', async () => {
    const id = await platform.publish(chain);
    expect(codesOf(await platform.query('operator', run, { id, node: 'a', state: {} }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await platform.query('john', run, { id, node: 'z', state: {} }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await platform.query('john', run, { id, node: 'a', state: [] }))).toEqual(['INVALID_VALUE']);
  });
});

describe('executeWorkflows', () => {
  const start = 'mutation ($inputs: [WorkflowStartInput!]!) { executeWorkflows(input: {inputs: $inputs}) { executions { id initialState } } }';

  test('starts all in the order of the inputs, with one audit statement and one of jobs', async () => {
    const workflowId = await platform.publish(chain);
    const inputs = Array.from({ length: 50 }, (_, index) => ({ workflowId, initialState: { user_input: String(index) } }));
    const { executeWorkflows } = await platform.data('operator', start, { inputs });
    expect(executeWorkflows.executions.map(({ initialState }: Data) => initialState.user_input)).toEqual(inputs.map(({ initialState }) => initialState.user_input));
    const last = executeWorkflows.executions.at(-1).id;
    expect(await platform.until(last, isOver)).toMatchObject({ status: 'COMPLETED', finalState: { c: 'answer to ask c about 49' } });
  });

  test('the same key with the same input is the same execution, within and across calls', async () => {
    const workflowId = await platform.publish(chain);
    const one = { workflowId, initialState: { user_input: 'k' }, idempotencyKey: 'bulk-1' };
    const first = await platform.data('john', start, { inputs: [one, { workflowId, initialState: {} }, one] });
    const [a, b, c] = first.executeWorkflows.executions.map(({ id }: Data) => id);
    expect(c).toBe(a);
    expect(b).not.toBe(a);
    expect((await platform.data('john', start, { inputs: [one] })).executeWorkflows.executions).toMatchObject([{ id: a }]);
    expect(codesOf(await platform.query('john', start, { inputs: [{ ...one, initialState: { other: true } }] }))).toEqual(['IDEMPOTENCY_CONFLICT']);
  });

  test('a priority: who may publish goes first, everybody may let others go first, and it stays with the execution', async () => {
    const workflowId = await platform.publish(chain);
    const one = 'mutation ($id: UUID!, $priority: Int) { executeWorkflow(input: {workflowId: $id, initialState: {}, priority: $priority}) { execution { priority } } }';
    const given = async (caller: string, priority?: number): Promise<unknown> => (await platform.data(caller, one, { id: workflowId, priority })).executeWorkflow.execution.priority;
    expect([await given('john', 7), await given('operator', -3), await given('operator')]).toEqual([7, -3, 0]);
    const refused = await platform.query('operator', one, { id: workflowId, priority: 1 });
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'PERMISSION_DENIED', field: 'priority' });
    expect(codesOf(await platform.query('john', one, { id: workflowId, priority: 11 }))).toEqual(['INVALID_VALUE']);
    const many = 'mutation ($inputs: [WorkflowStartInput!]!) { executeWorkflows(input: {inputs: $inputs}) { executions { priority } } }';
    const { executeWorkflows } = await platform.data('john', many, { inputs: [{ workflowId, initialState: {}, priority: 2 }, { workflowId, initialState: {} }] });
    expect(executeWorkflows.executions).toEqual([{ priority: 2 }, { priority: 0 }]);
  });

  test('all that is wrong is told at once, and nothing is started', async () => {
    const workflowId = await platform.publish(chain);
    const { rows: [before] } = await platform.db.owner.query('select count(*) as count from executions');
    const inputs = [{ workflowId, initialState: {} }, { workflowId, initialState: [] }, { workflowId: '00000000-0000-4000-8000-000000000000', initialState: {}, idempotencyKey: '' }];
    const answer = await platform.query('john', start, { inputs });
    expect(answer.errors?.[0]?.extensions).toMatchObject({
      code: 'INVALID_VALUE', field: 'inputs.1.initial_state',
      problems: [{ code: 'INVALID_VALUE', field: 'inputs.1.initial_state' }, { code: 'INVALID_VALUE', field: 'inputs.2.idempotency_key' }, { code: 'NOT_FOUND', field: 'inputs.2.workflow_id' }],
    });
    expect((await platform.db.owner.query('select count(*) as count from executions')).rows).toEqual([before]);
    expect(codesOf(await platform.query('john', start, { inputs: [] }))).toEqual(['TOO_LARGE']);
    expect(codesOf(await platform.query('viewer', start, { inputs: [{ workflowId, initialState: {} }] }))).toEqual(['PERMISSION_DENIED']);
  });
});
