/** What flow executions show beside their rows: drawings, traces for admins, and `subscription flowExecutionUpdated(id)`. */
import 'postgraphile';
import { loadOneWithPgClient, type PgClient } from 'postgraphile/@dataplan/pg';
import { context, type FieldArgs, lambda, list, listen, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { readFlowPictures, readTracebacks } from '../../store/flow-api.ts';
import { flowRunId } from '../../store/flow-run-id.ts';
import type { LoadWorkflowTools } from '../workflow-tools.ts';
import { endWith, topicOrRefusal } from './execution-updated.ts';

type Row = { get(attributeName: string): Step };

async function drawn([tools, definition]: readonly [LoadWorkflowTools, unknown]): Promise<string> {
  return (await tools()).flowDiagram(definition);
}

const pictureLoader = {
  shared: () => ({ tools: context().get('workflowTools') }),
  async load(client: PgClient, ids: readonly string[], { shared }: { shared: { tools: LoadWorkflowTools } }): Promise<(string | null)[]> {
    const pictures = new Map((await readFlowPictures(client, ids)).map((row) => [row.id, row]));
    const tools = await shared.tools();
    return ids.map((id) => {
      const picture = pictures.get(id);
      return picture ? tools.flowDiagram(picture.definition, picture.tasks) : null;
    });
  },
  name: 'flowExecutionDiagram',
};

const traceLoader = {
  async load(client: PgClient, ids: readonly string[]): Promise<(string | null)[]> {
    const traces = await readTracebacks(client, ids);
    return ids.map((id) => traces.get(id) ?? null);
  },
  name: 'errorTraceback',
};

function flowTopic([tenantId, visibleId]: readonly [string | null, string | null]): string {
  return topicOrRefusal([tenantId, visibleId === null ? null : flowRunId(visibleId)]);
}

const typeDefs = gql`
  extend type Flow {
    """The tasks and what leads from one to the next, as mermaid text."""
    diagram: String
  }
  extend type FlowVersion {
    """The tasks and what leads from one to the next, as mermaid text."""
    diagram: String
  }
  extend type FlowExecution {
    """The tasks as mermaid text, coloured by how they fare."""
    diagram: String
  }
  extend type TaskExecution {
    """Where in the program the task failed. For admins; null for everybody else, since traces can hold secrets."""
    errorTraceback: String
  }
  """A flow execution that has just changed."""
  type FlowExecutionUpdatedPayload {
    """The flow execution as it is now."""
    flowExecution: FlowExecution
  }
  extend type Subscription {
    """The flow execution at once, and again after each change of it or of its tasks. Changes in quick succession may come as one. Complete when it has told the end of the flow execution."""
    flowExecutionUpdated(id: BigInt!): FlowExecutionUpdatedPayload
  }
`;

export const FlowExecutionsPlugin = extendSchema((build) => {
  const flowExecutions = build.pgResources.flow_executions!;
  const { executor } = flowExecutions;
  const ofDefinition = EXPORTABLE((context, drawn, lambda, list) => ($row: Row) => lambda(list([context().get('workflowTools'), $row.get('definition')]), drawn as never),
    [context, drawn, lambda, list]) as never;
  const loaded = (loader: object): never => EXPORTABLE((executor, loadOneWithPgClient, loader) => ($row: Row) => loadOneWithPgClient(executor, $row.get('id'), loader as never),
    [executor, loadOneWithPgClient, loader]) as never;
  return {
    typeDefs,
    objects: {
      Flow: { plans: { diagram: ofDefinition } },
      FlowVersion: { plans: { diagram: ofDefinition } },
      FlowExecution: { plans: { diagram: loaded(pictureLoader) } },
      TaskExecution: { plans: { errorTraceback: loaded(traceLoader) } },
      Subscription: {
        plans: {
          flowExecutionUpdated: {
            subscribePlan: EXPORTABLE((context, flowExecutions, flowTopic, lambda, list, listen, object) => (_$root: Step, args: FieldArgs) => {
              const $id = args.getRaw('id');
              const $visibleId = flowExecutions.get({ id: $id }).get('id');
              const $topic = lambda(list([context().get('tenantId'), $visibleId]), flowTopic as never) as Step<string>;
              return listen(context().get('executionEvents') as never, $topic, ($told: Step) => object({ id: $id, told: $told }));
            }, [context, flowExecutions, flowTopic, lambda, list, listen, object]) as never,
            plan: EXPORTABLE((endWith, flowExecutions, list, object, sideEffect) => ($event: ObjectStep<{ id: Step; told: Step }>) => {
              const $flowExecution = flowExecutions.get({ id: $event.get('id') });
              sideEffect(list([$flowExecution.get('status'), $event.get('told')]), endWith as never);
              return object({ flowExecution: $flowExecution });
            }, [endWith, flowExecutions, list, object, sideEffect]) as never,
          },
        },
      },
      FlowExecutionUpdatedPayload: {
        plans: {
          flowExecution: EXPORTABLE(() => ($payload: ObjectStep<{ flowExecution: Step }>) => $payload.get('flowExecution'), []) as never,
        },
      },
    },
  };
}, 'FlowExecutionsPlugin');
