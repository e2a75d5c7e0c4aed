/**
 * What the Relay client of the tests asks. `npm run judges -- relay` compiles it to `__generated__` and says when that is not what is there. The tag is
 * the compiler's: nobody runs this file.
 */
const graphql = (texts) => texts[0];

export const listQuery = graphql`
  query documentsListQuery($first: Int!, $after: Cursor) {
    ...documentsList_query @arguments(first: $first, after: $after)
  }
`;

export const list = graphql`
  fragment documentsList_query on Query @argumentDefinitions(first: { type: "Int!" }, after: { type: "Cursor" }) @refetchable(queryName: "documentsListPaginationQuery") {
    workflows(first: $first, after: $after, orderBy: [NAME_ASC]) @connection(key: "documentsList_workflows") {
      edges { node { globalId ...documentsRow_workflow } }
    }
  }
`;

export const row = graphql`
  fragment documentsRow_workflow on Workflow @refetchable(queryName: "documentsRowRefetchQuery") {
    id
    name
    status
  }
`;

export const rename = graphql`
  mutation documentsRenameMutation($input: UpdateWorkflowInput!) {
    updateWorkflow(input: $input) { workflow { globalId ...documentsRow_workflow } }
  }
`;

export const watch = graphql`
  subscription documentsWatchSubscription($id: UUID!) {
    executionUpdated(id: $id) { execution { globalId id status } }
  }
`;
