/** `validateWorkflow(spec)` and `Workflow.validation`: every problem of a document at once. Saving a draft never refuses; it can answer with the list. */
import 'postgraphile';
import { loadOneWithPgClient, type PgClient, type PgExecutor } from 'postgraphile/@dataplan/pg';
import { context, type FieldArgs, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { type LoadWorkflowTools, validateAll, type Validation } from '../workflow-tools.ts';

const validationLoader = {
  shared: () => ({ tools: context().get('workflowTools') }),
  load: async (client: PgClient, specs: readonly unknown[], { shared }: { shared: { tools: LoadWorkflowTools } }): Promise<Validation[]> =>
    validateAll(client, await shared.tools(), specs),
  name: 'validation',
};

function validationOf(executor: PgExecutor, $spec: Step): Step {
  return loadOneWithPgClient(executor, $spec, validationLoader as never);
}

export const ValidationPlugin = extendSchema((build) => {
  const { executor } = build.pgResources.workflows!;
  return {
    typeDefs: gql`
      """One finding in a workflow document."""
      type WorkflowProblem {
        """E001 and on for errors, W001 and on for warnings; docs/workflows.md lists them."""
        code: String!
        message: String!
        """Where: a dotted path into the document as it was sent, e.g. \`nodes.2.metadata.temperature\`."""
        field: String
        """The node it is about, if it is about one."""
        nodeId: String
      }
      """What is to be said of a workflow document: all of it at once."""
      type WorkflowValidation {
        """True when there are no errors: it may be published."""
        valid: Boolean!
        errors: [WorkflowProblem!]!
        """Warnings never block."""
        warnings: [WorkflowProblem!]!
      }
      extend type Query {
        """Checks a workflow document for your tenant, without saving it."""
        validateWorkflow(spec: JSON!): WorkflowValidation
      }
      extend type Workflow {
        """What validation says of the document as it is."""
        validation: WorkflowValidation
      }
    `,
    objects: {
      Query: {
        plans: {
          validateWorkflow: EXPORTABLE((executor, validationOf) => (_$root: Step, args: FieldArgs) => validationOf(executor, args.getRaw('spec')),
            [executor, validationOf]) as never,
        },
      },
      Workflow: {
        plans: {
          validation: EXPORTABLE((executor, validationOf) => ($workflow: { get(name: string): Step }) => validationOf(executor, $workflow.get('spec')),
            [executor, validationOf]) as never,
        },
      },
    },
  };
}, 'ValidationPlugin');
