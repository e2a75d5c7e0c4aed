/** `createWorkflow(input: { copyOf })`: a new draft that is the copy of another workflow, in place of a `workflow` given. */
import 'postgraphile';
import type { PgExecutorContext } from 'postgraphile/@dataplan/pg';
import { object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { getNullableType } from 'postgraphile/graphql';
import { AgentFlowError } from '../../errors.ts';
import { copyWorkflow } from '../../store/copies.ts';
import type { ReadingClient } from '../../store/workflow-checks.ts';

const table = 'workflows';

interface Copying {
  caller: PgExecutorContext<Record<string, string>>;
  copyOf: string;
  workflow: unknown;
}

/** What is known of an input while the operation is planned. */
type Given = Step & { evalIs(value: null | undefined): boolean };

/** Throws BAD_REQUEST, and what the copying throws. */
async function copy({ caller, copyOf, workflow }: Copying): Promise<string> {
  if (workflow != null) throw new AgentFlowError('BAD_REQUEST', 'Give workflow or copyOf, not both.', { details: { field: 'copyOf' } });
  return caller.withPgClient(caller.pgSettings, (client) => copyWorkflow(client as unknown as ReadingClient, copyOf));
}

export const CopyOfPlugin: GraphileConfig.Plugin = {
  name: 'CopyOfPlugin',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLInputObjectType_fields(fields, build, context) {
        const { isPgCreateInputType, pgResource } = context.scope;
        if (!isPgCreateInputType || pgResource?.name !== table) return fields;
        const { workflow } = fields;
        if (!workflow) throw new Error('There is no field for the workflow to be created');
        return build.extend({ ...fields, workflow: { ...workflow, type: getNullableType(workflow.type), description: `${workflow.description} Required unless copyOf is given.` } }, {
          copyOf: context.fieldWithHooks({ fieldName: 'copyOf' }, {
            description: 'Instead of a workflow: the id of one to be copied, as it is now, into a new draft of yours. To name the copy at once, use copyWorkflow.',
            type: build.getInputTypeByName('UUID'),
          }),
        }, 'Adding copyOf');
      },
      GraphQLObjectType_fields_field_args(args, _build, context) {
        const { isPgCreateMutation, pgFieldResource } = context.scope;
        if (!isPgCreateMutation || pgFieldResource?.name !== table || !args.input) return args;
        // The plan below puts the input where it belongs; by itself it would look for a row to be inserted.
        const { applyPlan: _, ...input } = args.input;
        return { ...args, input };
      },
      GraphQLObjectType_fields_field(field, _build, context) {
        const { isPgCreateMutation, pgFieldResource: resource, isPgCreatePayloadType, pgTypeResource, fieldName } = context.scope;
        const { plan } = field;
        if (isPgCreateMutation && resource?.name === table && plan) {
          return {
            ...field,
            plan: EXPORTABLE((copy, object, plan, resource, sideEffect) => function createOrCopy($root, args, info) {
              const $copyOf = args.getRaw(['input', 'copyOf']) as unknown as Given;
              if ($copyOf.evalIs(undefined) || $copyOf.evalIs(null)) return plan($root, args, info);
              const $id = sideEffect(object({ caller: resource.executor.context(), copyOf: $copyOf, workflow: args.getRaw(['input', 'workflow']) }), copy as never);
              return object({ result: resource.get({ id: $id }), clientMutationId: args.getRaw(['input', 'clientMutationId']) });
            }, [copy, object, plan, resource, sideEffect]),
          };
        }
        if (isPgCreatePayloadType && pgTypeResource?.name === table && fieldName === 'clientMutationId' && plan) {
          return {
            ...field,
            plan: EXPORTABLE((plan) => function clientMutationId($payload, args, info) {
              return ($payload as unknown as ObjectStep<{ clientMutationId: Step }>).getStepForKey('clientMutationId', true) ?? plan($payload, args, info);
            }, [plan]),
          };
        }
        return field;
      },
    },
  },
};
