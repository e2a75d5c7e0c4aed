/** `createFlow`, `updateFlow`, `validateFlow` and `Flow.validation`: SQL functions, in the shape that the same things have for workflows. */
import 'postgraphile';
import { loadOneWithPgClient, type PgClient, type PgExecutor, type PgExecutorContext } from 'postgraphile/@dataplan/pg';
import { context, type FieldArgs, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { checkFlows, createFlow, updateFlow, type FlowInput, type FlowPatch, type FlowToCheck } from '../../store/flow-api.ts';
import type { ProblemRow, ProblemsRow } from '../../store/workflow-checks.ts';

type Caller = PgExecutorContext<Record<string, string>>;

async function create({ caller, flow }: { caller: Caller; flow: FlowInput }): Promise<string> {
  await caller.withPgClient(caller.pgSettings, (client) => createFlow(client, flow));
  return flow.id;
}

interface Update {
  caller: Caller;
  id: string;
  patch: FlowPatch;
  expectedVersion: number | null | undefined;
}

async function update({ caller, id, patch, expectedVersion }: Update): Promise<string> {
  await caller.withPgClient(caller.pgSettings, (client) => updateFlow(client, id, patch, expectedVersion ?? null));
  return id;
}

const validationLoader = {
  async load(client: PgClient, flows: readonly FlowToCheck[]): Promise<object[]> {
    return (await checkFlows(client, flows)).map(({ errors, warnings }: ProblemsRow) =>
      ({ valid: errors.length === 0, errors: errors.map(problemOf), warnings: warnings.map(problemOf) }));
  },
  name: 'flowValidation',
};

function problemOf({ code, message, field, node_id: nodeId }: ProblemRow): object {
  return { code, message, field, nodeId };
}

function validationOf(executor: PgExecutor, $flow: Step): Step {
  return loadOneWithPgClient(executor, $flow, validationLoader as never);
}

const typeDefs = gql`
  """What a flow is made of."""
  input FlowInput {
    """Slug, unique in the tenant; at most 100 characters."""
    id: String!
    name: String!
    description: String
    """The task that it starts with."""
    startTask: String!
    """The document. Its id, name and start_task must be those given here."""
    definition: JSON!
  }
  """What is to be changed of a flow; what is not given stays as it is."""
  input FlowPatch {
    name: String
    description: String
    startTask: String
    """The whole document. Without it, a new name or start task is carried into the present one."""
    definition: JSON
  }
  """The flow to create."""
  input CreateFlowInput {
    clientMutationId: String
    flow: FlowInput!
  }
  """The flow that was created."""
  type CreateFlowPayload {
    clientMutationId: String
    flow: Flow
  }
  """Which flow, and what of it changes."""
  input UpdateFlowInput {
    clientMutationId: String
    id: String!
    """The version that the change was made for. When the flow has another one by now, nothing is changed: VERSION_CONFLICT."""
    expectedVersion: Int
    patch: FlowPatch!
  }
  """The flow as it is now."""
  type UpdateFlowPayload {
    clientMutationId: String
    flow: Flow
  }
  extend type Mutation {
    """Creates a flow: INVALID_FLOW lists every problem. It is active at once when you may activate flows."""
    createFlow(input: CreateFlowInput!): CreateFlowPayload
    """Changes a flow. A changed definition is a new version; an active flow is changed by those who may activate it."""
    updateFlow(input: UpdateFlowInput!): UpdateFlowPayload
  }
  extend type Query {
    """Checks a flow without saving it; id, name and start task are the definition's own when they are not given."""
    validateFlow(definition: JSON!, id: String, name: String, startTask: String): WorkflowValidation
  }
  extend type Flow {
    """What validation says of the flow as it is: warnings, since a flow is always valid."""
    validation: WorkflowValidation
  }
`;

/** The schema derives types of these names from the table, which nothing uses: they make room. */
export const FlowNamesPlugin: GraphileConfig.Plugin = {
  name: 'FlowNamesPlugin',
  version: '1.0.0',
  inflection: {
    replace: {
      inputType: (previous, _preset, typeName) => (typeName === 'Flow' ? 'FlowRowInput' : previous!(typeName)),
      patchType: (previous, _preset, typeName) => (typeName === 'Flow' ? 'FlowRowPatch' : previous!(typeName)),
    },
  },
};

export const FlowsPlugin = extendSchema((build) => {
  const flows = build.pgResources.flows!;
  const { executor } = flows;
  const payload = {
    plans: {
      flow: EXPORTABLE((context, flows) => ($payload: ObjectStep<{ id: Step }>) =>
        flows.get({ tenant_id: context().get('tenantId'), id: $payload.get('id') }), [context, flows]) as never,
    },
  };
  return {
    typeDefs,
    objects: {
      Mutation: {
        plans: {
          createFlow: EXPORTABLE((create, executor, object, sideEffect) => (_$root: Step, args: FieldArgs) => {
            const $id = sideEffect(object({ caller: executor.context(), flow: args.getRaw(['input', 'flow']) }), create as never);
            return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), id: $id });
          }, [create, executor, object, sideEffect]) as never,
          updateFlow: EXPORTABLE((executor, object, sideEffect, update) => (_$root: Step, args: FieldArgs) => {
            const $id = sideEffect(object({
              caller: executor.context(), id: args.getRaw(['input', 'id']), patch: args.getRaw(['input', 'patch']),
              expectedVersion: args.getRaw(['input', 'expectedVersion']),
            }), update as never);
            return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), id: $id });
          }, [executor, object, sideEffect, update]) as never,
        },
      },
      CreateFlowPayload: payload,
      UpdateFlowPayload: payload,
      Query: {
        plans: {
          validateFlow: EXPORTABLE((executor, object, validationOf) => (_$root: Step, args: FieldArgs) => validationOf(executor, object({
            definition: args.getRaw('definition'), id: args.getRaw('id'), name: args.getRaw('name'), startTask: args.getRaw('startTask'),
          })), [executor, object, validationOf]) as never,
        },
      },
      Flow: {
        plans: {
          validation: EXPORTABLE((executor, object, validationOf) => ($flow: { get(name: string): Step }) => validationOf(executor, object({
            definition: $flow.get('definition'), id: $flow.get('id'), name: $flow.get('name'), startTask: $flow.get('start_task'),
          })), [executor, object, validationOf]) as never,
        },
      },
    },
  };
}, 'FlowsPlugin');
