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

export const graphiqlTitle = '<title>AgentFlow GraphiQL</title>';

type RuruOptions = NonNullable<GraphileConfig.Preset['ruru']>;

export const graphiqlOptions: RuruOptions = {
  // The type wants every option; the page has defaults for all of them.
  clientConfig: { defaultQuery: mainJob, isHeadersEditorEnabled: true } as RuruOptions['clientConfig'],
};
