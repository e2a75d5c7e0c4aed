/** `Workflow.diagram`, `WorkflowVersion.diagram` and `Execution.diagram`: the graph as mermaid text, of an execution with how its nodes fare. */
import 'postgraphile';
import { loadOneWithPgClient, type PgClient } from 'postgraphile/@dataplan/pg';
import { context, lambda, list, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { readExecutionPictures } from '../../store/execution-pictures.ts';
import type { LoadWorkflowTools } from '../workflow-tools.ts';

type Row = { get(attributeName: string): Step };

async function drawn([tools, spec]: readonly [LoadWorkflowTools, unknown]): Promise<string | null> {
  return (await tools()).diagram(spec);
}

const pictureLoader = {
  shared: () => ({ tools: context().get('workflowTools') }),
  async load(client: PgClient, ids: readonly string[], { shared }: { shared: { tools: LoadWorkflowTools } }): Promise<(string | null)[]> {
    const pictures = new Map((await readExecutionPictures(client, ids)).map((row) => [row.id, row]));
    const tools = await shared.tools();
    return ids.map((id) => {
      const picture = pictures.get(id);
      return picture ? tools.diagram(picture.spec, picture.nodes) : null;
    });
  },
  name: 'executionDiagram',
};

export const DiagramsPlugin = extendSchema((build) => {
  const { executor } = build.pgResources.executions!;
  const ofDocument = EXPORTABLE((context, drawn, lambda, list) => ($row: Row) => lambda(list([context().get('workflowTools'), $row.get('spec')]), drawn as never),
    [context, drawn, lambda, list]) as never;
  return {
    typeDefs: gql`
      extend type Workflow {
        """The graph as mermaid text; null while the document is not valid."""
        diagram: String
      }
      extend type WorkflowVersion {
        """The graph as mermaid text; null when the document is not valid."""
        diagram: String
      }
      extend type Execution {
        """The graph as mermaid text, its nodes coloured by how they fare, with time and tokens on them."""
        diagram: String
      }
    `,
    objects: {
      Workflow: { plans: { diagram: ofDocument } },
      WorkflowVersion: { plans: { diagram: ofDocument } },
      Execution: {
        plans: {
          diagram: EXPORTABLE((executor, loadOneWithPgClient, pictureLoader) => ($execution: Row) => loadOneWithPgClient(executor, $execution.get('id'), pictureLoader as never),
            [executor, loadOneWithPgClient, pictureLoader]) as never,
        },
      },
    },
  };
}, 'DiagramsPlugin');
