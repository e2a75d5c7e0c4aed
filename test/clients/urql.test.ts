/** urql against the API: a query, a mutation that makes it ask again, errors, and a subscription over graphql-ws. */
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { type Data, useApi } from '../support/api.ts';
import { openClient, type Opened } from '../support/subscriptions.ts';

const api = useApi();
let client: Client;
let socket: Opened;

beforeAll(async () => {
  const headers = await api.headersOf('john');
  socket = openClient(api.url, headers);
  client = new Client({
    url: `${api.url}/graphql`, fetchOptions: { headers }, preferGetMethod: false,
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription: ({ query, variables }) => ({ subscribe: (sink) => ({ unsubscribe: socket.client.subscribe({ query: query!, variables: variables as Data }, sink as never) }) }) })],
  });
});
afterAll(async () => {
  await socket.client.dispose();
});

test('a query, a mutation, and the query again', async () => {
  const list = 'query ($name: String!) { workflows(filter: { name: { equalTo: $name } }) { nodes { id name } } }';
  const none = await client.query(list, { name: 'made by urql' }).toPromise();
  expect(none.data.workflows.nodes).toEqual([]);
  const made = await client.mutation('mutation ($input: CreateWorkflowInput!) { createWorkflow(input: $input) { workflow { id name } } }', { input: { workflow: { name: 'made by urql', spec: {} } } }).toPromise();
  expect(made.error).toBeUndefined();
  const one = await client.query(list, { name: 'made by urql' }, { requestPolicy: 'network-only' }).toPromise();
  expect(one.data.workflows.nodes).toMatchObject([made.data.createWorkflow.workflow]);
});

test('errors come with their code, field and remedy', async () => {
  const { error } = await client.mutation('mutation { updateWorkflow(input: { id: "660e8400-e29b-41d4-a716-446655440000", expectedVersion: 99, patch: { name: "x" } }) { workflow { id } } }', {}).toPromise();
  expect(error!.graphQLErrors[0]!.extensions).toMatchObject({ code: 'VERSION_CONFLICT', field: 'expectedVersion', remedy: expect.any(String) });
});

test('a subscription tells the present state', async () => {
  const { executeWorkflow: { execution: { id } } } = await api.data('john', 'mutation { executeWorkflow(input: { workflowId: "660e8400-e29b-41d4-a716-446655440000", initialState: {} }) { execution { id } } }');
  const first: Data = await new Promise((resolve) => {
    const { unsubscribe } = client.subscription('subscription ($id: UUID!) { executionUpdated(id: $id) { execution { id status } } }', { id }).subscribe((result: Data) => {
      resolve(result);
      setImmediate(() => unsubscribe());
    });
  });
  expect(first.data.executionUpdated.execution).toMatchObject({ id, status: 'PENDING' });
});
