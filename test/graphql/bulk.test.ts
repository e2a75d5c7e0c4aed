/** Cancelling and repeating many executions by a filter. */
import { codesOf, type Data, sampleWorkflow, startApi, type TestApi } from '../support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

const cancel = 'mutation ($filter: ExecutionFilter!, $limit: Int) { cancelExecutions(input: { clientMutationId: "m", filter: $filter, limit: $limit }) { clientMutationId count hasMore executions { id status } } }';
const retry = 'mutation ($filter: ExecutionFilter!, $limit: Int) { retryExecutions(input: { filter: $filter, limit: $limit }) { count hasMore executions { id status retryOfExecutionId } } }';

async function start(count: number): Promise<string[]> {
  const fields = Array.from({ length: count }, (_, index) => `e${index}: executeWorkflow(input: { workflowId: "${sampleWorkflow}", initialState: {} }) { execution { id } }`);
  const started: Record<string, Data> = await api.data('john', `mutation { ${fields.join(' ')} }`);
  return Object.values(started).map(({ execution }) => execution.id);
}

const withIds = (ids: readonly string[]) => ({ id: { in: ids } });

test('all that a filter finds are cancelled as one, the oldest first, up to the limit', async () => {
  const ids = await start(5);
  const first = (await api.data('operator', cancel, { filter: withIds(ids), limit: 3 })).cancelExecutions;
  expect(first).toMatchObject({ clientMutationId: 'm', count: 3, hasMore: true });
  expect(first.executions.map(({ status }: Data) => status)).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED']);
  const rest = (await api.data('operator', cancel, { filter: { status: { equalTo: 'PENDING' } } })).cancelExecutions;
  expect(rest.hasMore).toBe(false);
  expect(new Set([...first.executions, ...rest.executions].map(({ id }: Data) => id))).toEqual(new Set([...ids, ...rest.executions.map(({ id }: Data) => id)]));
  expect((await api.data('operator', cancel, { filter: withIds(ids) })).cancelExecutions).toMatchObject({ count: 0, hasMore: false, executions: [] });
});

test('what failed or was cancelled is repeated, and nothing twice', async () => {
  const ids = await start(4);
  await api.data('operator', cancel, { filter: withIds(ids.slice(0, 3)) });
  const both = await Promise.all([1, 2].map(() => api.data('operator', retry, { filter: withIds(ids) })));
  const repeated = both.flatMap(({ retryExecutions }) => retryExecutions.executions);
  expect(both.reduce((sum, { retryExecutions }) => sum + retryExecutions.count, 0)).toBe(3);
  expect(new Set(repeated.map(({ retryOfExecutionId }: Data) => retryOfExecutionId))).toEqual(new Set(ids.slice(0, 3)));
  expect(repeated.map(({ status }: Data) => status)).toEqual(['PENDING', 'PENDING', 'PENDING']);
  expect((await api.data('operator', retry, { filter: withIds(ids) })).retryExecutions).toMatchObject({ count: 0, hasMore: false });
});

test('the other tenant, and who may not, change nothing and learn nothing', async () => {
  const ids = await start(2);
  expect((await api.data('admin@globex.example', cancel, { filter: withIds(ids) })).cancelExecutions).toMatchObject({ count: 0, hasMore: false, executions: [] });
  expect(codesOf(await api.query('jane', cancel, { filter: withIds(ids) }))).toEqual(['PERMISSION_DENIED']);
  expect(codesOf(await api.query('jane', retry, { filter: withIds(ids) }))).toEqual(['PERMISSION_DENIED']);
  expect(codesOf(await api.query('visitor', cancel, { filter: withIds(ids) }))).toEqual(['UNAUTHENTICATED']);
  const { rows } = await api.db.owner.query<{ count: number }>(`select count(*)::int from executions where id = any ($1) and status = 'pending'`, [ids]);
  expect(rows).toEqual([{ count: 2 }]);
});

test.each([[1_001, 'LIMIT_EXCEEDED'], [0, 'BAD_REQUEST'], [-5, 'BAD_REQUEST']])('a limit of %p is refused', async (limit, code) => {
  const answer = await api.query('john', cancel, { filter: {}, limit });
  expect(codesOf(answer)).toEqual([code]);
  expect(answer.errors![0]!.extensions.field).toBe('limit');
});

test('in the audit log each of them is told', async () => {
  const ids = await start(3);
  await api.data('john', cancel, { filter: withIds(ids) });
  const { rows } = await api.db.owner.query<{ count: number }>(`select count(*)::int from audit_logs where entity_id = any ($1) and new_value ->> 'status' = 'cancelled'`, [ids]);
  expect(rows).toEqual([{ count: 3 }]);
});
