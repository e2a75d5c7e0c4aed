/** Lists come in the order that one wants to read: what runs in sequence in its sequence, everything else the newest first. */
import 'postgraphile';

/** Columns that give a default order, the first that a table has. Rows with equal values are told apart by the primary key. */
const preferred = [['sequence_number', 'asc'], ['version', 'asc'], ['created_at', 'desc'], ['started_at', 'desc']] as const;

export const DefaultOrderPlugin: GraphileConfig.Plugin = {
  name: 'DefaultOrderPlugin',
  version: '1.0.0',
  after: ['PgConnectionArgOrderByDefaultValuePlugin'],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field_args_arg(arg, build, context) {
        const { argName, isPgFieldConnection, pgFieldResource } = context.scope;
        if (argName !== 'orderBy' || !isPgFieldConnection || !pgFieldResource || pgFieldResource.parameters) return arg;
        const { codec } = pgFieldResource;
        const order = preferred.find(([attributeName]) => attributeName in (codec.attributes ?? {})
          && build.behavior.pgCodecAttributeMatches([codec as never, attributeName], 'attribute:orderBy'));
        if (!order || isVersionOfItself(codec.name, order[0])) return arg;
        const [attributeName, direction] = order;
        const value = build.inflection.orderByAttributeEnum({ codec: codec as never, attributeName, variant: direction });
        return { ...arg, defaultValue: [value] };
      },
    },
  },
};

/** `version` orders the versions of a workflow, not workflows. */
function isVersionOfItself(codecName: string, attributeName: string): boolean {
  return attributeName === 'version' && !/version/i.test(codecName);
}
