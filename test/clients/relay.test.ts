/** Relay's runtime against the API: its store, refetching by `node`, pagination, a mutation and a subscription, with artifacts of its compiler. */
import {
  commitMutation, ConnectionHandler, createOperationDescriptor, Environment, fetchQuery, getSingularSelector, Network, Observable, RecordSource, requestSubscription, ROOT_ID, Store,
} from 'relay-runtime';
import { type Data, type TestApi, useApi } from '../support/api.ts';
import { openClient } from '../support/subscriptions.ts';

const api = useApi();

/** What the compiler makes has no types. */
async function compiled(name: string): Promise<Data> {
  return ((await import(`./relay/__generated__/${name}.graphql.js`)) as { default: Data }).default;
}

function environmentFor({ url }: TestApi, headers: Record<string, string>): { environment: Environment; end(): Promise<void> } {
  const socket = openClient(url, headers);
  const network = Network.create(
    async ({ text }, variables) => {
      const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query: text, variables }) });
      return (await response.json()) as never;
    },
    ({ text }, variables) => Observable.create((sink) => socket.client.subscribe({ query: text!, variables }, sink as never)),
  );
  const environment = new Environment({ network, store: new Store(new RecordSource()), getDataID: ({ globalId }) => globalId as string });
  return { environment, end: async () => { await socket.client.dispose(); } };
}

let relay: ReturnType<typeof environmentFor>;
beforeAll(async () => {
  const values = Array.from({ length: 5 }, (_, index) => `('relay ${index}', '{}', '550e8400-e29b-41d4-a716-446655440000', '123e4567-e89b-12d3-a456-426614174000')`);
  await api.db.owner.query(`insert into workflows (name, spec, user_id, tenant_id) values ${values.join(', ')}`);
  relay = environmentFor(api, await api.headersOf('john'));
});
afterAll(() => relay.end());

/** Fetches and keeps what came, as a mounted component would. */
async function load(name: string, variables: Record<string, unknown>): Promise<void> {
  const query = await compiled(name);
  relay.environment.retain(createOperationDescriptor(query, variables));
  await fetchQuery(relay.environment, query, variables).toPromise();
}

function connectionInStore(): { ids: string[]; hasNextPage: boolean; endCursor: string } {
  let found: Data;
  relay.environment.commitUpdate((store) => {
    const connection = ConnectionHandler.getConnection(store.getRoot(), 'documentsList_workflows', { orderBy: ['NAME_ASC'] }) as Data;
    const pageInfo = connection.getLinkedRecord('pageInfo');
    found = { ids: connection.getLinkedRecords('edges').map((edge: Data) => edge.getLinkedRecord('node').getDataID()), hasNextPage: pageInfo.getValue('hasNextPage'), endCursor: pageInfo.getValue('endCursor') };
  });
  return found;
}

test('pages are joined to one connection in the store', async () => {
  await load('documentsListQuery', { first: 3 });
  const first = connectionInStore();
  expect(first).toMatchObject({ ids: { length: 3 }, hasNextPage: true });
  await load('documentsListPaginationQuery', { first: 100, after: first.endCursor });
  const both = connectionInStore();
  expect(both.ids.slice(0, 3)).toEqual(first.ids);
  expect(new Set(both.ids).size).toBe(both.ids.length);
  const { rows: [{ count }] } = await api.db.owner.query<Data>(`select count(*)::int from workflows where tenant_id = '123e4567-e89b-12d3-a456-426614174000' and deleted_at is null`);
  expect([both.ids.length, both.hasNextPage]).toEqual([count, false]);
});

test('an object is found again by its globalId, and a mutation changes it wherever it is shown', async () => {
  await load('documentsListQuery', { first: 3 });
  const [globalId = ''] = connectionInStore().ids;
  await load('documentsRowRefetchQuery', { globalId });
  const query = createOperationDescriptor(await compiled('documentsRowRefetchQuery'), { globalId });
  const row = async (): Promise<Data> => {
    const { node } = relay.environment.lookup(query.fragment).data as Data;
    const selector: Data = getSingularSelector(await compiled('documentsRow_workflow'), node);
    return relay.environment.lookup(selector).data;
  };
  const before = await row();
  expect(before).toMatchObject({ id: expect.any(String), name: expect.any(String) });
  const mutation = await compiled('documentsRenameMutation');
  await new Promise((resolve, reject) => {
    commitMutation(relay.environment, { mutation, variables: { input: { id: before.id, patch: { name: 'renamed by Relay' } } }, onCompleted: resolve, onError: reject });
  });
  expect((await row()).name).toBe('renamed by Relay');
  expect(relay.environment.getStore().getSource().get(ROOT_ID)).toBeDefined();
});

test('a subscription writes into the store', async () => {
  const { executeWorkflow } = await api.data('john', 'mutation { executeWorkflow(input: { workflowId: "660e8400-e29b-41d4-a716-446655440000", initialState: {} }) { execution { id globalId } } }');
  const { id, globalId } = executeWorkflow.execution;
  const subscription = await compiled('documentsWatchSubscription');
  const seen = new Promise<Data>((resolve, reject) => {
    const { dispose } = requestSubscription(relay.environment, {
      subscription, variables: { id }, onError: reject,
      onNext(data) {
        resolve(data);
        setImmediate(() => dispose());
      },
    });
  });
  expect((await seen).executionUpdated.execution).toMatchObject({ id, globalId });
  expect(relay.environment.getStore().getSource().get(globalId)).toMatchObject({ status: 'PENDING' });
});
