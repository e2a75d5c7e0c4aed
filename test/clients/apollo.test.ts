/** Apollo Client against the API: its cache by `globalId`, pages of connections, a mutation and a subscription. */
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, type NormalizedCacheObject } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { type Data, useApi } from '../support/api.ts';
import { openClient, type Opened } from '../support/subscriptions.ts';

const api = useApi();
let client: ApolloClient;
let socket: Opened;

beforeAll(async () => {
  const headers = await api.headersOf('john');
  socket = openClient(api.url, headers);
  client = new ApolloClient({
    link: ApolloLink.split(({ operationType }) => String(operationType) === 'subscription', new GraphQLWsLink(socket.client), new HttpLink({ uri: `${api.url}/graphql`, headers })),
    cache: new InMemoryCache({
      dataIdFromObject: (object) => (typeof object['globalId'] === 'string' ? object['globalId'] : undefined),
      typePolicies: { Query: { fields: { workflows: relayStylePagination(['filter', 'orderBy']) } } },
    }),
  });
  await api.db.owner.query(`insert into workflows (name, spec, user_id, tenant_id) select 'apollo ' || n, '{}', '550e8400-e29b-41d4-a716-446655440000', '123e4567-e89b-12d3-a456-426614174000' from generate_series(1, 5) n`);
});
afterAll(async () => {
  client.stop();
  await socket.client.dispose();
});

const list = gql`query List($first: Int!, $after: Cursor) {
  workflows(first: $first, after: $after, orderBy: [NAME_ASC]) { edges { cursor node { globalId id name } } pageInfo { endCursor hasNextPage startCursor hasPreviousPage } }
}`;

test('pages are joined, and a mutation changes what is in the cache', async () => {
  const watching = client.watchQuery({ query: list, variables: { first: 3 } });
  const seen = watching.subscribe(() => undefined);
  const { data: first }: Data = await client.query({ query: list, variables: { first: 3 } });
  expect(first.workflows.edges).toHaveLength(3);
  await watching.fetchMore({ variables: { first: 3, after: first.workflows.pageInfo.endCursor } });
  const { workflows }: Data = client.readQuery({ query: list, variables: { first: 3 } });
  expect(new Set(workflows.edges.map(({ node }: Data) => node.id)).size).toBe(6);
  const { globalId, id } = workflows.edges[5].node;
  await client.mutate({ mutation: gql`mutation ($input: UpdateWorkflowInput!) { updateWorkflow(input: $input) { workflow { globalId name } } }`, variables: { input: { id, patch: { name: 'renamed by Apollo' } } } });
  expect((client.cache.extract() as NormalizedCacheObject)[globalId]).toMatchObject({ name: 'renamed by Apollo' });
  seen.unsubscribe();
});

test('errors come with their code', async () => {
  const error: unknown = await client.mutate({ mutation: gql`mutation { deleteWorkflow(input: { id: "00000000-0000-4000-8000-000000000000" }) { workflow { id } } }` }).then(() => null, (reason: unknown) => reason);
  expect(CombinedGraphQLErrors.is(error)).toBe(true);
  expect((error as CombinedGraphQLErrors).errors[0]!.extensions).toMatchObject({ code: 'NOT_FOUND', remedy: expect.any(String) });
});

test('a subscription tells the present state', async () => {
  const { executeWorkflow: { execution: { id } } } = await api.data('john', 'mutation { executeWorkflow(input: { workflowId: "660e8400-e29b-41d4-a716-446655440000", initialState: {} }) { execution { id } } }');
  const first = await new Promise<Data>((resolve, reject) => {
    const watching = client.subscribe({ query: gql`subscription ($id: UUID!) { executionUpdated(id: $id) { execution { globalId id status } } }`, variables: { id } }).subscribe({
      error: reject,
      next({ data }) {
        resolve(data);
        setImmediate(() => watching.unsubscribe());
      },
    });
  });
  expect(first.executionUpdated.execution).toMatchObject({ id, status: 'PENDING' });
});
