/** Many executions of flows, started by one call. */
import { codesOf, type Data } from '../support/api.ts';
import { chain, createFlow, untilFlowOver, useFlows } from '../support/flows.ts';

const flows = useFlows();

const start = 'mutation ($inputs: [FlowStartInput!]!) { executeFlows(input: { inputs: $inputs }) { flowExecutions { id status inputContext } } }';
const started = async (inputs: object[]): Promise<Data[]> => (await flows.api.data('operator', start, { inputs })).executeFlows.flowExecutions as Data[];
const countOf = async (flowId: string): Promise<number> =>
  (await flows.api.db.owner.query<{ count: number }>('select count(*)::int as count from flow_executions where flow_id = $1', [flowId])).rows[0]!.count;

test('all are started, in the order of the inputs, each with an audit row and a run of its own', async () => {
  await createFlow(flows.api, chain('many', ['a', 'b']));
  await createFlow(flows.api, chain('others', ['a']));
  const inputs = Array.from({ length: 300 }, (_, n) => ({ flowId: n % 3 === 0 ? 'others' : 'many', inputContext: { n, ...(n === 4 ? { __script: { b: { data: 'scripted' } } } : {}) } }));
  const rows = await started(inputs);
  expect(rows.map(({ status, inputContext }) => [status, inputContext])).toEqual(inputs.map((_, n) => ['PENDING', { n }]));
  const ends = [await untilFlowOver(flows.api, rows[299]!.id as string), await untilFlowOver(flows.api, rows[4]!.id as string), await untilFlowOver(flows.api, rows[3]!.id as string)];
  expect(ends.map(({ status, totalTasksExecuted }) => [status, totalTasksExecuted])).toEqual([['COMPLETED', 2], ['COMPLETED', 2], ['COMPLETED', 1]]);
  expect(ends[1]!.outputData).toMatchObject({ n: 4, b: { data: 'scripted' } });
  const { rows: [audit] } = await flows.api.db.owner.query(`select count(*)::int as count from audit_logs where entity_type = 'flow_execution' and entity_key = any ($1)`, [rows.map(({ id }) => id)]);
  expect(audit).toEqual({ count: 300 });
});

test('the same key with the same input is the same execution, within and across calls, whatever became of the flow', async () => {
  await createFlow(flows.api, chain('keyed', ['a']));
  const one = { flowId: 'keyed', inputContext: { k: 1 }, idempotencyKey: 'bulk-of-flows' };
  const [a, b, c] = await started([one, { flowId: 'keyed', inputContext: {} }, one]);
  expect([c!.id, b!.id === a!.id]).toEqual([a!.id, false]);
  expect(await countOf('keyed')).toBe(2);
  await flows.api.data('architect', 'mutation { deactivateFlow(input: { id: "keyed" }) { flow { isActive } } }');
  expect(await started([one])).toMatchObject([{ id: a!.id }]);
  const answer = await flows.api.query('operator', start, { inputs: [{ ...one, inputContext: { k: 2 } }, { flowId: 'keyed', inputContext: {} }] });
  expect(answer.errors?.[0]?.extensions).toMatchObject({ problems: [
    { code: 'IDEMPOTENCY_CONFLICT', field: 'inputs.0.idempotency_key' }, { code: 'FLOW_NOT_RUNNABLE', field: 'inputs.1.flow_id' }] });
});

test('of calls at the same time with the same keys in other orders, each key starts one', async () => {
  await createFlow(flows.api, chain('raced', ['a']));
  const inputs = Array.from({ length: 40 }, (_, n) => ({ flowId: 'raced', inputContext: { n }, idempotencyKey: `raced-${n}` }));
  const answers = await Promise.all([started(inputs), started(inputs.toReversed()), started(inputs), started(inputs.toReversed())]);
  expect(await countOf('raced')).toBe(40);
  const ids = answers.map((rows, call) => (call % 2 === 0 ? rows : rows.toReversed()).map(({ id }) => id as string));
  expect(ids.slice(1)).toEqual([ids[0], ids[0], ids[0]]);
});

