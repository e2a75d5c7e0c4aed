/** GraphiQL's first tab: the main job, step by step. Everything the page loads comes from this server. */
import 'postgraphile/grafserv';

const mainJob = `# Sign in, execute a workflow, look at it.
# Ctrl-Enter runs the operation that the cursor is in; the arrow lets you choose one.

# 1. Sign in. Logins are in the banner of "npm start".

mutation SignIn {
  authenticate(input: {
    email: "john@example.com"
    password: "..."
  }) {
    jwt
    user { name role }
  }
}

# 2. Open "Headers" below and put in what you got:
#      { "Authorization": "Bearer <jwt>" }
#    or the API key from the banner:
#      { "X-API-Key": "sk_live_..." }

query Workflows {
  currentUser { name role }
  workflows(filter: { status: { equalTo: PUBLISHED } }) {
    nodes { id name description }
  }
}

# 3. Execute one. This id is the sample workflow's.

mutation Execute {
  executeWorkflow(input: {
    workflowId: "660e8400-e29b-41d4-a716-446655440000"
    initialState: { user_input: "Where is my order?" }
  }) {
    execution { id status }
  }
}

# 4. Look at the newest execution ...

query Execution {
  executions(first: 1) {
    nodes {
      id status tokensUsed cost executionTime
      finalState metrics
      nodeExecutions {
        nodes { sequenceNumber nodeId nodeType status output }
      }
    }
  }
}

# ... or watch one: put in the id from step 3.

subscription Watch {
  executionUpdated(id: "00000000-0000-0000-0000-000000000000") {
    execution {
      status finalState
      nodeExecutions { nodes { nodeId status } }
    }
  }
}
`;

/** What the README does, beside the first tab: kept as favourites of GraphiQL's history, unless somebody has made favourites of his own. */
export const savedOperations: readonly { label: string; query: string; variables?: object }[] = [
  { label: 'Sign in', query: 'mutation SignIn($email: String!, $password: String!) {\n  authenticate(input: { email: $email, password: $password }) {\n    jwt\n    user { name role }\n  }\n}', variables: { email: 'john@example.com', password: '...' } },
  { label: 'Execute the sample workflow', query: 'mutation Execute($state: JSON!) {\n  executeWorkflow(input: { workflowId: "660e8400-e29b-41d4-a716-446655440000", initialState: $state }) {\n    execution { id status }\n  }\n}', variables: { state: { user_input: 'Where is my order?' } } },
  { label: 'The newest execution, node by node', query: '{\n  executions(first: 1) {\n    nodes {\n      status tokensUsed cost executionTime finalState\n      nodeExecutions { nodes { sequenceNumber nodeId status output } }\n    }\n  }\n}' },
  { label: 'Watch an execution', query: 'subscription Watch($id: UUID!) {\n  executionUpdated(id: $id) {\n    execution { status nodeExecutions { nodes { nodeId status } } }\n  }\n}', variables: { id: '00000000-0000-0000-0000-000000000000' } },
  { label: 'Execute the sample flow', query: 'mutation ExecuteFlow {\n  executeFlow(input: { flowId: "data_pipeline", inputContext: {} }) {\n    flowExecution { id }\n  }\n}' },
  { label: 'The newest flow execution, task by task', query: '{\n  flowExecutions(first: 1) {\n    nodes { status taskExecutions { nodes { taskName status } } }\n  }\n}' },
  { label: 'Find a workflow by its name', query: 'query Find($name: String!) {\n  workflows(filter: { name: { equalTo: $name } }) {\n    nodes { id status version }\n  }\n}', variables: { name: 'Order desk' } },
  { label: 'Publish a workflow', query: 'mutation Publish($id: UUID!) {\n  publishWorkflow(input: { id: $id }) {\n    workflow { name status version }\n  }\n}', variables: { id: '00000000-0000-0000-0000-000000000000' } },
];

const favourites = JSON.stringify({
  favorites: savedOperations.map(({ label, query, variables }) => ({ query, label, favorite: true, ...(variables ? { variables: JSON.stringify(variables, null, 2) } : {}) })),
});

/** `<` cannot end a script when it is written as JavaScript's escape. */
const inScript = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

export const savedOperationsScript = `<script>
try { if (!localStorage.getItem('graphiql:favorites')) localStorage.setItem('graphiql:favorites', ${inScript(favourites)}); } catch { /* a browser that keeps nothing */ }
</script>
`;

/** GraphiQL asks for the schema before it looks at its headers editor. */
const identifiedIntrospection = `
{
const mine = JSON.parse(RURU_CONFIG.initialHeaders), ask = globalThis['fetch'];
globalThis['fetch'] = (place, init = {}) => {
  const headers = new Headers(init.headers);
  const isIdentified = headers.has('authorization') || headers.has('x-api-key');
  if (!isIdentified && String(init.body).includes('__schema')) for (const name in mine) headers.set(name, mine[name]);
  return ask(place, { ...init, headers });
};
}`;

/** GraphiQL begins with the credentials that its page was asked for with. */
export function withHeaders(configScript: string, { authorization, apiKey }: { authorization: string | undefined; apiKey: string | undefined }): string {
  if (authorization === undefined && apiKey === undefined) return configScript;
  const headers = authorization === undefined ? { 'X-API-Key': apiKey } : { Authorization: authorization };
  return `${configScript}<script>RURU_CONFIG.initialHeaders = ${inScript(JSON.stringify(headers, null, 2))};${identifiedIntrospection}</script>\n`;
}

export const graphiqlTitle = '<title>AgentFlow GraphiQL</title>';

type RuruOptions = NonNullable<GraphileConfig.Preset['ruru']>;

export const graphiqlOptions: RuruOptions = {
  // The type wants every option; the page has defaults for all of them.
  clientConfig: { defaultQuery: mainJob, isHeadersEditorEnabled: true } as RuruOptions['clientConfig'],
};
