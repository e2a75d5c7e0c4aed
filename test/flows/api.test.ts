/** Flows through GraphQL: who may what, what a repeated call answers, what runs and what is kept. The tasks are scripted. */
import { codesOf } from '../support/api.ts';
import { openClient, watch } from '../support/subscriptions.ts';
import { chain, createFlow, executeFlow, readFlowExecution, startFlow, untilFlow, untilFlowOver, useFlows } from '../support/flows.ts';

const flows = useFlows();

const execute = `mutation ($flowId: String!, $context: JSON!, $key: String) {
  executeFlow(input: { flowId: $flowId, inputContext: $context, idempotencyKey: $key }) { flowExecution { id status inputContext } } }`;
const cancel = 'mutation ($id: BigInt!) { cancelFlowExecution(input: { id: $id }) { flowExecution { id status errorMessage errorTask errorCode totalTasksExecuted } } }';
const retry = 'mutation ($id: BigInt!, $key: String) { retryFlowExecution(input: { id: $id, idempotencyKey: $key }) { flowExecution { id status flowVersion retryOf { id } } } }';
const update = 'mutation ($id: String!, $patch: FlowPatch!, $version: Int) { updateFlow(input: { id: $id, patch: $patch, expectedVersion: $version }) { flow { version } } }';

describe('executeFlow', () => {
  test('answers at once with the pending execution', async () => {
    await createFlow(flows.api, chain('at-once', ['a']));
    const { executeFlow: answer } = await flows.api.data('operator', execute, { flowId: 'at-once', context: { a: 1, __script: { a: { delay_ms: 200 } } } });
    expect(answer.flowExecution).toEqual({ id: expect.stringMatching(/^\d+$/), status: 'PENDING', inputContext: { a: 1 } });
  });

  test('the same key with the same input is the same execution, also when the flow is inactive by then; with another input a conflict', async () => {
    await createFlow(flows.api, chain('repeated', ['a']));
    const once = (context: object): ReturnType<typeof flows.api.query> => flows.api.query('operator', execute, { flowId: 'repeated', context, key: 'once' });
    const [first, second] = await Promise.all([once({ n: 1 }), once({ n: 1 })]);
    expect(second.data.executeFlow.flowExecution.id).toBe(first.data.executeFlow.flowExecution.id);
    await untilFlowOver(flows.api, first.data.executeFlow.flowExecution.id);
    await flows.api.data('architect', 'mutation { deactivateFlow(input: { id: "repeated" }) { flow { isActive } } }');
    expect((await once({ n: 1 })).data.executeFlow.flowExecution).toMatchObject({ id: first.data.executeFlow.flowExecution.id, status: 'COMPLETED' });
    expect(codesOf(await once({ n: 2 }))).toEqual(['IDEMPOTENCY_CONFLICT']);
    expect(codesOf(await flows.api.query('operator', execute, { flowId: 'repeated', context: {} }))).toEqual(['FLOW_NOT_RUNNABLE']);
  });

  test.each([
    ['a text', 'text', 'INVALID_VALUE'], ['a list', [], 'INVALID_VALUE'], ['more than 1 MiB', { text: 'x'.repeat(1_153_434) }, 'TOO_LARGE'],
  ])('refuses a context that is %s', async (_name, context, code) => {
    await createFlow(flows.api, chain('strict', ['a']));
    const answer = await flows.api.query('operator', execute, { flowId: 'strict', context });
    expect(codesOf(answer)).toEqual([code]);
    expect(answer.errors![0]!.extensions['field']).toBe('inputContext');
    expect((await flows.api.db.owner.query(`select from flow_executions where flow_id = 'strict'`)).rowCount).toBe(0);
  });

  test('a context that holds __proto__, NUL and lone surrogates is data and nothing else', async () => {
    await createFlow(flows.api, chain('odd-keys', ['a', 'b']));
    const context = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "nul": "a\\u0000b", "half": "\\ud800"}') as object;
    const row = await untilFlowOver(flows.api, await executeFlow(flows.api, 'odd-keys', context));
    const kept = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "nul": "a\\ufffdb", "half": "\\ufffd"}') as object;
    expect(JSON.parse(JSON.stringify(row.inputContext))).toEqual(kept);
    expect(Object.hasOwn(row.outputData!, '__proto__')).toBe(true);
    expect(row).toMatchObject({ status: 'COMPLETED', totalTasksExecuted: 2 });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('asks for rights: a viewer may not execute, an unknown flow is not found', async () => {
    await createFlow(flows.api, chain('rights', ['a']));
    expect(codesOf(await flows.api.query('jane', execute, { flowId: 'rights', context: {} }))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await flows.api.query('visitor', execute, { flowId: 'rights', context: {} }))).toEqual(['UNAUTHENTICATED']);
    expect(codesOf(await flows.api.query('operator', execute, { flowId: 'nowhere', context: {} }))).toEqual(['NOT_FOUND']);
  });
});

