/** GraphiQL's first tab: the main job, step by step. Everything the page loads comes from this server. */
import 'postgraphile/grafserv';

const mainJob = `# Sign in, execute a workflow, watch it. Put the cursor into an operation and press Ctrl-Enter.
#
# 1. Sign in with one of the logins in the banner of "npm start", or skip this and use the API key from there.

mutation SignIn {
  authenticate(input: { email: "john@example.com", password: "..." }) {
    jwt
    user { name role }
  }
}

# 2. Open "Headers" below and put in what you got:
#      { "Authorization": "Bearer <jwt>" }      or      { "X-API-Key": "sk_live_..." }

query Workflows {
  currentUser { name role }
  workflows(filter: { status: { equalTo: PUBLISHED } }) {
    nodes { id name description }
  }
}

# 3. Execute one. This id is the sample workflow's; others come from the answer above.

mutation Execute {
  executeWorkflow(input: {
    workflowId: "660e8400-e29b-41d4-a716-446655440000"
    initialState: { user_input: "Where is my order?" }
  }) {
    execution { id status }
  }
}

# 4. Look at what it did ...

query Execution {
  executions(first: 1) {
    nodes {
      id status finalState metrics tokensUsed cost executionTime
      nodeExecutions { nodes { sequenceNumber nodeId nodeType status output } }
    }
  }
}

# ... or watch it while it runs: put the id from step 3 here.

subscription Watch {
  executionUpdated(id: "00000000-0000-0000-0000-000000000000") {
    execution { status finalState nodeExecutions { nodes { nodeId status } } }
  }
}
`;

type RuruOptions = NonNullable<GraphileConfig.Preset['ruru']>;

export const graphiqlOptions: RuruOptions = {
  // The type wants every option; the page has defaults for all of them.
  clientConfig: { defaultQuery: mainJob, isHeadersEditorEnabled: true } as RuruOptions['clientConfig'],
};
