/** `flow(id)`: slugs of flows are unique within a tenant only, and the tenant is always the caller's own. */
import 'postgraphile';
import { context, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';

export const FlowByIdPlugin: GraphileConfig.Plugin = {
  name: 'FlowByIdPlugin',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLObjectType_fields(fields, build, { scope, fieldWithHooks }) {
        const flows = build.pgResources.flows;
        if (!scope.isRootQuery || !flows) return fields;
        const type = build.getOutputTypeByName(build.inflection.tableType(flows.codec));
        const { GraphQLNonNull, GraphQLString } = build.graphql;
        return build.extend(fields, {
          flow: fieldWithHooks({ fieldName: 'flow' }, () => ({
            description: 'Get a single `Flow` of your tenant by its slug.',
            type,
            args: { id: { type: new GraphQLNonNull(GraphQLString), description: 'The slug, e.g. `order-processing`.' } },
            plan: EXPORTABLE((context, flows) => function plan(_$root: Step, args: { getRaw(name: string): Step }) {
              return flows.get({ tenant_id: context().get('tenantId'), id: args.getRaw('id') });
            }, [context, flows]) as never,
          })),
        }, 'Adding flow(id)');
      },
    },
  },
};