test('an execution keeps the definition that it was started with; an edit is live for the next one', async () => {
  const before = chain('edited', ['a', 'b']);
  const id = await startFlow(flows.api, before, { __script: { a: { delay_ms: 300 } } });
  await flows.api.data('architect', update, { id: 'edited', patch: { definition: chain('edited', ['a']) }, version: 1 });
  expect(await untilFlowOver(flows.api, id)).toMatchObject({ totalTasksExecuted: 2, flowVersion: 1, definition: before });
  const next = await executeFlow(flows.api, 'edited');
  expect(await untilFlowOver(flows.api, next)).toMatchObject({ totalTasksExecuted: 1, flowVersion: 2, definition: chain('edited', ['a']) });
});

test('of two edits of the same version one wins; the other changes nothing', async () => {
  await createFlow(flows.api, chain('raced', ['a']));
  const edit = (task: string): ReturnType<typeof flows.api.query> => flows.api.query('architect', update, { id: 'raced', patch: { startTask: task, definition: chain('raced', [task]) }, version: 1 });
  const answers = await Promise.all([edit('b'), edit('c')]);
  expect(answers.flatMap(codesOf)).toEqual(['VERSION_CONFLICT']);
  const { flow } = await flows.api.data('architect', '{ flow(id: "raced") { version startTask versions { totalCount } } }');
  expect(flow).toMatchObject({ version: 2, startTask: answers[0].errors ? 'c' : 'b', versions: { totalCount: 2 } });
});