test('all that is wrong is told at once with its place, and nothing is started', async () => {
  await createFlow(flows.api, chain('whole', ['a']));
  const inputs = [{ flowId: 'whole', inputContext: {} }, { flowId: 'whole', inputContext: [] }, { flowId: 'nowhere', inputContext: {}, idempotencyKey: '' },
    { flowId: 'whole', inputContext: { n: 1 }, idempotencyKey: 'twice' }, { flowId: 'whole', inputContext: { n: 2 }, idempotencyKey: 'twice' }];
  const answer = await flows.api.query('operator', start, { inputs });
  expect(answer.errors?.[0]?.message).toMatch(/must be a JSON object\. \(and 3 more\)$/);
  expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'INVALID_VALUE', field: 'inputs.1.input_context', problems: [
    { code: 'INVALID_VALUE', field: 'inputs.1.input_context' }, { code: 'NOT_FOUND', field: 'inputs.2.flow_id' },
    { code: 'INVALID_VALUE', field: 'inputs.2.idempotency_key' }, { code: 'IDEMPOTENCY_CONFLICT', field: 'inputs.4.idempotency_key' }] });
  expect(await countOf('whole')).toBe(0);
});

test('asks for rights, for 1 to 1,000 inputs, and for another tenant\'s flow as for an unknown one', async () => {
  await createFlow(flows.api, chain('mine', ['a']));
  const one = { flowId: 'mine', inputContext: {} };
  const codes = async (as: string, inputs: object[]): Promise<string[]> => codesOf(await flows.api.query(as, start, { inputs }));
  expect(await codes('jane', [one])).toEqual(['PERMISSION_DENIED']);
  expect(await codes('visitor', [one])).toEqual(['UNAUTHENTICATED']);
  expect(await codes('admin@globex.example', [one])).toEqual(['NOT_FOUND']);
  expect(await codes('operator', [])).toEqual(['TOO_LARGE']);
  expect(await codes('operator', Array.from({ length: 1_001 }, () => one))).toEqual(['TOO_LARGE']);
  expect(await countOf('mine')).toBe(0);
});

test('a priority stays with the execution, of one and of many; without one it is 0', async () => {
  await createFlow(flows.api, chain('urgent', ['a']));
  const one = 'mutation ($priority: Int) { executeFlow(input: { flowId: "urgent", inputContext: {}, priority: $priority }) { flowExecution { priority } } }';
  expect([await flows.api.data('architect', one, { priority: 7 }), await flows.api.data('operator', one)]).toMatchObject([{ executeFlow: { flowExecution: { priority: 7 } } }, { executeFlow: { flowExecution: { priority: 0 } } }]);
  expect((await flows.api.query('operator', one, { priority: 1 })).errors?.[0]?.extensions).toMatchObject({ code: 'PERMISSION_DENIED', field: 'priority' });
  const inputs = [{ flowId: 'urgent', inputContext: {}, priority: -4 }, { flowId: 'urgent', inputContext: {} }];
  const many = 'mutation ($inputs: [FlowStartInput!]!) { executeFlows(input: { inputs: $inputs }) { flowExecutions { priority } } }';
  expect((await flows.api.data('operator', many, { inputs })).executeFlows.flowExecutions).toEqual([{ priority: -4 }, { priority: 0 }]);
  expect((await flows.api.query('operator', start, { inputs: [{ ...inputs[0], priority: 2 }] })).errors?.[0]?.extensions).toMatchObject({ problems: [{ code: 'PERMISSION_DENIED', field: 'inputs.0.priority' }] });
});

test('a context is stored as a run sees it: without NUL and lone surrogates', async () => {
  await createFlow(flows.api, chain('odd', ['a']));
  expect(await started([{ flowId: 'odd', inputContext: { 'k\u0000': 'x\ud800' } }, { flowId: 'odd', inputContext: {} }])).toMatchObject([{ inputContext: { 'k\ufffd': 'x\ufffd' } }, { inputContext: {} }]);
});