describe('tenants', () => {
  test('know nothing of each other\'s flows, not even by id', async () => {
    const id = await startFlow(flows.api, chain('ours', ['a']), { secret: 'of the first tenant', __script: { a: { fail: 'boom' } } });
    await untilFlowOver(flows.api, id);
    const other = 'admin@globex.example';
    const { flow, flowExecution, flowExecutions, flows: list } = await flows.api.data(other, `query ($id: BigInt!) { flow(id: "ours") { id } flowExecution(id: $id) { id taskExecutions { nodes { errorTraceback } } }
      flowExecutions { nodes { flowId } } flows { nodes { id } } }`, { id });
    expect({ flow, flowExecution }).toEqual({ flow: null, flowExecution: null });
    expect(JSON.stringify([flowExecutions, list])).not.toContain('ours');
    expect(codesOf(await flows.api.query(other, cancel, { id }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await flows.api.query(other, retry, { id }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await flows.api.query(other, execute, { flowId: 'ours', context: {} }))).toEqual(['NOT_FOUND']);
    expect(codesOf(await flows.api.query(other, 'mutation { deleteFlow(input: { id: "ours" }) { flow { id } } }'))).toEqual(['NOT_FOUND']);
  });

  test('may use the same id for flows of their own', async () => {
    await createFlow(flows.api, chain('same-slug', ['a']));
    const { errors } = await createFlow(flows.api, chain('same-slug', ['x']), 'admin@globex.example');
    expect(errors).toBeUndefined();
    const read = '{ flow(id: "same-slug") { startTask } }';
    expect((await flows.api.data('architect', read)).flow).toEqual({ startTask: 'a' });
    expect((await flows.api.data('admin@globex.example', read)).flow).toEqual({ startTask: 'x' });
  });
});

test('traces are for admins', async () => {
  const id = await startFlow(flows.api, chain('traced', ['a']), { __script: { a: { fail: 'boom' } } });
  await untilFlowOver(flows.api, id);
  for (const [who, seen] of [['john', expect.stringContaining('Error: boom\n    at ')], ['architect', null], ['jane', null]] as const) {
    expect((await readFlowExecution(flows.api, id, who)).taskExecutions.nodes).toMatchObject([{ errorMessage: 'boom', errorTraceback: seen }]);
  }
});

test('the script is shown nowhere, and outlives the start', async () => {
  const id = await startFlow(flows.api, chain('hidden', ['a']), { seen: true, __script: { a: { data: 'answer', note: 'hush-hush' } } });
  const row = await untilFlowOver(flows.api, id);
  expect(row.outputData).toEqual({ seen: true, a: { status: 'SUCCESS', data: 'answer' } });
  const { rows } = await flows.api.db.owner.query<{ script: object; elsewhere: boolean }>(`
    select script, exists (select from flow_executions e where to_jsonb(e)::text ~ 'hush-hush') or exists (select from task_executions t where to_jsonb(t)::text ~ 'hush-hush')
                or exists (select from audit_logs a where to_jsonb(a)::text ~ 'hush-hush') as elsewhere
      from app_private.flow_scripts where flow_execution_id = $1`, [id]);
  expect(rows).toEqual([{ script: { a: { data: 'answer', note: 'hush-hush' } }, elsewhere: false }]);
});

describe('cancelFlowExecution', () => {
  test('ends a running one at once, reaches the task, and nothing is written afterwards', async () => {
    const id = await startFlow(flows.api, chain('cancelled', ['a', 'slow', 'c']), { __script: { slow: { delay_ms: 60_000 } } });
    await untilFlow(flows.api, id, ({ taskExecutions }) => taskExecutions.nodes.some(({ taskName, status }) => taskName === 'slow' && status === 'RUNNING'));
    const { cancelFlowExecution } = await flows.api.data('operator', cancel, { id });
    expect(cancelFlowExecution.flowExecution).toEqual({ id, status: 'FAILURE', errorMessage: 'cancelled', errorTask: 'slow', errorCode: 'CANCELLED', totalTasksExecuted: 2 });
    const row = await readFlowExecution(flows.api, id);
    expect(row.taskExecutions.nodes).toMatchObject([{ taskName: 'a', status: 'SUCCESS' }, { taskName: 'slow', status: 'FAILURE', errorMessage: 'cancelled' }]);
    // The worker lets go of it: a stop need not wait for the minute.
    await untilIdle();
    expect(await readFlowExecution(flows.api, id)).toEqual(row);
    expect(codesOf(await flows.api.query('operator', cancel, { id }))).toEqual(['ILLEGAL_TRANSITION']);
  });

  test('is audited, and refused to viewers', async () => {
    const id = await startFlow(flows.api, chain('audited', ['slow']), { __script: { slow: { delay_ms: 60_000 } } });
    expect(codesOf(await flows.api.query('jane', cancel, { id }))).toEqual(['PERMISSION_DENIED']);
    await flows.api.data('operator', cancel, { id });
    const { rows } = await flows.api.db.owner.query(`select action from audit_logs where entity_type = 'flow_execution' and entity_key = $1 order by created_at, action desc`, [id]);
    expect(rows).toEqual([{ action: 'execute' }, { action: 'cancel' }]);
    await untilIdle();
  });

  async function untilIdle(): Promise<void> {
    const { rows } = await flows.api.db.owner.query<{ count: number }>('select count(*)::int as count from graphile_worker.jobs');
    if (rows[0]!.count === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
    await untilIdle();
  }
});

describe('retryFlowExecution', () => {
  test('goes on from the task that failed, in a new execution that takes over what was finished', async () => {
    const id = await startFlow(flows.api, chain('retried', ['a', 'b', 'c']), { __script: { a: { data: { n: 1 } }, b: { fail: 'boom' } } });
    const old = await untilFlowOver(flows.api, id);
    const { retryFlowExecution } = await flows.api.data('operator', retry, { id });
    const { id: next } = retryFlowExecution.flowExecution as { id: string };
    expect(retryFlowExecution.flowExecution).toEqual({ id: next, status: 'PENDING', flowVersion: 1, retryOf: { id } });
    expect(next).not.toBe(id);
    // Its script was taken along, so it fails in the same way; the first task is not run again.
    const row = await untilFlowOver(flows.api, next);
    expect(row).toMatchObject({ status: 'FAILURE', totalTasksExecuted: 2, errorTask: 'b' });
    expect(row.taskExecutions.nodes.map(({ taskName, outputData }) => [taskName, outputData])).toEqual([['a', { n: 1 }], ['b', null]]);
    expect(row.taskExecutions.nodes[1]!.inputData).toEqual({ a: { status: 'SUCCESS', data: { n: 1 } } });
    expect(await readFlowExecution(flows.api, id)).toEqual(old);

    await flows.api.db.owner.query(`update app_private.flow_scripts set script = '{}' where flow_execution_id = $1`, [next]);
    const { retryFlowExecution: again } = await flows.api.data('operator', retry, { id: next });
    expect(await untilFlowOver(flows.api, again.flowExecution.id)).toMatchObject({ status: 'COMPLETED', totalTasksExecuted: 3, outputData: { a: { data: { n: 1 } }, b: { data: {} }, c: { data: {} } } });
  });

  test('with a key it is done once; only what has failed can be retried', async () => {
    const id = await startFlow(flows.api, chain('retried-once', ['a']), { __script: { a: { fail: 'boom' } } });
    await untilFlowOver(flows.api, id);
    const [first, second] = await Promise.all(['x', 'x'].map((key) => flows.api.data('operator', retry, { id, key })));
    expect(second.retryFlowExecution.flowExecution.id).toBe(first.retryFlowExecution.flowExecution.id);
    const fine = await executeFlow(flows.api, 'retried-once');
    await untilFlowOver(flows.api, fine);
    expect(codesOf(await flows.api.query('operator', retry, { id: fine }))).toEqual(['ILLEGAL_TRANSITION']);
    expect(codesOf(await flows.api.query('jane', retry, { id }))).toEqual(['PERMISSION_DENIED']);
  });
});

test('executions are found by flow, status and time, page by page', async () => {
  const ids: string[] = [];
  for (const script of [{}, { a: { fail: 'boom' } }, {}]) {
    const id = ids.length === 0 ? await startFlow(flows.api, chain('listed', ['a']), { __script: script }) : await executeFlow(flows.api, 'listed', { __script: script });
    await untilFlowOver(flows.api, id);
    ids.push(id);
  }
  const { startedAt } = await readFlowExecution(flows.api, ids[1]!);
  const list = async (filter: object, more: object = {}): Promise<{ totalCount: number; nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } }> =>
    (await flows.api.data('jane', 'query ($filter: FlowExecutionFilter, $first: Int, $after: Cursor) { flowExecutions(filter: $filter, first: $first, after: $after) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }', { filter, ...more })).flowExecutions;
  const idsOf = ({ nodes }: { nodes: { id: string }[] }): string[] => nodes.map(({ id }) => id);
  const ours = { flowId: { equalTo: 'listed' } };
  expect(idsOf(await list(ours))).toEqual([...ids].reverse());
  expect(idsOf(await list({ ...ours, status: { equalTo: 'FAILURE' } }))).toEqual([ids[1]]);
  expect(idsOf(await list({ ...ours, startedAt: { greaterThanOrEqualTo: startedAt } }))).toEqual([ids[2], ids[1]]);
  const page = await list(ours, { first: 2 });
  expect([page.totalCount, idsOf(page), page.pageInfo.hasNextPage]).toEqual([3, [ids[2], ids[1]], true]);
  expect(idsOf(await list(ours, { first: 2, after: page.pageInfo.endCursor }))).toEqual([ids[0]]);
});

test('flowExecutionUpdated tells how it gets on, to its tenant only', async () => {
  await createFlow(flows.api, chain('watched', ['a', 'b']));
  const clients = await Promise.all(['jane', 'admin@globex.example'].map(async (who) => openClient(flows.api.url, await flows.api.headersOf(who))));
  const id = await executeFlow(flows.api, 'watched', { __script: { a: { delay_ms: 700 } } });
  const subscription = 'subscription ($id: BigInt!) { flowExecutionUpdated(id: $id) { flowExecution { id status taskExecutions { nodes { taskName status } } } } }';
  const [ours, theirs] = clients.map((client) => watch(client, subscription, { id }));
  expect((await theirs!.next()).errors[0].extensions.code).toBe('NOT_FOUND');
  const seen: string[] = [];
  while (seen.at(-1) !== 'COMPLETED') {
    const { flowExecution } = (await ours!.next()).data.flowExecutionUpdated;
    seen.push(flowExecution.status);
    if (flowExecution.status === 'COMPLETED') expect(flowExecution.taskExecutions.nodes).toEqual([{ taskName: 'a', status: 'SUCCESS' }, { taskName: 'b', status: 'SUCCESS' }]);
  }
  expect(seen).toContain('RUNNING');
  for (const { client } of clients) await client.dispose();
});
